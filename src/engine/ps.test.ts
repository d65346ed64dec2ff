import { afterAll, expect, test } from "bun:test"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Placement } from "../model/placement.ts"
import type { Request } from "../model/request.ts"
import { startOf } from "../record/alive.ts"
import { createRecord, finishRecord } from "../record/containers.ts"
import { document, wasOutOfMemory } from "./inspect.ts"
import { logs } from "./logs.ts"
import { ps } from "./ps.ts"
import { see, settle } from "./reconcile.ts"
import type { PsOptions } from "./types.ts"
import { makeWorld, type World } from "./world.ts"

const dir = mkdtempSync(join(tmpdir(), "mc-ps-"))
const children: ChildProcess[] = []
afterAll(() => {
  for (const child of children) child.kill("SIGKILL")
  rmSync(dir, { recursive: true, force: true })
})

/** 14:05:41 on the day of the tests; containers are made at a number of seconds after it. */
const EPOCH = 1795529141
let next = 0
/** A world whose clock stands an hour after EPOCH. Nothing here needs the executor: any use of it fails. */
function newWorld(): World {
  const base = join(dir, `${next++}`)
  mkdirSync(base)
  const world = makeWorld({ root: `${base}/state`, runRoot: `${base}/run`, executor: { path: "/nosuch/executor" } })
  return { ...world, now: () => new Date((EPOCH + 3600) * 1000) }
}

interface Made {
  readonly at?: number
  /** Absent: created. A number: exited with this code. */
  readonly state?: "running" | number
  readonly request?: Partial<Request>
  readonly captures?: string
}
/** A real record; a running container's monitor is a real process. */
async function make(
  world: World,
  name: string,
  { at = 0, state, request = {}, captures = "" }: Made = {},
): Promise<string> {
  const draft = await createRecord(world.store(), {
    request: { rootfs: "/srv/alpine", args: ["sh", "-c", "sleep 1"], ...request, name },
    created: new Date((EPOCH + at) * 1000).toISOString().replace("Z", "000000Z"),
    ownIds: true,
    random: world.random,
    settle: (id) => settle(world, id),
  })
  const { directory, runDirectory, leases } = draft
  finishRecord(
    draft,
    {
      directory,
      runDirectory,
      leases,
      remove: false,
      rootfs: { kind: "overlay", layers: ["/srv/alpine"], writable: directory },
      log: { path: `${directory}/log`, maxBytes: 1e6, maxFiles: 2 },
    } as unknown as Placement,
    {
      ociVersion: "1.2.0",
      hostname: "box",
      process: { args: ["sh", "-c", "sleep 1"], user: { uid: 0, gid: 0 }, cwd: "/", env: ["PATH=/bin"] },
    },
  )
  if (state === undefined) return draft.record.id
  const child = spawn("sleep", ["1000"], { stdio: "ignore" })
  children.push(child)
  const mark = `${child.pid} ${startOf(child.pid!)}`
  const lines = [`boot ${world.store().boot}`, `pid ${mark}`, `monitor ${mark}`, `started ${EPOCH + at + 60}.000000000`]
  if (state === "running") writeFileSync(`${directory}/status`, `state running\n${lines.join("\n")}\n`)
  else {
    writeFileSync(
      `${directory}/status`,
      `state exited\ncode ${state}\n${lines.join("\n")}\nfinished ${EPOCH + at + 120}.000000000\n${captures}`,
    )
    rmdirSync(runDirectory)
    child.kill("SIGKILL")
  }
  return draft.record.id
}
const names = async (world: World, options?: PsOptions): Promise<string> =>
  (await ps(world, options)).containers.map(({ name }) => name).join(" ")

const world = newWorld()
const ids = {
  web: await make(world, "web", {
    at: 10,
    state: "running",
    request: {
      labels: { tier: "front", "": "x" },
      mounts: [{ kind: "bind", source: "/srv/www", target: "/www", readOnly: true }],
    },
  }),
  db: await make(world, "db", {
    at: 20,
    state: "running",
    request: { labels: { tier: "back", env: "" }, network: "host" },
  }),
  job: await make(world, "job", { at: 30, state: 0 }),
  oom: await make(world, "oom", { at: 40, state: 137, request: { rootfs: "/srv/other" } }),
  fresh: await make(world, "fresh", { at: 50 }),
}

