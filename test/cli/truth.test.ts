/**
 * The truth after a reboot, a power failure, a wrong clock: records are changed as these would have left them, and every command must say what is so.
 */

import { afterAll, expect, test } from "bun:test"
import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startOf } from "../../src/record/alive.ts"
import { newMachine } from "../machine.ts"
import { ended } from "../processes.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const HOUR_S = 3600
const make = (verb: string, name: string, ...rest: string[]): string =>
  machine.must(...verb.split(" "), "--name", name, "--rootfs", machine.rootfs, ...rest).trim()
const file = (id: string, name: string): string => join(machine.root, "containers", id, name)
const change = (path: string, from: RegExp, to: string): void => {
  const text = readFileSync(path, "utf8")
  expect(text).toMatch(from)
  writeFileSync(path, text.replace(from, to))
}
const rows = (): readonly string[] =>
  machine.must("ps", "-a", "--format", "{{.Names}}: {{.Status}}").trim().split("\n").filter(Boolean).sort()
const monitorOf = (id: string): number => Number(/^monitor (\d+) /m.exec(readFileSync(file(id, "status"), "utf8"))?.[1])
const left = (): readonly string[] =>
  machine.traces().filter((trace) => /^(cgroup|process|mount|run|monitors)/.test(trace))

test("after a reboot what ran is lost, what waited waits, --rm is gone, and all that is left can be started", async () => {
  make("create", "waits", "true")
  const ran = make("run -d", "ran", "sh", "-c", "test -e /mine && exit 8; touch /mine; exec sleep 1000")
  const brief = make("run -d --rm", "brief", "sleep", "1000")
  make("run", "over", "sh", "-c", "exit 0")
  const halfway = make("create", "halfway", "true")
  for (const id of [ran, brief]) {
    await ended(monitorOf(id))
    change(file(id, "status"), /^boot .*$/m, "boot 00000000-0000-4000-8000-000000000000")
  }
  for (const id of [ran, brief, halfway])
    change(file(id, "container.json"), /"boot": "[^"]*"/, '"boot": "00000000-0000-4000-8000-000000000000"')
  // The run root is memory: it is gone with the machine.
  rmSync(machine.runRoot, { recursive: true, force: true })
  expect(rows()).toEqual([
    "halfway: Created",
    "over: Exited (0) Less than a second ago",
    "ran: Exited (137) Less than a second ago",
    "waits: Created",
  ])
  expect(machine.must("inspect", "-f", "{{.State.Error}}", "ran")).toBe("the machine was restarted while it ran\n")
  expect(left()).toEqual([])
  expect(machine.run("start", "-a", "ran").code).toBe(8)
  for (const name of ["over", "waits", "halfway"]) expect(machine.run("start", "-a", name).code).toBe(0)
  machine.must("rm", "ran", "over", "waits", "halfway")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("a number that another process has by now is not the monitor, and gets no signal", async () => {
  const id = make("run -d", "reused", "sleep", "1000")
  await ended(monitorOf(id))
  // Our own number, with the start time of somebody else.
  change(file(id, "status"), /^monitor .*$/m, `monitor ${process.pid} ${startOf(process.pid)! + 1}`)
  change(file(id, "status"), /^pid .*$/m, `pid ${process.pid} ${startOf(process.pid)! + 1}`)
  expect(rows()).toEqual(["reused: Exited (137) Less than a second ago"])
  expect(machine.run("kill", "reused").code).toBe(1)
  expect(machine.must("stop", "reused")).toBe("reused\n")
  machine.must("rm", "-f", "reused")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("a status that a power failure has emptied is the end of a run, not of the container", async () => {
  const id = make("run -d", "cut", "sh", "-c", "test -e /mine && exit 8; touch /mine; exec sleep 1000")
  await ended(monitorOf(id))
  truncateSync(file(id, "status"))
  expect(rows()).toEqual([expect.stringMatching(/^cut: Exited \(137\)/)])
  expect(left()).toEqual([])
  expect(machine.run("start", "-a", "cut").code).toBe(8)
  machine.must("rm", "cut")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("a record that was written by half is told of by name, hides no other, and goes by force", () => {
  make("create", "whole", "true")
  const id = make("create", "half", "true")
  truncateSync(file(id, "container.json"), 100)
  const { code, stdout, stderr } = machine.run("ps", "-a", "--format", "{{.Names}}")
  expect({ code, stdout }).toEqual({ code: 0, stdout: "whole\n" })
  expect(stderr).toContain(id.slice(0, 12))
  for (const line of ["start half", "inspect half", "rm half", "wait half"]) {
    const result = machine.run(...line.split(" "))
    expect({ line, code: result.code }).toEqual({ line, code: 1 })
    expect(result.stderr).toContain("rm --force")
  }
  machine.must("rm", "--force", "half")
  make("create", "half", "true")
  machine.must("rm", "half", "whole")
  expect(machine.traces()).toEqual([])
}, 20_000)

test("a clock that was set back makes nobody younger than now, and nothing stops working", () => {
  const id = make("create", "ahead", "true")
  machine.must("start", "-a", "ahead")
  const later = (text: string): string => String(Number(text) + HOUR_S)
  const status = readFileSync(file(id, "status"), "utf8")
  writeFileSync(
    file(id, "status"),
    status.replace(/^(started|finished) (\d+)/gm, (_, key, seconds) => `${key} ${later(seconds)}`),
  )
  change(file(id, "container.json"), /"created": "20\d\d/, '"created": "2199')
  expect(rows()).toEqual(["ahead: Exited (0) Less than a second ago"])
  expect(machine.must("ps", "-a", "--format", "{{.RunningFor}}")).toBe("Less than a second ago\n")
  expect(machine.must("start", "ahead")).toBe("ahead\n")
  expect(machine.must("wait", "ahead")).toBe("0\n")
  machine.must("rm", "ahead")
  expect(machine.traces()).toEqual([])
}, 20_000)
