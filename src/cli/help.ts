/**
 * Help, made from the rows: what a command is for, one example that works, and its flags in two columns.
 *
 * Fits 100 columns, as does everything that this command prints for people.
 * Read on: flags.ts; tools/docs-cli.ts makes the pages of docs/cli/ from the same rows.
 */

import type { Description } from "./command.ts"
import { COMMANDS } from "./commands.ts"
import type { Flag, Flags } from "./flags.ts"
import { pad, wrap } from "./print/table.ts"

const COLUMNS = 100
/** Two columns of flags: where the second one begins at the latest. */
const WIDEST = 34

const NAME = "minicontainer"

/** Help of one command. */
export function pageHelp(page: Description<Flags>): string {
  const also = COMMANDS[page.name]?.also ?? []
  const refused = Object.entries(page.options).filter(([, flag]) => flag.refuse !== undefined)
  return sections([
    `Usage: ${usage(page)}\n`,
    paragraphs([page.about, ...(page.details ? [page.details] : [])].join("\n\n")),
    section(
      "Example:",
      page.examples.map((line) => `  ${NAME} ${page.name} ${line}`.trimEnd()),
    ),
    section("Also:", also.length > 0 ? [`  ${also.map((name) => `${NAME} ${name}`).join(", ")}`] : []),
    section("Options:", flagLines(page.options)),
    section(
      "Options of Docker that are not here, each of which says why:",
      indented(refused.map(([name]) => `--${name}`).join(" ")),
    ),
  ])
}

export function usage({ name, usage, options }: Description<Flags>): string {
  const some = Object.keys(options).length > 0 ? " [OPTIONS]" : ""
  return `${NAME} ${name}${some} ${usage}`.trimEnd()
}

/** Help of the whole: where to begin, the commands in groups, the options in front of them. */
export function mainHelp(globalFlags: Flags): string {
  const rows = Object.entries(COMMANDS)
  const widest = Math.max(...rows.map(([name]) => name.length))
  const groups = [...new Set(rows.flatMap(([, { group }]) => group ?? []))].map((group) =>
    section(
      `${group}:`,
      rows.filter(([, row]) => row.group === group).map(([name, { about }]) => `  ${pad(name, widest)}   ${about}`),
    ),
  )
  return sections([
    `Usage: ${NAME} [OPTIONS] COMMAND\n`,
    "Runs programs in containers, without a daemon.\n",
    section("Begin with:", [`  ${NAME} run --rm -it --rootfs / sh`]),
    ...groups,
    section("Options:", flagLines(globalFlags)),
    `More about a command: ${NAME} COMMAND --help\n`,
  ])
}

const sections = (all: readonly string[]) => all.filter(Boolean).join("\n")
const section = (heading: string, lines: readonly string[]) =>
  lines.length === 0 ? "" : `${[heading, ...lines].join("\n")}\n`
const indented = (text: string) => (text === "" ? [] : wrap(text, COLUMNS - 2).map((line) => `  ${line}`))
const paragraphs = (text: string) =>
  `${text
    .split("\n")
    .flatMap((line) => wrap(line, COLUMNS))
    .join("\n")}\n`

/** By name; those that are refused are not listed here. */
function flagLines(flags: Flags): string[] {
  const shown = Object.entries(flags)
    .filter(([, { refuse }]) => refuse === undefined)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
  const heads = shown.map(([name, flag]) => `  ${spelling(name, flag)}`)
  const begin = Math.min(WIDEST, Math.max(0, ...heads.map(({ length }) => length)) + 3)
  return shown.flatMap(([, flag], at) => {
    const lines = wrap(about(flag), COLUMNS - begin).map((line) => " ".repeat(begin) + line)
    const head = heads[at]!
    return head.length + 2 > begin ? [head, ...lines] : [head + lines[0]!.slice(head.length), ...lines.slice(1)]
  })
}

/** `-e, --env KEY[=VALUE]`; without a short name, as much is left blank. */
export function spelling(name: string, { short, value }: Flag<unknown>): string {
  return `${short ? `-${short}, ` : "    "}--${name}${value === undefined ? "" : ` ${value}`}`
}

/** What the row says, and the value that it has when it is not given. */
export function about({ about, unless }: Flag<unknown>): string {
  return unless === undefined ? about : `${about} (default ${unless})`
}
