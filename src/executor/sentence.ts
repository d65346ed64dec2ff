/**
 * Sentence: what the executor reports, (step, errno), in words.
 *
 *     failed 13 1 0 mount proc on /proc
 *            │  │ │ └ what the step was to do
 *            │  │ └ detail: what else is known, for exec only
 *            │  └ errno
 *            └ index of the step
 *
 *     cannot mount proc on /proc: operation not permitted (EPERM, step 14 of 37)
 *
 * The kernel has some 130 errnos for everything that can go wrong, so a call reuses the nearest one: ENOSPC of mount(2) is not about the
 * disk. MEANING has the rows where the usual word would send people the wrong way; elsewhere strerror(3) is fine. A program that
 * cannot be run is not a failure of the engine: it has Docker's exit codes, 126 and 127, and no step number.
 *
 * Read on: errno.ts, do.ts, spawn.ts. native/executor.h, struct failure.
 */

import { EngineError } from "../base/errors.ts"
import { signalName } from "../base/signals.ts"
import type { Errno, OpName, Plan } from "../plan/step.ts"
import { errnoName, errnoWords } from "./errno.ts"

/** A failed step as the executor tells it. */
export interface Failure {
  /** Of the step in the plan. */
  readonly index: number
  readonly errno: number
  /** Of `exec`: for ENOEXEC the e_machine of the file, NO_FORMAT if it is no program at all; else one of EXEC_DETAIL. Of EOWNERDEAD: the signal. 0: nothing more is known. */
  readonly detail: number
  /** The step's own words: an infinitive. */
  readonly does: string
}

/** What the words need to know of the plan: the ops of its steps, and the program. */
export interface Told {
  readonly ops: readonly string[]
  /** The program that `exec` was to run. Empty: the plan runs none. */
  readonly program: string
}

/** The same plan in a few words: what `failed` in a plan's frame carries, so that the command can speak after it was replaced. */
export function toldOf(plan: Pick<Plan, "steps">): Told {
  const exec = plan.steps.findLast((step) => step.op === "exec")
  return { ops: plan.steps.map(({ op }) => op), program: exec?.op === "exec" ? (exec.argv[0] ?? "") : "" }
}
/** As two words of an argv. */
export const toldWords = ({ ops, program }: Told): readonly [string, string] => [ops.join(","), program]
export const toldFrom = (ops: string, program: string): Told => ({ ops: ops.split(","), program })

