/**
 * SIGKILL to anything: afterwards the engine tells the truth, and what is left can be removed. faults/kills.test.ts does it at every step;
 * here the command does it all, at moments that chance chooses.
 */

import { afterAll, expect, test } from "bun:test"
import type { ChildProcess } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { startOf } from "../../src/record/alive.ts"
import { newMachine } from "../machine.ts"
import { ended, familyOf, killed, until } from "../processes.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

/** A line of the monitor's status: pid and start time. */
const pidOf = (name: string, key: "monitor" | "pid"): number => {
  const id = JSON.parse(machine.must("inspect", name))[0].Id as string
  const status = readFileSync(join(machine.root, "containers", id, "status"), "utf8")
  return Number(new RegExp(`^${key} (\\d+) `, "m").exec(status)?.[1])
}
const run = (...args: string[]): string => machine.must("run", "--rootfs", machine.rootfs, ...args)

test("SIGKILL to the monitor ends every process of the container, and ps tells so", async () => {
  run("-d", "--name", "orphan", "sh", "-c", "setsid sleep 1000 & exec sleep 1000")
  const pid = pidOf("orphan", "pid")
  await ended(pidOf("orphan", "monitor"))
  await until(() => !existsSync(`/proc/${pid}`))
  expect(machine.must("ps", "-a", "--format", "{{.Names}} {{.Status}}")).toMatch(/^orphan Exited \(137\)/)
  expect(machine.traces().map((trace) => trace.split("/")[0])).toEqual(["containers", "ids", "names"])
  machine.must("rm", "orphan")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("SIGKILL to the monitor of a container in the host's pid namespace: what is left of it ends at the next look", async () => {
  run("-d", "--pid", "host", "--name", "orphan", "sh", "-c", "setsid sleep 1000 & exec sleep 1000")
  const pid = pidOf("orphan", "pid")
  await ended(pidOf("orphan", "monitor"))
  expect(machine.must("ps", "-a", "--format", "{{.Names}} {{.Status}}")).toMatch(/^orphan Exited \(137\)/)
  expect(startOf(pid)).toBeUndefined()
  machine.must("rm", "orphan")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("a container with --rm whose monitor was killed is gone at the next look", async () => {
  run("-d", "--rm", "--name", "fleeting", "sleep", "1000")
  await ended(pidOf("fleeting", "monitor"))
  expect(machine.must("ps", "-aq")).toBe("")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("SIGKILL to the monitor in front of its front: 137, and a sentence", async () => {
  const child = machine.start(
    { stdio: ["ignore", "pipe", "pipe"] },
    "run",
    "--rm",
    "--rootfs",
    machine.rootfs,
    "sh",
    "-c",
    "echo started; exec sleep 1000",
  )
  let said = ""
  child.stderr?.on("data", (chunk) => {
    said += chunk
  })
  await once(child.stdout ?? child, "data")
  killed(familyOf(child.pid ?? 0, machine.runRoot).monitor ?? 0)
  const [code] = await once(child, "close")
  expect([code, said]).toEqual([137, "minicontainer: the container's monitor was killed, and the container with it\n"])
  expect(machine.must("ps", "-aq")).toBe("")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("SIGKILL to the command in the foreground leaves the container running, and logging", async () => {
  const child = machine.start(
    { stdio: ["ignore", "pipe", "inherit"] },
    "run",
    "--name",
    "left",
    "--rootfs",
    machine.rootfs,
    "sh",
    "-c",
    "echo started; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo later; exec sleep 1000",
  )
  await once(child.stdout ?? child, "data")
  child.kill("SIGKILL")
  await once(child, "exit")
  expect(machine.must("ps", "--format", "{{.Names}}")).toBe("left\n")
  machine.must("exec", "left", "touch", "/tmp/go")
  await until(() => machine.must("logs", "left") === "started\nlater\n")
  // The plan of the exec was read, and is gone.
  expect(
    readdirSync(machine.runRoot)
      .flatMap((id) => readdirSync(join(machine.runRoot, id)))
      .sort(),
  ).toEqual(["control", "wire"])
  machine.must("rm", "-f", "left")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("SIGKILL to process 1 is an exit like any other", async () => {
  run("-d", "--name", "first", "sleep", "1000")
  killed(pidOf("first", "pid"))
  await until(() => machine.must("ps", "-a", "--format", "{{.Status}}").startsWith("Exited (137)"))
  machine.must("rm", "first")
  expect(machine.traces()).toEqual([])
}, 30_000)

/** Mulberry32: numbers that look random and come again with the seed, each from 0 up to 1. */
function chance(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Some of these that chance chooses, at least one. */
const some = <T>(all: readonly T[], random: () => number): readonly T[] => {
  const chosen = all.filter(() => random() < 0.4)
  return chosen.length > 0 ? chosen : [all[Math.floor(random() * all.length)]!]
}

const PROGRAMS: readonly (readonly string[])[] = [
  ["true"],
  ["sleep", "1000"],
  ["sh", "-c", "setsid sleep 1000 & sleep 0.02; exit 3"],
  ["sh", "-c", "while :; do echo word; done"],
]
const ROUNDS = 100
const AT_ONCE = 4
/** A cold start takes some 10 ms, and a few more where the machine is busy; the end of a container 5. */
const MOST_MS = 60

test("a hundred containers, and SIGKILL to command, monitor or process 1 at moments that chance chooses", async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 32))
  const random = chance(seed)
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!
  const round = async (name: string): Promise<void> => {
    const flags = pick([[], ["--rm"], ["-d"], ["-d", "--rm"], ["--init"], ["--rm", "-d", "--userns", "host"]])
    const args = ["run", "--name", name, "--rootfs", machine.rootfs, ...flags, ...pick(PROGRAMS)]
    const victims = some(["command", "monitor", "first", "look"] as const, random)
    const waits = victims.map(() => random() * MOST_MS)
    const command = machine.start({ stdio: "ignore" }, ...args)
    const looks: ChildProcess[] = []
    let { monitor, first }: ReturnType<typeof familyOf> = {}
    for (const [index, victim] of victims.entries()) {
      const end = performance.now() + waits[index]!
      // Who is born meanwhile is looked for meanwhile: afterwards its front may be gone.
      do {
        const family = familyOf(command.pid!, machine.runRoot)
        monitor ??= family.monitor
        first ??= family.first
        await Bun.sleep(1)
      } while (performance.now() < end)
      if (victim === "command") command.kill("SIGKILL")
      if (victim === "monitor" && monitor) killed(monitor)
      if (victim === "first" && first) killed(first)
      if (victim === "look")
        looks.push(
          machine.start(
            { stdio: "ignore" },
            ...pick([
              ["ps", "-a"],
              ["rm", "-f", name],
            ]),
          ),
        )
    }
    // A look is killed while it repairs; what it began the next one ends.
    for (const look of looks) setTimeout(() => look.kill("SIGKILL"), random() * MOST_MS)
    // What still stands in the foreground goes on without us.
    await Promise.race([command.exitCode ?? command.signalCode ?? once(command, "exit"), Bun.sleep(MOST_MS)])
    command.kill("SIGKILL")
    for (const child of [command, ...looks])
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit")
  }
  try {
    for (let next = 0; next < ROUNDS; next += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => round(`c${next + index}`)))
    // Monitors that were born before their front was killed go on by themselves.
    await until(() => !machine.must("ps", "-a", "--format", "{{.State}}").includes("created"))
    const lines = machine.must("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}}").split("\n").filter(Boolean)
    for (const line of lines) {
      const [id = "", state] = line.split(" ")
      expect(["running", "exited"]).toContain(state!)
      const { State } = JSON.parse(machine.must("inspect", id))[0]
      // A program that ends by itself may do so between the two looks.
      if (State.Running) expect(existsSync(`/proc/${State.Pid}`)).toBe(true)
    }
    for (const line of lines) machine.must("rm", "-f", line.split(" ")[0]!)
    expect(machine.must("ps", "-aq")).toBe("")
    expect(machine.traces()).toEqual([])
    expect(
      readdirSync(machine.root)
        .filter((file) => !file.endsWith(".lock"))
        .sort(),
    ).toEqual(["bin", "cache", "containers", "id", "ids", "names", "networks", "skeleton", "staging"])
  } catch (error) {
    throw new Error(`SEED=${seed} ${(error as Error).message}`, { cause: error })
  }
}, 120_000)
