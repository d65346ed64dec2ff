/**
 * What the rules of a policy say about each number of an ABI.
 *
 * A policy names calls, may name one several times, and with arguments; libseccomp and runc have decided what that means, and
 * config.json files rely on it:
 *
 *     a rule without arguments beats every rule with some, and the first of several such wins
 *     a rule whose action is the default action counts for nothing
 *     two comparisons of one argument in one rule are alternatives: two rules
 *     rules with arguments are tried from the last argument to the first: equal, then below, then above
 *     a name that the ABI does not have is passed over; a call above all that the policy names is new
 *
 * Read on: seccomp.ts. https://github.com/seccomp/libseccomp src/db.c, https://github.com/opencontainers/runc libcontainer/seccomp.
 */

import { EngineError } from "../base/errors.ts"
import { ALL, type Answer, type Comparison, type Halves, halves, type Range, type Rule } from "../formats/bpf/filter.ts"
import type { Seccomp, SeccompArg } from "../model/oci.ts"
import { type Abi, ACTIONS, ARM_PRIVATE, COMPARISONS, EPERM, forEachCall, MULTIPLEXED } from "./seccomp-tables.ts"

/** With its place among libseccomp's, and in the policy. */
type Ranked = Comparison & { readonly rank: number }
type Ordered = { readonly action: number; readonly comparisons: readonly Ranked[]; readonly order: number }
/** By the name of the call. */
export type Rules = ReadonlyMap<string, readonly Ordered[]>

const both = (a: Halves, b: Halves): Halves => ({ high: (a.high & b.high) >>> 0, low: (a.low & b.low) >>> 0 })

/** @throws {EngineError} `INVALID_CONFIG` */
export function rulesOf({ syscalls = [] }: Seccomp): Rules {
  const rules = new Map<string, Ordered[]>()
  syscalls.forEach(({ names, action, errnoRet, args }, order) => {
    const value = actionOf(action, errnoRet, () => `the action for ${names.join(", ")}`)
    const made = split((args ?? []).map((arg) => comparison(arg, names))).map(
      (comparisons): Ordered => ({ action: value, comparisons, order }),
    )
    for (const name of names) {
      const known = rules.get(name)
      if (known) known.push(...made)
      else rules.set(name, [...made])
    }
  })
  return rules
}

function comparison({ index, value, valueTwo = 0, op }: SeccompArg, names: readonly string[]): Ranked {
  const row = COMPARISONS[op]
  const where = (): string => `a rule for ${names.join(", ")}`
  if (row === undefined)
    throw invalid(`${where()} compares by ${JSON.stringify(op)}`, `one of ${Object.keys(COMPARISONS).join(", ")}`)
  if (!(Number.isInteger(index) && index >= 0 && index <= 5))
    throw invalid(`${where()} has the argument ${index}; a system call has 0 to 5`)
  for (const number of [value, valueTwo])
    if (!Number.isSafeInteger(number) || number < 0)
      throw invalid(`${where()} has the value ${number}, which is not a whole number below 2^53`)
  const mask = row.test === "masked" ? halves(value) : ALL
  const against = row.test === "masked" ? both(halves(valueTwo), mask) : halves(value)
  return {
    index,
    test: row.test === "masked" ? "eq" : row.test,
    inverted: row.inverted ?? false,
    rank: row.rank,
    mask,
    value: against,
  }
}

/** Comparisons of different arguments must all hold; as soon as two are of one argument, each is a rule of its own. */
function split(comparisons: readonly Ranked[]): readonly (readonly Ranked[])[] {
  const different = new Set(comparisons.map(({ index }) => index)).size
  return different < comparisons.length
    ? comparisons.map((each) => [each])
    : [comparisons.toSorted((a, b) => a.index - b.index)]
}

/** SECCOMP_RET_* of an action. @throws {EngineError} `INVALID_CONFIG` */
export function actionOf(name: string, errno: number | undefined, where: () => string): number {
  const action = ACTIONS[name]
  if (action === undefined)
    throw invalid(
      `${where()} is ${JSON.stringify(name)}, which is no action`,
      `one of ${Object.keys(ACTIONS).join(", ")}`,
    )
  if (errno !== undefined && !action.carries) throw invalid(`${where()} is ${name}, which takes no errnoRet`)
  if (errno !== undefined && !(Number.isInteger(errno) && errno >= 0 && errno <= 0xffff))
    throw invalid(`${where()} has the errnoRet ${errno}, which is no errno`)
  return action.carries ? (action.value | (errno ?? EPERM)) >>> 0 : action.value
}

export const invalid = (cause: string, hint?: string): EngineError =>
  new EngineError("INVALID_CONFIG", `cannot compile the seccomp policy: ${cause}`, hint)

/** Where the answer changes, over all numbers of an ABI, from its lowest number up. */
export function rangesOf(abi: Abi, rules: Rules, otherwise: number, newest: number): readonly Range[] {
  const ranges: Range[] = []
  let next = 0
  let last = -1
  const push = (from: number, answer: Answer): void => void ranges.push([from + abi.offset, answer])
  /** Up to a number that is no ordinary one: the default answer up to the last that the policy names, then what newer calls get. */
  const finish = (to: number): void => {
    if (next <= last || last === -1) push(next, otherwise)
    if (last !== -1 && Math.max(next, last + 1) < to) push(Math.max(next, last + 1), newest)
  }
  forEachCall(abi.calls, (number, name, alias) => {
    const found = rulesFor(rules, abi, name, alias)
    if (found === undefined) return
    const answer = answerOf(found, abi, otherwise)
    if (number < ARM_PRIVATE) last = number
    if (answer === otherwise) return
    if (number >= ARM_PRIVATE) finish(number)
    else if (number > next) push(next, otherwise)
    push(number, answer)
    next = number + 1
  })
  finish(Number.POSITIVE_INFINITY)
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
      const chosen: Ranked = { index: 0, test: "eq", inverted: false, rank: 3, mask: ALL, value: halves(which) }
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
  const some: Ordered[] = []
  for (const rule of rules) {
    if (rule.action === otherwise) continue
    const needed = narrow(rule.comparisons, abi.bits)
    if (needed?.length === 0) return rule.action
    if (needed !== undefined) some.push({ ...rule, comparisons: needed })
  }
  return some.length === 0 ? otherwise : inOrder(some)
}

/** What must be compared where arguments have this many bits: nothing if the rule always holds, undefined if it never does. */
function narrow(comparisons: readonly Ranked[], bits: 32 | 64): readonly Ranked[] | undefined {
  const needed: Ranked[] = []
  for (const each of comparisons) {
    if (bits === 32 && each.value.high !== 0) {
      if (!each.inverted) return undefined
    } else if (each.mask.low !== 0 || (bits === 64 && each.mask.high !== 0))
      needed.push(bits === 64 ? each : { ...each, mask: { high: 0, low: each.mask.low } })
  }
  return needed
}

/** libseccomp keeps a call's rules sorted; it matters only where two of them hold and say different things. */
function inOrder(rules: readonly Ordered[]): readonly Rule[] {
  if (rules.every(({ action }) => action === rules[0]?.action)) return rules
  return rules.toSorted(({ comparisons: [a] }, { comparisons: [b] }) => {
    if (!a || !b) return 0
    if (a.index !== b.index) return b.index - a.index
    if (a.rank !== b.rank) return b.rank - a.rank
    return (b.value.high - a.value.high || b.value.low - a.value.low) * (a.rank === 2 ? -1 : 1)
  })
}
