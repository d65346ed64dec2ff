/**
 * Seccomp: which system calls a process may make.
 *
 * The kernel runs a small program (formats/bpf) on every call: it sees the number, the ABI and the six arguments, not
 * what pointers point to, and returns an action. A policy in config.json is a list of names; here it becomes that program:
 *
 *     arch ── x86_64 ── number < 120 ── number < 60 ── … allow, EPERM, or look at the arguments
 *         │                        └─── number < 200 …
 *         ├── i386 …               numbers with equal answers in a row are one leaf of a binary tree
 *         └── any other: kill      numbers above every one that the policy names: ENOSYS
 *
 * ENOSYS for what is newer than the policy is what makes a C library try the older call; EPERM would make it give up.
 * A number means another call on another ABI, so each ABI has a tree of its own.
 *
 * The rule that holds: a policy means what libseccomp and runc make of it (seccomp-rules.ts), for the files are written for them.
 *
 * A filter cannot be taken off again, and loading one needs no_new_privs or CAP_SYS_ADMIN.
 * Read on: formats/bpf/filter.ts, seccomp-rules.ts, seccomp-tables.ts, spec/seccomp-default.ts. Linux man-pages seccomp(2).
 */

import { EngineError } from "../base/errors.ts"
import { ARCHITECTURE, Assembler, encode, MOST_INSTRUCTIONS, NUMBER } from "../formats/bpf/classic.ts"
import { merge, type Range, tree } from "../formats/bpf/filter.ts"
import type { Host } from "../model/host.ts"
import type { Seccomp } from "../model/oci.ts"
import { actionOf, invalid, rangesOf, rulesOf } from "./seccomp-rules.ts"
import {
  ABIS,
  type Abi,
  ACTIONS,
  FLAGS,
  FOREIGN,
  KILL_THREAD,
  NATIVE,
  NEW_LISTENER,
  NO_SUCH_CALL,
  WAIT_KILLABLE_RECV,
  X32,
} from "./seccomp-tables.ts"
import type { Step } from "./step.ts"

/** What the kernel takes: struct sock_filter[], and SECCOMP_FILTER_FLAG_*. */
export interface Compiled {
  readonly program: Uint8Array
  readonly flags: number
}

/**
 * Phase start: before capabilities are dropped, or last with no_new_privs: plan.ts decides.
 * @param compiled the policy's program, if somebody has kept it.
 */
export function seccomp(policy: Seccomp | undefined, host: Pick<Host, "arch">, compiled?: Compiled): readonly Step[] {
  if (policy === undefined) return []
  const { program, flags } = compiled ?? compileSeccomp(policy, host)
  if (flags & NEW_LISTENER)
    throw new EngineError(
      "UNSUPPORTED",
      "cannot load the seccomp policy: SCMP_ACT_NOTIFY needs an agent that answers, and this engine does not hand it the listener",
      "use SCMP_ACT_ERRNO for these calls",
    )
  const allowed =
    policy.syscalls?.reduce((sum, rule) => sum + (rule.action === "SCMP_ACT_ALLOW" ? rule.names.length : 0), 0) ?? 0
  return [
    {
      phase: "start",
      op: "seccomp",
      program,
      flags,
      does: `load the system call filter (${program.length / 8} instructions${allowed > 0 ? `, ${allowed} calls by name` : ""})`,
      why: "what the program never needs is refused before the kernel's code for it runs",
    },
  ]
}

/**
 * The program of a policy, and the flags for seccomp(2).
 * @throws {EngineError} `INVALID_CONFIG` for an action, comparison, flag or architecture that does not exist,
 *   `UNSUPPORTED` for a program over 4096 instructions.
 */
export function compileSeccomp(policy: Seccomp, host: Pick<Host, "arch">): Compiled {
  const otherwise = actionOf(policy.defaultAction, policy.defaultErrnoRet, () => "defaultAction")
  const newest = ACTIONS[policy.defaultAction]?.permits ? otherwise : NO_SUCH_CALL
  const rules = rulesOf(policy)
  const out = new Assembler()
  const other = out.returning(KILL_THREAD)
  const abis = abisOf(policy.architectures ?? [], host.arch)
  // One entry for each value of `arch`; x32 shares x86_64's.
  const entries = Map.groupBy(abis, ({ audit }) => audit)
  const blocks = [...entries].map(([audit, group]) => {
    const ranges = merge(
      withoutX32(
        group,
        group.flatMap((abi) => rangesOf(abi, rules, otherwise, newest)),
        otherwise,
      ),
    )
    const only = ranges.length === 1 ? ranges[0]?.[1] : undefined
    return { audit, ranges, label: typeof only === "number" ? out.returning(only) : out.label() }
  })
  out.load(ARCHITECTURE)
  blocks.forEach(({ audit, label }, index) => {
    const next = index === blocks.length - 1 ? other : out.label()
    out.jump("eq", audit, label, next)
    if (next !== other) out.place(next)
  })
  for (const { ranges, label } of blocks) {
    if (ranges.length === 1 && typeof ranges[0]?.[1] === "number") continue
    out.place(label)
    out.load(NUMBER)
    tree(out, ranges, otherwise)
  }
  const program = out.instructions()
  if (program.length > MOST_INSTRUCTIONS)
    throw new EngineError(
      "UNSUPPORTED",
      `cannot compile the seccomp policy: it takes ${program.length} instructions, the kernel allows ${MOST_INSTRUCTIONS}`,
      "use fewer rules with arguments",
    )
  const notifies = [policy, ...(policy.syscalls ?? [])].some(
    (one) => ("action" in one ? one.action : one.defaultAction) === "SCMP_ACT_NOTIFY",
  )
  return { program: encode(program), flags: flagsOf(policy, notifies) }
}

function abisOf(names: readonly string[], arch: Host["arch"]): readonly Abi[] {
  const abis = new Set<Abi>([NATIVE[arch]])
  for (const name of names) {
    const abi = ABIS[name]
    if (abi?.host === arch) abis.add(abi)
    else if (abi === undefined && !FOREIGN.has(name)) throw invalid(`${JSON.stringify(name)} is no architecture`)
  }
  // In the order of their numbers, for x86_64 and x32 are ranges of one tree.
  return [...abis].sort((a, b) => a.offset - b.offset)
}

function flagsOf({ flags }: Seccomp, notifies: boolean): number {
  // As runc: a policy that says nothing gets SPEC_ALLOW, which spares old kernels a slow mitigation.
  let bits = flags === undefined ? FLAGS.SECCOMP_FILTER_FLAG_SPEC_ALLOW! : 0
  for (const flag of flags ?? []) {
    const bit = FLAGS[flag]
    if (bit === undefined)
      throw invalid(`${JSON.stringify(flag)} is no flag`, `one of ${Object.keys(FLAGS).join(", ")}`)
    bits |= bit
  }
  return notifies ? bits | NEW_LISTENER : bits & ~WAIT_KILLABLE_RECV
}

/** Without x32 in the policy its numbers are refused as an unknown ABI's; -1, which debuggers make, is no call at all. */
function withoutX32(group: readonly Abi[], ranges: readonly Range[], otherwise: number): readonly Range[] {
  if (group.length !== 1 || group[0] !== NATIVE.x86_64) return ranges
  return [...ranges.filter(([from]) => from < X32), [X32, KILL_THREAD], [0xffffffff, otherwise]]
}
