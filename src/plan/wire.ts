/**
 * Wire: a plan as bytes, for the executor.
 *
 *     magic "MCPL"  u32 version  u32 total bytes  u32 steps  u32 forward steps  u32 slots  u32 frame bytes  u32 0
 *     frame         the arguments of HEADER, in its order
 *     does          the `does` of every forward step, as one `texts`
 *     steps         forward steps in order, then the undos
 *
 *     step   u32 bytes (this word included)  u8 op  u8 phase  u8 flags  u8 number of `ok`
 *            u16 gives  u16 undo (index of a step)  i32 ok …  padding to 8  arguments in the order of the row in OPS
 *
 * All numbers are little-endian. Every argument starts at a multiple of 8 bytes:
 *
 *     number   u64                                  absent: all ones
 *     text     u32 length, bytes, NUL, padding      absent: length all ones, no bytes, padding
 *     bytes    u32 length, u32 0, bytes, padding    absent: length all ones
 *     texts    u32 count, u32 0, then each a text
 *     numbers  u32 count, u32 0, then each a u64
 *     fd       u64 slot index                       absent: all ones
 *     fds      u32 count, u32 0, then each a u64
 *
 * The decoder (native/wire.c) trusts none of it. Read on: step.ts, the table that both sides share.
 */

import { EngineError } from "../base/errors.ts"
import {
  ERRNO,
  HEADER,
  type Kind,
  OPS,
  PHASES,
  type Plan,
  type Slot,
  type Step,
  type Undo,
  WIRE_VERSION,
} from "./step.ts"

/** What the executor takes, at most: as in native/executor.h. */
export const LIMITS = { wire: 8 << 20, steps: 8192, slots: 1024, list: 65536 } as const

function limit(what: string, found: number, most: number): void {
  if (found > most)
    throw new EngineError(
      "INVALID_VALUE",
      `cannot hand the plan to the executor: it has ${found} ${what}, and ${most} are the most`,
      "ask for less: fewer mounts, devices, groups or words",
    )
}

/** Absent, as a u16 and a u32; as a u64 both its words. */
const NONE16 = 0xffff
const NONE32 = 0xffffffff

/** Bits of a step's flags byte. */
const MAY_FAIL = 1
const ON_FAILURE_ONLY = 2

/** The phase number of an undo: one past the last of PHASES. */
const UNDO_PHASE = PHASES.length

const WORD = 4

/**
 * Bytes in words of 32 bits: everything begins at one. A start encodes thousands of them in code that runs for the first time, so
 * there is nothing between a value and its word. Both processors are little-endian, as the wire is.
 */
class Writer {
  #words = new Uint32Array(16384)
  #bytes = new Uint8Array(this.#words.buffer)
  /** In words. */
  length = 0