interface Meaning {
  readonly cause: string
  readonly hint?: string
}
/** Where the kernel's usual words send people the wrong way. */
const MEANING: Readonly<Partial<Record<`${OpName} ${Errno | OtherErrno}`, Meaning>>> = {
  "hold-port EADDRINUSE": {
    cause: "a program on this host has it",
    hint: "ss -lnp tells which; choose another port, or leave it out: -p CONTAINER-PORT",
  },
  "hold-port EADDRNOTAVAIL": { cause: "this host does not have the address" },
  "hold-port EACCES": { cause: "it is below 1024, and we have no CAP_NET_BIND_SERVICE" },
  "netlink EOPNOTSUPP": {
    cause: "this kernel cannot do it",
    hint: "modprobe bridge veth nf_tables nft_fib_inet nft_masq, or use --network none",
  },
  "new-mount ENODEV": {
    cause: "this kernel does not know the file system",
    hint: "load its module, or leave the mount out",
  },
  "new-mount EPERM": {
    cause: "not allowed in this user namespace",
    hint: "try --userns host, or share fewer namespaces with the host",
  },
  "new-mount ENOSPC": { cause: "too many mounts", hint: "raise /proc/sys/fs/mount-max; the disk is not full" },
  "new-mount EINVAL": { cause: "the file system does not take one of the options" },
  "attach-mount ENOSPC": { cause: "too many mounts", hint: "raise /proc/sys/fs/mount-max; the disk is not full" },
  "attach-mount ENOENT": { cause: "the place to mount on does not exist" },
  "attach-mount EINVAL": { cause: "one is a directory and the other a file" },
  "attach-mount ENOTDIR": { cause: "one is a directory and the other a file, or the place does not exist" },
  "clone-mount EINVAL": {
    cause: "this file system cannot be shown with other owners, or is not mounted here",
    hint: "try --userns host",
  },
  "clone-mount EPERM": { cause: "this mount may not be shown with other owners", hint: "try --userns host" },
  "clone-mount ENOENT": { cause: "the source does not exist" },
  "overlay ELOOP": {
    cause: "a directory is used twice, or lies inside another",
    hint: "keep layers, upper and work apart",
  },
  "overlay EINVAL": {
    cause: "the state root's file system cannot hold the changes of an overlay",
    hint: "choose a --root on ext4, xfs, btrfs or tmpfs, not on an overlay or a network share",
  },
  "overlay ENODEV": { cause: "this kernel has no overlay file system", hint: "modprobe overlay" },
  "overlay ESTALE": { cause: "the directory for changes belongs to another overlay" },
  "clone ENOSPC": {
    cause: "too many namespaces",
    hint: "raise the limits in /proc/sys/user, or do without user namespaces: --userns host; the disk is not full",
  },
  "clone EUSERS": { cause: "there are too many user namespaces, one in another", hint: "--userns host" },
  "clone EINVAL": {
    cause: "this kernel lacks one of the namespaces",
    hint: "if it is the user namespace: --userns host",
  },
  "clone EPERM": {
    cause: "namespaces may not be made here",
    hint: "the engine needs root and CAP_SYS_ADMIN; where only user namespaces are forbidden: --userns host",
  },
  "clone ENOSYS": {
    cause: "clone3 is not allowed here",
    hint: "in a container, start that one with --privileged or --security-opt seccomp=unconfined",
  },
  "clone EAGAIN": {
    cause: "too many processes",
    hint: "raise the limit of processes of this user or of this control group",
  },
  "clone EBUSY": { cause: "the control group holds processes and hands controllers on, which v2 does not allow" },
  "map-ids EINVAL": { cause: "the ids overlap, or are not valid" },
  "map-ids EPERM": { cause: "these ids may not be mapped", hint: "the engine needs CAP_SETUID and CAP_SETGID" },
  "attach-cgroup ENOSPC": {
    cause: "the group has no CPUs or no memory nodes",
    hint: "check --cpuset-cpus and --cpuset-mems; the disk is not full",
  },
  "attach-self EINVAL": {
    cause: "the group has no budget for a real-time process",
    hint: "set linux.resources.cpu.realtimeRuntime, of the groups above too",
  },
  "attach-cgroup EBUSY": { cause: "the control group has groups below it that use controllers" },
  "write EBUSY": { cause: "the value is below what is in use, or the group holds processes" },
  "write EINVAL": { cause: "the kernel does not take this value" },
  "write ERANGE": { cause: "the value is out of the kernel's range" },
  "write ENOENT": { cause: "this host's kernel has no such setting" },
  "rlimit EPERM": {
    cause: "our own limit is lower, and raising it needs CAP_SYS_RESOURCE",
    hint: "choose a smaller --ulimit",
  },
  "device-program EPERM": {
    cause: "device rules may not be loaded here",
    hint: "the engine needs CAP_BPF, or CAP_SYS_ADMIN",
  },
  "device-program ENOSYS": { cause: "this kernel has no BPF device rules (CONFIG_CGROUP_BPF)" },
  "netlink EPERM": {
    cause: "network interfaces may not be changed here",
    hint: "the engine needs CAP_NET_ADMIN; --network host does without",
  },
  "seccomp EINVAL": { cause: "the kernel does not take this filter", hint: "check --security-opt seccomp=FILE" },
  "claim ENOENT": { cause: "it was removed in the meantime" },
  "hook ENOENT": { cause: "there is no such program, or its interpreter is missing" },
  "hook EACCES": { cause: "it may not be executed" },
  "hook ECANCELED": { cause: "it failed" },
  "hook ETIMEDOUT": { cause: "it took longer than its timeout, and was killed" },
  "pivot EINVAL": { cause: "the new root is not a mount, or the old one is shared" },
  "chdir ENOENT": { cause: "the working directory does not exist in the container" },
  "chdir ENOTDIR": { cause: "the working directory is a file in the container" },
  "mount-point ENOTDIR": { cause: "a part of the path is a file" },
  "mount-point ELOOP": { cause: "the path runs in a circle of symbolic links, or leads outside" },
  "open-process ESRCH": { cause: "the process has ended" },
  "take-terminal EPERM": { cause: "the terminal belongs to another session" },
}
/** Errnos that no plan lists in `ok`. */
type OtherErrno = "EUSERS" | "EAGAIN" | "ESTALE" | "ERANGE" | "ECANCELED" | "EADDRINUSE" | "EADDRNOTAVAIL"

