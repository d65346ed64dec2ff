/**
 * Does it matter how many containers there are? `ps`, `inspect` and `run` with 10, 100 and 1,000 of them in the record.
 *
 * Nobody keeps an index, so `ps` reads every record: its time grows with their number, and should by under 1 ms for ten. `run` and `inspect`
 * read none but their own. All but one of the containers are copies of that one's record: what takes time is how many there are.
 *
 *     bun bench/scale.ts [rounds]
 */

import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../test/machine.ts"
import { must, ours } from "./lib/contest.ts"

const rounds = Number(process.argv[2] ?? 15)
using machine = newMachine()
const { root, rootfs } = machine
machine.must("run", "--name", "first", "--rootfs", rootfs, "/bin/true")
const first = machine.must("inspect", "--format", "{{.Id}}", "first").trim()
const files = ["container.json", "config.json", "status"].map(
  (name) => [name, readFileSync(join(root, "containers", first, name), "utf8")] as const,
)

function copy(index: number): void {
  const id = index.toString(16).padStart(8, "0").repeat(8)
  const name = `copy${index}`
  const lease = (text: string): string => text.replaceAll(first, id).replaceAll('"first"', `"${name}"`)
  const directory = join(root, "containers", id)
  mkdirSync(directory)
  for (const [file, text] of files)
    writeFileSync(join(directory, file), lease(text).replaceAll("names/first", `names/${name}`))
  symlinkSync(id, join(root, "names", name))
}

/** Median and best, in ms. */
function time(...args: readonly string[]): readonly [median: number, best: number] {
  const times = Array.from({ length: rounds + 2 }, () => {
    const begin = performance.now()
    must([...ours(machine), ...args])
    return performance.now() - begin
  })
    .slice(2)
    .sort((a, b) => a - b)
  return [times[rounds >> 1] ?? 0, times[0] ?? 0]
}

const asks = {
  "ps -a": ["ps", "-a"],
  inspect: ["inspect", "first"],
  run: ["run", "--rm", "--rootfs", rootfs, "/bin/true"],
}
const line = (...cells: readonly string[]): string =>
  `${cells.map((cell, at) => (at === 0 ? cell.padEnd(12) : cell.padStart(20))).join("")}\n`
process.stdout.write(line("containers", ...Object.keys(asks)))
let have = 1
const best = new Map<number, number>()
for (const count of [10, 100, 1000]) {
  while (have < count) copy(have++)
  const cells = Object.entries(asks).map(([name, args]) => {
    const [median, least] = time(...args)
    if (name === "ps -a") best.set(count, least)
    return `${median.toFixed(1)} (${least.toFixed(1)}) ms`
  })
  process.stdout.write(line(String(count), ...cells))
}
const forTen = ((best.get(1000) ?? 0) - (best.get(10) ?? 0)) / 99
process.stdout.write(`ps -a: ${forTen.toFixed(2)} ms for ten containers more (goal: under 1)\n`)
