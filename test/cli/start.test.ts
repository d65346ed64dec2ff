/**
 * create and start: a container that waits, and one that runs again, with what it has written, its name and its ids.
 */

import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const ID = /^[0-9a-f]{64}\n$/
const make = (name: string, ...rest: string[]): string =>
  machine.must("create", "--name", name, "--rootfs", machine.rootfs, ...rest).trim()
const inspect = (name: string) => JSON.parse(machine.must("inspect", name))[0]
const status = (name: string): string =>
  machine.must("ps", "-a", "--filter", `name=^${name}$`, "--format", "{{.Status}}").trim()
const until = async (what: () => boolean): Promise<void> => {
  const deadline = performance.now() + 10_000
  while (!what()) {
    if (performance.now() > deadline) throw new Error("waited in vain")
    await Bun.sleep(10)
  }
}

test("create prints the id, runs nothing, and the container is there until rm", () => {
  const file = `${machine.base}/cid`
  const printed = machine.must("create", "--cidfile", file, "--name", "new", "--rootfs", machine.rootfs, "echo", "hi")
  expect(printed).toMatch(ID)
  expect(readFileSync(file, "utf8")).toBe(printed.trim())
  expect(machine.must("ps", "-q")).toBe("")
  expect(status("new")).toBe("Created")
  expect(inspect("new").State).toMatchObject({ Status: "created", Running: false, Pid: 0 })
  // Nothing but a record and its leases.
  expect(machine.traces().map((trace) => trace.replace(/\/.*/, ""))).toEqual(["containers", "ids", "names"])
  expect(machine.run("create", "--name", "new", "--rootfs", machine.rootfs, "true")).toMatchObject({ code: 125 })
  expect(machine.run("exec", "new", "true").code).toBe(1)
  expect(machine.must("stop", "new")).toBe("new\n")
  machine.must("rm", "new")
  expect(machine.traces()).toEqual([])
})

test("what is wrong is told by create, and nothing remains", () => {
  const { code, stderr } = machine.run("create", "--rootfs", machine.rootfs, "--sysctl", "kernel.panic=1", "true")
  expect(code).toBe(125)
  expect(stderr).toContain("kernel.panic")
  expect(machine.traces()).toEqual([])
})

test("start -a shows the output and ends with the code; start again, and the changes are there", () => {
  const id = make("again", "sh", "-c", "echo run >> /count; wc -l < /count; id -u; exit 7")
  expect(machine.run("start", "-a", "again")).toEqual({ code: 7, stdout: "1\n0\n", stderr: "" })
  expect(status("again")).toStartWith("Exited (7)")
  const ids = readFileSync(`${machine.root}/containers/${id}/config.json`, "utf8")
  expect(machine.run("start", "-a", "again")).toEqual({ code: 7, stdout: "2\n0\n", stderr: "" })
  expect(JSON.parse(readFileSync(`${machine.root}/containers/${id}/config.json`, "utf8")).linux.uidMappings).toEqual(
    JSON.parse(ids).linux.uidMappings,
  )
  expect(inspect("again")).toMatchObject({ Id: id, Name: "/again" })
  expect(machine.must("logs", "again")).toBe("1\n0\n2\n0\n")
  machine.must("rm", "again")
  expect(machine.traces()).toEqual([])
}, 20_000)

test("a container of run -d starts again in the background; several, and one that runs already", async () => {
  for (const name of ["one", "two"]) {
    machine.must("run", "-d", "--name", name, "--rootfs", machine.rootfs, "sh", "-c", "echo up; exec sleep 1000")
    machine.must("stop", "-t", "0", name)
  }
  expect(machine.must("start", "one", "two")).toBe("one\ntwo\n")
  const { Pid } = inspect("one").State
  expect(machine.must("start", "one")).toBe("one\n")
  expect(inspect("one").State).toMatchObject({ Status: "running", Pid })
  expect(status("two")).toStartWith("Up ")
  await until(() => machine.must("logs", "two") === "up\nup\n")
  const { code, stdout, stderr } = machine.run("start", "nope", "two")
  expect({ code, stdout }).toEqual({ code: 1, stdout: "two\n" })
  expect(stderr).toContain("nope")
  machine.must("rm", "-f", "one", "two")
  expect(machine.traces()).toEqual([])
}, 20_000)

test("a container of an image starts again as well", () => {
  machine.must("create", "--network", "none", "--name", "greeting", "hello")
  const first = machine.run("start", "-a", "greeting")
  expect(first).toMatchObject({ code: 0, stderr: "" })
  expect(first.stdout).not.toBe("")
  expect(machine.run("start", "-a", "greeting").code).toBe(0)
  machine.must("rm", "greeting")
  expect(machine.traces()).toEqual([])
})

