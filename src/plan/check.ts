/**
 * Check: whether a plan can be carried out at all, before anybody tries.
 *
 *     slot          given by                       seen by
 *     host          the executor, before clone     the executor and the child, which inherits it
 *     clone         the clone: the child's pidfd   the executor
 *     parent        the executor                   the executor and the child, to whom it is handed over
 *     outside       the executor                   the executor
 *     child …       inside                         the child alone
 *
 * These are the mistakes that a type does not catch: the order of phases, a slot that is taken before it is given, an undo for what
 * ends with the process anyway, a sentence that reads badly behind "cannot". They are ours, never a user's, so
 * there is no error code for them.
 *
 * The rule that holds: a plan without violations can fail only because the kernel says no.
 *
 * Read on: step.ts, for what each rule is about.
 */

import {
  HEADER,
  type Kind,
  OPS,
  type OpName,
  PHASES,
  type Phase,
  type Plan,
  type Slot,
  type Step,
  type Undo,
} from "./step.ts"
import { LIMITS } from "./wire.ts"

/** Phases that run in the child. All others run in the executor. */
const INSIDE: readonly Phase[] = ["child", "inside", "gate", "start"]
/** Phases that may leave something on the host: nothing of `host` … `started` outlives the container without an undo. */
const LEAVES: readonly Phase[] = ["host", "parent", "outside", "started"]

/** Ops that make sense in some phases only, and why. Every other op may stand wherever its paths mean what they say. */
const PLACES: Readonly<Partial<Record<OpName, { readonly phases: readonly Phase[]; readonly why: string }>>> = {
  clone: { phases: ["clone"], why: "it is what that phase is" },
  gate: { phases: ["gate"], why: "it is what that phase is" },
  exec: { phases: ["start"], why: "there is nothing of us after it" },
  init: { phases: ["start"], why: "it leaves a process 1 behind" },
  pivot: { phases: ["child"], why: "the executor must keep the host's root" },
  "leave-old-root": { phases: ["child", "inside"], why: "the executor must keep the host's root" },
  chroot: { phases: ["child"], why: "the executor must keep the host's root" },
  hostname: { phases: ["child", "start"], why: "the executor's is the host's" },
  domainname: { phases: ["child", "start"], why: "the executor's is the host's" },
  bounding: { phases: ["child", "start"], why: "the executor needs its power to the end" },
  "keep-capabilities": { phases: ["child", "start"], why: "the executor needs its power to the end" },
  capabilities: { phases: ["child", "start"], why: "the executor needs its power to the end" },
  ambient: { phases: ["child", "start"], why: "the executor needs its power to the end" },
  "set-ids": { phases: ["child", "start"], why: "the executor needs its power to the end" },
  "no-new-privileges": { phases: ["child", "start"], why: "the executor needs its power to the end" },
  seccomp: { phases: ["child", "start"], why: "the executor needs every call it makes" },
  "close-files": { phases: ["start"], why: "the steps before still need them" },
  "take-terminal": { phases: ["child", "start"], why: "the executor's stdio is its caller's" },
  "map-ids": { phases: ["parent"], why: "there must be a child, and it must be waiting" },
  "open-namespace": { phases: ["parent"], why: "there must be a child, and it must be waiting" },
  "write-proc": { phases: ["parent", "started"], why: "there must be a child" },
  "attach-cgroup": { phases: ["parent", "started"], why: "there must be a child" },
}

/** Ops whose result is an fd. `new-mount` and `overlay` make one besides; `private-mounts` gives the namespace that was left. */
const GIVING: readonly OpName[] = [
  "open",
  "private-mounts",
  "clone-mount",
  "new-mount",
  "overlay",
  "clone",
  "open-namespace",
  "open-process",
  "open-terminal",
  "connect",
]
/** Without their slot these have done nothing. */
const MUST_GIVE: readonly OpName[] = ["open", "clone-mount", "open-namespace", "open-process", "connect"]

/**
 * What is wrong with a plan, a line for each thing; empty: nothing.
 *
 * A plan without a clone is one for the executor's `do`: it has the phases of the executor alone, and no program to run.
 */
