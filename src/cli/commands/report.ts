/**
 * `minicontainer report`, which nobody types: the last act of a command whose container could not be made.
 *
 *     run ── becomes ──▶ executor ── a step fails ──▶ undo ── becomes ──▶ report --ops mkdir,… --arg0 sh 13 1 0 "mount proc on /proc"
 *
 * The executor knows numbers, not words; so the terminal gets its sentence, and the caller its exit status, from here.
 * What stands before the numbers is put there by engine/words.ts.
 * Read on: executor/sentence.ts.
 */

import { EngineError } from "../../base/errors.ts"
import { page } from "../command.ts"
import { text } from "../flags.ts"
import { quoted } from "../parse.ts"

export const report = page({
  name: "report",
  usage: "INDEX ERRNO DETAIL DOES",
  about: "Say which step of a plan failed",
  details:
    "The executor calls it. INDEX counts from 0; ERRNO and DETAIL are numbers; DOES says what the step was to do.",
  examples: ['--ops mkdir,new-mount,exec --arg0 sh 1 1 0 "mount proc on /proc"'],
  options: {
    ops: text({ otherwise: "", value: "LIST", about: "The ops of all steps, with commas between" }),
    arg0: text({ otherwise: "", about: "The program that was to run" }),
  },
  optionsEnd: "first",
  words: [4, 4],
  run: async ({ options: { ops, arg0 }, words: [index, errno, detail, does] }) => {
    const { reported } = await import("../../engine/words.ts")
    throw reported({ index: number(index!), errno: number(errno!), detail: number(detail!), does: does! }, ops, arg0)
  },
})

/** The executor writes decimal numbers only; anything else did not come from it. */
function number(given: string): number {
  if (/^\d{1,10}$/.test(given)) return Number(given)
  throw new EngineError("USAGE", `cannot report: ${quoted(given)} is not a number`)
}
