/**
 * stop, rm and reconcile, with the real executor and real processes: an ordinary process stands for process 1 and its monitor, so
 * that every case that a crash can leave is made exactly, and without a container.
 */

import { afterAll, expect, test } from "bun:test"
import { type ChildProcess, spawn } from "node:child_process"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { EngineError } from "../base/errors.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { withLock } from "../executor/lock.ts"
import type { Request } from "../model/request.ts"
import { isAlive, startOf } from "../record/alive.ts"
import { createRecord } from "../record/containers.ts"
import { inspect } from "./inspect.ts"
import { prepare, preview } from "./prepare.ts"
import { ps } from "./ps.ts"
import { settle } from "./reconcile.ts"
import { rm } from "./rm.ts"
import { stop } from "./stop.ts"
import { makeWorld, type World } from "./world.ts"

const EXECUTOR = new URL("../../build/executor", import.meta.url).pathname
const dir = mkdtempSync(join(tmpdir(), "mc-life-"))
const rootfs = join(dir, "rootfs")
mkdirSync(join(rootfs, "bin"), { recursive: true })
const children = new Set<ChildProcess>()
afterAll(() => {
  for (const child of children) child.kill("SIGKILL")
  rmSync(dir, { recursive: true, force: true })
})

let next = 0
function newWorld(): World {
  const base = join(dir, `world${next++}`)
  mkdirSync(base)
  return makeWorld({ root: `${base}/state`, runRoot: `${base}/run`, executor: { path: EXECUTOR } })
}
/** A process that ends at SIGTERM, or only at SIGKILL. */
async function start(
  stubborn = false,
): Promise<{ readonly child: ChildProcess; readonly mark: string; readonly ended: Promise<string | null> }> {
  const child = spawn("bash", ["-c", `${stubborn ? "trap '' TERM; " : ""}echo up; while :; do sleep 0.05; done`], {
    stdio: ["ignore", "pipe", "ignore"],
  })
  children.add(child)
  const ended = new Promise<string | null>((resolve) => child.once("exit", (_, signal) => resolve(signal)))
  await new Promise((resolve) => child.stdout!.once("data", resolve))
  return { child, mark: `${child.pid} ${startOf(child.pid!)}`, ended }
}
const GONE = "999999999 1"
interface Facts {
  readonly pid?: string
  readonly monitor?: string
  readonly boot?: string
  readonly more?: string
}
const status = (world: World, state: string, { pid = GONE, monitor, boot, more = "" }: Facts = {}): string =>
  `state ${state}\npid ${pid}\nmonitor ${monitor ?? pid}\nboot ${boot ?? world.store().boot}\nstarted 1795529141.000000000\n${more}`

/** A container as the engine records it before its first step; then `text` as the monitor's status. */
async function made(
  world: World,
  request: Partial<Request> = {},
  text?: string,
): Promise<{ readonly id: string; readonly directory: string; readonly run: string }> {
  const { id } = await prepare(world, { rootfs, args: ["true"], name: "web", ...request })
  const directory = `${world.roots.state}/containers/${id}`
  if (text !== undefined) writeFileSync(`${directory}/status`, text)
  return { id, directory, run: `${world.roots.run}/${id}` }
}
/** What there is of containers below both roots. */
const left = ({ roots }: World): string[] =>
  ["state/containers", "state/names", "state/ids", "run"].flatMap((name) => readdirSync(join(roots.state, "..", name)))
const rows = async (world: World): Promise<string[]> =>
  (await ps(world, { all: true })).containers.map(
    ({ name, statusText }) => `${name}: ${statusText.replace(/(\d+|About an?|Less than a) \w+( ago)?$/, "…")}`,
  )
const failure = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "no failure",
    (error: EngineError) => `${error.code}: ${error.message}`,
  )
/** Makes the record look as if its creator had died. */
function orphan(directory: string): void {
  const path = `${directory}/container.json`
  writeFileSync(
    path,
    readFileSync(path, "utf8").replace(
      /"creator": \{[^}]*\}/,
      `"creator": { "pid": 999999999, "start": 1, "boot": ${JSON.stringify(readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim())} }`,
    ),
  )
}

