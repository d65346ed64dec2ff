/**
 * The functions of templates: those of Go's text/template that make sense on data, and those that Docker adds.
 *
 * They work on plain values: strings, numbers, booleans, lists, objects, and Maps for what is a map in Docker's types.
 * A function that cannot do what it is asked throws an Error with the cause; template.ts adds where.
 * @see https://pkg.go.dev/text/template, "Functions"; docs.docker.com/engine/cli/formatting
 */

import { json } from "./json.ts"

export type TemplateFunction = (...args: readonly unknown[]) => unknown

/** False, 0, "", nothing, and what is empty. */
export function isTrue(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof Map) return value.size > 0
  return Boolean(value)
}

/** As Go prints a value: `[a b]`, `map[k:v]`, `{v w}`. */
export function shown(value: unknown, nested = false): string {
  if (value === undefined || value === null) return nested ? "<nil>" : "<no value>"
  if (Array.isArray(value)) return `[${value.map((item) => shown(item, true)).join(" ")}]`
  if (value instanceof Map)
    return `map[${entries(value)
      .map(([key, item]) => `${key}:${shown(item, true)}`)
      .join(" ")}]`
  if (typeof value === "object")
    return `{${fields(value)
      .map(([, item]) => shown(item, true))
      .join(" ")}}`
  return String(value)
}

/** Of a list, a map or an object, with the key of each; maps in the order of their keys, as Go has it. */
export function entries(value: unknown): (readonly [key: string | number, item: unknown])[] {
  if (Array.isArray(value)) return value.map((item, at) => [at, item] as const)
  if (typeof value === "number") return Array.from({ length: value }, (_, at) => [at, at] as const)
  const pairs: [string, unknown][] = value instanceof Map ? [...value] : fields(value)
  return pairs.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}

/** What an object has and what it can do are told apart: a method (`.Label "key"`) is no field. */
const fields = (value: unknown): [string, unknown][] =>
  Object.entries((value ?? {}) as object).filter(([, item]) => typeof item !== "function")

const text = (value: unknown): string => {
  if (typeof value === "string") return value
  throw new Error(`it takes a string, not ${shown(value)}`)
}
const count = (value: unknown): number => {
  if (typeof value === "number" && Number.isInteger(value)) return value
  throw new Error(`it takes a whole number, not ${shown(value)}`)
}

function length(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value)
  if (Array.isArray(value)) return value.length
  if (value instanceof Map) return value.size
  if (value !== null && typeof value === "object") return Object.keys(value).length
  throw new Error(`${shown(value)} has no length`)
}

/** `index LIST 1`, `index MAP "key"`, and further keys for what lies below. */
function index(value: unknown, ...keys: readonly unknown[]): unknown {
  return keys.reduce((inner, key) => {
    if (Array.isArray(inner)) {
      const at = count(key)
      if (at >= 0 && at < inner.length) return inner[at]
      throw new Error(`index ${at} is out of range, the list has ${inner.length}`)
    }
    if (inner instanceof Map) return inner.has(key) ? inner.get(key) : zero(inner)
    if (inner !== null && typeof inner === "object")
      return Object.hasOwn(inner, text(key)) ? (inner as Record<string, unknown>)[text(key)] : ""
    throw new Error(`${shown(inner)} has nothing to index`)
  }, value)
}
/** What a map of Go answers for a key that it lacks: the empty string, if it is a map of strings. */
const zero = (map: ReadonlyMap<unknown, unknown>) =>
  [...map.values()].every((item) => typeof item === "string") ? "" : undefined

function slice(value: unknown, from: unknown = 0, to?: unknown): unknown {
  if (typeof value !== "string" && !Array.isArray(value)) throw new Error(`${shown(value)} cannot be sliced`)
  const [begin, end] = [count(from), to === undefined ? value.length : count(to)]
  if (begin >= 0 && begin <= end && end <= value.length) return value.slice(begin, end)
  throw new Error(`${begin} to ${end} is out of range, it has ${value.length}`)
}

