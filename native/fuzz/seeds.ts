/**
 * Seeds for the fuzzer: plans with every op, every kind of argument, absent and present, as the engine's own encoder writes them.
 *
 *     bun fuzz/seeds.ts DIRECTORY
 *
 * The values mean nothing; what counts is that each is where the decoder expects it. Read on: wire.c.
 */

import { mkdirSync, writeFileSync } from "node:fs"
import { HEADER, type Kind, OPS, type OpName, type Step } from "../../src/plan/step.ts"
import { encode } from "../../src/plan/wire.ts"

/** Two values of each kind: a small one, and one that is absent, empty or extreme. */
const VALUES: Readonly<Record<Kind, readonly [unknown, unknown]>> = {
  number: [1, 0xffff_ffff_ffff_ffffn],
  "number?": [7, undefined],
  text: ["/a/path", ""],
  "text?": ["text", undefined],
  bytes: [Uint8Array.of(1, 2, 3), new Uint8Array()],
  "bytes?": [Uint8Array.of(9), undefined],
  fd: ["slot", "slot"],
  "fd?": ["slot", undefined],
  texts: [["one", "two", ""], []],
  numbers: [[1, 2, 3], []],
  fds: [["slot", "slot"], []],
}
const args = (row: Readonly<Record<string, Kind>>, which: 0 | 1): Record<string, unknown> =>
  Object.fromEntries(Object.entries(row).map(([name, kind]) => [name, VALUES[kind][which]]))

function seed(ops: readonly OpName[], which: 0 | 1): Uint8Array {
  const call = (op: OpName): object => ({ op, ...args(OPS[op].args, which), does: `do ${op}` })
  const steps = ops.map((op, index) => ({
    ...call(op),
    phase: op === "clone" ? "clone" : "parent",
    why: "a seed",
    ...(index === 0 && { phase: "host", gives: "slot", ok: ["EEXIST", "ENOENT"] }),
    ...(op === "mkdir" && { undo: { ...call("rmdir"), when: "failure" } }),
  })) as unknown as Step[]
  return encode({ frame: { ...args(HEADER, which), stay: 1, outer: 0 } as never, steps, warnings: [] })
}

const directory = process.argv[2] ?? "seeds"
mkdirSync(directory, { recursive: true })
const names = Object.keys(OPS) as OpName[]
for (const which of [0, 1] as const) {
  const all: OpName[] = ["open", "clone", ...names.filter((name) => name !== "clone" && name !== "open")]
  writeFileSync(`${directory}/all-${which}`, seed(all, which))
  for (const name of names)
    writeFileSync(`${directory}/${name}-${which}`, seed(name === "clone" ? ["open", "clone"] : ["open", name], which))
}
