/**
 * `minicontainer doctor`: what this host can do, a line each, and what crashes have left over.
 *
 * Exit status 1 if something that containers need is missing, or something is left over (with --fix: still).
 * Read on: engine/doctor.ts.
 */

import type { Check, Diagnosis, LeftoverTold } from "../../engine/types.ts"
import { command } from "../command.ts"
import { bool, choice } from "../flags.ts"
import { wantsColour } from "../io.ts"
import { paint } from "../print/colour.ts"
import { json } from "../print/json.ts"
import { visible } from "../print/table.ts"

const INDENT = 2

export const doctor = command({
  name: "doctor",
  usage: "",
  about: "Print what this host can do, and what crashes have left over",
  details:
    "Each line is ok, limited (containers run, with less) or missing. The exit status is 1 if something is missing or left over. Safe at any time: what may belong to a living process is left alone.",
  examples: ["", "--fix"],
  options: {
    fix: bool({ about: "Take away what is left over" }),
    format: choice({ of: ["json"], about: "Print a document instead of lines" }),
  },
  words: [0, 0],
  run: async ({ engine, io, options: { fix, format } }) => {
    const found = await engine.doctor({ fix })
    if (format === "json") io.print(json(found, INDENT))
    else {
      const colours = paint(wantsColour(io, "stdout"))
      const colourOf = { ok: colours.cyan, limited: colours.yellow, missing: colours.red }
      for (const check of found.checks) io.print(lineOf(check, colourOf[check.state]))
      for (const line of leftLines(found.leftovers, fix)) io.print(line)
    }
    return isWell(found) ? 0 : 1
  },
})

const isWell = ({ checks, leftovers }: Diagnosis): boolean =>
  checks.every(({ state }) => state !== "missing") && leftovers.every(({ fixed }) => fixed === true)

const WIDE = "limited".length

function lineOf({ name, state, found, means, fix }: Check, colour: (text: string) => string): string {
  const indent = " ".repeat(WIDE + 2)
  return [
    `${colour(state.padEnd(WIDE))}  ${name}: ${visible(found)}`,
    ...(means ? [`${indent}${visible(means)}`] : []),
    ...(fix ? [`${indent}to mend it: ${visible(fix)}`] : []),
  ].join("\n")
}

function leftLines(leftovers: readonly LeftoverTold[], fix: boolean): readonly string[] {
  if (leftovers.length === 0) return ["", "Nothing is left over."]
  const lines = [...Map.groupBy(leftovers, (one) => one.class)].flatMap(([name, all]) => [
    `${name}: ${all[0]!.about}`,
    ...all.map(({ what, fixed, why }) => {
      const end = fixed === undefined ? "" : fixed ? " (removed)" : ` (still there: ${why})`
      return `  ${visible(what)}${end}`
    }),
  ])
  return ["", "Left over:", ...lines, ...(fix ? [] : ["", "minicontainer doctor --fix takes it away."])]
}
