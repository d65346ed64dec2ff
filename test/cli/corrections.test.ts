/**
 * The host lied: a step fails though all that is known says that it could not. The engine takes everything back and plans once more with what
 * it knows now, with the warning of the known case, through both doors: the command, which is gone by then, and the library.
 *
 * Here refusing.c is what lies (a security module would do the same), and, for the library, a World whose facts are wrong.
 */

import { afterAll, expect, test } from "bun:test"
import { spawn, spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs"
import { constants } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import type { EngineError } from "../../src/base/errors.ts"
import { run } from "../../src/engine/run.ts"
import { makeWorld, type World } from "../../src/engine/world.ts"
import { readHost } from "../../src/host/host.ts"
import type { PathFacts } from "../../src/model/host.ts"
import type { Request } from "../../src/model/request.ts"
import { EXECUTOR, newRoom, step } from "../kernel/native.ts"
import { COMMAND, newMachine, type Result } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())
const { EPERM, EINVAL, ENOSPC, EIO } = constants.errno

const refusing = join(machine.base, "refusing")
const built = spawnSync("gcc", [
  "-O1",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-o",
  refusing,
  `${import.meta.dirname}/refusing.c`,
])
if (built.status !== 0) throw new Error(built.stderr.toString())

const volume = machine.directory("volume")
writeFileSync(join(volume, "file"), "")

/** `run` on a host that refuses: what it prints, with the machine's paths as BASE. */
function refused(what: "idmap" | "volumes" | "userns", errno: number, ...args: readonly string[]): Result {
  const words = ["run", "--rm", "--rootfs", machine.rootfs, "-v", `${volume}:/v`, ...args]
  const env = {
    PATH: process.env.PATH ?? "",
    MINICONTAINER_ROOT: machine.root,
    MINICONTAINER_RUN_ROOT: machine.runRoot,
  }
  const { status, stdout, stderr } = spawnSync(refusing, [what, `${errno}`, ...COMMAND, ...words], {
    encoding: "utf8",
    env,
    timeout: 60_000,
  })
  return { code: status ?? -1, stdout, stderr: stderr.replaceAll(machine.base, "BASE") }
}
const LOOK = ["sh", "-c", "awk '{print $2 == 0}' /proc/self/uid_map; stat -c %u /v/file; exit 7"]
const HOSTS_IDS =
  "minicontainer: warning: BASE/rootfs lies on ext4, whose owners cannot be shifted: root in the container is root of the host (as with --userns host)\n"
const NOBODY =
  "minicontainer: warning: BASE/volume has files that will show the owner nobody inside: its file system (ext4) cannot be shown with other ids; --userns host avoids it\n"

test("a root that the kernel will not show with other ids: the host's ids, with the one warning of the known case", () => {
  for (const errno of [EPERM, EINVAL]) {
    const cid = join(machine.base, `cid-${errno}`)
    expect(refused("idmap", errno, "--name", "twice", "--cidfile", cid, ...LOOK)).toEqual({
      code: 7,
      stdout: "1\n0\n",
      stderr: HOSTS_IDS,
    })
    // Of the second try: the first has left none.
    expect(readFileSync(cid, "utf8")).toMatch(/^[0-9a-f]{64}$/)
  }
  expect(machine.traces()).toEqual([])
})

test("a volume that it will not: bound as it is, and the container keeps its own ids", () => {
  expect(refused("volumes", EPERM, ...LOOK)).toEqual({ code: 7, stdout: "0\n65534\n", stderr: NOBODY })
  expect(machine.traces()).toEqual([])
})

test("what was said is not said again; stdin is still whole", () => {
  const words = ["--network", "host", "-i", "cat"]
  const { stdout, stderr } = spawnSync(
    refusing,
    [
      "volumes",
      `${EPERM}`,
      ...COMMAND,
      "--root",
      machine.root,
      "--run-root",
      machine.runRoot,
      "run",
      "--rm",
      "--rootfs",
      machine.rootfs,
      "-v",
      `${volume}:/v`,
      ...words,
    ],
    { encoding: "utf8", input: "all of it" },
  )
  expect(stdout).toBe("all of it")
  expect(stderr.match(/below 1024/g)).toHaveLength(1)
  expect(stderr.match(/nobody inside/g)).toHaveLength(1)
})

test("once: what fails at the second try is an error", () => {
  const other = machine.directory("other")
  const { code, stdout, stderr } = refused("volumes", EPERM, "-v", `${other}:/w`, ...LOOK)
  expect({ code, stdout }).toEqual({ code: 125, stdout: "" })
  expect(stderr.replace(/step \d+ of \d+/, "step K of N")).toBe(
    `${NOBODY}minicontainer: cannot clone the mount of BASE/other with the container's ids: this mount may not be shown with other owners (EPERM, step K of N) [STEP_FAILED]\n  hint: try --userns host\n`,
  )
  expect(machine.traces()).toEqual([])
})

test("another errno teaches nothing", () => {
  const { code, stderr } = refused("idmap", EIO, ...LOOK)
  expect(code).toBe(125)
  expect(stderr).toMatch(
    /^minicontainer: cannot show BASE\/rootfs with the container's ids: input\/output error \(EIO, .*\n$/,
  )
})

test("a user namespace that cannot be made is never left out: an error, which names the way out", () => {
  for (const errno of [EPERM, ENOSPC, EINVAL]) {
    const { code, stdout, stderr } = refused("userns", errno, ...LOOK)
    expect({ code, stdout }).toEqual({ code: 125, stdout: "" })
    expect(stderr).toMatch(/^minicontainer: cannot clone a process with .*\n {2}hint: .*--userns host.*\n$/)
    expect(refused("userns", errno, "--userns", "host", ...LOOK).code).toBe(7)
  }
  expect(machine.traces()).toEqual([])
})

