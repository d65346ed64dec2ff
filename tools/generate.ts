/**
 * Makes what is made: the C op table, the pages of docs/ that come from tables and lessons.
 * `bun tools/generate.ts --check` writes nothing and fails when something is stale.
 *
 *     src/plan/step.ts          OPS              native/ops.gen.h
 *     src/base/errors.ts        ANSWERS          docs/errors.md
 *     src/plan/                 lessons          docs/rooms/, src/plan/README.md
 *     src/cli/                  commands, flags  docs/cli/, the flag table of README.md
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { ANSWERS } from "../src/base/errors.ts"
import { run } from "../src/cli/commands/run.ts"
import { commandPages, flagsOf } from "./docs-cli.ts"
import { firstSentence, lesson } from "./lesson.ts"
import { filesHeader, header } from "./ops.ts"

const ROOT = join(import.meta.dirname, "..")

/** Path from the root of the repository → text. */
export type Made = ReadonlyMap<string, string>

/** Directories in which every file is made: one that is no longer made is stale too. */
const WHOLE = ["docs/rooms", "docs/cli"]

function errors(): string {
  const rows = Object.entries(ANSWERS).map(
    ([code, { exit, http, about }]) => `| \`${code}\` | ${about} | ${exit} | ${http} |`,
  )
  return `# Errors

Made from \`src/base/errors.ts\` by \`make generate\`. A code never changes its meaning.

| code | when | exit status | HTTP status |
|---|---|---|---|
${rows.join("\n")}

Exit statuses are Docker's: 125 the engine's own failure, 126 the program cannot be executed, 127 it is not there,
128 + n it was ended by signal n, else the program's own. On the command line an error is one line on stderr,
\`minicontainer: cannot <verb> <thing>: <cause>\`, and a second one with what to do about it where there is something to do.
`
}

/** Names of other rooms become links; pictures, which are indented, stay as they are. */
function linked(text: string): string {
  const pages = new Set(nouns())
  const link = (line: string): string =>
    line.replaceAll(/(?<![\w/`])([\w-]+)\.ts\b/g, (all, name: string) =>
      pages.has(name) ? `[${name}](${name}.md)` : all,
    )
  return text
    .split("\n")
    .map((line) => (line.startsWith("    ") ? line : link(line)))
    .join("\n")
}

/** A page of a room: its lesson, then where the same noun stands in the other layers. */
function room(noun: string, text: string): string {
  const layers = [
    [`src/spec/${noun}.ts`, "from flags to config.json"],
    [`src/plan/${noun}.ts`, "from config.json to steps"],
    [`src/plan/${noun}.test.ts`, "as text"],
    [`test/kernel/${noun}.test.ts`, "against a real kernel"],
  ].filter(([path]) => existsSync(join(ROOT, path!)))
  return `# ${noun}

${linked(text)}

${layers.map(([path, what]) => `- [${path}](../../${path}): ${what}`).join("\n")}
`
}

/** Files of src/plan/ that are read by themselves: not the parts of a room, which are named after it (`mounts-paths`). */
function nouns(): string[] {
  const all = readdirSync(join(ROOT, "src/plan"))
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
    .map((name) => name.slice(0, -".ts".length))
  const isPart = (name: string): boolean => !/-v\d$/.test(name) && all.some((room) => name.startsWith(`${room}-`))
  return all.filter((name) => !isPart(name)).toSorted()
}

function rooms(): Map<string, string> {
  const made = new Map<string, string>()
  const rows: string[] = []
  for (const noun of nouns()) {
    const name = `${noun}.ts`
    const text = lesson(readFileSync(join(ROOT, "src/plan", name), "utf8"))
    if (text === undefined) continue
    made.set(`docs/rooms/${noun}.md`, room(noun, text))
    rows.push(`| [${noun}](${noun}.md) | ${about(text).replaceAll("|", "\\|")} |`)
  }
  made.set(
    "docs/rooms/README.md",
    `# The rooms

One page for each file of \`src/plan/\`, made from its lesson by \`make generate\`. The reading order is in
[src/plan/README.md](../../src/plan/README.md).

| room | |
|---|---|
${rows.join("\n")}
`,
  )
  return made
}

/** What a lesson is about, where its name stands before: "Overlay: many layers." is about "many layers". */
const about = (text: string): string => firstSentence(text).replace(/^[A-Z][^:.]{2,24}: (?=[a-z])/, "")

/** The way through the museum: the order that plan.ts names in its lesson, then what is left. */
function readingOrder(): string {
  const first = (noun: string): string =>
    about(lesson(readFileSync(join(ROOT, "src/plan", `${noun}.ts`), "utf8")) ?? "")
  const order = /^Read on, in this order: (.*)\.$/m.exec(
    lesson(readFileSync(join(ROOT, "src/plan/plan.ts"), "utf8")) ?? "",
  )
  if (order === null) throw new Error("cannot make src/plan/README.md: plan.ts names no reading order")
  const ordered = order[1]!.split(" ")
  const rest = nouns().filter((noun) => !ordered.includes(noun) && noun !== "plan")
  return `# The museum

One room for each kernel primitive: what the kernel offers, the rule that holds, and the steps that follow from a
\`config.json\`. Each reads alone, in ten minutes. Made from the lessons by \`make generate\`.

Begin with [plan.ts](plan.ts), the table of contents: which rooms, in which order. Then:

${ordered.map((noun, at) => `${at + 1}. [${noun}](${noun}.ts): ${first(noun)}`).join("\n")}

When you need them:

${rest.map((noun) => `- [${noun}](${noun}.ts): ${first(noun)}`).join("\n")}
`
}

/** README.md with its table of flags, between two marks; the rest of it is written by hand. */
function readme(): string {
  const [head, tail] = [/[\s\S]*<!-- flags of run: [^\n]*-->\n/, /<!-- end -->[\s\S]*/].map(
    (part) => part.exec(readFileSync(join(ROOT, "README.md"), "utf8"))?.[0],
  )
  if (head === undefined || tail === undefined)
    throw new Error("cannot make the flag table of README.md: its marks are gone")
  return `${head}\n${flagsOf(run)}\n${tail}`
}

/** Everything that is made, as it should be now. */
export function make(): Made {
  return new Map([
    ["native/ops.gen.h", header()],
    ["native/files.gen.h", filesHeader()],
    ["README.md", readme()],
    ["docs/errors.md", errors()],
    ["src/plan/README.md", readingOrder()],
    ...rooms(),
    ...commandPages(),
  ])
}

/** One line for each file that is not as it should be. */
export function stale(made: Made): string[] {
  const different = [...made].flatMap(([path, text]) => {
    const file = join(ROOT, path)
    return existsSync(file) && readFileSync(file, "utf8") === text ? [] : [path]
  })
  const orphans = WHOLE.flatMap((directory) =>
    existsSync(join(ROOT, directory))
      ? readdirSync(join(ROOT, directory))
          .map((name) => `${directory}/${name}`)
          .filter((path) => !made.has(path))
      : [],
  )
  return [...different, ...orphans]
}

if (import.meta.main) {
  const made = make()
  const paths = stale(made)
  if (process.argv.includes("--check")) {
    for (const path of paths) process.stderr.write(`${path} is stale: run \`make generate\`\n`)
    process.exitCode = paths.length > 0 ? 1 : 0
  } else
    for (const path of paths) {
      const text = made.get(path)
      const file = join(ROOT, path)
      if (text === undefined) rmSync(file)
      else {
        mkdirSync(dirname(file), { recursive: true })
        writeFileSync(file, text)
      }
      process.stdout.write(`${text === undefined ? "removed" : "made"} ${path}\n`)
    }
}
