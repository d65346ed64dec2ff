/**
 * A command is a page: rows for flags, one call, one print.
 *
 *     argv ── parse ──▶ { options, words } ──▶ run ──▶ exit status
 *               │
 *               └─ --help ──▶ help.ts, loaded only then
 *
 * `command` makes one that needs the engine, `page` one that does not. The engine is opened after the command line has
 * been understood: a wrong flag costs no look at the host.
 * Read on: commands.ts, the table; commands/stop.ts, a page.
 */

import { EngineError } from "../base/errors.ts"
import type { Engine } from "../engine/types.ts"
import type { Flags, OptionsOf } from "./flags.ts"
import type { Io } from "./io.ts"
import { parse } from "./parse.ts"

/** What every page says of itself. */
export interface Description<F extends Flags> {
  readonly name: string
  /** What follows the options: `CONTAINER...`, `CONTAINER COMMAND [ARG...]`. */
  readonly usage: string
  /** One line, as an imperative; no full stop. */
  readonly about: string
  /** More for help and docs: a paragraph. */
  readonly details?: string
  /** One or two command lines that work, without the command's own name in front. */
  readonly examples: readonly string[]
  readonly options: F
  /** Absent: `anywhere`. */
  readonly optionsEnd?: "first" | "anywhere"
  /** How many words there may be: the least, and the most (absent: any number). */
  readonly words: readonly [least: number, most?: number]
}

export interface Context<F extends Flags> {
  readonly io: Io
  readonly options: OptionsOf<F>
  /** What stands outside of options. */
  readonly words: readonly string[]
  /** The page's own part of the command line, as it was given. */
  readonly argv: readonly string[]
  readonly globals: readonly string[]
}

/** Nothing, for success, or the exit status. */
type Outcome = Promise<number | undefined> | number | undefined

/** What a page is given from outside. */
export interface Surroundings {
  readonly io: Io
  /** Opens the engine with the global options. */
  readonly open: () => Promise<Engine>
  /** What stood in front of the command: the global options, as they were given. */
  readonly globals: readonly string[]
}

export interface Command extends Description<Flags> {
  /** @throws {EngineError} */
  run(argv: readonly string[], surroundings: Surroundings): Promise<number>
}

/** A command that needs the engine. */
export function command<const F extends Flags>(
  row: Description<F> & {
    readonly run: (context: Context<F> & { readonly engine: Engine }) => Outcome | Promise<void>
  },
): Command {
  return page({
    ...row,
    run: async ({ open, ...context }) => (await row.run({ ...context, engine: await open() })) || 0,
  })
}

/** A command that may do without: it opens the engine itself, or never. */
export function page<const F extends Flags>(
  row: Description<F> & { readonly run: (context: Context<F> & Pick<Surroundings, "open">) => Outcome | Promise<void> },
): Command {
  return {
    ...row,
    async run(argv, { io, open, globals }) {
      const how = { command: row.name, optionsEnd: row.optionsEnd ?? "anywhere" }
      const { options, words, help } = parse(argv, row.options, how)
      if (help) {
        const { pageHelp } = await import("./help.ts")
        io.write("stdout", pageHelp(row))
        return 0
      }
      count(words, row)
      return (await row.run({ io, open, options, words, argv, globals })) || 0
    },
  }
}

function count(words: readonly string[], { name, usage, words: [least, most] }: Description<Flags>): void {
  const hint = `minicontainer ${name} [OPTIONS] ${usage}`.trimEnd()
  if (words.length < least) {
    const missing = usage.replaceAll(/[[\].]/g, "").split(" ")[words.length] ?? "an argument"
    throw new EngineError("USAGE", `cannot run ${name}: ${missing} is missing`, hint)
  }
  if (most !== undefined && words.length > most) {
    throw new EngineError("USAGE", `cannot run ${name}: ${words[most]} is too many`, hint)
  }
}

/**
 * Tries every name, in order, and throws what failed together at the end, so that one bad name spoils nothing.
 * @param together all at once, for what consists of waiting; results still come in order.
 * @throws {EngineError} the only failure, or `SEVERAL` with all of them as its cause.
 */
export async function each<T>(
  names: readonly string[],
  act: (name: string) => Promise<T>,
  done: (name: string, result: T) => void,
  { together = false } = {},
): Promise<void> {
  const failures: unknown[] = []
  const settled = (name: string) =>
    act(name).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
  const begun = together ? names.map(settled) : []
  for (const [at, name] of names.entries()) {
    const result = await (begun[at] ?? settled(name))
    if ("error" in result) failures.push(result.error)
    else done(name, result.value)
  }
  throwAll(failures)
}

/** One failure as it is; more of them as one. Anything but an EngineError is a fault of ours and goes first. */
export function throwAll(failures: readonly unknown[]): void {
  const fault = failures.find((error) => !(error instanceof EngineError))
  if (fault !== undefined) throw fault
  if (failures.length === 1) throw failures[0]
  if (failures.length === 0) return
  const messages = failures.map((error) => (error as EngineError).message)
  throw new EngineError("SEVERAL", messages.join("\n"), undefined, { cause: failures })
}