export function violations(plan: Plan): readonly string[] {
  const { steps, frame, warnings } = plan
  return [
    ...order(steps),
    ...slots(steps),
    ...steps.flatMap((step, index) =>
      [
        ...place(step),
        ...texts(step),
        ...values(step, OPS[step.op].args),
        ...(step.undo ? [...undo(step, step.undo), ...values(step.undo, OPS[step.undo.op].args)] : []),
      ].map((what) => `step ${index + 1} (${step.does}): ${what}`),
    ),
    ...values(frame, HEADER).map((what) => `frame: ${what}`),
    ...warnings
      .filter((line) => line.trim() === "" || line.includes("\n"))
      .map((line) => `warnings: not one line: ${JSON.stringify(line)}`),
    ...sizes(plan),
  ]
}

/** @throws {TypeError} that lists every violation: a mistake of ours. */
export function check(plan: Plan): void {
  const found = violations(plan)
  if (found.length > 0) throw new TypeError(`the plan cannot be carried out:\n  ${found.join("\n  ")}`)
}

function order(steps: readonly Step[]): readonly string[] {
  const found: string[] = []
  for (const [index, { phase, does }] of steps.entries()) {
    const before = steps[index - 1]?.phase
    if (before !== undefined && PHASES.indexOf(phase) < PHASES.indexOf(before))
      found.push(`step ${index + 1} (${does}): phase ${phase} comes after phase ${before}`)
  }
  const clones = steps.filter(({ op }) => op === "clone").length
  const execs = steps.filter(({ op }) => op === "exec").length
  if (clones > 1) found.push(`there are ${clones} clones; a plan makes one process`)
  if (clones === 0) {
    const inside = steps.find(({ phase }) => phase === "clone" || phase === "parent" || INSIDE.includes(phase))
    if (inside) found.push(`phase ${inside.phase} needs a child, and no step clones one`)
    return found
  }
  const last = steps.findLast(({ phase }) => phase === "start")
  if (last?.op !== "exec") found.push(`the last step of phase start is ${last?.op ?? "missing"}, not exec`)
  if (execs > 1) found.push(`there are ${execs} execs; after the first there is nobody to do the next`)
  return found
}

/** Whether a step of phase `taker` sees the fd that a step of phase `giver` got. */
function sees(giver: Phase, taker: Phase): boolean {
  if (INSIDE.includes(giver)) return INSIDE.includes(taker)
  // What is got once the child is on its way is not handed over any more.
  return (giver !== "clone" && giver !== "outside") || !INSIDE.includes(taker)
}

function slots(steps: readonly Step[]): readonly string[] {
  const found: string[] = []
  const givers = new Map<Slot, Phase>()
  for (const [index, step] of steps.entries()) {
    const at = `step ${index + 1} (${step.does}): `
    // An undo runs in the executor, after everything.
    const takes = [
      ...taken(step).map((name) => [name, step.phase] as const),
      ...(step.undo ? taken(step.undo).map((name) => [name, "exit"] as const) : []),
    ]
    for (const [name, phase] of takes) {
      const giver = givers.get(name) ?? (phase === "exit" && step.gives === name ? step.phase : undefined)
      if (giver === undefined) found.push(`${at}takes $${name}, which no earlier step gives`)
      else if (!sees(giver, phase))
        found.push(`${at}takes $${name}, which phase ${giver} gives and phase ${phase} does not see`)
    }
    if (step.gives === undefined) {
      if (MUST_GIVE.includes(step.op)) found.push(`${at}${step.op} gives nothing to nobody`)
      continue
    }
    if (!GIVING.includes(step.op)) found.push(`${at}${step.op} has no fd to give`)
    if (givers.has(step.gives)) found.push(`${at}gives $${step.gives}, which is given already`)
    givers.set(step.gives, step.phase)
  }
  return found
}

function taken(call: Step | Undo): readonly Slot[] {
  const given: Readonly<Record<string, unknown>> = call
  return Object.entries(OPS[call.op].args).flatMap(([name, kind]: readonly [string, Kind]) => {
    const value = given[name]
    if (value === undefined) return []
    return kind === "fd" || kind === "fd?" ? [value as Slot] : kind === "fds" ? (value as readonly Slot[]) : []
  })
}

