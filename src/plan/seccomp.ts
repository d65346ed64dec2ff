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
 * The rules that hold, libseccomp's and runc's, for config.json files are written for them: a rule without arguments beats
 * every rule with some; the first of several without wins; a rule whose action is the default action counts for nothing;
 * two comparisons of one argument in one rule are two rules. A name that the ABI does not have is passed over.
 *
 * A filter cannot be taken off again, and loading one needs no_new_privs or CAP_SYS_ADMIN.
 * Read on: formats/bpf/classic.ts, seccomp-tables.ts, spec/seccomp-default.ts. Linux man-pages seccomp(2).
 */

import { EngineError } from "../base/errors.ts"
import { ARCHITECTURE, Assembler, argument, encode, type Label, MOST_INSTRUCTIONS, NUMBER } from "../formats/bpf/classic.ts"
import type { Host } from "../model/host.ts"
import type { Seccomp, SeccompArg } from "../model/oci.ts"
import { ABIS, ACTIONS, ARM_PRIVATE, type Abi, COMPARISONS, EPERM, FLAGS, FOREIGN, forEachCall, KILL_THREAD, MULTIPLEXED, NATIVE, NEW_LISTENER, NO_SUCH_CALL, WAIT_KILLABLE_RECV, X32 } from "./seccomp-tables.ts"
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
export function seccomp(policy: Seccomp, host: Pick<Host, "arch">, compiled: Compiled = compileSeccomp(policy, host)): readonly Step[] {
  const { program, flags } = compiled
  if (flags & NEW_LISTENER)
    throw new EngineError("UNSUPPORTED", "cannot load the seccomp policy: SCMP_ACT_NOTIFY needs an agent that answers, and this engine does not hand it the listener", "use SCMP_ACT_ERRNO for these calls")
  const allowed = policy.syscalls?.reduce((sum, rule) => sum + (rule.action === "SCMP_ACT_ALLOW" ? rule.names.length : 0), 0) ?? 0
  return [
    {
      phase: "start", op: "seccomp", program, flags,
      does: `load the system call filter (${program.length / 8} instructions${allowed > 0 ? `, ${allowed} calls by name` : ""})`,
      why: "what the program never needs is refused before the kernel's code for it runs",
    },
  ]
}

/** A 64-bit number, for the machine of BPF has 32. */
interface Halves {
  readonly high: number
  readonly low: number
}
/** One comparison of an argument, of its bits in `mask`. `test` is `eq` where not all bits count. */
interface Comparison {
  readonly index: number
  readonly test: "eq" | "gt" | "ge"
  readonly inverted: boolean
  readonly rank: number
  readonly mask: Halves
  readonly value: Halves
}
interface Rule {
  readonly action: number
  readonly comparisons: readonly Comparison[]
}
/** With its place in the policy. */
type Ordered = Rule & { readonly order: number }
type Rules = ReadonlyMap<string, readonly Ordered[]>
/** What one number of an ABI does: an answer, or rules that are tried in their order. */
type Answer = number | readonly Rule[]
/** From this number on, up to the next range. */
type Range = readonly [from: number, answer: Answer]

const ALL: Halves = { high: 0xffffffff, low: 0xffffffff }
const halves = (number: number): Halves => ({ high: Math.floor(number / 2 ** 32), low: number >>> 0 })
const both = (a: Halves, b: Halves): Halves => ({ high: (a.high & b.high) >>> 0, low: (a.low & b.low) >>> 0 })

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
    const ranges = merge(withoutX32(group, group.flatMap((abi) => rangesOf(abi, rules, otherwise, newest)), otherwise))
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
    throw new EngineError("UNSUPPORTED", `cannot compile the seccomp policy: it takes ${program.length} instructions, the kernel allows ${MOST_INSTRUCTIONS}`, "use fewer rules with arguments")
  const notifies = policy.syscalls?.some(({ action }) => action === "SCMP_ACT_NOTIFY") ?? false
  return { program: encode(program), flags: flagsOf(policy, notifies) }
}

