/**
 * The kernel's two BPF machines, small and true enough to run what we write, and what libseccomp writes.
 * A program that the kernel would refuse (an unknown code, a jump past the end) throws.
 */

import { decode } from "../src/formats/bpf/classic.ts"
import { decodeExtended } from "../src/formats/bpf/extended.ts"

export interface SystemCall {
  readonly number: number
  readonly architecture: number
  readonly args?: readonly bigint[]
}

/** A classic program, ready to answer: the SECCOMP_RET_* value that it returns for a system call. */
export function classic(program: Uint8Array): (call: SystemCall) => number {
  const code = decode(program)
  return ({ number, architecture, args = [] }) => {
    const word = (offset: number): number => {
      if (offset === 0) return number >>> 0
      if (offset === 4) return architecture >>> 0
      if (offset < 16 || offset > 60 || offset % 4) throw new Error(`a load from ${offset}`)
      const value = BigInt.asUintN(64, args[Math.floor((offset - 16) / 8)] ?? 0n)
      return Number(offset % 8 ? value >> 32n : value & 0xffffffffn)
    }
    let a = 0
    for (let pc = 0; ; pc++) {
      const i = code[pc]
      if (i === undefined) throw new Error(`ran past the end, to ${pc}`)
      const jump = (holds: boolean): void => {
        pc += holds ? i.jt : i.jf
      }
      switch (i.code) {
        case 0x20:
          a = word(i.k)
          break
        case 0x54:
          a = (a & i.k) >>> 0
          break
        case 0x05:
          pc += i.k
          break
        case 0x15:
          jump(a === i.k)
          break
        case 0x25:
          jump(a > i.k)
          break
        case 0x35:
          jump(a >= i.k)
          break
        case 0x45:
          jump((a & i.k) !== 0)
          break
        case 0x06:
          return i.k
        default:
          throw new Error(`unknown code ${i.code} at ${pc}`)
      }
    }
  }
}

export interface DeviceAccess {
  readonly type: number
  readonly access: number
  readonly major: number
  readonly minor: number
}

/** A device program, ready to answer whether an access is allowed. */
export function device(program: Uint8Array): (access: DeviceAccess) => boolean {
  const code = decodeExtended(program)
  return ({ type, access, major, minor }) => {
    const context = [((access << 16) | type) >>> 0, major >>> 0, minor >>> 0]
    const r: (number | undefined)[] = []
    const read = (register: number): number => {
      const value = r[register]
      if (value === undefined) throw new Error(`r${register} is read before it is set`)
      return value
    }
    for (let pc = 0; ; pc++) {
      const i = code[pc]
      if (i === undefined) throw new Error(`ran past the end, to ${pc}`)
      const immediate = i.immediate >>> 0
      switch (i.code) {
        case 0x61: {
          const value = context[i.offset / 4]
          if (i.src !== 1 || value === undefined) throw new Error(`a load from r${i.src} + ${i.offset}`)
          r[i.dst] = value
          break
        }
        case 0xbc:
          r[i.dst] = read(i.src)
          break
        case 0xb4:
          r[i.dst] = immediate
          break
        case 0x54:
          r[i.dst] = (read(i.dst) & immediate) >>> 0
          break
        case 0x74:
          r[i.dst] = read(i.dst) >>> immediate
          break
        case 0x55:
          if (read(i.dst) !== immediate) pc += i.offset
          break
        case 0x05:
          pc += i.offset
          break
        case 0x45:
          if (read(i.dst) & immediate) pc += i.offset
          break
        case 0x95:
          return read(0) === 1
        default:
          throw new Error(`unknown code ${i.code} at ${pc}`)
      }
    }
  }
}
