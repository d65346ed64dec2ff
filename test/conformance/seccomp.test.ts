/**
 * Our filters against libseccomp's: the same policy, compiled by both, answers the same for every number of every ABI.
 *
 * Not compared: several rules with several arguments each for one call, where libseccomp's own tree loses its way (2.5.4 allows
 * `a < 9, b >= 7, c < 3` for a larger c). What ours say there is held against the rules themselves in plan/seccomp.test.ts.
 * Needs gcc and Debian's libseccomp-dev.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Seccomp, SeccompRule } from "../../src/model/oci.ts"
import { compileSeccomp } from "../../src/plan/seccomp.ts"
import { ABIS, ACTIONS, forEachCall, MULTIPLEXED, NO_SUCH_CALL } from "../../src/plan/seccomp-tables.ts"
import { defaultSeccomp } from "../../src/spec/seccomp-default.ts"
import { classic } from "../bpf.ts"

const directory = mkdtempSync(join(tmpdir(), "mc-seccomp-"))
const helper = join(directory, "libseccomp")
beforeAll(() => {
  const source = join(import.meta.dirname, "libseccomp.c")
  const built = spawnSync("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", helper, source, "-lseccomp"], {
    encoding: "utf8",
  })
  expect(built.stderr).toBe("")
})
afterAll(() => rmSync(directory, { recursive: true }))

/** Runs the helper; the lines that it printed, and the filter. */
function ask(lines: readonly string[]): { readonly said: readonly string[]; readonly filter: Uint8Array } {
  const file = join(directory, "filter")
  const fd = openSync(file, "w+")
  const { status, stdout, stderr } = spawnSync(helper, {
    input: `${lines.join("\n")}\n`,
    encoding: "utf8",
    stdio: ["pipe", "pipe", "pipe", fd],
  })
  closeSync(fd)
  if (status !== 0) throw new Error(`libseccomp said ${status}: ${stderr}`)
  return { said: stdout.split("\n").filter(Boolean), filter: readFileSync(file) }
}

/** enum scmp_compare. */
const OPS: Readonly<Record<string, number>> = {
  SCMP_CMP_NE: 1,
  SCMP_CMP_LT: 2,
  SCMP_CMP_LE: 3,
  SCMP_CMP_EQ: 4,
  SCMP_CMP_GE: 5,
  SCMP_CMP_GT: 6,
  SCMP_CMP_MASKED_EQ: 7,
}
/** SCMP_ARCH_*: the audit number, but for x32, which has none of its own. */
const token = (arch: string): number => (arch === "SCMP_ARCH_X32" ? 0x4000003e : ABIS[arch]!.audit)
const returns = (action: string, errno = 1): number =>
  (ACTIONS[action]!.value | (ACTIONS[action]!.carries ? errno : 0)) >>> 0

/** As runc does: what equals the default is left out, and comparisons of one argument are rules of their own. */
function lines(policy: Seccomp): readonly string[] {
  const otherwise = returns(policy.defaultAction, policy.defaultErrnoRet)
  const rules = (policy.syscalls ?? []).flatMap(({ names, action, errnoRet, args = [] }) => {
    const value = returns(action, errnoRet)
    if (value === otherwise) return []
    const words = args.map(({ index, op, value, valueTwo = 0 }) => `${index} ${OPS[op]} ${value} ${valueTwo}`)
    const apart = new Set(args.map(({ index }) => index)).size < args.length
    return names.flatMap((name) => (apart ? words : [words.join(" ")]).map((word) => `rule ${value} ${name} ${word}`))
  })
  return [`default ${otherwise}`, ...(policy.architectures ?? []).map((arch) => `arch ${token(arch)}`), ...rules]
}

/** Calls that our tables have and this libseccomp is too old to know, on one of the three ABIs at least. */
let unknown: ReadonlySet<string> = new Set()
beforeAll(() => {
  const missing = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"].flatMap((arch) => {
    const names: string[] = []
    forEachCall(ABIS[arch]!.calls, (_, name) => names.push(name))
    const { said } = ask(names.map((name) => `number ${token(arch)} ${name}`))
    const resolved = new Set(said.map((line) => line.split(" ")[0]))
    // Those that are multiplexed on x86 have a number of libseccomp's own there.
    return names.filter((name) => !resolved.has(name) && !multiplexed.has(name))
  })
  unknown = new Set(missing)
})
const multiplexed = new Set(Object.values(MULTIPLEXED).flat())
const known = (policy: Seccomp): Seccomp => ({
  ...policy,
  syscalls: (policy.syscalls ?? []).map((rule) => ({
    ...rule,
    names: rule.names.filter((name) => !unknown.has(name)),
  })),
})

