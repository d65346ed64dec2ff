import { afterAll, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseStatus, readStatus, writeLost } from "./status.ts"

const dir = mkdtempSync(join(tmpdir(), "mc-status-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const parse = (text: string) => parseStatus(Buffer.from(text))

const RUNNING = "state running\npid 4711 918273\nmonitor 4700 918270\nboot 2520e58c\nstarted 1795529141.123456789\n"

test("running: who, since when", () => {
  expect(parse(RUNNING)).toEqual({
    state: "running",
    boot: "2520e58c",
    pid: { pid: 4711, start: 918273 },
    monitor: { pid: 4700, start: 918270 },
    started: "2026-11-24T14:05:41.123456789Z",
    captures: {},
  })
})
test("exited: how, and what the exit steps have read, newlines and all", () => {
  const events = "low 0\noom_kill 1\n"
  const text = `state exited\ncode 137\nsignal 9\nboot b\nfinished 1795529150.000000001\nlost 512\ncapture memory.events ${events.length}\n${events}\ncapture cpu stat 3\na\nb\nlater invention\n`
  expect(parse(text)).toEqual({
    state: "exited",
    boot: "b",
    code: 137,
    signal: 9,
    finished: "2026-11-24T14:05:50.000000001Z",
    lostBytes: 512,
    captures: { "memory.events": events, "cpu stat": "a\nb" },
  })
})
test("a capture that is cut off ends the file; the rest is known", () => {
  expect(parse("state exited\ncode 0\nboot b\ncapture memory.events 100\nlow")).toMatchObject({ code: 0, captures: {} })
})
test("what is no status is none", () => {
  expect(["", "state sleeping\n", "\0\0\0\0"].map(parse)).toEqual([undefined, undefined, undefined])
  expect(readStatus(join(dir, "none"))).toBeUndefined()
})
test("the last status of a lost container keeps what was known", () => {
  writeFileSync(join(dir, "status"), RUNNING)
  writeLost(dir, readStatus(dir)!, { error: "its monitor was\nkilled", now: new Date(1795529150_250) })
  expect(readStatus(dir)).toEqual({
    state: "exited",
    boot: "2520e58c",
    pid: { pid: 4711, start: 918273 },
    monitor: { pid: 4700, start: 918270 },
    started: "2026-11-24T14:05:41.123456789Z",
    finished: "2026-11-24T14:05:50.250000000Z",
    code: 137,
    signal: 9,
    error: "its monitor was killed",
    captures: {},
  })
  expect(readdirSync(dir)).toEqual(["status"])
})
