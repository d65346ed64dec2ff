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

/** Absent, as a u16 and a u32. */
const NONE16 = 0xffff
const NONE32 = 0xffffffff
const NONE64 = 0xffffffffffffffffn

/** Bits of a step's flags byte. */
const MAY_FAIL = 1
const ON_FAILURE_ONLY = 2

/** The phase number of an undo: one past the last of PHASES. */
const UNDO_PHASE = PHASES.length

/** Grows as needed; every `put` of a whole argument leaves the position at a multiple of 8. */
class Writer {
  #bytes = new Uint8Array(16384)
  #view = new DataView(this.#bytes.buffer)
  length = 0

  #room(more: number): void {
    if (this.length + more <= this.#bytes.length) return
    const bigger = new Uint8Array(Math.max(this.#bytes.length * 2, this.length + more))
    bigger.set(this.#bytes.subarray(0, this.length))
    this.#bytes = bigger
    this.#view = new DataView(bigger.buffer)
  }
  u8(value: number): void {
    this.#room(1)
    this.#view.setUint8(this.length, value)
    this.length += 1
  }
  u16(value: number): void {
    this.#room(2)
    this.#view.setUint16(this.length, value, true)
    this.length += 2
  }
  u32(value: number): void {
    this.#room(4)
    this.#view.setUint32(this.length, value, true)
    this.length += 4
  }
  u64(value: number | bigint): void {
    this.#room(8)
    this.#view.setBigUint64(this.length, BigInt(value), true)
    this.length += 8
  }
  setU32(at: number, value: number): void {
    this.#view.setUint32(at, value, true)
  }
  pad(): void {
    this.#room(8)
    this.length = (this.length + 7) & ~7
  }
  raw(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.length)
    this.length += bytes.length
  }
  done(): Uint8Array {
    return this.#bytes.slice(0, this.length)
  }
}

const utf8 = new TextEncoder()

function putText(out: Writer, text: string): void {
  const bytes = utf8.encode(text)
  if (bytes.includes(0)) throw new TypeError(`a text of a plan holds a NUL byte: ${JSON.stringify(text)}`)
  out.u32(bytes.length)
  out.raw(bytes)
  out.u8(0)
  out.pad()
}

function putArgument(out: Writer, kind: Kind, value: unknown, slot: (name: Slot) => number): void {
  switch (kind) {
    case "number":
    case "number?":
      out.u64(value === undefined ? NONE64 : (value as number | bigint))
      return
    case "fd":
    case "fd?":
      out.u64(value === undefined ? NONE64 : slot(value as Slot))
      return
    case "text":
    case "text?":
      if (value !== undefined) return putText(out, value as string)
      out.u32(NONE32)
      out.pad()
      return
    case "bytes":
    case "bytes?": {
      const bytes = value as Uint8Array | undefined
      out.u32(bytes === undefined ? NONE32 : bytes.length)
      out.u32(0)
      if (bytes !== undefined) out.raw(bytes)
      out.pad()
      return
    }
    case "texts":
    case "numbers":
    case "fds": {
      const list = value as readonly unknown[]
      out.u32(list.length)
      out.u32(0)
      const each = kind === "texts" ? "text" : kind === "numbers" ? "number" : "fd"
      for (const item of list) putArgument(out, each, item, slot)
      return
    }
  }
}

/**
 * The bytes of a plan. The same plan always gives the same bytes.
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
  const undos = steps.flatMap((step) => (step.undo ? [step.undo] : []))

  const out = new Writer()
  out.raw(utf8.encode("MCPL"))
  out.u32(WIRE_VERSION)
  out.u32(0)
  out.u32(steps.length + undos.length)
  out.u32(steps.length)
  out.u32(slots.size)
  out.u32(0)
  out.u32(0)

  const values: Readonly<Record<string, unknown>> = frame
  for (const [name, kind] of Object.entries(HEADER)) putArgument(out, kind, values[name], slot)
  out.setU32(24, out.length - 32)
  putArgument(
    out,
    "texts",
    steps.map((step) => step.does),
    slot,
  )

  const put = (step: Step | Undo, phase: number, flags: number, undo: number): void => {
    const start = out.length
    const gives = "gives" in step && step.gives !== undefined ? slot(step.gives) : NONE16
    const ok = "ok" in step && step.ok !== undefined ? step.ok : []
    const row = OPS[step.op]
    out.u32(0)
    out.u8(row.code)
    out.u8(phase)
    out.u8(flags)
    out.u8(ok.length)
    out.u16(gives)
    out.u16(undo)
    for (const name of ok) out.u32(ERRNO[name])
    out.pad()
    const given: Readonly<Record<string, unknown>> = step
    for (const [name, kind] of Object.entries(row.args)) putArgument(out, kind, given[name], slot)
    out.setU32(start, out.length - start)
  }
  let nextUndo = steps.length
  for (const step of steps)
    put(step, PHASES.indexOf(step.phase), step.must === false ? MAY_FAIL : 0, step.undo ? nextUndo++ : NONE16)
  for (const undo of undos) put(undo, UNDO_PHASE, MAY_FAIL | (undo.when === "failure" ? ON_FAILURE_ONLY : 0), NONE16)

  out.setU32(8, out.length)
  return out.done()
}
