/**
 * Filters: what to answer for each range of numbers, and for what arguments, as a classic BPF program.
 *
 *     number < 120 ──yes── number < 60 ──yes── … return allow
 *         │                     └──no── arg0 high == 0 ── arg0 == 8 ── return allow
 *         └──no── …
 *
 * Ranges become the leaves of a binary tree: some nine tests for the five hundred calls of an ABI. A 64-bit argument is compared in
 * two halves, since the machine has 32 bits.
 *
 * Read on: classic.ts; plan/seccomp.ts, which knows what the numbers mean.
 */

import { type Assembler, argument, type Label } from "./classic.ts"

/** A 64-bit number. */
export interface Halves {
  readonly high: number
  readonly low: number
}
/** One comparison of an argument, of its bits in `mask`; `test` is `eq` where not all bits count. `inverted`: it holds where `test` does not. */
export interface Comparison {
  readonly index: number
  readonly test: "eq" | "gt" | "ge"
  readonly inverted: boolean
  readonly mask: Halves
  readonly value: Halves
}
/** Returns `action` if all the comparisons hold. */
export interface Rule {
  readonly action: number
  readonly comparisons: readonly Comparison[]
}
/** What to return; or rules, that are tried in their order, and then the default answer. */
export type Answer = number | readonly Rule[]
/** The answer from this number on, up to the next range. */
export type Range = readonly [from: number, answer: Answer]

export const ALL: Halves = { high: 0xffffffff, low: 0xffffffff }
export const halves = (number: number): Halves => ({ high: Math.floor(number / 2 ** 32), low: number >>> 0 })

/** The same without ranges that continue the one before. */
export const merge = (ranges: readonly Range[]): readonly Range[] =>
  ranges.filter(([, answer], index) => index === 0 || answer !== ranges[index - 1]?.[1])

/**
 * Halves the ranges `from` to `to` until one is left; A holds the number all the way down. The lower half follows its test at
 * once, so most jumps are short.
 */
export function tree(out: Assembler, ranges: readonly Range[], otherwise: number, from = 0, to = ranges.length): void {
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
  const joined: Rule = {
    action,
    comparisons: [{ ...first, inverted: true, mask: { high: 0, low: mask }, value: { high: 0, low: value } }],
  }
  return [joined, ...rules.filter((rule) => of(rule) === undefined)]
}

/** The comparison of a rule that looks at one bit of a low half, and at nothing else. */
function oneBit({ comparisons: [only, more] }: Rule): Comparison | undefined {
  if (only === undefined || more !== undefined || only.mask.high !== 0 || only.test !== "eq" || only.inverted)
    return undefined
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
