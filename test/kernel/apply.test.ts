/**
 * apply and read, with streams that no caller of ours would write: nothing outside the directory is touched, and every failure is told.
 */

import { afterEach, beforeEach, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { planOf } from "../../src/executor/do.ts"
import { ApplyRefused, readFiles, startApply } from "../../src/executor/files.ts"
import { type FileOp, FileOpReader, FileOpWriter, WALK } from "../../src/plan/unpack.ts"
import { openDirectory } from "../../src/plan/view.ts"
import { encode } from "../../src/plan/wire.ts"
import { build, EXECUTOR, newRoom, type Room } from "./native.ts"

let room: Room
beforeEach(() => {
  build()
  room = newRoom()
  mkdirSync(room.path("target"))
  mkdirSync(room.path("outside"))
  writeFileSync(room.path("outside/file"), "safe")
})
afterEach(() => {
  expect(readdirSync(room.path("outside"))).toEqual(["file"])
  expect(readFileSync(room.path("outside/file"), "utf8")).toBe("safe")
  room[Symbol.dispose]()
})

const target = () => planOf([openDirectory(room.path("target"), "a test")])
const about = { mode: 0o644, uid: 0, gid: 0, seconds: 1, nanoseconds: 2 }
const file = (path: string): FileOp => ({ op: "file", path, ...about, size: 1 })
const dir = (path: string): FileOp => ({ op: "directory", path, ...about, mode: 0o755 })
const link = (path: string, to: string): FileOp => ({ op: "symlink", path, ...about, target: to })
const hard = (path: string, to: string): FileOp => ({ op: "hardlink", path, target: to })

/** "done", or index, errno's name and path of the op that was refused. */
async function apply(...ops: readonly FileOp[]): Promise<string> {
  const applying = startApply(EXECUTOR, target())
  for (const op of ops) applying.put(op)
  return applying.finish().then(
    () => "done",
    (error: unknown) => {
      if (!(error instanceof ApplyRefused)) throw error
      const { index, errno, path } = error.refused
      return `${index} ${NAMES[errno] ?? errno} ${path}`
    },
  )
}
const NAMES: Readonly<Record<number, string>> = {
  2: "ENOENT",
  9: "EBADF",
  18: "EXDEV",
  20: "ENOTDIR",
  22: "EINVAL",
  27: "EFBIG",
  36: "ENAMETOOLONG",
  40: "ELOOP",
  61: "ENODATA",
  74: "EBADMSG",
}

const out = (): string => room.path("outside")
test("no path leads out: not by its parts, not by links, in whatever order they are made", async () => {
  expect(await apply(file("../x"))).toBe("0 EXDEV ../x")
  expect(await apply(dir("a"), file("a/../../outside/file"))).toBe("1 EXDEV a/../../outside/file")
  expect(await apply(file(`${out()}/x`))).toBe(`0 EXDEV ${out()}/x`)
  expect(await apply(file(".."))).toBe("0 EINVAL ..")
  expect(await apply(file(""))).toBe("0 EINVAL ")
  expect(await apply(link("l", out()), file("l/x"))).toBe("1 ELOOP l/x")
  expect(await apply(link("r", "../outside"), dir("r/x"))).toBe("1 ELOOP r/x")
  expect(await apply(link("r", "../outside"), { op: "remove", path: "r/file" })).toBe("1 ELOOP r/file")
  expect(await apply(dir("d"), file("d/f"), link("d", out()), file("d/file"))).toBe("3 ELOOP d/file")
  expect(await apply(hard("h", "../outside/file"))).toBe("0 EXDEV h")
  expect(await apply(link("m", out()), hard("h", "m/file"))).toBe("1 ELOOP h")
  expect(await apply(file("x".repeat(256)))).toBe(`0 ENAMETOOLONG ${"x".repeat(256)}`)
})
test("a link in the way is replaced, one at the end of a hard link is itself linked", async () => {
  symlinkSync(room.path("outside/file"), room.path("target/f"))
  expect(await apply(file("f"), { op: "content", offset: 0, bytes: Uint8Array.of(120) })).toBe("done")
  expect(readFileSync(room.path("target/f"), "utf8")).toBe("x")
  expect(await apply(link("s", room.path("outside/file")), hard("h", "s"), { op: "remove", path: "s" })).toBe("done")
})
test("a directory that became a link is not set by its later mode and time", async () => {
  expect(await apply(dir("d"), link("d", out()))).toBe("done")
})
test("enter stays inside, whatever its links say", async () => {
  mkdirSync(room.path("target/in"))
  symlinkSync("../../../../../in", room.path("target/sly"))
  expect(await apply({ op: "enter", path: "/sly" }, file("f"))).toBe("done")
  expect(existsSync(room.path("target/in/f"))).toBe(true)
  symlinkSync(out(), room.path("target/out"))
  expect(await apply({ op: "enter", path: "out" }, file("f"))).toBe("0 ENOENT out")
  expect(await apply({ op: "enter", path: "/in" }, file("../f"))).toBe("1 EXDEV ../f")
})
test("content without a file, or beyond its size, is refused", async () => {
  const bytes = Uint8Array.of(1, 2)
  expect(await apply({ op: "content", offset: 0, bytes })).toBe("0 EBADF .")
  expect(await apply(file("f"), { op: "content", offset: 0, bytes })).toBe("1 EFBIG f")
  expect(await apply(file("f"), { op: "content", offset: -1, bytes: bytes.subarray(1) })).toBe("1 EFBIG f")
  expect(await apply({ op: "xattr", name: "user.x", value: bytes })).toBe("0 EINVAL .")
})

/** The executor with any bytes behind its plan. */
const raw = (bytes: Uint8Array): string => {
  const plan = target()
  const wire = encode({ ...plan, frame: { ...plan.frame, report: 1 } })
  return spawnSync(EXECUTOR, ["apply"], { input: Buffer.concat([wire, bytes]), encoding: "latin1" }).stdout.trim()
}
const bytesOf = (...ops: readonly FileOp[]): Uint8Array => {
  const all: Uint8Array[] = []
  const writer = new FileOpWriter((bytes) => all.push(bytes))
  for (const op of ops) writer.put(op)
  writer.flush()
  return Buffer.concat(all)
}
test("a stream that ends too early, or is none, is a failure", () => {
  const whole = bytesOf(file("f"), { op: "content", offset: 0, bytes: Uint8Array.of(120) }, { op: "end" })
  expect(raw(whole)).toBe("done 2")
  for (let length = 0; length < whole.length; length += 4)
    expect(raw(whole.subarray(0, length))).toMatch(/^refused \d (61|74) /)
  expect(raw(new Uint8Array(64).fill(255))).toBe("refused 0 74 .")
})
test("whatever byte is wrong, it ends with an answer", () => {
  const whole = bytesOf(
    dir("d"),
    file("d/f"),
    { op: "content", offset: 0, bytes: Uint8Array.of(120) },
    link("d/l", "f"),
    hard("d/h", "d/f"),
    { op: "end" },
  )
  let seed = 7
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
    return (seed >> 8) % below
  }
  for (let round = 0; round < 150; round++) {
    const bytes = Uint8Array.from(whole)
    for (let i = 0; i < 1 + random(3); i++) bytes[random(bytes.length)] = random(256)
    expect(raw(bytes)).toMatch(/^(done \d+|refused \d+ \d+ )/)
    rmSync(room.path("target"), { recursive: true, force: true })
    mkdirSync(room.path("target"))
  }
})
test("ops come back as they were written, however the bytes are cut", () => {
  const ops: FileOp[] = [
    dir("a"),
    { op: "file", path: "caf\xe9", ...about, size: 2 ** 40, seconds: -(2 ** 33) },
    { op: "content", offset: 2 ** 41, bytes: Uint8Array.of(1, 2, 3) },
    { op: "xattr", name: "user.a", value: new Uint8Array() },
    hard("x", "y"),
    { op: "end" },
  ]
  const bytes = bytesOf(...ops)
  for (const step of [1, 7, 8, 1000]) {
    const reader = new FileOpReader()
    const back: FileOp[] = []
    for (let at = 0; at < bytes.length; at += step)
      back.push(...reader.push(Buffer.from(bytes.subarray(at, at + step))))
    const plain = back.map((op): FileOp => {
      if (op.op === "content") return { ...op, bytes: Uint8Array.from(op.bytes) }
      return op.op === "xattr" ? { ...op, value: Uint8Array.from(op.value) } : op
    })
    expect(plain).toEqual(ops)
    expect(reader.whole).toBe(true)
  }
})

