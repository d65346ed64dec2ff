/**
 * Flags as rows: what a command understands is a table, and parsing, help and docs all come from it.
 *
 *     memory: bytes({ short: "m", min: 6 * MiB, about: "Memory the container may use" })
 *     ──┬───  ──┬──   ───────────────────┬─────────────────────────────────────────
 *     name      kind: how text becomes   what else there is to know
 *               a value
 *
 * A flag that Docker has and this engine has not is a row as well: `refuse` says why, in one line.
 * Read on: parse.ts, how a command line is read; help.ts; run-flags.ts, the longest table.
 */

import type { ErrorCode } from "../base/errors.ts"
import { parseBytes } from "../base/units.ts"

/** What every row may say. */
export interface About {
  /** One line, as an imperative or a noun phrase; no full stop. */
  readonly about: string
  /** One letter. */
  readonly short?: string
  /** Further long names, which help does not show: `net` for `network`. */
  readonly also?: readonly string[]
  /** The word for the value in help, instead of the kind's. */
  readonly value?: string
  /** Why it cannot be used, as the cause of an error: "networks are not built yet". */
  readonly refuse?: string
  /** Values that a refused flag may have all the same, because they ask for what is so anyway: `no` of `--restart`. */
  readonly harmless?: readonly string[]
  /** An empty value means that the flag was not given, as with Docker's plain texts: `--name "$NAME"` in a script. */
  readonly blank?: true
}

export interface Flag<T> extends About {
  readonly kind: string
  /** Absent: a switch, which takes a value only behind `=`. */
  readonly value?: string
  /** What it is when it is not given, as help shows it. */
  readonly unless?: string
  /** May be given several times; each adds to the one before. Else the last wins. */
  readonly repeats: boolean
  readonly initial: T
  /** @throws {BadValue} */
  take(soFar: T, text: string): T
}

export type Flags = Readonly<Record<string, Flag<unknown>>>
/** What parse makes of a table: a value per row. */
export type OptionsOf<F extends Flags> = { readonly [N in keyof F]: F[N] extends Flag<infer T> ? T : never }

/** A value that a flag cannot take. parse.ts adds which flag and which value. */
export class BadValue extends Error {
  override readonly name = "BadValue"
  constructor(
    /** The cause alone, as in EngineError: "not a size". */
    cause: string,
    readonly hint?: string,
    readonly code: ErrorCode = "INVALID_VALUE",
  ) {
    super(cause)
  }
}

/** A flag of one value. `P`: what its rows say besides About. */
type Scalar<T, P> = <const R extends About & P & { readonly otherwise?: T }>(
  row: R,
) => Flag<R extends { readonly otherwise: T } ? T : T | undefined>

function scalar<T, P>(kind: string, word: string, parse: (text: string, row: P) => T): Scalar<T, P> {
  return (row) => {
    const flag = {
      value: word,
      ...row,
      kind,
      repeats: false,
      initial: row.otherwise,
      ...(row.otherwise !== undefined && { unless: String(row.otherwise) }),
      take: (_: unknown, text: string) => (row.blank && text === "" ? row.otherwise : parse(text, row)),
    }
    return flag as Flag<typeof row extends { readonly otherwise: T } ? T : T | undefined>
  }
}

export const text = scalar<string, unknown>("text", "TEXT", (given) => given)

/** An absolute path inside the container. */
export const insidePath = scalar<string, unknown>("path", "PATH", (given) => {
  if (given.startsWith("/")) return given
  throw new BadValue("not an absolute path", "a path inside the container begins with /")
})

interface Range {
  readonly min?: number
  readonly max?: number
}
export const integer = scalar<number, Range>("number", "NUMBER", (given, range) => {
  if (!/^[+-]?\d{1,15}$/.test(given)) throw new BadValue("not a whole number")
  return within(Number(given), range, String)
})
export const seconds = scalar<number, Range>("seconds", "SECONDS", (given, range) => {
  if (!/^[+-]?\d{1,9}$/.test(given)) throw new BadValue("not a whole number of seconds")
  return within(Number(given), range, (n) => `${n} s`)
})

/**
 * `min`, `max`: bytes, checked for all but 0, which Docker reads as "no limit".
 * `unlimited`: `-1` is a value too.
 */