test("running ones, the newest first; all; the last few in any state", async () => {
  expect(await names(world)).toBe("db web")
  expect(await names(world, { all: true })).toBe("fresh oom job db web")
  expect(await names(world, { last: 2 })).toBe("fresh oom")
})

test("a row", async () => {
  const { containers } = await ps(world, { all: true, filters: { name: ["^web$"] } })
  const { pid, ...rest } = containers[0]!
  expect(rest).toEqual({
    id: ids.web,
    name: "web",
    image: "/srv/alpine",
    command: "sh -c 'sleep 1'",
    created: "2026-11-24T14:05:51.000000000Z",
    status: "running",
    statusText: "Up 58 minutes",
    labels: { tier: "front", "": "x" },
    mounts: ["/srv/www"],
    networks: ["none"],
    ports: [],
  })
  expect(startOf(pid!)).toBeGreaterThan(0)
})
test("states in Docker's words", async () => {
  const { containers } = await ps(world, { all: true })
  expect(containers.map(({ status, statusText, exitCode }) => [status, statusText, exitCode])).toEqual([
    ["created", "Created", undefined],
    ["exited", "Exited (137) 57 minutes ago", 137],
    ["exited", "Exited (0) 57 minutes ago", 0],
    ["running", "Up 58 minutes", undefined],
    ["running", "Up 58 minutes", undefined],
  ])
})

test("filters", async () => {
  const cases: readonly (readonly [Record<string, readonly string[]>, string])[] = [
    [{ name: ["o"] }, "oom job"],
    [{ name: ["^/web$", "^db"] }, "db web"],
    [{ name: ["["] }, ""],
    [{ id: [ids.job.slice(0, 12)] }, "job"],
    [{ label: ["tier"] }, "db web"],
    [{ label: ["tier=back"] }, "db"],
    [{ label: ["tier", "env="] }, "db"],
    [{ label: ["tier=front", "tier=back"] }, ""],
    [{ exited: ["0", "137"] }, "oom job"],
    [{ exited: ["1"] }, ""],
    [{ status: ["created", "running"] }, "fresh db web"],
    [{ status: ["dead"] }, ""],
    [{ ancestor: ["/srv/other"] }, "oom"],
    [{ before: ["job"] }, "db web"],
    [{ since: [ids.job] }, "fresh oom"],
    [{ volume: ["/srv/www"] }, "web"],
    [{ volume: ["/www"] }, "web"],
    [{ network: ["host"] }, "db"],
    [{ name: ["e"], label: ["tier"] }, "web"],
  ]
  for (const [filters, expected] of cases)
    expect([filters, await names(world, { all: true, filters })]).toEqual([filters, expected])
})
test("a status filter looks at all states by itself; the others do not", async () => {
  expect(await names(world, { filters: { status: ["exited"] } })).toBe("oom job")
  expect(await names(world, { filters: { exited: ["0"] } })).toBe("")
})
test("filters that make no sense are named", async () => {
  const says = async (filters: Record<string, readonly string[]>): Promise<string> =>
    ps(world, { filters }).then(
      () => "",
      (error: Error) => error.message,
    )
  expect(await says({ colour: ["red"] })).toBe('cannot filter by "colour": there is no such filter')
  expect(await says({ status: ["asleep"] })).toBe("cannot filter by status=asleep: there is no such status")
  expect(await says({ exited: ["no"] })).toBe("cannot filter by exited=no: it is not an exit code")
  expect(await says({ before: ["nosuch"] })).toBe('cannot find container "nosuch": no container has this name or id')
})

