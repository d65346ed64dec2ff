import { afterAll, expect, test } from "bun:test"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { kernelOf, parseLimits, parseStatus, readHost, requirePower, requireRoot } from "./host.ts"

const dir = mkdtempSync(join(tmpdir(), "mc-host-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

test("the kernel's release is a number, whatever a distribution appends", () => {
  expect([
    kernelOf("6.1.0-56-cloud-amd64"),
    kernelOf("5.15.133.1-microsoft-standard-WSL2"),
    kernelOf("6.18-rc3"),
    kernelOf(""),
  ]).toEqual([
    [6, 1],
    [5, 15],
    [6, 18],
    [0, 0],
  ])
})

test("who we are: the effective uid and capabilities", () => {
  const status =
    "Name:\tcat\nUid:\t1000\t0\t0\t0\nCapEff:\t000001fffeffffff\nSeccomp:\t0\nSeccomp_filters:\t0\nCpus_allowed_list:\t0-3,8\n"
  expect(parseStatus(status)).toEqual({ uid: 0, capabilities: 0x1fffeffffffn, cpus: 5, seccomp: true })
  expect(parseStatus("Name:\tcat\n")).toEqual({ uid: -1, capabilities: 0n, cpus: 1, seccomp: false })
})

test("hard limits have the names of the OCI specification", () => {
  const limits = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max open files            1024                 524288               files
Max nice priority         0                    0
Max later invention       1                    2                    things`
  expect(parseLimits(limits)).toEqual({ RLIMIT_CPU: Infinity, RLIMIT_NOFILE: 524288, RLIMIT_NICE: 0 })
})

test("without root, one says so", () => {
  expect(() => requireRoot({ uid: 1000 }, "run a container")).toThrow(
    "cannot run a container: this needs root, and we are uid 1000",
  )
  requireRoot({ uid: 0 }, "run a container")
})

test("what a container has by default is not enough to make containers, and it is said which", () => {
  const all = (1n << 41n) - 1n
  const told = (host: Partial<Parameters<typeof requirePower>[0]>) => () =>
    requirePower({ uid: 0, capabilities: all, ...host }, "run a container")
  expect(told({})).not.toThrow()
  expect(told({ uid: 1000, confined: true })).toThrow("this needs root")
  expect(told({ confined: true, capabilities: 0n })).toThrow(
    "cannot run a container: we are in a user namespace, whose root may neither mount a container's layers nor give it ids of its own",
  )
  expect(told({ capabilities: all & ~(1n << 21n) })).toThrow(
    "cannot run a container: we have no CAP_SYS_ADMIN, so we may not mount anything",
  )
})

test("in a user namespace we are confined", () => {
  expect(readHost([]).confined).toBeUndefined()
  const script = `import { readHost } from ${JSON.stringify(new URL("./host.ts", import.meta.url).pathname)}
    console.log(readHost([]).confined)`
  expect(execFileSync("unshare", ["--user", "--map-root-user", process.execPath, "-e", script]).toString()).toBe(
    "true\n",
  )
})

test("this machine is what its own tools say", () => {
  const host = readHost([])
  const tell = (command: string) => execFileSync("sh", ["-c", command], { encoding: "utf8" }).trim()
  expect(host).toMatchObject({
    kernelRelease: tell("uname -r"),
    hostname: tell("uname -n"),
    bootId: tell("cat /proc/sys/kernel/random/boot_id"),
    uid: Number(tell("id -u")),
    cpus: Number(tell("nproc")),
    memory: Number(tell("awk '/MemTotal/ {print $2}' /proc/meminfo")) * 1024,
  })
  const unlimited = tell("ulimit -Hn")
  expect(host.hardLimits.RLIMIT_NOFILE).toBe(unlimited === "unlimited" ? Infinity : Number(unlimited))
  for (const [mount, group] of Object.entries(host.cgroups.base))
    expect(statSync(`${mount}${group}/cgroup.procs`).isFile()).toBe(true)
})

test("facts of a path: kind, owner and file system, through a symbolic link", () => {
  mkdirSync(join(dir, "real"), { mode: 0o750 })
  writeFileSync(join(dir, "file"), "x", { mode: 0o640 })
  symlinkSync("real", join(dir, "link"))
  execFileSync("mkfifo", [join(dir, "fifo")])
  const names = ["real", "link", "file", "fifo", "none/deeper", "file/not-a-directory"].map((name) => join(dir, name))
  const { paths } = readHost([...names, "/dev/null", "/proc"])
  expect(names.map((name) => paths[name]!.kind)).toEqual([
    "directory",
    "directory",
    "file",
    "fifo",
    "missing",
    "missing",
  ])
  expect(paths[join(dir, "link")]).toEqual(paths[join(dir, "real")]!)
  expect(paths[join(dir, "file")]!.mode).toBe(0o640)
  const filesystem = execFileSync("findmnt", ["-no", "FSTYPE", "-T", dir], { encoding: "utf8" }).trim()
  expect(names.map((name) => paths[name]!.filesystem)).toEqual(names.map(() => filesystem))
  expect(paths["/dev/null"]).toMatchObject({ kind: "character", device: [1, 3], mode: 0o666 })
  expect(paths["/proc"]).toMatchObject({ kind: "directory", filesystem: "proc" })
})

test("facts of a mount: its flags, and what is mounted below it", () => {
  const point = join(dir, "a mount")
  mkdirSync(point)
  execFileSync("mount", ["-t", "tmpfs", "-o", "nosuid,noexec,noatime", "mc-test", point])
  try {
    mkdirSync(join(point, "below"))
    execFileSync("mount", ["-t", "tmpfs", "mc-test", join(point, "below")])
    symlinkSync("a mount", join(dir, "link to it"))
    const { paths } = readHost([point, dir, join(dir, "link to it"), `${dir}/`, "/"])
    const below = (path: string) => paths[path]!.submounts?.map((one) => one.path)
    expect(below(join(dir, "link to it"))).toEqual([join(dir, "link to it/below")])
    expect(below(`${dir}/`)).toEqual([point, join(point, "below")])
    expect(below("/")).toContain("/proc")
    expect(paths[point]).toMatchObject({
      filesystem: "tmpfs",
      locked: 0x2 | 0x8 | 0x10,
      submounts: [{ path: join(point, "below"), filesystem: "tmpfs" }],
    })
    expect(paths[dir]!.submounts).toEqual([
      { path: point, filesystem: "tmpfs" },
      { path: join(point, "below"), filesystem: "tmpfs" },
    ])
  } finally {
    execFileSync("umount", ["-R", point])
  }
})

test("a path that loops is no path", () => {
  symlinkSync("loop", join(dir, "loop"))
  expect(() => readHost([join(dir, "loop")])).toThrow(
    `cannot look at ${join(dir, "loop")}: its symbolic links run in a circle`,
  )
})