test("start -i passes stdin to a container that was made with -i, and only then", () => {
  make("talk", "-i", "cat")
  expect(machine.runWith({ input: "hello\n" }, "start", "-i", "talk").stdout).toBe("hello\n")
  expect(machine.runWith({ input: "again\n" }, "start", "-a", "-i", "talk").stdout).toBe("again\n")
  make("deaf", "cat")
  expect(machine.runWith({ input: "hello\n" }, "start", "-i", "deaf").stdout).toBe("")
  expect(machine.run("start", "-a", "talk", "deaf").code).toBe(125)
  machine.must("rm", "talk", "deaf")
}, 20_000)

test("--rm holds for a container that start has started, and not before", () => {
  make("brief", "--rm", "true")
  expect(status("brief")).toBe("Created")
  expect(machine.run("start", "-a", "brief")).toEqual({ code: 0, stdout: "", stderr: "" })
  expect(machine.traces()).toEqual([])
})

test("a start that fails takes back what it has made, and no more", () => {
  const id = make("odd", "nosuch")
  const before = machine.traces()
  for (const flags of [[], ["-a"]]) {
    const { code, stderr } = machine.run("start", ...flags, "odd")
    expect(code).toBe(127)
    expect(stderr).toContain("nosuch")
    expect(machine.traces()).toEqual(before)
    expect(status("odd")).toBe("Created")
  }
  // The same of one that has run: its changes stay, and its last exit.
  const kept = make("kept", "sh", "-c", "test -e /seen && cat /seen || { echo mine > /seen; exit 4; }")
  expect(machine.run("start", "-a", "kept").code).toBe(4)
  writeFileSync(`${machine.root}/containers/${kept}/aside`, "")
  const there = machine.traces()
  const { code } = machine.run("start", "-a", "kept")
  expect(code).toBe(0)
  expect(machine.traces()).toEqual(there)
  expect(readFileSync(`${machine.root}/containers/${kept}/upper/seen`, "utf8")).toBe("mine\n")
  expect(existsSync(`${machine.root}/containers/${id}/upper`)).toBe(true)
  machine.must("rm", "odd", "kept")
  expect(machine.traces()).toEqual([])
}, 20_000)

test("of ten that start one container at once it runs once, and rm beside them leaves no half", async () => {
  make("popular", "sleep", "1000")
  const ended = Array.from({ length: 10 }, () => {
    const child = machine.start({ stdio: "ignore" }, "start", "popular")
    return new Promise<number | null>((resolve) => child.once("exit", resolve))
  })
  const codes = await Promise.all(ended)
  expect(codes).toContain(0)
  for (const code of codes) expect([0, 1]).toContain(code!)
  expect(status("popular")).toStartWith("Up ")
  expect(machine.traces().filter((trace) => trace.startsWith("process")).length).toBe(1)
  machine.must("rm", "-f", "popular")
  for (let round = 0; round < 5; round++) {
    make("torn", "true")
    const both = [
      ["start", "torn"],
      ["rm", "torn"],
    ].map((args) => {
      const child = machine.start({ stdio: "ignore" }, ...args)
      return new Promise((resolve) => child.once("exit", resolve))
    })
    await Promise.all(both)
    machine.run("rm", "-f", "torn")
    expect(machine.must("ps", "-aq")).toBe("")
  }
  await until(() => machine.traces().length === 0)
}, 30_000)

test("SIGKILL to whoever starts: the container is created or exited as before, or runs", async () => {
  make("hit", "sleep", "1000")
  for (let waitMs = 0; waitMs < 60; waitMs += 4) {
    const child = machine.start({ stdio: "ignore" }, "start", "hit")
    const gone = new Promise((resolve) => child.once("exit", resolve))
    await Bun.sleep(waitMs)
    child.kill("SIGKILL")
    await gone
    // A spawned executor may still be at it.
    await until(() => {
      const { State } = inspect("hit")
      return State.Running || !machine.traces().some((trace) => trace.startsWith("process"))
    })
    const { State } = inspect("hit")
    expect(["created", "running", "exited"]).toContain(State.Status)
    if (State.Running) machine.must("stop", "-t", "0", "hit")
    // A claim that was cut short goes when somebody looks at all.
    expect(status("hit")).not.toBe("")
    expect(machine.traces().filter((trace) => /^(cgroup|process|mount|run)/.test(trace))).toEqual([])
  }
  machine.must("start", "hit")
  machine.must("rm", "-f", "hit")
  expect(machine.traces()).toEqual([])
}, 60_000)
