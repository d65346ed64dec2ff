/**
 * SIGKILL to anything: afterwards the engine tells the truth, and what is left can be removed.
 */

import { afterAll, expect, test } from "bun:test"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const status = (name: string): Map<string, string> => {
  const id = JSON.parse(machine.must("inspect", name))[0].Id as string
  const lines = readFileSync(join(machine.root, "containers", id, "status"), "utf8").split("\n")
  return new Map(lines.map((line) => [line.split(" ")[0] ?? "", line.split(" ").slice(1).join(" ")]))
}
const until = async (what: () => boolean): Promise<void> => {
  const deadline = performance.now() + 10_000
  while (!what()) {
    if (performance.now() > deadline) throw new Error("waited in vain")
    await Bun.sleep(20)
  }
}

test("SIGKILL to the monitor ends every process of the container, and ps tells so", async () => {
  machine.must(
    "run",
    "-d",
    "--name",
    "orphan",
    "--rootfs",
    machine.rootfs,
    "sh",
    "-c",
    "setsid sleep 1000 & exec sleep 1000",
  )
  const monitor = Number(status("orphan").get("monitor")?.split(" ")[0])
  const pid = Number(status("orphan").get("pid")?.split(" ")[0])
  process.kill(monitor, "SIGKILL")
  await until(() => !existsSync(`/proc/${pid}`))
  expect(machine.must("ps", "-a", "--format", "{{.Names}} {{.Status}}")).toMatch(/^orphan (Exited|Dead)/)
  expect(machine.traces().filter((trace) => trace.startsWith("cgroup") || trace.startsWith("run/"))).toEqual([])
  machine.must("rm", "orphan")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("a container with --rm whose monitor was killed is gone at the next look", async () => {
  machine.must("run", "-d", "--rm", "--name", "fleeting", "--rootfs", machine.rootfs, "sleep", "1000")
  process.kill(Number(status("fleeting").get("monitor")?.split(" ")[0]), "SIGKILL")
  await until(() => machine.must("ps", "-aq") === "")
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
  machine.must("rm", "-f", "left")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("SIGKILL to process 1 is an exit like any other", async () => {
  machine.must("run", "-d", "--name", "first", "--rootfs", machine.rootfs, "sleep", "1000")
  process.kill(Number(status("first").get("pid")?.split(" ")[0]), "SIGKILL")
  await until(() => machine.must("ps", "-a", "--format", "{{.Status}}").startsWith("Exited (137)"))
  machine.must("rm", "first")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("SIGKILL to the command at any moment of a start leaves a container that runs, or nothing after the next look", async () => {
  for (let round = 0; round < 30; round++) {
    const child = machine.start(
      { stdio: "ignore" },
      "run",
      "--rm",
      "--name",
      `r${round}`,
      "--rootfs",
      machine.rootfs,
      "sleep",
      "1000",
    )
    await Bun.sleep(round)
    child.kill("SIGKILL")
    await once(child, "exit")
  }
  // The monitors that were born go on by themselves; give them time to reach their exec.
  await Bun.sleep(300)
  const running = machine.must("ps", "-q").split("\n").filter(Boolean)
  if (running.length > 0) machine.must("rm", "-f", ...running)
  expect(machine.must("ps", "-aq")).toBe("")
  expect(machine.traces()).toEqual([])
  expect(readdirSync(join(machine.root, "containers"))).toEqual([])
}, 120_000)