  /** Makes sure that so many bytes fit. */
  room(bytes: number): void {
    const needed = this.length + bytes / WORD + 2
    if (needed <= this.#words.length) return
    const bigger = new Uint32Array(Math.max(this.#words.length * 2, Math.ceil(needed)))
    bigger.set(this.#words.subarray(0, this.length))
    this.#words = bigger
    this.#bytes = new Uint8Array(bigger.buffer)
  }
  u32(value: number): void {
    this.#words[this.length++] = value
  }
  /** Two words, or one number of 64 bits. */
  pair(low: number, high: number): void {
    this.room(8)
    this.#words[this.length++] = low
    this.#words[this.length++] = high
  }
  u64(value: number | bigint): void {
    if (typeof value === "number" && value >= 0 && value <= 0xffffffff) return this.pair(value, 0)
    const big = BigInt.asUintN(64, BigInt(value))
    this.pair(Number(big & 0xffffffffn), Number(big >> 32n))
  }
  pad(): void {
    this.length += this.length & 1
  }
  bytes(bytes: Uint8Array): void {
    this.room(8 + bytes.length)
    this.pair(bytes.length, 0)
    this.#bytes.set(bytes, this.length * WORD)
    this.#end(bytes.length)
  }
  text(text: string): void {
    const bytes = utf8.encode(text)
    if (bytes.includes(0)) throw new TypeError(`a text of a plan holds a NUL byte: ${JSON.stringify(text)}`)
    this.room(WORD + bytes.length + 1)
    this.u32(bytes.length)
    // What is not written over is 0: the NUL, and the padding.
    this.#bytes.set(bytes, this.length * WORD)
    this.#end(bytes.length + 1)
  }
  #end(bytes: number): void {
    this.length += Math.ceil(bytes / WORD)
    this.pad()
  }
  set(at: number, value: number): void {
    this.#words[at] = value
  }
  done(): Uint8Array {
    return this.#bytes.slice(0, this.length * WORD)
  }
}

const utf8 = new TextEncoder()
/** As a number of the wire. */
const MAGIC = 0x4c50434d // "MCPL"

type Put = (out: Writer, value: unknown, slot: (name: Slot) => number) => void

const put = {
  number: (out, value) => out.u64(value as number | bigint),
  fd: (out, value, slot) => out.u64(slot(value as Slot)),
  text: (out, value) => out.text(value as string),
  bytes: (out, value) => out.bytes(value as Uint8Array),
} satisfies Record<string, Put>

const orAbsent =
  (one: Put, high: number): Put =>
  (out, value, slot) =>
    value === undefined ? out.pair(NONE32, high) : one(out, value, slot)

const each =
  (one: Put): Put =>
  (out, value, slot) => {
    const list = value as readonly unknown[]
    limit("words in one list", list.length, LIMITS.list)
    out.pair(list.length, 0)
    for (const item of list) one(out, item, slot)
  }

/** How each kind of argument is written. */
const PUT: Readonly<Record<Kind, Put>> = {
  ...put,
  "number?": orAbsent(put.number, NONE32),
  "fd?": orAbsent(put.fd, NONE32),
  "text?": orAbsent(put.text, 0),
  "bytes?": orAbsent(put.bytes, 0),
  texts: each(put.text),
  numbers: each(put.number),
  fds: each(put.fd),
}

/**
 * The bytes of a plan. The same plan always gives the same bytes.
 * @throws {EngineError} `INVALID_VALUE` for more than the executor takes.
 * @throws {TypeError} if a text holds a NUL, or a taken slot is given by no step: mistakes of ours, which check.ts finds first.
 */
export function encode({ frame, steps }: Plan): Uint8Array {
  const slots = new Map<Slot, number>()
  for (const { gives } of steps) if (gives !== undefined && !slots.has(gives)) slots.set(gives, slots.size)
  const slot = (name: Slot): number => {
    const index = slots.get(name)
    if (index === undefined) throw new TypeError(`no step of the plan gives the slot "${name}"`)
    return index
  }
  const undos: Undo[] = []
  for (const { undo } of steps) if (undo) undos.push(undo)

  limit("steps and undos", steps.length + undos.length, LIMITS.steps)
  limit("open files", slots.size, LIMITS.slots)
  const out = new Writer()
  out.u32(MAGIC)
  out.u32(WIRE_VERSION)
  out.u32(0)
  out.u32(steps.length + undos.length)
  out.u32(steps.length)
  out.u32(slots.size)
  out.u32(0)
  out.u32(0)

  const putArguments = (row: Readonly<Record<string, Kind>>, given: object): void => {
    const values = given as Readonly<Record<string, unknown>>
    for (const name in row) PUT[row[name]!](out, values[name], slot)
  }
  const frameAt = out.length
  putArguments(HEADER, frame)
  out.set(6, (out.length - frameAt) * WORD)
  out.pair(steps.length, 0)
  for (const { does } of steps) out.text(does)

  const putStep = (step: Step | Undo, phase: number, flags: number, undo: number): void => {
    const start = out.length
    const gives = "gives" in step && step.gives !== undefined ? slot(step.gives) : NONE16
    const ok = "ok" in step && step.ok !== undefined ? step.ok : []
    const row = OPS[step.op]
    out.room(16 + ok.length * WORD)
    out.u32(0)
    out.u32(row.code | (phase << 8) | (flags << 16) | (ok.length << 24))
    out.u32(gives | (undo << 16))
    for (const name of ok) out.u32(ERRNO[name])
    out.pad()
    putArguments(row.args, step)
    out.set(start, (out.length - start) * WORD)
  }
  let nextUndo = steps.length
  for (const step of steps)
    putStep(step, PHASES.indexOf(step.phase), step.must === false ? MAY_FAIL : 0, step.undo ? nextUndo++ : NONE16)
  for (const undo of undos)
    putStep(undo, UNDO_PHASE, MAY_FAIL | (undo.when === "failure" ? ON_FAILURE_ONLY : 0), NONE16)

  limit("bytes", out.length * WORD, LIMITS.wire)
  out.set(2, out.length * WORD)
  return out.done()
}
