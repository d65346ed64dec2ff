import { expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { isAlive, isNamedByProcess, ownMark, startOf } from "./alive.ts"
import { type Evidence, stateOf } from "./states.ts"
import type { StatusFile } from "./status.ts"

const MONITOR = { pid: 20, start: 200 }
const running: StatusFile = { state: "running", boot: "now", monitor: MONITOR, captures: {} }
const exited: StatusFile = { ...running, state: "exited", code: 0 }
/** `alive`: pids that live. */
const state = (given: Partial<Evidence> & { alive?: number[] }) =>
  stateOf({
    status: undefined,
    creator: { pid: 10, start: 100, boot: "now" },
    kept: false,
    starter: () => undefined,
    boot: "now",
    hasRunDirectory: true,
    remove: false,
    isAlive: ({ pid }) => given.alive?.includes(pid) === true,
    isNamedByProcess: () => false,
    ...given,
  })

test("a record without a status is being made, by whoever lives", () => {
  expect(state({ alive: [10] })).toBe("starting")
  expect(state({ isNamedByProcess: () => true })).toBe("starting")
  expect(state({})).toBe("abandoned")
  expect(state({ alive: [10], boot: "after a reboot" })).toBe("abandoned")
})
const starter =
  (pid: number, before: string, boot = "now") =>
  () => ({ pid, start: 1, before, boot })
test("a container that was created on purpose needs nobody to live", () => {
  expect(state({ kept: true, hasRunDirectory: false })).toBe("created")
  expect(state({ kept: true, hasRunDirectory: false, boot: "after a reboot" })).toBe("created")
  expect(state({ kept: true, hasRunDirectory: false, remove: true })).toBe("created")
})
test("a start lives with its starter, and its end is undone; the container stays", () => {
  expect(state({ kept: true, starter: starter(30, ""), alive: [30] })).toBe("starting")
  expect(state({ kept: true, starter: starter(30, ""), isNamedByProcess: () => true })).toBe("starting")
  expect(state({ kept: true, starter: starter(30, "") })).toBe("halted")
  expect(state({ kept: true, starter: starter(30, "", "before a reboot"), alive: [30] })).toBe("halted")
  expect(state({ status: exited, starter: starter(30, "20 200"), alive: [30] })).toBe("starting")
  expect(state({ status: exited, starter: starter(30, "20 200") })).toBe("unfinished")
})
test("a start that has led to a run is over, though its starter lives on", () => {
  expect(state({ status: exited, starter: starter(30, "19 190"), alive: [30] })).toBe("unfinished")
  expect(state({ status: running, starter: starter(30, "19 190"), alive: [30] })).toBe("lost")
})
test("a container runs as long as its monitor does", () => {
  expect(state({ status: running, alive: [20] })).toBe("running")
  expect(state({ status: running })).toBe("lost")
  expect(state({ status: running, alive: [20], boot: "after a reboot" })).toBe("lost")
})
test("an exited container is done when nothing is left to undo, or somebody is at it", () => {
  expect(state({ status: exited, hasRunDirectory: false })).toBe("exited")
  expect(state({ status: exited, alive: [20] })).toBe("exited")
  expect(state({ status: exited })).toBe("unfinished")
  expect(state({ status: exited, hasRunDirectory: false, remove: true })).toBe("unfinished")
  expect(state({ status: exited, boot: "after a reboot", hasRunDirectory: false })).toBe("exited")
})

test("this process lives, and is not another with its number", () => {
  const mark = ownMark()
  expect(isAlive(mark)).toBe(true)
  expect(isAlive({ ...mark, start: mark.start - 1 })).toBe(false)
})
test("a process with a misleading name has a start time; a dead one, or one that only waits to be reaped, has none", async () => {
  const id = `${process.pid}-feedc0de`
  // The shell becomes a program whose name has parentheses and spaces.
  const child = spawn("bash", ["-c", `exec -a ') Z (x' sh -c 'read x' run '/run/mc/${id}/wire'`], {
    stdio: ["pipe", "ignore", "ignore"],
  })
  while (!isNamedByProcess(id)) await new Promise((resolve) => setTimeout(resolve, 2))
  expect(startOf(child.pid!)).toBeGreaterThan(0)
  const ended = new Promise((resolve) => child.once("exit", resolve))
  child.kill("SIGKILL")
  await ended
  expect(startOf(child.pid!)).toBeUndefined()
  expect(isNamedByProcess(id)).toBe(false)
})
