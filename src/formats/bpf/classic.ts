/**
 * Classic BPF: the small programs that the kernel runs on every system call of a filtered process.
 *
 *     instruction   u16 code  u8 jt  u8 jf  u32 k      jt, jf: instructions to skip if a test holds, or not
 *     registers     A, which `load` fills from 32-bit words of struct seccomp_data:
 *
 *     0  number     4  architecture     8  instruction pointer     16 + 8i  low half of argument i     20 + 8i  high half
 *
 * The rule that holds: jumps go forward only, and a conditional one skips at most 255 instructions. So a program is put
 * together from its end, where every target is already in its place; a target too far away gets a stepping stone.
 *
 * Read on: plan/seccomp.ts, which writes such programs.
 * @see Linux Documentation/networking/filter.rst, Documentation/userspace-api/seccomp_filter.rst, seccomp(2)
 */

/** The kernel refuses longer programs (BPF_MAXINSNS). */
export const MOST_INSTRUCTIONS = 4096

/** Where struct seccomp_data has what. Little-endian hosts. */
export const NUMBER = 0
export const ARCHITECTURE = 4
export const argument = (index: number, half: "low" | "high"): number => 16 + 8 * index + (half === "high" ? 4 : 0)

/** BPF_LD|BPF_W|BPF_ABS, BPF_ALU|BPF_AND|BPF_K, BPF_JMP|BPF_JA, BPF_RET|BPF_K. */
const LOAD = 0x20
const AND = 0x54
const GOTO = 0x05
const RETURN = 0x06
/** BPF_JMP|BPF_K with BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET: A equals k, is above it, is not below it, shares a bit with it. */
const TESTS = { eq: 0x15, gt: 0x25, ge: 0x35, set: 0x45 } as const
export type Test = keyof typeof TESTS

export interface Instruction {
  readonly code: number
  readonly jt: number
  readonly jf: number
  readonly k: number
}

export type Label = number

/** What A holds: a word of the data, or that word and a mask; nobody knows. */
type Held = string | undefined
const UNKNOWN = "?"

/**
 * Takes instructions in their order, with labels as targets, and gives the program's bytes.
 * What follows a jump or a return is reached through a label only. A load of what A holds on every way there is left out.
 */
export class Assembler {
  /** Instructions in their order; a target is a label. A placed label is `{ place }`. */
  readonly #items: ({ code: number; k: number; yes: Label; no: Label } | { place: Label })[] = []
  readonly #returns = new Map<number, Label>()
  readonly #valueOf = new Map<Label, number>()
  /** What A holds where a jump to this label is taken. */
  readonly #heldAt: Held[] = []
  #held: Held = UNKNOWN
  #labels = 0

