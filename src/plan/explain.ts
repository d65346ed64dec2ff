/**
 * Explain: a plan as text, for people who want to see what a container is made of.
 *
 *     explain(steps)       one line a step: what the tests of the rooms show
 *     explainPlan(plan)    the whole story: every step, its system calls, its reason, its undo
 *     planJson(plan)       the same for programs
 *
 * It is printed from the very steps that the executor carries out, so it cannot be out of date.
 *
 * Read on: spell.ts, for the system calls; plan.ts, for the order.
 */

import { printable, slot, spell } from "./spell.ts"
import { type Errno, OPS, PHASES, type Phase, type Plan, type Step, type Undo } from "./step.ts"

/** What each phase is, in a line. */
export const PHASE_IS: Readonly<Record<Phase, string>> = {
  host: "the executor, before the container's first process exists",
  clone: "the one call that makes it",
  parent: "the executor, while the new process waits",
  child: "inside, while the executor waits",
  outside: "the executor, while the container's mounts are there and its root is not yet alone",
  inside: "inside again",
  gate: "inside: all is ready, and waits to be started",
  start: "inside: the last things before it becomes the program",
  started: "the executor, once the program runs",
  exit: "the executor, when process 1 is gone; after this, every undo, newest first",
  end: "the executor, after the undos: what a container leaves that is to leave nothing",
}

/** Where the notes of a line begin in the short form, unless `does` is longer. */
const NOTES_AT = 45

/**
 * One line a step, the first after a line break: phase, `does`, and in notes the slots that it takes, its lists, the slot it gives.
 *
 *     host   show /l with the container's ids             → $layers
 *     host   stack 2 layers                               ($layers: libs, base) → $root
 */
export function explain(steps: readonly Step[]): string {
  return steps.map((step) => `\n${line(step)}`).join("")
}

function line(step: Step): string {
  const values = argumentsOf(step)
  const taken = values.flatMap(({ kind, value }) =>
    kind === "fd" ? [slot(value as string)] : kind === "fds" ? (value as readonly string[]).map(slot) : [],
  )
  const listed = values.flatMap(({ kind, value }) => (kind === "texts" ? (value as readonly string[]) : []))
  const inside = [taken.join(" "), listed.map(printable).join(", ")].filter((text) => text !== "").join(": ")
  const notes = [inside && `(${inside})`, step.gives === undefined ? "" : `→ ${slot(step.gives)}`].filter(
    (text) => text,
  )
  return `${step.phase.padEnd(6)} ${printable(step.does).padEnd(notes.length > 0 ? NOTES_AT - 1 : 0)} ${notes.join(" ")}`.trimEnd()
}

function argumentsOf(step: Step | Undo): readonly { readonly kind: string; readonly value: unknown }[] {
  const given: Readonly<Record<string, unknown>> = step
  return Object.entries(OPS[step.op].args).flatMap(([name, kind]) =>
    given[name] === undefined ? [] : [{ kind: kind.replace("?", ""), value: given[name] }],
  )
}

/** Escape sequences of ECMA-48 for each part of a page. */
const STYLES = { number: "2", does: "1", call: "36", undo: "33", phase: "1;35", warning: "1;33", aside: "2" } as const
type Style = keyof typeof STYLES

/** Fewer columns than this make no page. */
const LEAST_COLUMNS = 40

/**
 * The plan as a page.
 * @param options.columns the width of the page, 100 if absent. Only a single long word, such as a path, may exceed it.
 * @param options.assumed what of the plan is not chosen yet, one line each.
 * @param options.colour with ECMA-48 colours; without them nothing but text and line breaks.
 * @returns lines, the last one ended too.
 */
export function explainPlan(
  plan: Plan,
  options: { readonly columns?: number; readonly colour?: boolean; readonly assumed?: readonly string[] } = {},
): string {
  const columns = Math.max(options.columns ?? 100, LEAST_COLUMNS)
  const paint = (style: Style, text: string): string => (options.colour ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text)
  const gutter = String(plan.steps.length).length + 3
  const out: string[] = []
  /** Text, folded, below the `does` of its step. */
  const put = (style: Style, text: string, indent: number, hang = indent): void => {
    for (const [index, part] of fold(text, columns, indent, hang).entries())
      out.push(" ".repeat(index === 0 ? indent : hang) + paint(style, part))
  }
  const calls = (call: Step | Undo): void => {
    for (const text of spell(call, "gives" in call ? call.gives : undefined)) put("call", text, gutter + 3, gutter + 7)
  }
  const heading = (name: string, text: string): void => {
    const indent = name.length + 5
    const [first = "", ...rest] = fold(text, columns, indent, indent)
    const rule = rest.length > 0 ? "" : "─".repeat(Math.max(columns - indent - first.length - 1, 0))
    out.push("", `${paint("phase", name)} ${paint("aside", `─── ${first} ${rule}`.trimEnd())}`)
    out.push(...rest.map((part) => " ".repeat(indent) + paint("aside", part)), "")
  }

  const undos = plan.steps.filter(({ undo }) => undo).length
  out.push(`${plural(plan.steps.length, "step")}${undos > 0 ? `, ${undos} of them with an undo` : ""}.`)
  if (options.assumed?.length) put("aside", `${options.assumed.map(printable).join("; ")}.`, 0)
  for (const text of plan.warnings) put("warning", `warning: ${printable(text)}`, 0, 9)

  for (const [index, step] of plan.steps.entries()) {
    const opens = step.phase !== plan.steps[index - 1]?.phase
    if (opens) heading(step.phase, PHASE_IS[step.phase])
    else if (index > 0) out.push("")
    const [first = "", ...rest] = fold(printable(step.does), columns, gutter + 1, gutter + 1)
    out.push(`${paint("number", String(index + 1).padStart(gutter - 1))}  ${paint("does", first)}`)
    for (const part of rest) out.push(" ".repeat(gutter + 1) + paint("does", part))
    calls(step)
    put("aside", printable(step.why), gutter + 1)
    for (const text of conditions(step)) put("aside", text, gutter + 1)
    if (step.undo) {
      put(
        "undo",
        `undo${step.undo.when === "failure" ? ", if a later step fails" : ""}: ${printable(step.undo.does)}`,
        gutter + 1,
      )
      calls(step.undo)
    }
  }
  const stays = afterwards(plan)
  if (stays.length > 0) {
    heading("afterwards", "what stays")
    for (const text of stays) put("aside", text, gutter + 1)
  }
  return `${out.join("\n")}\n`
}