function actionOf(name: string, errno: number | undefined, where: () => string): number {
  const action = ACTIONS[name]
  if (action === undefined) throw invalid(`${where()} is ${JSON.stringify(name)}, which is no action`, `one of ${Object.keys(ACTIONS).join(", ")}`)
  if (errno !== undefined && !action.carries) throw invalid(`${where()} is ${name}, which takes no errnoRet`)
  if (errno !== undefined && !(Number.isInteger(errno) && errno >= 0 && errno <= 0xffff)) throw invalid(`${where()} has the errnoRet ${errno}, which is no errno`)
  return action.carries ? (action.value | (errno ?? EPERM)) >>> 0 : action.value
}

function rulesOf({ syscalls = [] }: Seccomp): Rules {
  const rules = new Map<string, Ordered[]>()
  syscalls.forEach(({ names, action, errnoRet, args }, order) => {
    const value = actionOf(action, errnoRet, () => `the action for ${names.join(", ")}`)
    const made = split((args ?? []).map((arg) => comparison(arg, names))).map((comparisons): Ordered => ({ action: value, comparisons, order }))
    for (const name of names) {
      const known = rules.get(name)
      if (known) known.push(...made)
      else rules.set(name, [...made])
    }
  })
  return rules
}

function comparison({ index, value, valueTwo = 0, op }: SeccompArg, names: readonly string[]): Comparison {
  const row = COMPARISONS[op]
  const where = (): string => `a rule for ${names.join(", ")}`
  if (row === undefined) throw invalid(`${where()} compares by ${JSON.stringify(op)}`, `one of ${Object.keys(COMPARISONS).join(", ")}`)
  if (!(Number.isInteger(index) && index >= 0 && index <= 5)) throw invalid(`${where()} has the argument ${index}; a system call has 0 to 5`)
  for (const number of [value, valueTwo])
    if (!Number.isSafeInteger(number) || number < 0) throw invalid(`${where()} has the value ${number}, which is not a whole number below 2^53`)
  const mask = row.test === "masked" ? halves(value) : ALL
  const against = row.test === "masked" ? both(halves(valueTwo), mask) : halves(value)
  return { index, test: row.test === "masked" ? "eq" : row.test, inverted: row.inverted ?? false, rank: row.rank, mask, value: against }
}

/** Comparisons of different arguments must all hold; as soon as two are of one argument, each is a rule of its own. */
function split(comparisons: readonly Comparison[]): readonly (readonly Comparison[])[] {
  const different = new Set(comparisons.map(({ index }) => index)).size
  return different < comparisons.length ? comparisons.map((each) => [each]) : [comparisons.toSorted((a, b) => a.index - b.index)]
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
  let bits = flags === undefined ? FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]! : 0
  for (const flag of flags ?? []) {
    const bit = FLAGS[flag]
    if (bit === undefined) throw invalid(`${JSON.stringify(flag)} is no flag`, `one of ${Object.keys(FLAGS).join(", ")}`)
    bits |= bit
  }
  return notifies ? bits | NEW_LISTENER : bits & ~WAIT_KILLABLE_RECV
}

const invalid = (cause: string, hint?: string): EngineError => new EngineError("INVALID_CONFIG", `cannot compile the seccomp policy: ${cause}`, hint)

/** Without x32 in the policy its numbers are refused as an unknown ABI's; -1, which debuggers make, is no call at all. */
function withoutX32(group: readonly Abi[], ranges: readonly Range[], otherwise: number): readonly Range[] {
  if (group.length !== 1 || group[0] !== NATIVE.x86_64) return ranges
  return [...ranges.filter(([from]) => from < X32), [X32, KILL_THREAD], [0xffffffff, otherwise]]
}

