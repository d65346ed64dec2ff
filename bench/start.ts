/**
 * How long does a cold `run --rm … /bin/true` take, next to the C and Go runtimes that do the same, and to the bare system calls?
 *
 *     bun bench/start.ts [rounds]
 *
 * One round runs every contender once, in a rotating order, so that what disturbs the machine disturbs all of them. What is
 * printed is the median of each and its ratio to ours: seconds differ from machine to machine, ratios much less.
 *
 * Debian's crun refuses a hybrid cgroup host, so it gets a mount namespace in which the v2 hierarchy is not to be seen; what that costs is
 * outside its time, since the time is taken inside.
 */

import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const rounds = Number(process.argv[2] ?? 60)
const base = mkdtempSync("/var/tmp/mctest-bench-")
const rootfs = join(base, "rootfs")
for (const directory of ["bin", "proc", "sys", "dev", "etc", "tmp"])
  mkdirSync(join(rootfs, directory), { recursive: true })
cpSync("/bin/busybox", join(rootfs, "bin/busybox"))
for (const name of ["sh", "true"]) symlinkSync("busybox", join(rootfs, "bin", name))

/** What `runc spec` writes, with the program changed and no terminal. */
const bundle = join(base, "bundle")
mkdirSync(bundle)
Bun.spawnSync(["runc", "spec"], { cwd: bundle })
const config = await Bun.file(join(bundle, "config.json")).json()
config.process = { ...config.process, terminal: false, args: ["/bin/true"] }
config.root = { path: rootfs, readonly: false }
writeFileSync(join(bundle, "config.json"), JSON.stringify(config))

const command = join(import.meta.dir, "../dist/minicontainer")
const runs: Readonly<Record<string, readonly string[]>> = {
  minicontainer: [
    command,
    "--root",
    join(base, "state"),
    "--run-root",
    join(base, "run"),
    "run",
    "--rm",
    "--rootfs",
    rootfs,
    "/bin/true",
  ],
  runc: ["runc", "--root", join(base, "runc"), "run", "--bundle", bundle, "bench"],
  crun: ["crun", "--root", join(base, "crun"), "run", "--bundle", bundle, "bench"],
  unshare: ["unshare", "-mpnuif", "/bin/true"],
}
const hybrid = existsSync("/sys/fs/cgroup/unified")
if (hybrid && process.env.BENCH_PRIVATE === undefined) {
  // Everything once more, in a mount namespace where crun finds nothing to refuse.
  const again = Bun.spawnSync(
    [
      "unshare",
      "-m",
      "sh",
      "-c",
      'umount /sys/fs/cgroup/unified; exec "$@"',
      "sh",
      process.execPath,
      import.meta.path,
      String(rounds),
    ],
    {
      env: { ...process.env, BENCH_PRIVATE: "1" },
      stdio: ["inherit", "inherit", "inherit"],
    },
  )
  rmSync(base, { recursive: true, force: true })
  process.exit(again.exitCode)
}

const names = Object.keys(runs)
const times = new Map<string, number[]>(names.map((name) => [name, []]))
for (let round = -3; round < rounds; round++)
  for (let turn = 0; turn < names.length; turn++) {
    const name = names[(turn + round + names.length * 3) % names.length] ?? ""
    const begin = performance.now()
    const { exitCode, stderr } = Bun.spawnSync([...(runs[name] ?? [])])
    const took = performance.now() - begin
    if (exitCode !== 0) throw new Error(`${name} ended with ${exitCode}: ${stderr}`)
    if (round >= 0) times.get(name)?.push(took)
  }
rmSync(base, { recursive: true, force: true })

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN
const ours = median(times.get("minicontainer") ?? [])
process.stdout.write(`run --rm of /bin/true, median of ${rounds} rounds\n`)
for (const name of names) {
  const theirs = median(times.get(name) ?? [])
  process.stdout.write(
    `${name.padEnd(15)}${theirs.toFixed(1).padStart(7)} ms   ours / this: ${(ours / theirs).toFixed(2)}\n`,
  )
}