function place({ op, phase }: Step): readonly string[] {
  const row = PLACES[op]
  if (phase === "clone" && op !== "clone") return [`${op} is not what phase clone is for`]
  return row && !row.phases.includes(phase) ? [`${op} does not belong into phase ${phase}: ${row.why}`] : []
}

function undo(step: Step, { does, op, gives }: Undo & { readonly gives?: Slot }): readonly string[] {
  return [
    ...(LEAVES.includes(step.phase)
      ? []
      : [`phase ${step.phase} leaves nothing on the host, so there is nothing to undo`]),
    ...sentence("undo", does),
    ...(PLACES[op] || gives !== undefined ? [`${op} undoes nothing`] : []),
  ]
}

function texts({ does, why }: Step): readonly string[] {
  return [
    ...sentence("does", does),
    ...(why.trim() === "" ? ["has no reason"] : []),
    ...(/[\n\0]/.test(why) ? ["the reason is not one line"] : []),
  ]
}

/** `does` stands behind "cannot" and before a colon. */
function sentence(name: string, does: string): readonly string[] {
  const [verb = ""] = does.split(" ")
  // "mounts", "mounting"; but "pass", "process", "focus", "bring".
  const infinitive = /^[a-z][a-z-]*$/.test(verb) && !/([^su]s|[^rs]ing)$/.test(verb)
  return [
    ...(infinitive ? [] : [`${name} begins with "${verb}", not with an infinitive`]),
    ...(/\.$/.test(does) ? [`${name} ends with a full stop`] : []),
    ...(/[\n\0]/.test(does) ? [`${name} is not one line`] : []),
  ]
}

const MOST = 0xffffffffffffffffn
const isNumber = (value: unknown): boolean =>
  typeof value === "bigint" ? value >= 0n && value <= MOST : Number.isSafeInteger(value) && (value as number) >= 0
const isText = (value: unknown): boolean => typeof value === "string" && !value.includes("\0")
const isListOf = (value: unknown, one: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length <= LIMITS.list && value.every(one)
const FITS: Readonly<Record<string, readonly [fits: (value: unknown) => boolean, what: string]>> = {
  number: [isNumber, "a whole number from 0 to 2^64-1"],
  text: [isText, "a text without NUL"],
  bytes: [(value) => value instanceof Uint8Array, "bytes"],
  texts: [(value) => isListOf(value, isText), `at most ${LIMITS.list} texts without NUL`],
  numbers: [(value) => isListOf(value, isNumber), `at most ${LIMITS.list} whole numbers from 0 to 2^64-1`],
  fd: [isText, "the name of a slot"],
  fds: [(value) => isListOf(value, isText), "names of slots"],
}

/** Arguments that the wire cannot carry. */
function values(from: object, args: Readonly<Record<string, Kind>>): readonly string[] {
  const given = from as Readonly<Record<string, unknown>>
  return Object.entries(args).flatMap(([name, kind]) => {
    const value = given[name]
    if (value === undefined && kind.endsWith("?")) return []
    const [fits, what] = FITS[kind.replace("?", "")] ?? [() => false, "of a known kind"]
    return fits(value) ? [] : [`${name} is not ${what}`]
  })
}

/** What native/wire.c would refuse. The size is a lower bound: enough to find a plan that went out of hand. */
function sizes({ steps }: Plan): readonly string[] {
  const all: readonly (Step | Undo)[] = steps.flatMap((step) => (step.undo ? [step, step.undo] : [step]))
  const given = new Set(steps.flatMap(({ gives }) => (gives === undefined ? [] : [gives])))
  const bytes = all.reduce((sum, call) => sum + weigh(Object.values(call)), 0)
  return [
    ...(all.length > LIMITS.steps
      ? [`there are ${all.length} steps and undos; the executor takes ${LIMITS.steps}`]
      : []),
    ...(given.size > LIMITS.slots ? [`there are ${given.size} slots; the executor takes ${LIMITS.slots}`] : []),
    ...(bytes > LIMITS.wire ? [`the texts alone have ${bytes} bytes; the executor takes ${LIMITS.wire}`] : []),
  ]
}

const weigh = (list: readonly unknown[]): number =>
  list.reduce<number>(
    (sum, value) =>
      sum +
      (typeof value === "string" || value instanceof Uint8Array
        ? value.length
        : Array.isArray(value)
          ? weigh(value)
          : 8),
    0,
  )
