import { describe, expect, test } from "bun:test"
import { classic } from "../../test/bpf.ts"
import { EngineError } from "../base/errors.ts"
import { disassemble } from "../formats/bpf/classic.ts"
import type { Seccomp, SeccompArg } from "../model/oci.ts"
import { defaultSeccomp } from "../spec/seccomp-default.ts"
import { compileSeccomp, seccomp } from "./seccomp.ts"

const X86_64 = 0xc000003e
const I386 = 0x40000003
const AARCH64 = 0xc00000b7
const ARM = 0x40000028

const allow = (names: string[], ...args: SeccompArg[]) => ({ names, action: "SCMP_ACT_ALLOW", args })
const text = (policy: Seccomp) => `\n${disassemble(compileSeccomp(policy, { arch: "x86_64" }).program)}`
const WORDS: Readonly<Record<number, string>> = {
  0x7fff0000: "allow",
  0x00050001: "EPERM",
  0x00050026: "ENOSYS",
  0x00000000: "kill",
}
/** What a policy answers to each of some numbers. */
const answers = (
  policy: Seccomp,
  numbers: readonly number[],
  { arch = "x86_64" as "x86_64" | "aarch64", architecture = X86_64, args = [] as bigint[] } = {},
) => {
  const run = classic(compileSeccomp(policy, { arch }).program)
  return numbers.map((number) => WORDS[run({ number, architecture, args })] ?? "?").join(" ")
}

describe("the program", () => {
  test("numbers with equal answers are one leaf of a tree; above the last one named is ENOSYS", () => {
    expect(
      text({ defaultAction: "SCMP_ACT_ERRNO", syscalls: [allow(["read", "write", "open", "close", "poll"])] }),
    ).toBe(`
  0  A = arch
  1  if A == 0xc000003e goto 2 else 11
  2  A = number
  3  if A >= 0x8 goto 7 else 4
  4  if A >= 0x4 goto 5 else 6
  5  if A >= 0x7 goto 6 else 10
  6  return 0x7fff0000
  7  if A >= 0x40000000 goto 9 else 8
  8  return 0x50026
  9  if A >= 0xffffffff goto 10 else 11
 10  return 0x50001
 11  return 0x0`)
  })

  test("an argument has two halves, and the high one decides first", () => {
    const policy = {
      defaultAction: "SCMP_ACT_ERRNO",
      syscalls: [
        allow(["read"], { index: 2, value: 0x100000005, op: "SCMP_CMP_GT" }, { index: 0, value: 7, op: "SCMP_CMP_NE" }),
      ],
    }
    expect(text(policy)).toBe(`
  0  A = arch
  1  if A == 0xc000003e goto 2 else 18
  2  A = number
  3  if A >= 0x40000000 goto 16 else 4
  4  if A >= 0x1 goto 5 else 6
  5  return 0x50026
  6  A = arg0 high
  7  if A == 0x0 goto 8 else 10
  8  A = arg0
  9  if A == 0x7 goto 17 else 10
 10  A = arg2 high
 11  if A > 0x1 goto 15 else 12
 12  if A == 0x1 goto 13 else 17
 13  A = arg2
 14  if A > 0x5 goto 15 else 17
 15  return 0x7fff0000
 16  if A >= 0xffffffff goto 17 else 18
 17  return 0x50001
 18  return 0x0`)
  })

  test("everything is allowed, but not on an ABI that the policy does not name", () => {
    expect(text({ defaultAction: "SCMP_ACT_ALLOW" })).toBe(`
  0  A = arch
  1  if A == 0xc000003e goto 2 else 6
  2  A = number
  3  if A >= 0x40000000 goto 4 else 5
  4  if A >= 0xffffffff goto 5 else 6
  5  return 0x7fff0000
  6  return 0x0`)
  })

  test("anything but a few values, one rule a bit in the policy, is a handful of instructions", () => {
    const rules =
      defaultSeccomp({ capabilities: [], arch: "x86_64", kernel: [6, 1] }).syscalls?.filter(({ names }) =>
        names.includes("ioctl"),
      ) ?? []
    expect(rules.length).toBe(35)
    expect(
      text({ defaultAction: "SCMP_ACT_ERRNO", syscalls: rules }).split("\n").slice(6, 18).join("\n"),
    ).toBe(`  5  A = arg1
  6  A &= 0xfffffff1
  7  if A == 0x5410 goto 8 else 16
  8  A = arg1
  9  A &= 0xe
 10  if A == 0xe goto 16 else 11
 11  if A == 0xa goto 16 else 12
 12  if A == 0x8 goto 16 else 13
 13  if A == 0x6 goto 16 else 14
 14  if A == 0x4 goto 16 else 15
 15  if A == 0x0 goto 16 else 20
 16  return 0x7fff0000`)
  })

  test("the default policy is far below the kernel's limit", () => {
    const size = (arch: "x86_64" | "aarch64") =>
      compileSeccomp(defaultSeccomp({ capabilities: [], arch, kernel: [6, 1] }), { arch }).program.length / 8
    expect([size("x86_64"), size("aarch64")]).toEqual([408, 298])
  })

  test("a tree of more than 255 instructions jumps over stepping stones", () => {
    const every = Array.from({ length: 300 }, (_, value): SeccompArg => ({ index: 0, value, op: "SCMP_CMP_EQ" }))
    const policy: Seccomp = {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_X86"],
      syscalls: [...every.map((arg) => allow(["read"], arg)), allow(["write"])],
    }
    const run = classic(compileSeccomp(policy, { arch: "x86_64" }).program)
    const allowed = Array.from({ length: 302 }, (_, value) => value).filter(
      (value) => run({ number: 0, architecture: X86_64, args: [BigInt(value)] }) === 0x7fff0000,
    )
    expect(allowed).toEqual(Array.from({ length: 300 }, (_, value) => value))
    expect(answers(policy, [1, 2])).toBe("allow ENOSYS")
    expect(answers(policy, [3, 4, 5], { architecture: I386, args: [299n] })).toBe("allow allow ENOSYS")
  })
})

