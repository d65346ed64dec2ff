/**
 * `minicontainer complete -- WORD...`: what could stand in place of the last word, one a line. For the scripts of completion.ts.
 *
 *     stop we            names of containers that begin with "we"
 *     run --ne           flags of run
 *     run --network h    the words that the flag takes
 *
 * Everything comes from the rows: which commands there are, what their flags take, what their usage calls the words behind them. Where
 * nothing is known nothing is printed, and the shell completes files.
 *
 * Read on: commands.ts, flags.ts.
 */

import type { Engine } from "../../engine/types.ts"
import { page } from "../command.ts"
import { COMMANDS, find } from "../commands.ts"
import type { Flag, Flags } from "../flags.ts"
import { GLOBAL_FLAGS } from "../main.ts"

export const complete = page({
  name: "complete",
  usage: "-- WORD...",
  about: "Print what could stand in place of the last word",
  examples: ["-- run --net"],
  options: {},
  words: [0],
  run: async ({ io, words, open }) => {
    for (const candidate of await candidates(merged(words), open)) io.print(candidate)
    return 0
  },
})

/** bash makes three words of `--flag=value`. */
function merged(words: readonly string[]): readonly string[] {
  const last = words.at(-1) ?? ""
  if (last === "=") return [...words.slice(0, -1), ""]
  return words.at(-2) === "=" ? [...words.slice(0, -2), last] : words
}

async function candidates(words: readonly string[], open: () => Promise<Engine>): Promise<readonly string[]> {
  const current = words.at(-1) ?? ""
  const before = words.slice(0, -1)
  const begins = (all: readonly string[]): readonly string[] =>
    [...new Set(all)].filter((one) => one.startsWith(current)).sort()
  const at = skipFlags(before, GLOBAL_FLAGS)
  const rest = before.slice(at)
  const found = rest.length > 0 ? find(rest) : undefined
  if (rest.length === 0 || !found) {
    const awaited = valueAwaited(before, GLOBAL_FLAGS)
    if (awaited) return []
    if (rest.length === 0 && current.startsWith("-")) return begins(flagNames(GLOBAL_FLAGS))
    return begins(heads(rest))
  }
  const command = await found.row.page()
  const behind = rest.slice(found.took)
  const [, name, value] = /^--([\w-]+)=(.*)$/.exec(current) ?? []
  if (name !== undefined) {
    const values = await valuesOf(name, command.options[name], open)
    return values.filter((one) => one.startsWith(value!)).map((one) => `--${name}=${one}`)
  }
  const awaited = valueAwaited(behind, command.options)
  if (awaited) return begins(await valuesOf(awaited, command.options[awaited], open))
  if (current.startsWith("-")) return begins(flagNames(command.options))
  const kind = command.usage.replaceAll(/[[\].]/g, "").split(" ")[0] ?? ""
  const alternatives = /^[a-z]+(\|[a-z]+)+$/.test(kind) ? kind.split("|") : await namesOf(kind, open)
  return begins(alternatives.filter((one) => !behind.includes(one)))
}

/** First words of commands, or the second ones of a group. */
const heads = (rest: readonly string[]): readonly string[] =>
  Object.entries(COMMANDS)
    .filter(([, { group }]) => group !== undefined)
    .flatMap(([name, { also = [] }]) => [name, ...also])
    .map((name) => name.split(" "))
    .filter((parts) => parts.length > rest.length && rest.every((word, index) => parts[index] === word))
    .map((parts) => parts[rest.length]!)

const flagNames = (flags: Flags): readonly string[] => [
  ...Object.entries(flags).flatMap(([name, { refuse }]) => (refuse === undefined ? [`--${name}`] : [])),
  "--help",
]

/** How many words in front are flags and their values. */
function skipFlags(words: readonly string[], flags: Flags): number {
  let at = 0
  while (words[at]?.startsWith("-")) at += takesNext(words[at]!, flags) ? 2 : 1
  return Math.min(at, words.length)
}

function flagOf(word: string, flags: Flags): string | undefined {
  if (word.startsWith("--")) return Object.hasOwn(flags, word.slice(2)) ? word.slice(2) : undefined
  if (!/^-\w+$/.test(word)) return undefined
  // Of switches in one word the last may take a value: -it.
  return Object.entries(flags).find(([, { short }]) => short === word.at(-1))?.[0]
}
const takesNext = (word: string, flags: Flags): boolean => {
  const name = flagOf(word, flags)
  return name !== undefined && flags[name]!.value !== undefined
}

/** The flag whose value comes next. */
function valueAwaited(before: readonly string[], flags: Flags): string | undefined {
  const last = before.at(-1) ?? ""
  return takesNext(last, flags) ? flagOf(last, flags) : undefined
}

async function valuesOf(name: string, flag: Flag<unknown> | undefined, open: () => Promise<Engine>) {
  if (flag?.kind === "choice") return flag.value?.split("|") ?? []
  if (name === "volumes-from") return namesOf("CONTAINER", open)
  if (name === "volume") return (await namesOf("VOLUME", open)).map((one) => `${one}:`)
  return []
}

/** By what the usage calls them. */
const NAMES: Readonly<Record<string, (engine: Engine) => Promise<readonly string[]>>> = {
  CONTAINER: async (engine) => (await engine.ps({ all: true })).containers.map(({ name }) => name),
  VOLUME: async (engine) => (await engine.volumes()).map(({ Name }) => Name),
  COMMAND: async () => heads([]),
}

/** Nobody can be told why there are none: a key was pressed. */
async function namesOf(kind: string, open: () => Promise<Engine>): Promise<readonly string[]> {
  const names = Object.hasOwn(NAMES, kind) ? NAMES[kind] : undefined
  if (!names) return []
  try {
    return await names(await open())
  } catch {
    return []
  }
}