const X86_64 = 0xc000003e
const I386 = 0x40000003
const AARCH64 = 0xc00000b7
const NUMBERS = [
  ...Array.from({ length: 601 }, (_, number) => number),
  ...Array.from({ length: 601 }, (_, number) => 0x40000000 + number),
  983041,
  983045,
  0x3fffffff,
  0x7fffffff,
  0x80000000,
  0xbfffffff,
  0xc0000000,
  0xfffffffe,
  0xffffffff,
]

/** Numbers around every one that the policy compares with, in both halves. */
function interesting({ syscalls = [] }: Seccomp): readonly bigint[] {
  const values = syscalls.flatMap(({ args = [] }) =>
    args.flatMap(({ value, valueTwo = 0 }) => [BigInt(value), BigInt(valueTwo)]),
  )
  const around = [0n, ...values].flatMap((value) => [
    value - 1n,
    value,
    value + 1n,
    value | (1n << 32n),
    value | (0xffffffffn << 32n),
    value ^ (1n << 40n),
  ])
  return [...new Set(around.map((value) => BigInt.asUintN(64, value)))]
}

/** What both answer wherever they differ, and not for the one reason for which they should. */
function differences(policy: Seccomp): readonly string[] {
  const both = known(policy)
  const ours = classic(compileSeccomp(both, { arch: "x86_64" }).program)
  const theirs = classic(ask(lines(both)).filter)
  const otherwise = returns(policy.defaultAction, policy.defaultErrnoRet)
  const permits = ACTIONS[policy.defaultAction]?.permits === true
  const values = interesting(both)
  const looked = new Set(withArguments(both))
  const found: string[] = []
  for (const architecture of [X86_64, I386, AARCH64, 0])
    for (const number of NUMBERS) {
      // All six alike, then neighbours, then values of other rules. Where no rule looks at arguments, a few will do.
      const turns = looked.has(`${architecture} ${number}`) ? values.length * 3 : 3
      for (let turn = 0; turn < turns; turn++) {
        const args = Array.from(
          { length: 6 },
          (_, index) => values[(turn + index * [0, 1, 7][turn % 3]!) % values.length]!,
        )
        // The arguments of 32-bit calls have no high half.
        const call = {
          number,
          architecture,
          args: architecture === I386 ? args.map((value) => value & 0xffffffffn) : args,
        }
        const [our, their] = [ours(call), theirs(call)]
        if (our === their) continue
        // Deliberate, and as runc does in front of libseccomp's filter: a call above all that the policy names.
        if (our === NO_SUCH_CALL && their === otherwise && !permits && number > newest(both, architecture, number))
          continue
        // One example a number.
        found.push(
          `${architecture === I386 ? "i386" : "x86_64"} ${number} (${args.map((value) => `0x${value.toString(16)}`).join(", ")}): 0x${our.toString(16)}, not 0x${their.toString(16)}`,
        )
        break
      }
    }
  return found
}

/** `architecture number` of every call whose arguments the policy looks at, and of the two that look at which call is meant. */
function withArguments({ syscalls = [] }: Seccomp): readonly string[] {
  const names = new Set(syscalls.flatMap((rule) => (rule.args?.length ? rule.names : [])))
  return Object.values(ABIS).flatMap((abi) => {
    const numbers: string[] = []
    forEachCall(abi.calls, (number, name) => {
      if (names.has(name) || name in MULTIPLEXED) numbers.push(`${abi.audit} ${number + abi.offset}`)
    })
    return numbers
  })
}