/** Where the answer changes, over all numbers of an ABI, from its lowest number up. */
function rangesOf(abi: Abi, rules: Rules, otherwise: number, newest: number): readonly Range[] {
  const ranges: Range[] = []
  let next = 0
  let last = -1
  forEachCall(abi.calls, (number, name, alias) => {
    const found = rulesFor(rules, abi, name, alias)
    if (found === undefined) return
    if (number < ARM_PRIVATE) last = number
    const answer = answerOf(found, abi, otherwise)
    if (answer === otherwise) return
    if (number > next) ranges.push([next + abi.offset, otherwise])
    ranges.push([number + abi.offset, answer])
    next = number + 1
  })
  // Numbers above the last one that the policy names, and not the ARM's own.
  const above = last + 1
  if (last === -1 || newest === otherwise) ranges.push([next + abi.offset, otherwise])
  else if (next <= above) {
    if (next < above) ranges.push([next + abi.offset, otherwise])
    ranges.push([above + abi.offset, newest])
  } else {
    const gap = ranges.findIndex(([from]) => from >= above)
    ranges.splice(gap, 0, [above, newest])
    ranges.push([next, newest])
  }
  return ranges
}

/** In the policy's order. On 32-bit x86 the rules for `connect` hold for its direct call, and for socketcall with its argument. */
function rulesFor(rules: Rules, abi: Abi, name: string, alias: string | undefined): readonly Ordered[] | undefined {
  const found = rules.get(name)
  const more = alias === undefined ? undefined : rules.get(alias)
  const many = abi.calls === "x86" ? MULTIPLEXED[name] : undefined
  if (more === undefined && many === undefined) return found
  const through = (many ?? []).flatMap((direct, which) =>
    (rules.get(direct) ?? []).map((rule) => {
      const chosen: Comparison = { index: 0, test: "eq", inverted: false, rank: 3, mask: ALL, value: halves(which) }
      return { ...rule, comparisons: [chosen, ...rule.comparisons.filter(({ index }) => index !== 0)] }
    }),
  )
  const all = [...(found ?? []), ...(more ?? []), ...through].sort((a, b) => a.order - b.order)
  return all.length === 0 ? undefined : all
}

/** What the rules for one call come to. */
function answerOf(rules: readonly Ordered[], abi: Abi, otherwise: number): Answer {
  const [first] = rules
  if (first?.comparisons.length === 0) return first.action
  const some: Rule[] = []
  for (const rule of rules) {
    if (rule.action === otherwise) continue
    const needed = narrow(rule.comparisons, abi.bits)
    if (needed?.length === 0) return rule.action
    if (needed !== undefined) some.push({ action: rule.action, comparisons: needed })
  }
  return some.length === 0 ? otherwise : inOrder(some)
}

/** What must be compared where arguments have this many bits: nothing if the rule always holds, undefined if it never does. */
function narrow(comparisons: readonly Comparison[], bits: 32 | 64): readonly Comparison[] | undefined {
  const needed: Comparison[] = []
  for (const each of comparisons) {
    if (bits === 32 && each.value.high !== 0) {
      if (!each.inverted) return undefined
    } else if (each.mask.low !== 0 || (bits === 64 && each.mask.high !== 0))
      needed.push(bits === 64 ? each : { ...each, mask: { high: 0, low: each.mask.low } })
  }
  return needed
}

/** libseccomp keeps a call's rules sorted; it matters only where two of them hold and say different things. */
function inOrder(rules: readonly Rule[]): readonly Rule[] {
  if (rules.every(({ action }) => action === rules[0]?.action)) return rules
  return rules.toSorted(({ comparisons: [a] }, { comparisons: [b] }) => {
    if (!a || !b) return 0
    if (a.index !== b.index) return b.index - a.index
    if (a.rank !== b.rank) return b.rank - a.rank
    return (b.value.high - a.value.high || b.value.low - a.value.low) * (a.rank === 2 ? -1 : 1)
  })
}

const merge = (ranges: readonly Range[]): readonly Range[] =>
  ranges.filter(([, answer], index) => index === 0 || answer !== ranges[index - 1]?.[1])

/**
 * Halves the ranges `from` to `to` until one is left; A holds the number all the way down. The lower half follows its test at
 * once, so most jumps are short.
 */