test("a broken record is told, and hides nothing", async () => {
  const damaged = newWorld()
  await make(damaged, "good", { state: "running" })
  const bad = await make(damaged, "bad", { state: "running" })
  writeFileSync(`${damaged.roots.state}/containers/${bad}/container.json`, "{")
  const { containers, broken } = await ps(damaged)
  expect(containers.map(({ name }) => name)).toEqual(["good"])
  expect(broken.map(({ id, why }) => [id, why.replace(/JSON: .*/, "JSON: …")])).toEqual([
    [bad, "container.json is not JSON: …"],
  ])
  await expect(see(damaged, "bad")).rejects.toThrow(
    `cannot read the record of container ${bad.slice(0, 12)}: container.json is not JSON`,
  )
})

test("hundreds of containers need no process", async () => {
  const many = newWorld()
  for (let n = 0; n < 300; n++) await make(many, `many${n}`)
  expect((await ps(many, { all: true })).containers).toHaveLength(300)
}, 60_000)

test("inspect has Docker's fields", async () => {
  const found = document(await see(world, "web"), {
    ociVersion: "1.2.0",
    hostname: "box",
    process: { args: ["sh", "-c", "sleep 1"], user: { uid: 0, gid: 0 }, cwd: "/", env: ["PATH=/bin"] },
  })
  expect(found).toMatchObject({
    Id: ids.web,
    Name: "/web",
    Path: "sh",
    Args: ["-c", "sleep 1"],
    State: {
      Status: "running",
      Running: true,
      OOMKilled: false,
      ExitCode: 0,
      StartedAt: "2026-11-24T14:06:51.000000000Z",
      FinishedAt: "0001-01-01T00:00:00Z",
    },
    Config: { Hostname: "box", Env: ["PATH=/bin"], Cmd: ["sh", "-c", "sleep 1"], Labels: { tier: "front" } },
    HostConfig: { Binds: ["/srv/www:/www:ro"], Memory: 0, NetworkMode: "none", AutoRemove: false },
    Mounts: [{ Type: "bind", Source: "/srv/www", Destination: "/www", Mode: "ro", RW: false, Propagation: "rprivate" }],
  })
})
test("who was killed for lack of memory, by either version of cgroups", async () => {
  const captured = (name: string, text: string): boolean => wasOutOfMemory({ captures: { [name]: text } })
  expect(captured("memory.events", "low 0\noom 1\noom_kill 1\noom_group_kill 0\n")).toBe(true)
  expect(captured("memory.events", "low 0\noom 1\noom_kill 0\n")).toBe(false)
  expect(captured("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 12\n")).toBe(true)
  expect(captured("memory.oom_control", "oom_kill_disable 1\n")).toBe(false)
  expect(wasOutOfMemory(undefined)).toBe(false)
})

const entry = (second: number, text: string): string => `2026-11-24T14:05:${second}.000000000Z stdout F ${text}\n`
const said = async (name: string, options?: Parameters<typeof logs>[2]): Promise<string> => {
  let text = ""
  for await (const { bytes } of logs(world, name, options)) text += Buffer.from(bytes).toString()
  return text
}
test("logs of a container that ended, by any kind of time", async () => {
  writeFileSync(`${world.roots.state}/containers/${ids.job}/log`, entry(41, "a") + entry(45, "b") + entry(50, "c"))
  expect(await said("job")).toBe("a\nb\nc\n")
  expect(await said("job", { since: "2026-11-24T14:05:45Z" })).toBe("b\nc\n")
  expect(await said("job", { until: String(EPOCH + 9) })).toBe("a\nb\n")
  // The clock stands an hour after the first line.
  expect(await said("job", { since: "59m56s" })).toBe("b\nc\n")
  expect(await said("job", { tail: 1 })).toBe("c\n")
  expect(await said("job", { follow: true })).toBe("a\nb\nc\n")
  await expect(said("job", { since: "yesterday" })).rejects.toThrow("cannot read --since yesterday: it is not a time")
  await expect(said("nosuch")).rejects.toThrow('cannot find container "nosuch"')
})
test("logs of a container that was never asked to keep one are empty or say so", async () => {
  expect(await said("oom")).toBe("")
})