/** What an errno in `ok` means to the step that expects it. */
const EXPECTED: Readonly<Partial<Record<Errno, string>>> = {
  EEXIST: "it is there already",
  ENOENT: "there is none",
  ENOSYS: "this kernel cannot",
  EPERM: "we may not",
  EBUSY: "it is in use",
}

function conditions({ ok = [], must }: Step): readonly string[] {
  return [
    ...(ok.length === 0
      ? []
      : [`fine if ${ok.map((name) => `${EXPECTED[name] ?? "it is so"} (${name})`).join(" or ")}`]),
    ...(must === false ? ["if it fails, that is a warning and the rest goes on"] : []),
  ]
}

/** What the frame says of the time after the steps, a sentence each. */
function afterwards({ frame, steps }: Plan): readonly string[] {
  if (!steps.some(({ phase }) => phase === "clone")) return []
  if (BigInt(frame.stay) === 0n) return ["nobody: the executor ends, and whoever called it waits for the container"]
  const outer =
    BigInt(frame.outer) === 1n ? ", as process 1 of a pid namespace around it: if it dies, so do all inside" : ""
  return [
    `a monitor, the parent of the container${outer}`,
    ...(frame.log === undefined ? [] : [`it writes what the container says to ${printable(frame.log)}`]),
    ...(frame.control === undefined ? [] : [`it listens on ${printable(frame.control)} for who wants to attach`]),
    ...(frame.status === undefined ? [] : [`it keeps the state in ${printable(frame.status)}`]),
    ...(frame.monitors === undefined ? [] : [`it lives in the cgroup ${printable(frame.monitors)}`]),
  ]
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`

/** Breaks a line after a space, a comma or a `|`, at the last place that fits; what has no such place stays whole. */
function fold(text: string, columns: number, indent: number, hang: number): readonly string[] {
  const pieces = text.match(/[^ ,|]*[ ,|]+|[^ ,|]+$/g) ?? [text]
  const lines: string[] = []
  let current = ""
  for (const piece of pieces) {
    const room = columns - (lines.length === 0 ? indent : hang)
    if (current !== "" && (current + piece).trimEnd().length > room) {
      lines.push(current.trimEnd())
      current = ""
    }
    current += piece
  }
  return [...lines, current.trimEnd()]
}

/** A value of JSON. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/**
 * The plan for programs: frame, steps and warnings as they are, each step with its number and its system calls as `explainPlan`
 * prints them. Bytes are base64, numbers beyond 2^53 decimal strings; what is absent is left out.
 */
export function planJson({ frame, steps, warnings }: Plan): Json {
  return {
    phases: Object.fromEntries(PHASES.map((phase) => [phase, PHASE_IS[phase]])),
    frame: plain(frame),
    steps: steps.map((step, index) => ({
      number: index + 1,
      ...(plain(step) as { readonly [name: string]: Json }),
      calls: spell(step, step.gives),
      ...(step.undo && {
        undo: { ...(plain(step.undo) as { readonly [name: string]: Json }), calls: spell(step.undo) },
      }),
    })),
    warnings,
  }
}

function plain(value: unknown): Json {
  if (value instanceof Uint8Array) return base64(value)
  if (typeof value === "bigint") return value <= Number.MAX_SAFE_INTEGER ? Number(value) : String(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, inner]) => (inner === undefined ? [] : [[name, plain(inner)]])),
    )
  return value as Json
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
/** RFC 4648, with padding. The pure rooms have no platform that would do it. */
function base64(bytes: Uint8Array): string {
  let text = ""
  for (let at = 0; at < bytes.length; at += 3) {
    const three = ((bytes[at] ?? 0) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    for (const [index, shift] of [18, 12, 6, 0].entries())
      text += at + index > bytes.length ? "=" : BASE64[(three >> shift) & 63]
  }
  return text
}
