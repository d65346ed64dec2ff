/**
 * Device rules: which devices the processes of a cgroup may make, read and write, whatever the name of the node.
 *
 *     linux.resources.devices     deny everything · allow c 1:3 rwm · allow c *:* m …      later rules win, per kind of access
 *
 *     version 1   a list in the kernel, changed by writing lines to devices.deny and devices.allow
 *     version 2   a BPF program that the kernel asks at every open and mknod: from the last rule to the first
 *
 * Version 1 knows only "nothing but these" or "everything but these", and no hole in a rule with a `*`: such a list is refused
 * rather than half obeyed. All else comes to the same on both.
 *
 * The devices that the specification demands are allowed in the end, for without them nothing runs.
 * Read on: devices.ts, formats/bpf/extended.ts. Linux Documentation/admin-guide/cgroup-v1/devices.rst, cgroup-v2.rst "Device controller".
 */

import { EngineError } from "../base/errors.ts"
import {
  and,
  copy,
  DEVICE_ACCESS,
  DEVICE_TYPE,
  type ExtendedInstruction,
  encodeExtended,
  exit,
  loadWord,
  set,
  shiftRight,
  skip,
  skipIfAny,
  skipUnless,
} from "../formats/bpf/extended.ts"
import type { Host } from "../model/host.ts"
import type { DeviceRule } from "../model/oci.ts"
import type { Step } from "./step.ts"

/** One rule, complete: undefined stands for every type or number. */
interface Rule {
  readonly allow: boolean
  readonly type: "b" | "c" | undefined
  readonly major: number | undefined
  readonly minor: number | undefined
  /** Bits of DEVICE_ACCESS. */
  readonly access: number
}

const ALL = DEVICE_ACCESS.r | DEVICE_ACCESS.w | DEVICE_ACCESS.m

/** As runc: allowed in the end, and why. */
const ALWAYS: readonly { readonly rule: Rule; readonly why: string }[] = (
  [
    ["c", undefined, undefined, DEVICE_ACCESS.m, "a node is nothing without the right to open it"],
    ["b", undefined, undefined, DEVICE_ACCESS.m, "a node is nothing without the right to open it"],
    ["c", 1, 3, ALL, "null: what is written there is gone"],
    ["c", 1, 5, ALL, "zero: zeroes without end"],
    ["c", 1, 7, ALL, "full: a disk that is always full"],
    ["c", 1, 8, ALL, "random: the kernel's random numbers"],
    ["c", 1, 9, ALL, "urandom: the same, without waiting"],
    ["c", 5, 0, ALL, "tty: a program's own terminal, by another name"],
    ["c", 5, 2, ALL, "ptmx: it makes terminals, in the container's own devpts"],
    ["c", 136, undefined, ALL, "the container's own terminals"],
  ] as const
).map(([type, major, minor, access, why]) => ({ rule: { allow: true, type, major, minor, access }, why }))

/**
 * Phase host, once the groups are made.
 * @param groups the container's group for each controller, absolute; `devices` (v1) or `unified` (v2) is needed, else nothing can be enforced.
 * @throws {EngineError} `INVALID_CONFIG` for a rule that makes no sense, `UNSUPPORTED` for one that version 1 cannot express.
 */
export function deviceRules(
  rules: readonly DeviceRule[],
  groups: Readonly<Record<string, string>>,
  host: Pick<Host, "cgroups">,
): readonly Step[] {
  const complete = shortened([...rules.map(read), ...ALWAYS.map(({ rule }) => rule)])
  const group = groups[host.cgroups.mode === "v1" ? "devices" : "unified"]
  if (group === undefined || host.cgroups.mode === "none") return []
  return host.cgroups.mode === "v1" ? lines(complete, group) : program(complete, group)
}

/** Whether the rules allow some devices only, and not all but some. */
export const isRestrictive = (rules: readonly DeviceRule[]): boolean => shortened(rules.map(read))[0]?.allow !== true

function read({ allow, type = "a", major, minor, access }: DeviceRule): Rule {
  const refuse = (what: string): EngineError =>
    new EngineError("INVALID_CONFIG", `cannot ${allow ? "allow" : "deny"} a device: ${what}`)
  if (type !== "a" && type !== "b" && type !== "c") throw refuse(`the type ${JSON.stringify(type)} is none of a, b, c`)
  for (const number of [major, minor])
    if (number !== undefined && !(Number.isInteger(number) && number >= -1 && number < 2 ** 31))
      throw refuse(`${number} is no device number`)
  const letters = access || "rwm"
  if (!/^[rwm]+$/.test(letters)) throw refuse(`the access ${JSON.stringify(access)} is not made of r, w and m`)
  const bits = [...letters].reduce((sum, letter) => sum | DEVICE_ACCESS[letter as "r" | "w" | "m"], 0)
  // -1 is how runc's files write "every number".
  const some = (number: number | undefined): number | undefined => (number === -1 ? undefined : number)
  return { allow, type: type === "a" ? undefined : type, major: some(major), minor: some(minor), access: bits }
}

const isForAll = ({ type, major, minor, access }: Rule): boolean =>
  type === undefined && major === undefined && minor === undefined && access === ALL

/** Without what a later rule makes void: the same rule again, or one about everything. The first rule is always about everything. */
function shortened(rules: readonly Rule[]): readonly Rule[] {
  const reset = rules.findLastIndex(isForAll)
  const seen = new Map<string, Rule>()
  for (const rule of rules.slice(reset + 1)) {
    const key = `${rule.allow} ${text(rule)}`
    seen.delete(key)
    seen.set(key, rule)
  }
  return [
    rules[reset] ?? { allow: false, type: undefined, major: undefined, minor: undefined, access: ALL },
    ...seen.values(),
  ]
}