test("stop: a program that listens ends by its signal", async () => {
  const world = newWorld()
  const { mark, ended } = await start()
  await made(world, {}, status(world, "running", { pid: mark }))
  await stop(world, "web")
  expect(await ended).toBe("SIGTERM")
})
test("stop: the container's own signal, or the one that is asked for", async () => {
  for (const [request, options, expected] of [
    [{ stopSignal: "SIGUSR1" }, {}, "SIGUSR1"],
    [{ stopSignal: "SIGUSR1" }, { signal: "int" }, "SIGINT"],
  ] as const) {
    const world = newWorld()
    // The inner program takes the place of the shell, which would survive SIGINT.
    const child = spawn("sleep", ["1000"], { stdio: "ignore" })
    children.add(child)
    await new Promise((resolve) => child.once("spawn", resolve))
    const ended = new Promise((resolve) => child.once("exit", (_, signal) => resolve(signal)))
    await made(world, request, status(world, "running", { pid: `${child.pid} ${startOf(child.pid!)}` }))
    await stop(world, "web", options)
    expect(await ended).toBe(expected)
  }
})
test("stop: who does not listen is killed when the time is over", async () => {
  const world = newWorld()
  const { mark, ended } = await start(true)
  await made(world, {}, status(world, "running", { pid: mark }))
  await stop(world, "web", { graceMs: 100 })
  expect(await ended).toBe("SIGKILL")
})
test("stop: waits until the monitor has cleaned up", async () => {
  const world = newWorld()
  const program = await start()
  const monitor = await start(true)
  await made(world, {}, status(world, "running", { pid: program.mark, monitor: monitor.mark }))
  let over = false
  const stopping = stop(world, "web").then(() => {
    over = true
  })
  await program.ended
  await new Promise((resolve) => setTimeout(resolve, 100))
  expect(over).toBe(false)
  monitor.child.kill("SIGKILL")
  await stopping
})
test("stop: one that has ended is left alone, and no other process with its number is touched", async () => {
  const world = newWorld()
  const { child, mark } = await start()
  await made(world, {}, status(world, "exited", { pid: mark, more: "code 0\n" }))
  await stop(world, "web")
  expect(await failure(stop(world, "nosuch"))).toStartWith("CONTAINER_NOT_FOUND")

  const reused = newWorld()
  const monitor = await start()
  await made(reused, {}, status(reused, "running", { pid: `${child.pid} 1`, monitor: monitor.mark }))
  setTimeout(() => monitor.child.kill("SIGKILL"), 50)
  await stop(reused, "web")
  expect(isAlive({ pid: child.pid!, start: startOf(child.pid!)! })).toBe(true)
})

test("rm: nothing is left, and no link in the tree is followed", async () => {
  const world = newWorld()
  const { directory, id } = await made(world, {}, status(world, "exited", { more: "code 0\n" }))
  const precious = join(dir, "precious")
  mkdirSync(precious)
  writeFileSync(join(precious, "file"), "kept")
  mkdirSync(`${directory}/upper/deep/er`, { recursive: true })
  symlinkSync(precious, `${directory}/upper/deep/link`)
  symlinkSync("/", `${directory}/upper/deep/er/root`)
  await rm(world, id.slice(0, 8))
  expect(left(world)).toEqual([])
  expect(readFileSync(join(precious, "file"), "utf8")).toBe("kept")
  expect(await failure(rm(world, "web"))).toBe(
    'CONTAINER_NOT_FOUND: cannot find container "web": no container has this name or id',
  )
})
test("rm: one that runs stays, unless it is forced", async () => {
  const world = newWorld()
  const { mark, ended } = await start(true)
  await made(world, {}, status(world, "running", { pid: mark }))
  expect(await failure(rm(world, "web"))).toBe("WRONG_STATE: cannot remove container web: it is running")
  await rm(world, "web", { force: true })
  expect(await ended).toBe("SIGKILL")
  expect(left(world)).toEqual([])
})
test("rm: one that is being started stays", async () => {
  const world = newWorld()
  await made(world)
  expect(await failure(rm(world, "web", { force: true }))).toBe(
    "WRONG_STATE: cannot remove container web: it is just being started",
  )
})
test("rm: a broken record goes by force, with its name and its ids", async () => {
  const world = newWorld()
  const { directory } = await made(world, {}, status(world, "exited"))
  writeFileSync(`${directory}/container.json`, "{")
  expect(await failure(rm(world, "web"))).toStartWith("RECORD_BROKEN: cannot read the record of container")
  await rm(world, "web", { force: true })
  expect(left(world)).toEqual([])
})