/** The largest number that the policy names on an ABI. */
function newest({ syscalls = [] }: Seccomp, architecture: number, number: number): number {
  const abi =
    architecture === I386 ? ABIS.SCMP_ARCH_X86! : number >= 0x40000000 ? ABIS.SCMP_ARCH_X32! : ABIS.SCMP_ARCH_X86_64!
  const names = new Set(syscalls.flatMap((rule) => rule.names))
  let largest = -1
  forEachCall(abi.calls, (call, name, alias) => {
    if (names.has(name) || (alias !== undefined && names.has(alias))) largest = call
  })
  return largest + abi.offset
}

const ALL = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
const ORDINARY =
  "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
    .split(" ")
    .map((name) => `CAP_${name}`)

describe("every number of every ABI, with arguments around those of the rules", () => {
  const allow = (names: string[], ...args: NonNullable<SeccompRule["args"]>[number][]): SeccompRule => ({
    names,
    action: "SCMP_ACT_ALLOW",
    args,
  })
  const errno = (
    errnoRet: number,
    names: string[],
    ...args: NonNullable<SeccompRule["args"]>[number][]
  ): SeccompRule => ({ names, action: "SCMP_ACT_ERRNO", errnoRet, args })
  const policies: Readonly<Record<string, Seccomp>> = {
    "the default policy": defaultSeccomp({ capabilities: ORDINARY, arch: "x86_64", kernel: [6, 1] }),
    "the default policy without capabilities": defaultSeccomp({ capabilities: [], arch: "x86_64", kernel: [4, 4] }),
    "the default policy with CAP_SYS_ADMIN": defaultSeccomp({
      capabilities: [...ORDINARY, "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYSLOG"],
      arch: "x86_64",
      kernel: [6, 18],
    }),
    "a list of what is refused": {
      defaultAction: "SCMP_ACT_ALLOW",
      architectures: ALL,
      syscalls: [errno(1, ["keyctl", "socket", "shmget", "mount"]), errno(38, ["clone3"])],
    },
    "one ABI only, and what is killed": {
      defaultAction: "SCMP_ACT_KILL_PROCESS",
      architectures: ["SCMP_ARCH_X86_64"],
      syscalls: [allow(["read", "write", "exit_group"])],
    },
    "traced, logged, trapped": {
      defaultAction: "SCMP_ACT_LOG",
      architectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X86_64"],
      syscalls: [
        { names: ["open"], action: "SCMP_ACT_TRAP" },
        { names: ["openat"], action: "SCMP_ACT_TRACE", errnoRet: 7 },
        { names: ["close"], action: "SCMP_ACT_KILL_THREAD" },
        { names: ["kill"], action: "SCMP_ACT_LOG" },
      ],
    },
    "every comparison": {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ALL,
      syscalls: [
        allow(["read"], { index: 0, value: 5, op: "SCMP_CMP_EQ" }),
        allow(["write"], { index: 1, value: 5, op: "SCMP_CMP_NE" }),
        allow(["open"], { index: 2, value: 7, op: "SCMP_CMP_GT" }),
        allow(["close"], { index: 3, value: 7, op: "SCMP_CMP_GE" }),
        allow(["stat"], { index: 5, value: 7, op: "SCMP_CMP_LT" }),
        allow(["lseek"], { index: 0, value: 0xff00, valueTwo: 0x1200, op: "SCMP_CMP_MASKED_EQ" }),
      ],
    },
    "values of more than 32 bits, where arguments have 64": {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_X86_64"],
      syscalls: [
        allow(["read"], { index: 0, value: 0x1200000005, op: "SCMP_CMP_EQ" }),
        allow(["write"], { index: 1, value: 0x1200000005, op: "SCMP_CMP_NE" }),
        allow(["open"], { index: 2, value: 0x1200000005, op: "SCMP_CMP_GT" }),
        allow(["close"], { index: 3, value: 0x1200000005, op: "SCMP_CMP_GE" }),
        allow(["stat"], { index: 4, value: 0x1200000005, op: "SCMP_CMP_LE" }),
        allow(["fstat"], { index: 5, value: 0x1200000005, op: "SCMP_CMP_LT" }),
        allow(["lseek"], { index: 0, value: 0xff00000000f0, valueTwo: 0x120000000030, op: "SCMP_CMP_MASKED_EQ" }),
        allow(["mmap"], { index: 0, value: 0xff0000000000, valueTwo: 0x120000000000, op: "SCMP_CMP_MASKED_EQ" }),
      ],
    },
    "several arguments, several rules": {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ALL,
      syscalls: [
        allow(
          ["mmap"],
          { index: 0, value: 0, op: "SCMP_CMP_EQ" },
          { index: 2, value: 3, op: "SCMP_CMP_LT" },
          { index: 3, value: 2, op: "SCMP_CMP_NE" },
        ),
        allow(["read", "write"], { index: 0, value: 3, op: "SCMP_CMP_EQ" }),
        allow(["read", "write"], { index: 0, value: 9, op: "SCMP_CMP_EQ" }),
        allow(["read"], { index: 2, value: 4096, op: "SCMP_CMP_GT" }),
        // Two comparisons of one argument: alternatives.
        allow(["fcntl"], { index: 1, value: 1, op: "SCMP_CMP_EQ" }, { index: 1, value: 3, op: "SCMP_CMP_EQ" }),
      ],
    },
    "rules for one call that say different things": {
      defaultAction: "SCMP_ACT_KILL",
      architectures: ALL,
      syscalls: [
        errno(5, ["read"], { index: 0, value: 5, op: "SCMP_CMP_EQ" }),
        allow(["read"], { index: 0, value: 3, op: "SCMP_CMP_GT" }),
        errno(6, ["write"]),
        allow(["write"], { index: 0, value: 3, op: "SCMP_CMP_GT" }),
        allow(["open"], { index: 0, value: 3, op: "SCMP_CMP_GT" }),
        errno(7, ["open"]),
        errno(8, ["close"]),
        allow(["close"]),
        allow(["ioctl"], { index: 1, value: 1, op: "SCMP_CMP_EQ" }),
        errno(9, ["ioctl"], { index: 0, value: 1, op: "SCMP_CMP_EQ" }),
        allow(["lseek"], { index: 0, value: 7, op: "SCMP_CMP_LT" }),
        errno(9, ["lseek"], { index: 0, value: 3, op: "SCMP_CMP_LT" }),
        errno(10, ["lseek"], { index: 0, value: 5, op: "SCMP_CMP_EQ" }),
        allow(["dup2"], { index: 0, value: 3, op: "SCMP_CMP_GT" }),
        errno(9, ["dup2"], { index: 0, value: 7, op: "SCMP_CMP_GT" }),
        errno(10, ["dup2"], { index: 0, value: 20, op: "SCMP_CMP_LT" }),
        allow(["dup3"], { index: 0, value: 3, op: "SCMP_CMP_NE" }),
        errno(9, ["dup3"], { index: 0, value: 5, op: "SCMP_CMP_EQ" }),
      ],
    },
    "sockets of the 32-bit ABI, direct and through socketcall": {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ALL,
      syscalls: [
        allow(["connect", "semop", "shmat", "accept4", "recv"]),
        allow(["socket"], { index: 0, value: 40, op: "SCMP_CMP_NE" }),
        allow(["setsockopt"], { index: 2, value: 40, op: "SCMP_CMP_EQ" }),
      ],
    },
  }
  for (const [name, policy] of Object.entries(policies))
    test(name, () => expect(differences(policy)).toEqual([]), 120_000)
})

test("every name has libseccomp's number, on all five ABIs", () => {
  for (const [arch, abi] of Object.entries(ABIS)) {
    const numbers = new Map<string, number>()
    forEachCall(abi.calls, (number, name, alias) => {
      numbers.set(name, number + abi.offset)
      if (alias !== undefined) numbers.set(alias, number + abi.offset)
    })
    const { said } = ask([...numbers.keys()].map((name) => `number ${token(arch)} ${name}`))
    expect(said.length).toBeGreaterThan(280)
    expect(said.filter((line) => numbers.get(line.split(" ")[0]!) !== Number(line.split(" ")[1]))).toEqual([])
  }
})

test("our program for the default policy is the smaller one", () => {
  const policy = known(defaultSeccomp({ capabilities: ORDINARY, arch: "x86_64", kernel: [6, 1] }))
  expect(compileSeccomp(policy, { arch: "x86_64" }).program.length * 2).toBeLessThan(ask(lines(policy)).filter.length)
})