  label(): Label {
    return this.#labels++
  }
  /** The label of `return value`. It needs no place: the instruction is put wherever it is near enough. */
  returning(value: number): Label {
    let label = this.#returns.get(value)
    if (label === undefined) {
      label = this.label()
      this.#returns.set(value, label)
      this.#valueOf.set(label, value)
    }
    return label
  }
  /** Whether a label still needs a place: it is not of a `return`. */
  open(label: Label): boolean {
    return !this.#valueOf.has(label)
  }
  place(label: Label): void {
    this.#held = this.#heldAt[label] ?? UNKNOWN
    this.#items.push({ place: label })
  }
  load(offset: number): void {
    if (this.#held === `${offset}`) return
    this.#items.push({ code: LOAD, k: offset, yes: -1, no: -1 })
    this.#held = `${offset}`
  }
  /** A becomes the word at `offset`, and only the bits of `mask`. */
  loadMasked(offset: number, mask: number): void {
    if (mask === 0xffffffff) return this.load(offset)
    const held = `${offset}&${mask}`
    if (this.#held === held) return
    this.load(offset)
    this.#items.push({ code: AND, k: mask, yes: -1, no: -1 })
    this.#held = held
  }
  jump(test: Test, k: number, yes: Label, no: Label): void {
    this.#items.push({ code: TESTS[test], k, yes, no })
    this.#reaches(yes)
    this.#reaches(no)
  }
  #reaches(label: Label): void {
    const before = this.#heldAt[label]
    this.#heldAt[label] = before === undefined || before === this.#held ? this.#held : UNKNOWN
  }

  /** The whole program. @throws {TypeError} for a label without a place, or with one before the jump: a mistake of ours. */
  instructions(): readonly Instruction[] {
    // Reversed: the last instruction first. `at` is an instruction's index in it, so a jump from the one that comes
    // next to it skips `reversed.length - at - 1`.
    const reversed: Instruction[] = []
    const at: (number | undefined)[] = []
    const skip = (label: Label): number => {
      const place = at[label]
      return place === undefined ? Number.POSITIVE_INFINITY : reversed.length - place - 1
    }
    const stone = (label: Label): void => {
      const value = this.#valueOf.get(label)
      const place = at[label]
      if (value !== undefined) reversed.push({ code: RETURN, jt: 0, jf: 0, k: value })
      else if (place !== undefined) reversed.push({ code: GOTO, jt: 0, jf: 0, k: reversed.length - place - 1 })
      else throw new TypeError(`label ${label} lies before the jump to it, or nowhere`)
      at[label] = reversed.length - 1
    }
    for (const item of this.#items.toReversed()) {
      if ("place" in item) {
        at[item.place] = reversed.length - 1
        continue
      }
      if (item.yes === -1) {
        reversed.push({ code: item.code, jt: 0, jf: 0, k: item.k })
        continue
      }
      // A stone for one target pushes the other one further away, by one: 254 leaves room for it.
      if (skip(item.no) > 254) stone(item.no)
      if (skip(item.yes) > 255) stone(item.yes)
      reversed.push({ code: item.code, jt: skip(item.yes), jf: skip(item.no), k: item.k })
    }
    return reversed.reverse()
  }
}

/** struct sock_filter, 8 bytes each, little-endian. */
export function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8)
  let at = 0
  for (const { code, jt, jf, k } of program) {
    bytes[at++] = code
    bytes[at++] = code >> 8
    bytes[at++] = jt
    bytes[at++] = jf
    for (let shift = 0; shift < 32; shift += 8) bytes[at++] = k >>> shift
  }
  return bytes
}

export function decode(bytes: Uint8Array): readonly Instruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, index) => ({
    code: view.getUint16(index * 8, true),
    jt: view.getUint8(index * 8 + 2),
    jf: view.getUint8(index * 8 + 3),
    k: view.getUint32(index * 8 + 4, true),
  }))
}

const SIGN: Readonly<Record<number, string>> = { [TESTS.eq]: "==", [TESTS.gt]: ">", [TESTS.ge]: ">=", [TESTS.set]: "&" }

const hex = (value: number): string => `0x${value.toString(16)}`

/** What a word of struct seccomp_data is called: `number`, `arch`, `arg0`, `arg0 high`. */
export function wordName(offset: number): string {
  if (offset < 16) return ["number", "arch", "ip", "ip high"][offset / 4] ?? `word ${offset}`
  return `arg${Math.floor((offset - 16) / 8)}${offset % 8 === 4 ? " high" : ""}`
}

/** One line per instruction, for people: `  3  if A >= 0x40000000 goto 17 else 4`. */
export function disassemble(bytes: Uint8Array): string {
  const line = ({ code, jt, jf, k }: Instruction, index: number): string => {
    const sign = SIGN[code]
    if (sign !== undefined) return `if A ${sign} ${hex(k)} goto ${index + 1 + jt} else ${index + 1 + jf}`
    if (code === LOAD) return `A = ${wordName(k)}`
    if (code === AND) return `A &= ${hex(k)}`
    if (code === GOTO) return `goto ${index + 1 + k}`
    if (code === RETURN) return `return ${hex(k)}`
    return `code ${hex(code)} ${jt} ${jf} ${hex(k)}`
  }
  return decode(bytes)
    .map((instruction, index) => `${String(index).padStart(3)}  ${line(instruction, index)}`)
    .join("\n")
}