test("lost: its monitor was killed", async () => {
  const world = newWorld()
  const { run } = await made(world, {}, status(world, "running"))
  expect(await rows(world)).toEqual(["web: Exited (137) …"])
  expect(existsSync(run)).toBe(false)
  expect(await inspect(world, "web")).toMatchObject({
    State: {
      Status: "exited",
      ExitCode: 137,
      Error: "its monitor was killed, and the kernel killed the container with it",
    },
  })
  await rm(world, "web")
  expect(left(world)).toEqual([])
})
test("lost: the machine was restarted", async () => {
  const world = newWorld()
  const { mark } = await start()
  await made(world, {}, status(world, "running", { pid: mark, boot: "another" }))
  expect(await inspect(world, "web")).toMatchObject({
    State: { ExitCode: 137, Error: "the machine was restarted while it ran" },
  })
})
test("lost: one with --rm leaves nothing", async () => {
  const world = newWorld()
  await made(world, { remove: true }, status(world, "running"))
  expect(await rows(world)).toEqual([])
  expect(left(world)).toEqual([])
})
test("lost: its plan cannot be computed any more, and it is cleaned up all the same", async () => {
  const world = newWorld()
  const { directory, run } = await made(world, {}, status(world, "running"))
  writeFileSync(`${directory}/config.json`, "{}")
  expect(await rows(world)).toEqual(["web: Exited (137) …"])
  expect(existsSync(run)).toBe(false)
})
test("unfinished: the monitor was killed while it undid", async () => {
  const world = newWorld()
  const { run } = await made(world, {}, status(world, "exited", { more: "code 3\nfinished 1795529142.000000000\n" }))
  expect(await rows(world)).toEqual(["web: Exited (3) …"])
  expect(existsSync(run)).toBe(false)
  await made(world, { name: "temporary", remove: true }, status(world, "exited", { more: "code 0\n" }))
  expect(await rows(world)).toEqual(["web: Exited (3) …"])
})
test("a monitor that is at its undo is not disturbed", async () => {
  const world = newWorld()
  const { mark } = await start()
  const { run } = await made(
    world,
    { remove: true },
    status(world, "exited", { monitor: mark, more: "code 0\nfinished 1795529142.0\n" }),
  )
  expect(await rows(world)).toEqual(["web: Exited (0) …"])
  expect(existsSync(run)).toBe(true)
})
test("abandoned: the command was killed before the first step", async () => {
  const world = newWorld()
  orphan((await made(world)).directory)
  expect(await rows(world)).toEqual([])
  expect(left(world)).toEqual([])
})
test("abandoned: the command was killed while it took its leases", async () => {
  const world = newWorld()
  const draft = await createRecord(world.store(), {
    request: { rootfs, args: ["true"], name: "web" },
    created: "2026",
    ownIds: true,
    random: world.random,
    settle: async () => false,
  })
  orphan(draft.directory)
  // And another one even before: its directory has not got its name.
  mkdirSync(`${world.roots.state}/containers/.new-999999999-1-${"a".repeat(64)}`)
  writeFileSync(`${world.roots.state}/containers/.new-999999999-1-${"a".repeat(64)}/container.json`, "{}")
  expect(await rows(world)).toEqual([])
  expect(left(world)).toEqual([])
})
test("abandoned: whoever wants its name gets it", async () => {
  const world = newWorld()
  orphan((await made(world)).directory)
  const { id } = await made(world)
  expect(left(world).filter((name) => name === id)).toHaveLength(2)
  expect(await settle(world, id)).toBe(false)
})
test("whoever wants the name of a --rm container that is just leaving waits for it", async () => {
  const world = newWorld()
  const monitor = await start(true)
  await made(world, { remove: true }, status(world, "exited", { monitor: monitor.mark, more: "code 0\n" }))
  const fresh = made(world)
  setTimeout(() => monitor.child.kill("SIGKILL"), 50)
  const { id } = await fresh
  expect(left(world).filter((name) => name !== id)).toHaveLength(2)
})
test("a removal that was cut short is finished", async () => {
  const world = newWorld()
  const { directory } = await made(world, {}, status(world, "exited"))
  renameSync(`${directory}/container.json`, `${directory}/removed.json`)
  expect(await rows(world)).toEqual([])
  expect(left(world)).toEqual([])
})
test("many commands find the same damage at once, and all see the same", async () => {
  const world = newWorld()
  for (const name of ["aa", "bb", "cc"]) await made(world, { name }, status(world, "running"))
  for (const name of ["dd", "ee"]) await made(world, { name, remove: true }, status(world, "running"))
  orphan((await made(world, { name: "ff" })).directory)
  const seen = await Promise.all(
    Array.from({ length: 12 }, () =>
      rows(makeWorld({ root: world.roots.state, runRoot: world.roots.run, executor: { path: EXECUTOR } })),
    ),
  )
  for (const all of seen) expect(all.sort()).toEqual(["aa: Exited (137) …", "bb: Exited (137) …", "cc: Exited (137) …"])
  expect(readdirSync(world.roots.run)).toEqual([])
})