function equal(a: unknown, b: unknown): boolean {
  if (a !== null && a !== undefined && b !== null && b !== undefined && typeof a !== typeof b) {
    throw new Error(`${shown(a)} and ${shown(b)} are of different kinds`)
  }
  return (a ?? null) === (b ?? null)
}

function less(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return a < b
  return text(a) < text(b)
}

/** The verbs that people use: `%s %v %d %q %t %x %f %.2f %-20s %%`. */
function printf(format: unknown, ...args: readonly unknown[]): string {
  let next = 0
  return text(format).replace(
    /%([-0]?)(\d*)(?:\.(\d+))?([a-zA-Z%])/g,
    (_, flag: string, width: string, digits: string | undefined, verb: string) => {
      if (verb === "%") return "%"
      if (next >= args.length) return `%!${verb}(MISSING)`
      const plain = formatted(verb, args[next++], digits)
      if (flag === "-") return plain.padEnd(Number(width))
      return plain.padStart(Number(width), flag === "0" ? "0" : " ")
    },
  )
}

function formatted(verb: string, value: unknown, digits: string | undefined): string {
  switch (verb) {
    case "q":
      return JSON.stringify(shown(value))
    case "x":
      return typeof value === "number" ? value.toString(16) : Buffer.from(text(value)).toString("hex")
    case "f":
      return Number(value).toFixed(Number(digits ?? 6))
    case "d":
      return String(count(value))
    case "s":
    case "v":
    case "t":
      return digits === undefined ? shown(value) : shown(value).slice(0, Number(digits))
  }
  throw new Error(`%${verb} is not known here`)
}

/** A blank between two values when neither is a string, as fmt.Print has it. */
const print = (...values: readonly unknown[]) =>
  values
    .map((value, at) =>
      at > 0 && [value, values[at - 1]].every((one) => typeof one !== "string") ? ` ${shown(value)}` : shown(value),
    )
    .join("")

/** `and` and `or` stand in template.ts: they look at no more than they need. */
export const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map<string, TemplateFunction>(
  Object.entries({
    not: (value: unknown) => !isTrue(value),
    eq: (first: unknown, ...others: readonly unknown[]) => others.some((other) => equal(first, other)),
    ne: (a: unknown, b: unknown) => !equal(a, b),
    lt: less,
    le: (a: unknown, b: unknown) => !less(b, a),
    gt: (a: unknown, b: unknown) => less(b, a),
    ge: (a: unknown, b: unknown) => !less(a, b),
    index,
    slice,
    len: length,
    print,
    printf,
    println: (...values: readonly unknown[]) => `${values.map((value) => shown(value)).join(" ")}\n`,
    json: (value: unknown) => json(value ?? null),
    split: (whole: unknown, separator: unknown) => text(whole).split(text(separator)),
    join: (items: unknown, separator: unknown) => {
      if (!Array.isArray(items)) throw new Error(`it takes a list, not ${shown(items)}`)
      return items.map((item) => shown(item)).join(text(separator))
    },
    title: (value: unknown) =>
      text(value).replace(
        /(^|[\s\-_/.])(\p{L})/gu,
        (_, before: string, letter: string) => before + letter.toUpperCase(),
      ),
    lower: (value: unknown) => text(value).toLowerCase(),
    upper: (value: unknown) => text(value).toUpperCase(),
    pad: (value: unknown, before: unknown, behind: unknown) =>
      value === "" ? "" : " ".repeat(Math.max(0, count(before))) + text(value) + " ".repeat(Math.max(0, count(behind))),
    truncate: (value: unknown, most: unknown) => [...text(value)].slice(0, Math.max(0, count(most))).join(""),
  }),
)

/** In a table's heading, what would change a value leaves the heading as it is. */
export const HEADER_FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map([
  ...FUNCTIONS,
  ...["json", "split", "join", "title", "lower", "upper", "truncate", "slice", "index"].map(
    (name): [string, TemplateFunction] => [name, (...args) => args.find((arg) => typeof arg === "string")],
  ),
])
