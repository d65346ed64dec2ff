import { afterAll, expect, test } from "bun:test"
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LINE_LIMIT, type LogEntry, type ReadLog, readLog } from "./logfile.ts"

const dir = mkdtempSync(join(tmpdir(), "mc-log-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
let next = 0
/** A log of its own; `older` are rotated files, log.1 first. */
function log(newest: string, ...older: string[]): string {
  const path = join(dir, `${next++}`, "log")
  mkdirSync(join(path, ".."))
  writeFileSync(path, newest)
  older.forEach((text, index) => {
    writeFileSync(`${path}.${index + 1}`, text)
  })
  return path
}
const at = (second: number): string => `2026-11-24T14:05:${String(second).padStart(2, "0")}.123456789Z`
const out = (second: number, text: string): string => `${at(second)} stdout F ${text}\n`
const err = (second: number, text: string): string => `${at(second)} stderr F ${text}\n`
const part = (second: number, text: string, stream = "stdout"): string => `${at(second)} ${stream} P ${text}\n`

const plain = ({ time, stream, bytes }: LogEntry): string =>
  `${time.slice(17, 19)} ${stream} ${JSON.stringify(Buffer.from(bytes).toString("latin1"))}`
async function lines(path: string, options: ReadLog = {}, files = 3): Promise<string[]> {
  const found: string[] = []
  for await (const entry of readLog(path, files, options)) found.push(plain(entry))
  return found
}

test("lines of both streams, oldest file first", async () => {
  expect(await lines(log(out(3, "c") + err(4, "d"), out(2, "b"), out(1, "a")))).toEqual([
    '01 stdout "a\\n"',
    '02 stdout "b\\n"',
    '03 stdout "c\\n"',
    '04 stderr "d\\n"',
  ])
})
test("no log is an empty log", async () => {
  expect(await lines(join(dir, "none", "log"))).toEqual([])
  expect(await lines(log(""))).toEqual([])
})
test("any byte but a newline is content: empty lines, carriage returns, zeros, what is no UTF-8", async () => {
  const path = log(out(1, "") + out(2, "a\r"))
  appendFileSync(path, Buffer.concat([Buffer.from(`${at(3)} stdout F `), Buffer.from([0, 0xff, 0x80, 10])]))
  expect(await lines(path)).toEqual([
    '01 stdout "\\n"',
    '02 stdout "a\\r\\n"',
    `03 stdout ${JSON.stringify("\0\xff\x80\n")}`,
  ])
})
test("parts are joined per stream, also across a rotation; an unfinished line has no newline", async () => {
  const path = log(err(4, "z") + out(5, "c") + part(6, "tail"), part(1, "a") + part(2, "y", "stderr") + part(3, "b"))
  expect(await lines(path)).toEqual(['02 stderr "yz\\n"', '01 stdout "abc\\n"', '06 stdout "tail"'])
})
test("an entry that is being written, or was torn by a crash, is left out", async () => {
  expect(await lines(log(`${out(1, "a") + at(2)} stdo`))).toEqual(['01 stdout "a\\n"'])
  expect(await lines(log(`${out(1, "a")}garbage\n${out(2, "b")}`))).toEqual(['01 stdout "a\\n"', '02 stdout "b\\n"'])
})
test("since takes the moment itself, until does not", async () => {
  const path = log([1, 2, 3, 4].map((n) => out(n, `${n}`)).join(""))
  expect(await lines(path, { since: at(2), until: at(4) })).toEqual(['02 stdout "2\\n"', '03 stdout "3\\n"'])
})

test("tail counts lines from the end, over files", async () => {
  const path = log(out(5, "e") + out(6, "f"), out(3, "c") + out(4, "d"), out(1, "a") + out(2, "b"))
  const tail = async (n: number): Promise<string> =>
    (await lines(path, { tail: n })).map((line) => line.slice(-4, -3)).join("")
  expect(await Promise.all([0, 1, 2, 3, 5, 6, 7, 1000].map(tail))).toEqual([
    "",
    "f",
    "ef",
    "def",
    "bcdef",
    "abcdef",
    "abcdef",
    "abcdef",
  ])
})
test("tail counts a line of many parts once, and an unfinished one too", async () => {
  const path = log(out(1, "a") + part(2, "b") + part(3, "b") + out(4, "b") + part(5, "c"))
  expect(await lines(path, { tail: 2 })).toEqual(['02 stdout "bbb\\n"', '05 stdout "c"'])
})
test("tail keeps a line whole whose beginning lies before many lines of the other stream", async () => {
  const noise = Array.from({ length: 3000 }, () => err(2, "noise")).join("")
  const path = log(out(1, "first") + part(1, "slow ") + noise + out(3, "line"))
  expect(await lines(path, { tail: 1 })).toEqual(['01 stdout "slow line\\n"'])
})
test("tail of a large log reads its end", async () => {
  const many = Array.from({ length: 40_000 }, (_, n) => out(1, `${n}`)).join("")
  const path = log(out(2, "last") + out(3, "line"), many)
  expect(await lines(path, { tail: 3 })).toEqual(['01 stdout "39999\\n"', '02 stdout "last\\n"', '03 stdout "line\\n"'])
})
test("what lies on a piece's edge is not torn", async () => {
  const long = "x".repeat(16384)
  const path = log(Array.from({ length: 50 }, (_, n) => out(n, `${n}${long}`)).join(""))
  const found = await lines(path)
  expect(found).toHaveLength(50)
  expect(found.every((line, n) => line === `${String(n).padStart(2, "0")} stdout "${n}${long}\\n"`)).toBe(true)
})
test("a line without an end comes in parts instead of filling the memory", async () => {
  const piece = "x".repeat(16384)
  const path = log(part(1, piece).repeat(65) + out(2, "end"))
  const found: LogEntry[] = []
  for await (const entry of readLog(path, 1, {})) found.push(entry)
  expect(found.map(({ bytes }) => bytes.length)).toEqual([LINE_LIMIT, 16384 + 4])
})

/** Follows a log; `see(n)` waits until n lines are there. */
function following(path: string, options: ReadLog = {}, files = 3) {
  const found: string[] = []
  let over = false
  const aborter = new AbortController()
  const done = (async () => {
    for await (const entry of readLog(path, files, {
      ...options,
      follow: { ended: () => over, signal: aborter.signal },
    }))
      found.push(plain(entry))
  })()
  const see = async (count: number): Promise<string[]> => {
    while (found.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
    return found
  }
  return {
    see,
    abort: () => aborter.abort(),
    end: () => {
      over = true
      return done.then(() => found)
    },
    done,
    found,
  }
}

test("follow: lines as they come, until the container has ended", async () => {
  const path = log(out(1, "a"))
  const { see, end } = following(path)
  expect(await see(1)).toEqual(['01 stdout "a\\n"'])
  appendFileSync(path, out(2, "b"))
  await see(2)
  appendFileSync(path, out(3, "c"))
  expect(await end()).toEqual(['01 stdout "a\\n"', '02 stdout "b\\n"', '03 stdout "c\\n"'])
})
test("follow: an entry in two writes is one line", async () => {
  const path = log(out(1, "a"))
  const { see, end } = following(path)
  await see(1)
  const text = out(2, "torn")
  appendFileSync(path, text.slice(0, 33))
  await new Promise((resolve) => setTimeout(resolve, 30))
  appendFileSync(path, text.slice(33))
  expect((await end())[1]).toBe('02 stdout "torn\\n"')
})
test("follow: a prompt without a newline is shown when nothing follows", async () => {
  const path = log(part(1, "login: "))
  const { see, end } = following(path)
  expect(await see(1)).toEqual(['01 stdout "login: "'])
  appendFileSync(path, out(2, "root"))
  expect(await end()).toEqual(['01 stdout "login: "', '02 stdout "root\\n"'])
})
test("follow: goes along with rotations, even several at once, and loses nothing", async () => {
  const path = log("")
  const { end, see } = following(path, {}, 4)
  let wrote = 0
  const rotate = (): void => {
    for (const n of [2, 1])
      try {
        renameSync(`${path}.${n}`, `${path}.${n + 1}`)
      } catch {
        /* not there yet */
      }
    renameSync(path, `${path}.1`)
    writeFileSync(path, "")
  }
  for (const rotations of [0, 1, 2, 0, 1, 2, 1]) {
    for (let n = 0; n < rotations; n++) {
      rotate()
      appendFileSync(path, out(wrote % 60, `${wrote++}`))
    }
    appendFileSync(path, out(wrote % 60, `${wrote++}`))
    await see(wrote)
  }
  expect((await end()).map((line) => Number(line.slice(11, -3)))).toEqual(Array.from({ length: wrote }, (_, n) => n))
})
test("follow: says where lines are missing, when rotations are faster than the reader", async () => {
  const path = log(out(1, "a"))
  let n = 1
  const rotate = (): void => {
    if (n > 1) renameSync(`${path}.1`, `${path}.2`)
    renameSync(path, `${path}.1`)
    writeFileSync(path, out(++n, `line ${n}`))
  }
  const found: string[] = []
  const stop = new AbortController()
  const follow = { ended: () => false, signal: stop.signal }
  for await (const entry of readLog(path, 3, { follow, lost: () => found.push("lost") })) {
    found.push(Buffer.from(entry.bytes).toString().trimEnd())
    if (found.at(-1) === "a") for (let times = 0; times < 4; times++) rotate()
    if (found.at(-1) === "line 5") stop.abort()
  }
  expect(found).toEqual(["a", "lost", "line 3", "line 4", "line 5"])
})
test("follow: a single file that is emptied by rotation is read from its beginning again", async () => {
  const path = log(out(1, "a long line that makes the file longer than the next"))
  const { see, end } = following(path, {}, 1)
  await see(1)
  truncateSync(path, 0)
  appendFileSync(path, out(2, "b"))
  expect((await end())[1]).toBe('02 stdout "b\\n"')
})
test("follow: a log that does not exist yet", async () => {
  const path = log("")
  rmSync(path)
  const { see, end } = following(path)
  writeFileSync(path, out(1, "a"))
  await see(1)
  expect(await end()).toEqual(['01 stdout "a\\n"'])
})
test("follow: tail 0 shows only what is new; an abort ends it", async () => {
  const path = log(out(1, "old"))
  const { see, abort, done, found } = following(path, { tail: 0 })
  await new Promise((resolve) => setTimeout(resolve, 20))
  appendFileSync(path, out(2, "new"))
  expect(await see(1)).toEqual(['02 stdout "new\\n"'])
  abort()
  await done
  expect(found).toHaveLength(1)
})
