/**
 * A contest: several programs that do the same, timed in one run.
 *
 * One round runs every contender once, in a rotating order, so that what disturbs the machine disturbs all of them. What is
 * printed is the best and the median of each, and ours as a multiple of them: seconds differ from machine to machine, ratios much less.
 * The best says what the work takes, the median what a machine with other work makes of it.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Machine } from "../../test/machine.ts"

const command = join(import.meta.dir, "../../dist/minicontainer")

/** Rounds before the first that counts: caches, and our executor extracted. */
const WARM_UP = 5

/**
 * Debian's crun refuses a hybrid cgroup host, so the whole program starts once more in a mount namespace in which the v2 hierarchy is not to
 * be seen; what that costs is outside of all times, since they are taken inside.
 * @returns only where there is nothing to refuse.
 */
export function hideHybrid(): void {
  if (!existsSync("/sys/fs/cgroup/unified/cgroup.procs")) return
  const inside = 'umount /sys/fs/cgroup/unified; exec "$@"'
  const again = Bun.spawnSync(["unshare", "-m", "sh", "-c", inside, "sh", process.execPath, ...process.argv.slice(1)], {
    stdio: ["inherit", "inherit", "inherit"],
  })
  process.exit(again.exitCode)
}

/** Our argv up to the command's name, for state that goes with the machine, its cgroups too. */
export const ours = ({ root, runRoot }: Machine): readonly string[] => [command, "--root", root, "--run-root", runRoot]

/** An OCI bundle of the machine's root file system, for runc and crun: what `runc spec` writes, without a terminal. */
export function bundleOf(machine: Machine, args: readonly string[]): string {
  const bundle = machine.directory("bundle")
  must(["runc", "spec", "--bundle", bundle])
  const path = join(bundle, "config.json")
  const config = JSON.parse(readFileSync(path, "utf8"))
  config.process = { ...config.process, terminal: false, args }
  config.root = { path: machine.rootfs, readonly: false }
  writeFileSync(path, JSON.stringify(config))
  return bundle
}

/** @returns what it printed. @throws if it does not end with 0. */
export function must(argv: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv])
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} ended with ${exitCode}: ${stderr}`)
  return stdout.toString()
}

/** @param runs the argv of each; the first is ours. */
export function contest(what: string, rounds: number, runs: Readonly<Record<string, readonly string[]>>): void {
  const names = Object.keys(runs)
  const times = new Map<string, number[]>(names.map((name) => [name, []]))
  for (let round = -WARM_UP; round < rounds; round++)
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(turn + round + WARM_UP) % names.length] ?? ""
      const begin = performance.now()
      must(runs[name] ?? [])
      const took = performance.now() - begin
      if (round >= 0) times.get(name)?.push(took)
    }
  const sorted = (name = ""): readonly number[] => (times.get(name) ?? []).toSorted((a, b) => a - b)
  const best = (name?: string): number => sorted(name)[0] ?? Number.NaN
  const median = (name?: string): number => sorted(name)[rounds >> 1] ?? Number.NaN
  const row = (...cells: readonly string[]): string =>
    cells.map((cell, at) => (at === 0 ? cell.padEnd(14) : cell.padStart(16))).join("")
  const lines = names.map((name) =>
    row(
      name,
      `${best(name).toFixed(1)} ms`,
      `${median(name).toFixed(1)} ms`,
      (best(names[0]) / best(name)).toFixed(2),
      (median(names[0]) / median(name)).toFixed(2),
    ),
  )
  const head = row("", "best", "median", "ours / best", "ours / median")
  process.stdout.write(`${what}, ${rounds} rounds\n${[head, ...lines].join("\n")}\n`)
}
