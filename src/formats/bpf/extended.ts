/**
 * Extended BPF, as far as a device program needs it: a filter that the kernel asks whenever a process of a cgroup opens
 * or makes a device node.
 *
 *     instruction   u8 code  u8 dst | src << 4  s16 offset  s32 immediate
 *     registers     r0 the answer: 1 yes, 0 no     r1 on entry: struct bpf_cgroup_dev_ctx
 *
 *     struct bpf_cgroup_dev_ctx   u32 access << 16 | type   u32 major   u32 minor
 *
 * The rule that holds: the verifier must see every way end in `exit` with r0 set, and here jumps go forward only.
 *
 * Read on: plan/devices.ts, which writes such programs.
 * @see Linux Documentation/bpf/standardization/instruction-set.rst, include/uapi/linux/bpf.h
 */

/** BPF_DEVCG_DEV_*, BPF_DEVCG_ACC_* */
export const DEVICE_TYPE = { b: 1, c: 2 } as const
export const DEVICE_ACCESS = { m: 1, r: 2, w: 4 } as const

export interface ExtendedInstruction {
  readonly code: number
  readonly dst: number
  readonly src: number
  readonly offset: number
  readonly immediate: number
}

const row = (code: number, dst: number, src = 0, offset = 0, immediate = 0): ExtendedInstruction => ({
  code,
  dst,
  src,
  offset,
  immediate,
})

/** BPF_LDX|BPF_MEM|BPF_W: dst = u32 at src + offset. */
export const loadWord = (dst: number, src: number, offset: number) => row(0x61, dst, src, offset)
/** BPF_ALU|BPF_MOV: 32 bits. */
export const copy = (dst: number, src: number) => row(0xbc, dst, src)
export const set = (dst: number, immediate: number) => row(0xb4, dst, 0, 0, immediate)
export const and = (dst: number, immediate: number) => row(0x54, dst, 0, 0, immediate)
export const shiftRight = (dst: number, bits: number) => row(0x74, dst, 0, 0, bits)
/** BPF_JMP|BPF_JA: skip `offset` instructions. */
export const skip = (offset: number) => row(0x05, 0, 0, offset)
/** BPF_JMP, 64 bits, for kernels before 5.1 have no other: skip `offset` instructions if dst is not, or shares a bit with, the immediate. */
export const skipUnless = (dst: number, immediate: number, offset: number) => row(0x55, dst, 0, offset, immediate)
export const skipIfAny = (dst: number, immediate: number, offset: number) => row(0x45, dst, 0, offset, immediate)
export const exit = () => row(0x95, 0)

/** struct bpf_insn, 8 bytes each, little-endian. */
export function encodeExtended(program: readonly ExtendedInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8)
  const view = new DataView(bytes.buffer)
  program.forEach(({ code, dst, src, offset, immediate }, index) => {
    view.setUint8(index * 8, code)
    view.setUint8(index * 8 + 1, dst | (src << 4))
    view.setInt16(index * 8 + 2, offset, true)
    view.setInt32(index * 8 + 4, immediate, true)
  })
  return bytes
}

export function decodeExtended(bytes: Uint8Array): readonly ExtendedInstruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, index) => {
    const registers = view.getUint8(index * 8 + 1)
    return row(
      view.getUint8(index * 8),
      registers & 15,
      registers >> 4,
      view.getInt16(index * 8 + 2, true),
      view.getInt32(index * 8 + 4, true),
    )
  })
}

const LINES: Readonly<Record<number, (i: ExtendedInstruction, next: number) => string>> = {
  0x61: (i) => `r${i.dst} = word at r${i.src} + ${i.offset}`,
  0xbc: (i) => `r${i.dst} = r${i.src}`,
  0xb4: (i) => `r${i.dst} = ${i.immediate}`,
  0x54: (i) => `r${i.dst} &= 0x${(i.immediate >>> 0).toString(16)}`,
  0x74: (i) => `r${i.dst} >>= ${i.immediate}`,
  0x55: (i, next) => `if r${i.dst} != ${i.immediate} goto ${next + i.offset}`,
  0x05: (i, next) => `goto ${next + i.offset}`,
  0x45: (i, next) => `if r${i.dst} & ${i.immediate} goto ${next + i.offset}`,
  0x95: () => "exit",
}

/** One line per instruction, for people. */
export function disassembleExtended(bytes: Uint8Array): string {
  return decodeExtended(bytes)
    .map(
      (i, index) => `${String(index).padStart(3)}  ${LINES[i.code]?.(i, index + 1) ?? `code 0x${i.code.toString(16)}`}`,
    )
    .join("\n")
}
