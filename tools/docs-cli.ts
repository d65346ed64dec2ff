/**
 * Makes docs/cli/: one page for each command, from the same rows that parse its command line and print its help.
 * `bun tools/docs-cli.ts` writes them, `--check` only says what is stale. generate.ts makes them too, with all the rest.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Command } from "../src/cli/command.ts"
import { COMMANDS, type Row } from "../src/cli/commands.ts"
import type { Flag, Flags } from "../src/cli/flags.ts"
import { about, usage } from "../src/cli/help.ts"
import { GLOBAL_FLAGS } from "../src/cli/main.ts"

const ROOT = join(import.meta.dirname, "..")
const MADE = "Made from `src/cli/` by `make generate`."

const fileOf = (name: string) => `${name.replace(" ", "-")}.md`
const code = (text: string) => `\`${text.replaceAll("|", "\\|")}\``
const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("<", "&lt;")

function flagName(name: string, { short, value }: Flag<unknown>): string {
  const long = code(`--${name}${value === undefined ? "" : ` ${value}`}`)
  return short ? `${code(`-${short}`)}, ${long}` : long
}

function flagTable(flags: Flags, refused: boolean): string {
  const rows = Object.entries(flags)
    .filter(([, { refuse }]) => (refuse !== undefined) === refused)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, flag]) => `| ${flagName(name, flag)} | ${cell(refused ? flag.refuse! : about(flag))} |`)
  if (rows.length === 0) return ""
  const [heading, column] = refused ? ["Flags of Docker that are refused", "why"] : ["Flags", ""]
  return `\n## ${heading}\n\n| flag | ${column} |\n|---|---|\n${rows.join("\n")}\n`
}

/** The table of one command's flags, for a page that tells of more than that command. */
export const flagsOf = (command: Command): string => flagTable(command.options, false).replace(/^\n## .*\n\n/, "")

function page(command: Command, { also = [] }: Row): string {
  const { name, examples, options } = command
  const aliases = also.length > 0 ? `\nAlso ${also.map((words) => code(`minicontainer ${words}`)).join(", ")}.\n` : ""
  const details = command.details ? `\n${command.details}\n` : ""
  return `# minicontainer ${name}

${command.about}.

    ${usage(command)}
${details}${aliases}
## Examples

${examples.map((line) => `    minicontainer ${name} ${line}`.trimEnd()).join("\n")}
${flagTable(options, false)}${flagTable(options, true)}
${MADE}
`
}

function overview(rows: readonly (readonly [string, Row])[]): string {
  const lines = rows.map(([name, row]) => `| [${name}](${fileOf(name)}) | ${cell(row.about)} |`)
  return `# The command line

    minicontainer [OPTIONS] COMMAND

| command | |
|---|---|
${lines.join("\n")}

Words, order and exit statuses are Docker's: 125 is a failure of the engine, 126 a program that cannot be executed, 127 one that is not there,
128 + n a program that was ended by signal n; every other status is the program's own. See [errors](../errors.md).
${flagTable(GLOBAL_FLAGS, false)}
${MADE}
`
}

/** Those that people type, with their pages loaded. */
const SHOWN = await Promise.all(
  Object.entries(COMMANDS)
    .filter(([, { group }]) => group !== undefined)
    .map(async ([name, row]) => ({ name, row, command: await row.page() })),
)

/** Path from the root of the repository → text. */
export function commandPages(): ReadonlyMap<string, string> {
  const pages = SHOWN.map(({ name, row, command }) => [`docs/cli/${fileOf(name)}`, page(command, row)] as const)
  return new Map([["docs/cli/README.md", overview(SHOWN.map(({ name, row }) => [name, row]))], ...pages])
}

if (import.meta.main) {
  const check = process.argv.includes("--check")
  for (const [path, text] of commandPages()) {
    const file = join(ROOT, path)
    if (existsSync(file) && readFileSync(file, "utf8") === text) continue
    if (check) {
      process.stderr.write(`${path} is stale: run \`make generate\`\n`)
      process.exitCode = 1
    } else {
      mkdirSync(join(ROOT, "docs/cli"), { recursive: true })
      writeFileSync(file, text)
      process.stdout.write(`made ${path}\n`)
    }
  }
}