test("variables from a pipe can be read once only, so there is no second try with less", () => {
  const script = `printf 'A=b\\n' | "$@"`
  const words = ["run", "--rm", "--env-file", "/dev/stdin", "--rootfs", machine.rootfs, "env"]
  const { status, stdout, stderr } = spawnSync(
    "sh",
    [
      "-c",
      script,
      "sh",
      refusing,
      "idmap",
      `${EPERM}`,
      ...COMMAND,
      "--root",
      machine.root,
      "--run-root",
      machine.runRoot,
      ...words,
    ],
    { encoding: "utf8" },
  )
  expect({ status, stdout }).toEqual({ status: 125, stdout: "" })
  expect(stderr).toContain("cannot show")
})

test("a mount that shows other owners already is known beforehand, not found out", () => {
  using room = newRoom()
  const point = machine.directory("shown")
  const holder = spawn("unshare", ["--user", "sleep", "1000"])
  const namespace = (): string => readlinkSync(`/proc/${holder.pid}/ns/user`)
  const ours = readlinkSync("/proc/self/ns/user")
  try {
    for (const end = performance.now() + 20_000; namespace() === ours && performance.now() < end; ) Bun.sleepSync(10)
    for (const map of ["uid_map", "gid_map"]) writeFileSync(`/proc/${holder.pid}/${map}`, "0 1500000000 65536")
    const show = {
      op: "clone-mount",
      source: volume,
      recursive: 0,
      userns: "u",
      set: 0,
      clear: 0,
      propagation: 1 << 18,
    } as const
    const made = room.do([
      step("host", { op: "open", path: `/proc/${holder.pid}/ns/user`, flags: 0 }, { gives: "u" }),
      step("host", show, { gives: "m" }),
      step("host", { op: "attach-mount", mount: "m", target: point }),
    ])
    expect(made).toMatchObject({ code: 0, stdout: "" })
    const { paths } = readHost([point, machine.base])
    expect([paths[point]!.idmap, paths[machine.base]!.idmap]).toEqual([false, undefined])
    expect(paths[machine.base]!.submounts).toEqual([{ path: point, filesystem: "ext4", idmap: false }])
    // Only the plan's own warning, and both volumes: nothing had to be tried twice.
    const { code, stderr } = machine.inside("-v", `${point}:/v`, "-v", `${point}:/w`, "true")
    expect({ code, lines: stderr.match(/files that will show the owner nobody/g)?.length }).toEqual({
      code: 0,
      lines: 2,
    })
  } finally {
    holder.kill("SIGKILL")
    spawnSync("umount", [point])
  }
})

/** The real world, but for what is said about these paths. */
function lying(paths: Readonly<Record<string, Partial<PathFacts>>>): World {
  const world = makeWorld({ root: machine.root, runRoot: machine.runRoot, executor: { path: EXECUTOR } })
  return {
    ...world,
    host(asked) {
      const host = world.host(asked)
      const told = Object.entries(host.paths).map(([path, facts]) => [path, { ...facts, ...paths[path] }])
      return { ...host, paths: Object.fromEntries(told) }
    },
  }
}
async function ran(
  world: World,
  request: Partial<Request>,
): Promise<{ code: number; stdout: string; warned: string[] }> {
  const warned: string[] = []
  const all = { rootfs: machine.rootfs, args: LOOK, remove: true, ...request }
  const { stdout, exited } = await run(world, all, {
    warn: (line) => warned.push(line.replaceAll(machine.base, "BASE")),
  })
  const said = await text(stdout!)
  return { code: await exited, stdout: said, warned }
}
const sh = (script: string) => expect(spawnSync("sh", ["-c", script]).status).toBe(0)

test("the library does the same: an overlay that was said to be ext4, as the root and as a volume", async () => {
  const base = machine.directory("stacked")
  for (const name of ["l", "u", "w", "m"]) mkdirSync(join(base, name))
  sh(
    `cp -a ${machine.rootfs}/. ${base}/l && touch ${base}/l/file && cd ${base} && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w overlay m`,
  )
  try {
    const world = lying({ [`${base}/m`]: { filesystem: "ext4" } })
    const mounts = (source: string) => [{ kind: "bind" as const, source, target: "/v" }]
    expect(await ran(world, { rootfs: `${base}/m`, mounts: mounts(volume) })).toEqual({
      code: 7,
      stdout: "1\n0\n",
      warned: [HOSTS_IDS.replace("minicontainer: warning: ", "").replace("rootfs", "stacked/m").trimEnd()],
    })
    expect(await ran(world, { mounts: mounts(`${base}/m`) })).toEqual({
      code: 7,
      stdout: "0\n65534\n",
      warned: [NOBODY.replace("minicontainer: warning: ", "").replace("volume", "stacked/m").trimEnd()],
    })
    // Both at once are two lies.
    const both = ran(world, { rootfs: `${base}/m`, mounts: mounts(`${base}/m`) })
    expect((await both).stdout).toBe("1\n0\n")
    const error = await ran(lying({}), { rootfs: `${machine.base}/none` }).catch((reason: EngineError) => reason)
    expect(error).toMatchObject({ code: "ROOTFS_UNUSABLE" })
    expect(machine.traces().filter((trace) => !trace.startsWith("mount "))).toEqual([])
  } finally {
    sh(`umount ${base}/m`)
  }
})