/** `e_machine` of an ELF file: whom it was made for. @see elf(5), Linux include/uapi/linux/elf-em.h */
const MACHINE: Readonly<Record<number, string>> = {
  2: "sparc",
  3: "i386",
  8: "mips",
  20: "powerpc",
  21: "powerpc64",
  22: "s390x",
  40: "arm",
  42: "sh",
  43: "sparc64",
  50: "ia64",
  62: "x86_64",
  183: "aarch64",
  243: "riscv64",
  258: "loongarch64",
}
/** In place of an e_machine: neither ELF nor a `#!` line. */
export const NO_FORMAT = 0xffff
/** `detail` of exec for other errnos than ENOEXEC. */
export const EXEC_DETAIL = { directory: 1, interpreter: 2 } as const

const SIGKILL = 9
const ENOENT = 2
const ENOEXEC = 8
const EACCES = 13
const ENOTDIR = 20

/**
 * The error for a failed step.
 * @returns `STEP_FAILED`; for a program that cannot be run `COMMAND_NOT_FOUND` or `COMMAND_NOT_EXECUTABLE`.
 */
export function stepError({ index, errno, detail, does }: Failure, { ops, program }: Told): EngineError {
  const name = errnoName(errno)
  // No call failed: the process that was to make it is dead. The detail is the signal.
  if (name === "EOWNERDEAD")
    return new EngineError(
      "STEP_FAILED",
      `cannot ${does}: the container's process was killed${detail ? ` by ${signalName(detail)}` : ""} (${name}, step ${index + 1} of ${ops.length})`,
      detail === SIGKILL ? "if nobody did it, the kernel did, for want of memory: raise --memory" : undefined,
    )
  if (ops[index] === "exec") return execError(program, errno, detail)
  const meaning = MEANING[`${ops[index]} ${name}` as keyof typeof MEANING]
  const ended = name === "ECANCELED" && detail > 0
  const cause = ended
    ? detail > 128
      ? `it was ended by ${signalName(detail - 128)}`
      : `it ended with ${detail}`
    : (meaning?.cause ?? errnoWords(errno))
  return new EngineError(
    "STEP_FAILED",
    `cannot ${does}: ${cause} (${name}, step ${index + 1} of ${ops.length})`,
    meaning?.hint,
  )
}

/** A warning: the step was not a must, and the plan went on. */
export function stepWarning({ index, errno }: Pick<Failure, "index" | "errno">, plan: Pick<Plan, "steps">): string {
  const step = plan.steps[index]
  const name = errnoName(errno)
  const cause = MEANING[`${step?.op} ${name}` as keyof typeof MEANING]?.cause ?? errnoWords(errno)
  return `cannot ${step?.does ?? `do step ${index + 1}`}: ${cause} (${name})`
}

function execError(program: string, errno: number, detail: number): EngineError {
  const no = (code: "COMMAND_NOT_FOUND" | "COMMAND_NOT_EXECUTABLE", cause: string, hint?: string) =>
    new EngineError(code, `cannot run ${JSON.stringify(program)}: ${cause}`, hint)
  if (errno === ENOENT && detail === EXEC_DETAIL.interpreter)
    return no(
      "COMMAND_NOT_FOUND",
      "it is there, but the interpreter that it asks for is not",
      "a script names it in its first line (#!), a program is linked with a loader: is it in the container?",
    )
  if (errno === ENOENT || errno === ENOTDIR)
    return program.includes("/")
      ? no("COMMAND_NOT_FOUND", "no such file in the container")
      : no("COMMAND_NOT_FOUND", "not found in the container's PATH")
  if (errno === EACCES && detail === EXEC_DETAIL.directory) return no("COMMAND_NOT_EXECUTABLE", "is a directory")
  if (errno === EACCES)
    return no(
      "COMMAND_NOT_EXECUTABLE",
      "permission denied: the file is not executable",
      "chmod +x it, or name its interpreter first",
    )
  if (errno === ENOEXEC && detail === NO_FORMAT)
    return no(
      "COMMAND_NOT_EXECUTABLE",
      "it is neither a program nor a script with a #! line",
      "run it with its interpreter: sh FILE",
    )
  if (errno === ENOEXEC && MACHINE[detail] !== undefined)
    return no(
      "COMMAND_NOT_EXECUTABLE",
      `it is made for another processor (${MACHINE[detail]})`,
      "use an image for this machine's processor",
    )
  return no("COMMAND_NOT_EXECUTABLE", `${errnoWords(errno)} (${errnoName(errno)})`)
}