export const bytes = scalar<number, Range & { readonly unlimited?: true }>("bytes", "BYTES", (given, row) => {
  if (row.unlimited && given === "-1") return -1
  const size = parseBytes(given)
  if (size === undefined) throw new BadValue("not a size", "write a number and perhaps b, k, m or g: 512m, 1.5g")
  return size === 0 ? 0 : within(size, row, sizeOf)
})
const sizeOf = (n: number) => (n % 2 ** 20 === 0 ? `${n / 2 ** 20}m` : `${n} bytes`)

function within(n: number, { min, max }: Range, shown: (n: number) => string): number {
  if (min !== undefined && n < min) throw new BadValue(`less than ${shown(min)}, the least that works`)
  if (max !== undefined && n > max) throw new BadValue(`more than ${shown(max)}, the most that works`)
  return n
}

/** One value with a grammar of its own. */
export function parsed<T>(word: string, parse: (text: string) => T): Scalar<T, unknown> {
  return scalar("text", word, parse)
}

/** One of a few words. `others`: words that Docker knows, with why they cannot be used here; a key ending in `:` is a prefix. */
export function choice<const W extends string>(
  row: About & { readonly of: readonly W[]; readonly others?: Readonly<Record<string, string>> },
): Flag<W | undefined> {
  const parse = (given: string): W => {
    const found = row.of.find((word) => word === given)
    if (found !== undefined) return found
    const known = Object.entries(row.others ?? {}).find(([word]) =>
      word.endsWith(":") ? given.startsWith(word) : word === given,
    )
    const hint = `it takes ${oneOf(row.of)}`
    if (known) throw new BadValue(known[1], hint, "UNSUPPORTED")
    throw new BadValue("not a value that it knows", hint)
  }
  return scalar<W, unknown>("choice", row.of.join("|"), parse)({ ...row, blank: true }) as Flag<W | undefined>
}
const oneOf = (words: readonly string[]) => words.join(" or ").replaceAll(/ or (?=.* or )/g, ", ")

const TRUTH: ReadonlyMap<string, boolean> = new Map([
  ...["1", "t", "T", "TRUE", "true", "True"].map((word) => [word, true] as const),
  ...["0", "f", "F", "FALSE", "false", "False"].map((word) => [word, false] as const),
])
/** What Go's strconv.ParseBool takes. */
export function parseBool(given: string): boolean {
  const truth = TRUTH.get(given)
  if (truth === undefined) throw new BadValue("neither true nor false")
  return truth
}

/** A switch: `--init`, `--init=false`, and `-it` for two at once. */
export function bool(row: About & { readonly otherwise?: boolean }): Flag<boolean> {
  const initial = row.otherwise ?? false
  return {
    ...row,
    kind: "switch",
    repeats: false,
    initial,
    ...(initial && { unless: "true" }),
    take: (_, given) => parseBool(given),
  }
}

/** May be given several times. `each`: what one of them means; absent: the text itself. Never splits at commas. */
export function list(row: About): Flag<readonly string[]>
export function list<T>(row: About & { readonly each: (text: string) => T }): Flag<readonly T[]>
export function list<T>(row: About & { readonly each?: (text: string) => T }): Flag<readonly (T | string)[]> {
  const each: (given: string) => T | string = row.each ?? ((given) => given)
  return {
    value: "TEXT",
    ...row,
    kind: "list",
    repeats: true,
    initial: [],
    take: (soFar, given) => [...soFar, each(given)],
  }
}

/** `KEY=VALUE`, several times; the last of one key wins. `check`: looks at each pair and may throw BadValue. */
export function map(
  row: About & { readonly bare?: string; readonly check?: (key: string, value: string) => void },
): Flag<Readonly<Record<string, string>>> {
  return {
    value: "KEY=VALUE",
    ...row,
    kind: "map",
    repeats: true,
    initial: {},
    take: (soFar, given) => {
      const { key, value = row.bare } = keyValue(given)
      if (value === undefined) throw new BadValue("it has no =", `write KEY=VALUE`)
      row.check?.(key, value)
      return { ...soFar, [key]: value }
    },
  }
}

/** Splits at the first `=`. @throws {BadValue} for an empty key. */
export function keyValue(given: string): { readonly key: string; readonly value?: string } {
  const at = given.indexOf("=")
  if (at === 0 || given === "") throw new BadValue("it has no name before the =")
  return at < 0 ? { key: given } : { key: given.slice(0, at), value: given.slice(at + 1) }
}
