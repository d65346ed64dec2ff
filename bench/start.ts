/**
 * How long does a cold `run --rm … /bin/true` take, next to the C and Go runtimes that do the same, and to the bare system calls?
 *
 *     bun bench/start.ts [rounds]
 *
 * One round runs every contender once, in a rotating order, so that what disturbs the machine disturbs all of them. What is
 * printed is the best and the median of each, and ours as a multiple of them: seconds differ from machine to machine, ratios much less.
 * The best says what the work takes, the median what a machine with other work makes of it.
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
/** Rounds before the first that counts: caches, and our executor extracted. */
const WARM_UP = 5
for (let round = -WARM_UP; round < rounds; round++)
  for (let turn = 0; turn < names.length; turn++) {
    const name = names[(turn + round + WARM_UP) % names.length] ?? ""
    const begin = performance.now()
    const { exitCode, stderr } = Bun.spawnSync([...(runs[name] ?? [])])
    const took = performance.now() - begin
    if (exitCode !== 0) throw new Error(`${name} ended with ${exitCode}: ${stderr}`)
    if (round >= 0) times.get(name)?.push(took)
  }
rmSync(base, { recursive: true, force: true })

const sorted = (name: string): readonly number[] => (times.get(name) ?? []).toSorted((a, b) => a - b)
const best = (name: string): number => sorted(name)[0] ?? Number.NaN
const median = (name: string): number => sorted(name)[rounds >> 1] ?? Number.NaN
const cell = (value: number, digits: number): string => value.toFixed(digits).padStart(9)
process.stdout.write(
  `run --rm of /bin/true, ${rounds} rounds\n${" ".repeat(13)}best ms   median    ours /best  /median\n`,
)
for (const name of names) {
  const [least, middle] = [best(name), median(name)]
  const ratios = cell(best("minicontainer") / least, 2) + cell(median("minicontainer") / middle, 2)
  process.stdout.write(`${name.padEnd(13)}${cell(least, 1).slice(2)}${cell(middle, 1)}    ${ratios}\n`)
}
