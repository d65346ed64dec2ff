/**
 * Reading a command line, exactly as Docker's does (spf13/pflag).
 *
 *     run -itd -e A=b --name=web --rm=false --rootfs / sh -c 'echo hi'
 *         ─┬── ──┬─── ────┬───── ────┬───── ────┬───── ───────┬───────
 *      three     a value  a value    a switch   last          not ours: options ended
 *      switches  behind   behind =   takes one              at the first word without a dash
 *      at once   a space             only by =
 *
 * - `-eA=b`, `-e=A=b` and `-e A=b` are the same; `-te A=b` is `-t -e A=b`.
 * - A flag that needs a value takes the next word, whatever it looks like: `--memory-swap -1`.
 * - `--` ends options, and is dropped, where options could still come.
 * - Repeated: lists and maps grow, of everything else the last wins.
 * Read on: flags.ts, what a value means.
 * @see https://github.com/spf13/pflag, flag.go
 */

import { EngineError } from "../base/errors.ts"
import { BadValue, type Flag, type Flags, type OptionsOf } from "./flags.ts"
import { didYouMean } from "./nearest.ts"
import { visible } from "./print/table.ts"

export interface Parsed<F extends Flags> {
  readonly options: OptionsOf<F>
  /** What stands outside of options, in order. */
  readonly words: readonly string[]
  /** `--help` was met: nothing behind it was read. */
  readonly help: boolean
}

export interface How {
  /** For hints: `run`; empty before any command. */
  readonly command: string
  /** Whether options end at the first word without a dash (`run`, `exec`) or may stand between and behind words. */
  readonly optionsEnd: "first" | "anywhere"
}

/** @throws {EngineError} `USAGE` for a flag that is not there or lacks its value, `INVALID_VALUE`, `UNSUPPORTED`. */
export function parse<F extends Flags>(argv: readonly string[], flags: F, how: How): Parsed<F> {
  const table = index(flags)
  const values: Record<string, unknown> = {}
  for (const [name, flag] of Object.entries(flags)) values[name] = flag.initial
  const words: string[] = []
  const result = (help: boolean) => ({ options: values as OptionsOf<F>, words, help })
  const take = ({ name, flag }: Named, given: string) => {
    values[name] = taken(name, flag, values[name], given)
  }

  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!
    const following = () => argv[++i]
    if (word === "--") {
      words.push(...argv.slice(i + 1))
      break
    }
    if (!word.startsWith("-") || word === "-") {
      words.push(word)
      if (how.optionsEnd === "anywhere") continue
      words.push(...argv.slice(i + 1))
      break
    }
    if (word.startsWith("--")) {
      const { name, value } = splitAtEquals(word.slice(2))
      const named = table.long.get(name)
      if (!named && name === "help") return result(true)
      if (!named) throw unknown(`--${name}`, table, how)
      take(named, value ?? (named.flag.value === undefined ? "true" : following()) ?? missing(`--${name}`, named, how))
      continue
    }
    for (let letters = word.slice(1); letters !== ""; ) {
      const letter = letters[0]!
      const rest = letters.slice(1)
      const named = table.short.get(letter)
      if (!named && letter === "h") return result(true)
      if (!named) throw unknown(`-${letter}`, table, how, word)
      const isSwitch = named.flag.value === undefined
      if (rest.length > 1 && rest.startsWith("=")) {
        take(named, rest.slice(1))
        break
      }
      if (isSwitch) {
        take(named, "true")
        letters = rest
        continue
      }
      take(named, rest !== "" ? rest : (following() ?? missing(`-${letter}`, named, how)))
      break
    }
  }
  return result(false)
}

type Named = { readonly name: string; readonly flag: Flag<unknown> }
type Table = { readonly long: ReadonlyMap<string, Named>; readonly short: ReadonlyMap<string, Named> }

function index(flags: Flags): Table {
  const long = new Map<string, Named>()
  const short = new Map<string, Named>()
  for (const [name, flag] of Object.entries(flags)) {
    const named = { name, flag }
    for (const spelling of [name, ...(flag.also ?? [])]) long.set(spelling, named)
    if (flag.short) short.set(flag.short, named)
  }
  return { long, short }
}

function splitAtEquals(word: string): { readonly name: string; readonly value?: string } {
  const at = word.indexOf("=")
  return at < 0 ? { name: word } : { name: word.slice(0, at), value: word.slice(at + 1) }
}

function taken(name: string, flag: Flag<unknown>, soFar: unknown, given: string): unknown {
  if (flag.refuse !== undefined) {
    if (flag.harmless?.includes(given)) return soFar
    throw new EngineError("UNSUPPORTED", `cannot use --${name}: ${flag.refuse}`)
  }
  try {
    return flag.take(soFar, given)
  } catch (error) {
    if (!(error instanceof BadValue)) throw error
    throw new EngineError(error.code, `cannot use --${name} ${quoted(given)}: ${error.message}`, error.hint)
  }
}

function missing(spelling: string, { flag }: Named, how: How): never {
  throw new EngineError("USAGE", `cannot use ${spelling}: its value is missing`, `${flag.about} (${helpCall(how)})`)
}

function unknown(spelling: string, table: Table, how: How, within = spelling): EngineError {
  const where = within === spelling ? "" : ` in ${quoted(within)}`
  const near = didYouMean(
    spelling,
    [...table.long.keys(), "help"].map((name) => `--${name}`),
  )
  return new EngineError(
    "USAGE",
    `cannot use ${quoted(spelling)}${where}: unknown flag`,
    near ?? `all options: ${helpCall(how)}`,
  )
}

const helpCall = ({ command }: How) => ["minicontainer", command, "--help"].filter(Boolean).join(" ")

/** As a shell would need it, where that matters to a reader: empty, or with blanks in it. */
export function quoted(word: string): string {
  return word === "" || /[\s"'\\]/.test(word) ? JSON.stringify(word) : visible(word)
}
