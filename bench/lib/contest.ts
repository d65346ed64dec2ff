/**
 * A contest: several programs that do the same, timed in one run.
 *
 * One round runs every contender once, in a rotating order, so that what disturbs the machine disturbs all of them. What is
 * printed is the best and the median of each, and ours as a multiple of them: seconds differ from machine to machine, ratios much less.
 * The best says what the work takes, the median what a machine with other work makes of it.
 */

import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export const command = join(import.meta.dir, "../../dist/minicontainer")

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

/** A directory of its own, with a root file system of one static file, and an OCI bundle of it for runc and crun. */
export class Ground {
  readonly base = mkdtempSync("/var/tmp/mctest-bench-")
  readonly rootfs = join(this.base, "rootfs")
  readonly bundle = join(this.base, "bundle")

  constructor(args: readonly string[]) {
    for (const directory of ["bin", "proc", "sys", "dev", "etc", "tmp"])
      mkdirSync(join(this.rootfs, directory), { recursive: true })
    cpSync("/bin/busybox", join(this.rootfs, "bin/busybox"))
    for (const name of ["sh", "sleep", "true"]) symlinkSync("busybox", join(this.rootfs, "bin", name))
    mkdirSync(this.bundle)
    const spec = Bun.spawnSync(["runc", "spec", "--bundle", this.bundle])
    if (spec.exitCode !== 0) throw new Error(`runc spec: ${spec.stderr}`)
    const path = join(this.bundle, "config.json")
    // What `runc spec` writes, with the program changed and no terminal.
    const config = require(path)
    config.process = { ...config.process, terminal: false, args }
    config.root = { path: this.rootfs, readonly: false }
    writeFileSync(path, JSON.stringify(config))
  }
  /** Our argv up to the command's name. */
  get ours(): readonly string[] {
    return [command, "--root", join(this.base, "state"), "--run-root", join(this.base, "run")]
  }
  [Symbol.dispose](): void {
    rmSync(this.base, { recursive: true, force: true })
  }
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