describe("what runc does, ours does", () => {
  const few = { defaultAction: "SCMP_ACT_ERRNO", architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"] }
  test("a name means another number on each ABI", () => {
    const policy = { ...few, syscalls: [allow(["ioctl"])] }
    expect(answers(policy, [16, 54, 0x40000202, 0x40000010])).toBe("allow ENOSYS allow EPERM")
    expect(answers(policy, [16, 54], { architecture: I386 })).toBe("EPERM allow")
    expect(answers(policy, [16], { architecture: AARCH64 })).toBe("kill")
  })
  test("on the ARM, too, whose own calls lie far above and are not new", () => {
    const policy = {
      ...few,
      architectures: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_S390X"],
      syscalls: [allow(["ioctl", "cacheflush"])],
    }
    expect(answers(policy, [29, 54], { arch: "aarch64", architecture: AARCH64 })).toBe("allow ENOSYS")
    expect(answers(policy, [29, 54, 55, 983042, 983043], { arch: "aarch64", architecture: ARM })).toBe(
      "EPERM allow ENOSYS allow ENOSYS",
    )
  })
  test("names that no ABI has are passed over", () => {
    expect(answers({ ...few, syscalls: [allow(["read", "tomorrow"])] }, [0])).toBe("allow")
  })
  test("a rule without arguments beats those with some; the first of several wins", () => {
    const arg: SeccompArg = { index: 0, value: 1, op: "SCMP_CMP_EQ" }
    const kill = (names: string[], ...args: SeccompArg[]) => ({ names, action: "SCMP_ACT_KILL", args })
    expect(answers({ ...few, syscalls: [kill(["read"], arg), allow(["read"])] }, [0], { args: [1n] })).toBe("allow")
    expect(answers({ ...few, syscalls: [allow(["read"]), kill(["read"])] }, [0])).toBe("allow")
  })
  test("where what is not named is permitted, newer calls are too", () => {
    expect(
      answers(
        { ...few, defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["read"], action: "SCMP_ACT_ERRNO" }] },
        [0, 1, 999],
      ),
    ).toBe("EPERM allow allow")
  })
})

test("the program says what the rules say, read word by word", () => {
  let seed = 1
  const pick = <T>(list: readonly T[]): T => {
    seed = (seed * 48271) % (2 ** 31 - 1)
    return list[seed % list.length]!
  }
  const values = [0, 1, 3, 6, 7, 0x100, 0xffffffff, 0x100000000, 0x500000007]
  const holds: Readonly<Record<string, (given: bigint, value: bigint, valueTwo: bigint) => boolean>> = {
    SCMP_CMP_EQ: (given, value) => given === value,
    SCMP_CMP_NE: (given, value) => given !== value,
    SCMP_CMP_GT: (given, value) => given > value,
    SCMP_CMP_GE: (given, value) => given >= value,
    SCMP_CMP_LT: (given, value) => given < value,
    SCMP_CMP_LE: (given, value) => given <= value,
    SCMP_CMP_MASKED_EQ: (given, value, valueTwo) => (given & value) === (valueTwo & value),
  }
  for (let turn = 0; turn < 300; turn++) {
    const rules = Array.from({ length: pick([1, 2, 3, 5]) }, () =>
      pick([[0], [1], [0, 1], [0, 2, 5]]).map(
        (index): SeccompArg => ({ index, op: pick(Object.keys(holds)), value: pick(values), valueTwo: pick(values) }),
      ),
    )
    const policy: Seccomp = {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_X86"],
      syscalls: [allow(["write", "open"]), ...rules.map((args) => allow(["read"], ...args))],
    }
    const run = classic(compileSeccomp(policy, { arch: "x86_64" }).program)
    for (let call = 0; call < 40; call++) {
      const args = Array.from({ length: 6 }, () => BigInt(pick(values)) + BigInt(pick([0, 1])))
      const [number, architecture, given] = pick([
        [0, X86_64, args],
        [3, I386, args.map((value) => value & 0xffffffffn)],
      ] as const)
      const allowed = rules.some((rule) =>
        rule.every(({ index, op, value, valueTwo = 0 }) => holds[op]!(given[index]!, BigInt(value), BigInt(valueTwo))),
      )
      expect([rules, given, run({ number, architecture, args: given }) === 0x7fff0000]).toEqual([rules, given, allowed])
    }
  }
})

