/**
 * What does a detached container cost while it does nothing, besides its program? The monitor's private memory, from the kernel's own
 * count (smaps_rollup), in KiB; conmon's PSS is 780, containerd-shim's 12,000.
 *
 *     bun bench/memory.ts [containers]
 */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../test/machine.ts"

const count = Number(process.argv[2] ?? 10)
using machine = newMachine()
const sizes: number[] = []
for (let index = 0; index < count; index++) {
  const id = machine.must("run", "-d", "--rootfs", machine.rootfs, "sh", "-c", "echo started; exec sleep 1000").trim()
  const status = readFileSync(join(machine.root, "containers", id, "status"), "utf8")
  const monitor = /^monitor (\d+)/m.exec(status)?.[1]
  const rollup = readFileSync(`/proc/${monitor}/smaps_rollup`, "utf8")
  sizes.push([...rollup.matchAll(/^Private_\w+: +(\d+) kB/gm)].reduce((sum, [, kib]) => sum + Number(kib), 0))
}
const sorted = sizes.toSorted((a, b) => a - b)
process.stdout.write(
  `private memory of a monitor, ${count} containers: median ${sorted[count >> 1]} KiB, most ${sorted.at(-1)} KiB (goal: under 300)\n`,
)