const letters = (access: number): string =>
  (access & DEVICE_ACCESS.r ? "r" : "") + (access & DEVICE_ACCESS.w ? "w" : "") + (access & DEVICE_ACCESS.m ? "m" : "")
/** `c 1:3 rwm`, as devices.list shows it. */
const text = ({ type, major, minor, access }: Rule): string =>
  `${type ?? "a"} ${major ?? "*"}:${minor ?? "*"} ${letters(access)}`

const WHY: ReadonlyMap<string, string> = new Map(ALWAYS.map(({ rule, why }) => [text(rule), why]))

// Version 1.

/** "Nothing but these" or "everything but these", as the kernel keeps it: what is exempt, by type and numbers. */
function lines([first, ...rules]: readonly Rule[], group: string): readonly Step[] {
  const allowed = first!.allow
  const exempt = new Map<string, Rule>()
  for (const rule of rules)
    for (const type of rule.type === undefined ? (["b", "c"] as const) : [rule.type]) {
      const one = { ...rule, type }
      const key = `${type} ${rule.major ?? "*"}:${rule.minor ?? "*"}`
      if (rule.allow !== allowed) exempt.set(key, { ...one, access: rule.access | (exempt.get(key)?.access ?? 0) })
      else takeBack(exempt, one)
    }
  const write = (allow: boolean, line: string, does: string, why: string): Step => ({
    phase: "host",
    op: "write",
    path: `${group}/devices.${allow ? "allow" : "deny"}`,
    text: line,
    does,
    why,
  })
  return [
    allowed
      ? write(true, "a", "allow the container every device", "it is trusted with the machine")
      : write(false, "a", "deny the container every device", "what follows is all that it may use"),
    ...[...exempt.values()].map((rule): Step => {
      const line = text(rule)
      const standard = WHY.get(line)
      const step = write(
        rule.allow,
        line,
        `${rule.allow ? "allow" : "deny"} it ${line}`,
        standard ?? "the config asks for it",
      )
      // A group above ours may not have it, and then neither may we. Of what nobody asked for nobody needs to hear.
      if (!rule.allow) return step
      return standard === undefined ? { ...step, must: false } : { ...step, ok: ["EPERM"] }
    }),
  ]
}

function takeBack(exempt: Map<string, Rule>, rule: Rule): void {
  for (const [key, other] of exempt) {
    if (other.type !== rule.type || !(other.access & rule.access)) continue
    const covers = (mine: number | undefined, its: number | undefined): boolean => mine === undefined || mine === its
    const meets = (mine: number | undefined, its: number | undefined): boolean =>
      mine === undefined || its === undefined || mine === its
    if (!meets(rule.major, other.major) || !meets(rule.minor, other.minor)) continue
    if (!covers(rule.major, other.major) || !covers(rule.minor, other.minor))
      throw new EngineError(
        "UNSUPPORTED",
        `cannot ${rule.allow ? "allow" : "deny"} ${text(rule)}: cgroup v1 knows no exception from ${text(other)}`,
        "name the devices one by one, or use a host with cgroup v2",
      )
    const left = other.access & ~rule.access
    if (left === 0) exempt.delete(key)
    else exempt.set(key, { ...other, access: left })
  }
}

// Version 2.

/** Registers: the answer; the context on entry; what the caller wants to do; with which device. */
const [ANSWER, CONTEXT, TYPE, WANTED, MAJOR, MINOR] = [0, 1, 2, 3, 4, 5]

/** From the last rule to the first: each one takes from what is WANTED what it allows, or refuses. */
function program(rules: readonly Rule[], group: string): readonly Step[] {
  const [first, ...rest] = rules
  if (first!.allow && rest.every(({ allow }) => allow)) return []
  const code: ExtendedInstruction[] = [
    loadWord(TYPE, CONTEXT, 0),
    copy(WANTED, TYPE),
    and(TYPE, 0xffff),
    shiftRight(WANTED, 16),
    loadWord(MAJOR, CONTEXT, 4),
    loadWord(MINOR, CONTEXT, 8),
    ...rest.toReversed().flatMap(instructions),
    set(ANSWER, first!.allow ? 1 : 0),
    exit(),
  ]
  return [
    {
      phase: "host",
      op: "device-program",
      path: group,
      program: encodeExtended(code),
      does: `allow it ${
        rest
          .filter(({ allow }) => allow)
          .map(text)
          .join(", ") || "no device"
      }`,
      why: "cgroup v2 has no list of devices: the kernel asks this program whenever one is made or opened",
    },
  ]
}

function instructions({ allow, type, major, minor, access }: Rule): readonly ExtendedInstruction[] {
  const answer = [set(ANSWER, allow ? 1 : 0), exit()]
  const body = allow
    ? access === ALL
      ? answer
      : [and(WANTED, ALL & ~access), skipUnless(WANTED, 0, answer.length), ...answer]
    : access === ALL
      ? answer
      : [skipIfAny(WANTED, access, 1), skip(answer.length), ...answer]
  const tests: [register: number, value: number | undefined][] = [
    [TYPE, type && DEVICE_TYPE[type]],
    [MAJOR, major],
    [MINOR, minor],
  ]
  const needed = tests.filter((test): test is [number, number] => test[1] !== undefined)
  return [
    ...needed.map(([register, value], index) => skipUnless(register, value, needed.length - index - 1 + body.length)),
    ...body,
  ]
}