test("flags: SPEC_ALLOW if none are given; TSYNC needs no bit; a listener only if somebody is to be notified", () => {
  const flags = (given: Partial<Seccomp>) =>
    compileSeccomp({ defaultAction: "SCMP_ACT_ALLOW", ...given }, { arch: "x86_64" }).flags
  expect(flags({})).toBe(4)
  expect(flags({ flags: [] })).toBe(0)
  expect(
    flags({
      flags: ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    }),
  ).toBe(2)
  expect(
    flags({
      flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
      syscalls: [{ names: ["mount"], action: "SCMP_ACT_NOTIFY" }],
    }),
  ).toBe(32 | 8)
})

test("the step says how much is filtered", () => {
  const [step, ...rest] = seccomp(
    { defaultAction: "SCMP_ACT_ERRNO", syscalls: [allow(["read", "write"])] },
    { arch: "x86_64" },
  )
  expect([step?.phase, step?.op, step?.does, rest]).toEqual([
    "start",
    "seccomp",
    "load the system call filter (10 instructions, 2 calls by name)",
    [],
  ])
})

test("what cannot be compiled is a sentence", () => {
  const refusal = (given: Partial<Seccomp>): string => {
    try {
      return seccomp({ defaultAction: "SCMP_ACT_ERRNO", ...given }, { arch: "x86_64" })[0]!.does
    } catch (error) {
      if (error instanceof EngineError)
        return `${error.code}: ${error.message.replace("cannot compile the seccomp policy: ", "")}`
      throw error
    }
  }
  const arg = { index: 0, value: 1, op: "SCMP_CMP_EQ" }
  expect(refusal({ defaultAction: "SCMP_ACT_MAYBE" })).toBe(
    'INVALID_CONFIG: defaultAction is "SCMP_ACT_MAYBE", which is no action',
  )
  expect(refusal({ defaultAction: "SCMP_ACT_ALLOW", defaultErrnoRet: 1 })).toBe(
    "INVALID_CONFIG: defaultAction is SCMP_ACT_ALLOW, which takes no errnoRet",
  )
  expect(refusal({ syscalls: [{ names: ["read"], action: "ALLOW" }] })).toBe(
    'INVALID_CONFIG: the action for read is "ALLOW", which is no action',
  )
  expect(refusal({ syscalls: [allow(["read"], { ...arg, op: "SCMP_CMP_XOR" })] })).toBe(
    'INVALID_CONFIG: a rule for read compares by "SCMP_CMP_XOR"',
  )
  expect(refusal({ syscalls: [allow(["read"], { ...arg, index: 6 })] })).toBe(
    "INVALID_CONFIG: a rule for read has the argument 6; a system call has 0 to 5",
  )
  expect(refusal({ syscalls: [allow(["read"], { ...arg, value: 2 ** 63 })] })).toBe(
    "INVALID_CONFIG: a rule for read has the value 9223372036854776000, which is not a whole number below 2^53",
  )
  expect(refusal({ architectures: ["SCMP_ARCH_VAX"] })).toBe('INVALID_CONFIG: "SCMP_ARCH_VAX" is no architecture')
  expect(refusal({ flags: ["SECCOMP_FILTER_FLAG_FAST"] })).toBe('INVALID_CONFIG: "SECCOMP_FILTER_FLAG_FAST" is no flag')
  for (const policy of [
    { syscalls: [{ names: ["mount"], action: "SCMP_ACT_NOTIFY" }] },
    { defaultAction: "SCMP_ACT_NOTIFY" },
  ])
    expect(refusal(policy)).toStartWith("UNSUPPORTED: cannot load the seccomp policy: SCMP_ACT_NOTIFY needs")
  expect(refusal({ syscalls: Array.from({ length: 1500 }, (_, value) => allow(["read"], { ...arg, value })) })).toBe(
    "UNSUPPORTED: it takes 6035 instructions, the kernel allows 4096",
  )
})