/** What a walk answers: one line an op. */
async function walk(path: string, given: { flags?: number; depth?: number; limit?: number } = {}): Promise<string[]> {
  const { flags = 0, depth = 100, limit = 1e9 } = given
  const lines: string[] = []
  for await (const op of readFiles(EXECUTOR, target(), [{ op: "walk", path, flags, depth, limit }]))
    if ("path" in op) lines.push(`${op.op} ${op.path}${"errno" in op ? ` ${NAMES[op.errno] ?? op.errno}` : ""}`)
    else if (op.op === "content") lines.push(`content ${op.offset} ${op.bytes.length}`)
  return lines
}
test("read: links lead nowhere else, a FIFO does not hold it, a limit is one", async () => {
  const at = (name: string): string => room.path("target", name)
  symlinkSync("../outside/file", at("up"))
  symlinkSync(room.path("outside"), at("away"))
  spawnSync("mkfifo", [at("fifo")])
  writeFileSync(at("big"), "12345")
  expect((await walk("/")).sort()).toEqual(["directory .", "file big", "node fifo", "symlink away", "symlink up"])
  expect(await walk("up", { flags: WALK.follow })).toEqual(["failed . ENOENT"])
  expect(await walk("away/file", { flags: WALK.follow })).toEqual(["failed . ENOENT"])
  expect(await walk("../../../../outside/file")).toEqual(["failed . ENOENT"])
  expect(await walk("/proc/self/root")).toEqual(["failed . ENOENT"])
  expect(await walk("fifo", { flags: WALK.content })).toEqual(["node ."])
  expect(await walk("big", { flags: WALK.content, limit: 4 })).toEqual(["failed . EFBIG"])
  expect(await walk("big", { flags: WALK.content, limit: 5 })).toEqual(["file .", "content 0 5"])
})
test("read: a tree of 1,500 directories one in the other", async () => {
  const ops = Array.from({ length: 1500 }, (_, depth) =>
    dir(
      Array(depth + 1)
        .fill("d")
        .join("/"),
    ),
  )
  expect(await apply(...ops)).toBe("done")
  expect(await walk("/", { depth: 10_000 })).toHaveLength(1501)
  spawnSync("rm", ["-rf", room.path("target")])
})
