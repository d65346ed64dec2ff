/**
 * Who may know whom. Imports go downward only: what a room may import stands in its row, with the reason; every other
 * arrow is forbidden.
 *
 *     5  index  library  cli  runtime-cli  docker-api   the doors
 *     4  engine                                         the verbs
 *     3  executor  record  image  registry  host        what touches the world
 *     2  spec  plan                                     decisions, as values
 *     1  formats  model
 *     0  base
 */

import { describe, expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { ROOT, room, sources, specifiers, target, text } from "./tree.ts"

const DECISIONS = ["base", "formats", "model", "spec", "plan"]
const WORLD = ["executor", "record", "image", "registry", "host"]
const DOOR = ["engine", "model", "base"]

interface Row {
  readonly may: readonly string[]
  readonly why: string
}
const ROOMS: Readonly<Record<string, Row>> = {
  base: { may: [], why: "it is the ground: what it knew, everything would depend on" },
  formats: { may: ["base"], why: "a codec has no policy, so it cannot know what its bytes are for" },
  model: { may: ["base"], why: "the language in which spec and plan meet must not take sides" },
  spec: { may: ["base", "formats", "model"], why: "it meets plan/ in config.json, as every other OCI tool would" },
  plan: { may: ["base", "formats", "model"], why: "a plan must follow from config.json alone, whoever wrote that" },
  executor: {
    may: DECISIONS,
    why: "it carries plans out; where they come from and what is recorded is engine's matter",
  },
  record: { may: DECISIONS, why: "files about containers; it starts nothing" },
  host: { may: DECISIONS, why: "it looks at the machine once and returns a value" },
  registry: { may: DECISIONS, why: "the only room that dials out should have nothing to betray" },
  image: { may: [...DECISIONS, "registry", "executor"], why: "a pull dials and unpacks; all else meets in engine" },
  engine: {
    may: [...DECISIONS, ...WORLD],
    why: "the verbs join the rooms, so that no two rooms need to know each other",
  },
  index: { may: ["library", ...DOOR], why: "the card shows what engine offers, nothing else" },
  library: { may: DOOR, why: "what a program can do, the command does: both go through engine" },
  cli: { may: DOOR, why: "what the command can do, the library must be able to do: so it goes through engine" },
  "runtime-cli": { may: DOOR, why: "the second door uses the same verbs as the first" },
  "docker-api": { may: DOOR, why: "the third door uses the same verbs as the first" },
}

/** A room of plan/ is read alone, in ten minutes. These files are no rooms: the words, the order, and what works on whole plans. */
const PLAN_COMMON = "src/plan/step.ts"
const PLAN_WHOLE = [
  "src/plan/plan.ts",
  "src/plan/view.ts",
  "src/plan/check.ts",
  "src/plan/explain.ts",
  "src/plan/wire.ts",
]

/** What the shipped command carries inside. */
const EMBEDDED = ["build/executor", "build/hello"]

interface Arrow {
  readonly from: string
  readonly to: string
}
const arrows: readonly Arrow[] = sources().flatMap((from) =>
  specifiers(text(from)).flatMap((specifier) => {
    const to = target(from, specifier)
    return to === undefined ? [] : [{ from, to }]
  }),
)
const told = ({ from, to }: Arrow): string => `${from} → ${to}: ${ROOMS[room(from)]?.why}`

test("every directory of src/ has a row", () => {
  expect(
    sources()
      .map(room)
      .filter((name) => !(name in ROOMS)),
  ).toEqual([])
})

test("a relative import names a file that is there, with its extension", () => {
  const missing = arrows.filter(({ to }) => !EMBEDDED.includes(to) && !existsSync(join(ROOT, to)))
  expect(missing.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
})

describe("imports go downward only", () => {
  for (const [name, { may, why }] of Object.entries(ROOMS))
    test(`${name} imports ${may.join(", ") || "nothing"}: ${why}`, () => {
      const wrong = arrows.filter(
        ({ from, to }) => room(from) === name && to.startsWith("src/") && room(to) !== name && !may.includes(room(to)),
      )
      expect(wrong.map(told)).toEqual([])
    })
})

test("a room of plan/ imports no other room: it reads alone, and only plan.ts knows the order", () => {
  const wrong = arrows.filter(
    ({ from, to }) =>
      from.startsWith("src/plan/") && !PLAN_WHOLE.includes(from) && to.startsWith("src/plan/") && !isOwn(from, to),
  )
  expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
})

/** step.ts, or a table of the room's own that lies beside it: `seccomp.ts` → `seccomp-docker.ts`. */
function isOwn(from: string, to: string): boolean {
  const noun = from.replace(/(-\w+)*\.ts$/, "")
  return to === PLAN_COMMON || (to.startsWith(`${noun}-`) && to !== from) || /-table\.ts$|\.gen\.ts$/.test(to)
}

test("outside of src/, only the door that embeds what the build made reaches", () => {
  const outside = arrows.filter(({ to }) => !to.startsWith("src/"))
  expect(outside).toEqual(EMBEDDED.map((to) => ({ from: "src/cli/bin.ts", to })))
})