test("a root has an id of its own, made once", async () => {
  const world = newWorld()
  const ids = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const same = makeWorld({ root: world.roots.state, executor: { path: EXECUTOR } })
      same.store()
      return same.scope()
    }),
  )
  expect(new Set(ids).size).toBe(1)
  expect(ids[0]).toMatch(/^[0-9a-f]{6}$/)
  expect(lstatSync(`${world.roots.state}/id`).nlink).toBe(1)
})

test("a root that is only looked at gets the id that was told", async () => {
  const base = join(dir, `world${next++}`)
  const world = makeWorld({ root: `${base}/state`, executor: { path: EXECUTOR } })
  await preview(world, { rootfs, args: ["true"] })
  const told = world.scope()
  expect(existsSync(base)).toBe(false)
  world.store()
  expect([world.scope(), readFileSync(`${base}/state/id`, "utf8").slice(0, 6)]).toEqual([told, told])
})

test("do: a step that fails is an answer, with what was done before taken back", async () => {
  const place = join(dir, "steps")
  const { failed, warnings } = await doSteps(
    EXECUTOR,
    planOf([
      {
        phase: "host",
        op: "mkdir",
        path: place,
        mode: 0o700,
        does: `make ${place}`,
        why: "",
        undo: { op: "rmdir", path: place, does: `remove ${place}` },
      },
      { phase: "host", op: "rmdir", path: `${place}/none`, must: false, does: "remove what is not there", why: "" },
      { phase: "host", op: "mkdir", path: `${place}/a/b`, mode: 0o700, does: "make a directory in none", why: "" },
    ]),
  )
  expect(failed).toEqual({ index: 2, errno: 2, detail: 0, does: "make a directory in none" })
  expect(warnings).toEqual([{ index: 1, errno: 2 }])
  expect(existsSync(place)).toBe(false)
})
test("lock: one at a time, in whatever process; and an error inside gives it back", async () => {
  const path = join(dir, "a.lock")
  let inside = 0
  let most = 0
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside)
    await new Promise((resolve) => setTimeout(resolve, 5))
    inside--
  }
  await Promise.all(Array.from({ length: 8 }, () => withLock(EXECUTOR, path, work)))
  expect(most).toBe(1)
  await expect(withLock(EXECUTOR, path, () => Promise.reject(new Error("inside")))).rejects.toThrow("inside")
  expect(await withLock(EXECUTOR, path, () => "again")).toBe("again")
  expect(await failure(withLock(EXECUTOR, join(dir, "none/lock"), () => 1))).toStartWith("EXECUTOR_FAILED")
})
