/**
 * The words of a seccomp policy and their numbers in the kernel: actions, comparisons, flags, architectures, and the two
 * system calls of the 32-bit x86 that stand for many.
 * @see OCI runtime-spec config-linux.md "Seccomp", Linux include/uapi/linux/seccomp.h, include/uapi/linux/audit.h
 */

import { SYSCALLS } from "./seccomp-syscalls.ts"

/** SECCOMP_RET_*. `carries`: the low 16 bits are the rule's errnoRet, EPERM if it has none. */
export const ACTIONS: Readonly<Record<string, { readonly value: number; readonly carries?: true; readonly permits?: true }>> = {
  SCMP_ACT_KILL: { value: 0x00000000 },
  SCMP_ACT_KILL_THREAD: { value: 0x00000000 },
  SCMP_ACT_KILL_PROCESS: { value: 0x80000000 },
  SCMP_ACT_TRAP: { value: 0x00030000 },
  SCMP_ACT_ERRNO: { value: 0x00050000, carries: true },
  SCMP_ACT_NOTIFY: { value: 0x7fc00000 },
  SCMP_ACT_TRACE: { value: 0x7ff00000, carries: true, permits: true },
  SCMP_ACT_LOG: { value: 0x7ffc0000, permits: true },
  SCMP_ACT_ALLOW: { value: 0x7fff0000, permits: true },
}
export const KILL_THREAD = 0x00000000
export const EPERM = 1
/** SECCOMP_RET_ERRNO with ENOSYS. */
export const NO_SUCH_CALL = 0x00050026

/**
 * What to compare, and how. libseccomp tries the rules of one call by their first argument, 5 to 0, and on one argument by
 * `rank`, 3 to 1.
 * `inverted`: the comparison holds where `test` does not.
 */
export const COMPARISONS: Readonly<Record<string, { readonly test: "eq" | "gt" | "ge" | "masked"; readonly inverted?: true; readonly rank: number }>> = {
  SCMP_CMP_EQ: { test: "eq", rank: 3 },
  SCMP_CMP_NE: { test: "eq", inverted: true, rank: 3 },
  SCMP_CMP_GT: { test: "gt", rank: 1 },
  SCMP_CMP_GE: { test: "ge", rank: 1 },
  SCMP_CMP_LE: { test: "gt", inverted: true, rank: 2 },
  SCMP_CMP_LT: { test: "ge", inverted: true, rank: 2 },
  SCMP_CMP_MASKED_EQ: { test: "masked", rank: 3 },
}

/** SECCOMP_FILTER_FLAG_*. TSYNC has no bit here: the process that loads the filter has one thread. */
export const FLAGS: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 0,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 32,
}
export const NEW_LISTENER = 8
export const WAIT_KILLABLE_RECV = 32

/** `bits`: how much of an argument libseccomp compares. `offset`: what is added to a number of the table. */
export interface Abi {
  readonly calls: keyof typeof SYSCALLS
  readonly audit: number
  readonly bits: 32 | 64
  readonly offset: number
  readonly host: "x86_64" | "aarch64"
}
/** x32 is x86_64 with this bit in the number. */
export const X32 = 0x40000000
const X86_64: Abi = { calls: "x86_64", audit: 0xc000003e, bits: 64, offset: 0, host: "x86_64" }
const AARCH64: Abi = { calls: "aarch64", audit: 0xc00000b7, bits: 64, offset: 0, host: "aarch64" }
export const ABIS: Readonly<Record<string, Abi>> = {
  SCMP_ARCH_X86_64: X86_64,
  SCMP_ARCH_X86: { calls: "x86", audit: 0x40000003, bits: 32, offset: 0, host: "x86_64" },
  SCMP_ARCH_X32: { calls: "x32", audit: 0xc000003e, bits: 32, offset: X32, host: "x86_64" },
  SCMP_ARCH_AARCH64: AARCH64,
  SCMP_ARCH_ARM: { calls: "arm", audit: 0x40000028, bits: 32, offset: 0, host: "aarch64" },
}
export const NATIVE = { x86_64: X86_64, aarch64: AARCH64 } as const

/** In the specification, but never on our hosts: a policy may name them, and no process can be of their kind. */
export const FOREIGN: ReadonlySet<string> = new Set(
  "LOONGARCH64 M68K MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PARISC PARISC64 PPC PPC64 PPC64LE RISCV64 S390 S390X SH SHEB"
    .split(" ")
    .map((name) => `SCMP_ARCH_${name}`),
)

/** Numbers from here on are the ARM's own calls (breakpoint, cacheflush …): far above, and none of them new. */
export const ARM_PRIVATE = 0x0f0000

/**
 * On 32-bit x86 sockets and System V IPC were one call each, `socketcall(which, …)` and `ipc(which, …)`; direct calls came
 * later. A rule for `connect` must hold for both. The index in each list is `which`.
 */
export const MULTIPLEXED: Readonly<Record<string, readonly string[]>> = {
  socketcall:
    "- socket bind connect listen accept getsockname getpeername socketpair send recv sendto recvfrom shutdown setsockopt getsockopt sendmsg recvmsg accept4 recvmmsg sendmmsg".split(" "),
  ipc: "- semop semget semctl semtimedop - - - - - - msgsnd msgrcv msgget msgctl - - - - - - shmat shmdt shmget shmctl".split(" "),
}

const AT = "@".charCodeAt(0)

/** Every call of an ABI in the order of its numbers, which come without the ABI's offset. */
export function forEachCall(calls: keyof typeof SYSCALLS, visit: (number: number, name: string, alias?: string) => void): void {
  let number = 0
  for (const word of SYSCALLS[calls].split(" ")) {
    if (word.charCodeAt(0) === AT) {
      number = Number(word.slice(1))
      continue
    }
    const equals = word.indexOf("=")
    if (equals === -1) visit(number++, word)
    else visit(number++, word.slice(0, equals), word.slice(equals + 1))
  }
}