function tree(out: Assembler, ranges: readonly Range[], otherwise: number, from = 0, to = ranges.length): void {
  const only = ranges[from]![1]
  if (to - from === 1) {
    if (typeof only !== "number") choose(out, only, otherwise)
    return
  }
  const middle = (from + to) >> 1
  const half = (first: number, size: number): Label => {
    const answer = ranges[first]![1]
    return size === 1 && typeof answer === "number" ? out.returning(answer) : out.label()
  }
  const below = half(from, middle - from)
  const above = half(middle, to - middle)
  out.jump("ge", ranges[middle]![0], above, below)
  if (out.open(below)) {
    out.place(below)
    tree(out, ranges, otherwise, from, middle)
  }
  if (out.open(above)) {
    out.place(above)
    tree(out, ranges, otherwise, middle, to)
  }
}

/** Tries one rule after the other. */
function choose(out: Assembler, rules: readonly Rule[], otherwise: number): void {
  const steps = joinBits(rules)
  steps.forEach(({ action, comparisons }, index) => {
    const hit = out.returning(action)
    const miss = index === steps.length - 1 ? out.returning(otherwise) : out.label()
    comparisons.forEach((each, position) => {
      const next = position === comparisons.length - 1 ? hit : out.label()
      compare(out, each, next, miss)
      if (next !== hit) out.place(next)
    })
    if (index < steps.length - 1) out.place(miss)
  })
}

/**
 * "Bit 3 is set, or bit 5 is not, or …" is how a policy has to say "anything but this value", one rule a bit.
 * Together they are one comparison: these bits, taken at once, are not the opposite of what the rules name.
 */
function joinBits(rules: readonly Rule[]): readonly Rule[] {
  const action = rules[0]!.action
  const first = rules.map(oneBit).find((each) => each !== undefined)
  if (first === undefined || rules.some((rule) => rule.action !== action)) return rules
  const of = (rule: Rule): Comparison | undefined => (oneBit(rule)?.index === first.index ? oneBit(rule) : undefined)
  let [mask, value] = [0, 0]
  for (const rule of rules) {
    const bit = of(rule)
    if (bit === undefined) continue
    // A bit that may be either way makes the rules hold always; then they are left as they are.
    if (mask & bit.mask.low) return rules
    mask = (mask | bit.mask.low) >>> 0
    value = (value | (bit.mask.low & ~bit.value.low)) >>> 0
  }
  const joined: Rule = { action, comparisons: [{ ...first, inverted: true, mask: { high: 0, low: mask }, value: { high: 0, low: value } }] }
  return [joined, ...rules.filter((rule) => of(rule) === undefined)]
}

/** The comparison of a rule that looks at one bit of a low half, and at nothing else. */
function oneBit({ comparisons: [only, more] }: Rule): Comparison | undefined {
  if (only === undefined || more !== undefined || only.mask.high !== 0 || only.test !== "eq" || only.inverted) return undefined
  return isOneBit(only.mask.low) ? only : undefined
}
const isOneBit = (mask: number): boolean => mask !== 0 && (mask & (mask - 1)) === 0

/** Goes to `yes` if the comparison holds, else to `no`. The high half decides unless both are equal. */
function compare(out: Assembler, { index, test, inverted, mask, value }: Comparison, yes: Label, no: Label): void {
  const [hit, miss] = inverted ? [no, yes] : [yes, no]
  for (const half of ["high", "low"] as const) {
    if (mask[half] === 0) continue
    const place = argument(index, half)
    const last = half === "low" || mask.low === 0
    const next = last ? hit : out.label()
    if (test !== "eq") {
      out.load(place)
      if (last) return out.jump(test, value[half], hit, miss)
      const equal = out.label()
      out.jump("gt", value[half], hit, equal)
      out.place(equal)
      out.jump("eq", value[half], next, miss)
    } else if (mask[half] === value[half] && isOneBit(mask[half])) {
      out.load(place)
      out.jump("set", mask[half], next, miss)
    } else {
      out.loadMasked(place, mask[half])
      out.jump("eq", value[half], next, miss)
    }
    if (!last) out.place(next)
  }
}
