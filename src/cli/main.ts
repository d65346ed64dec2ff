/**
 * Door 1, the command line: argv in, text and an exit status out.
 *
 *     minicontainer --root /srv/mc run --rm --rootfs / sh
 *                   ──────┬─────── ─┬─ ────────┬─────────
 *                   global options  │          the page's own
 *                                   a row of commands.ts, whose page is loaded now
 *
 * What is imported here, every command pays for. Nothing is: but the table, the flags and the words for errors.
 * Read on: commands.ts; command.ts, what a page is; io.ts, what it may touch.
 */

import { resolve } from "node:path/posix"
import type { Engine } from "../engine/types.ts"
import type { Surroundings } from "./command.ts"
import { COMMANDS, find } from "./commands.ts"
import { tell } from "./failure.ts"
import { bool, type OptionsOf, parsed } from "./flags.ts"
import { BrokenPipe, type Io } from "./io.ts"
import { parse } from "./parse.ts"
import { fileName } from "./values/files.ts"

/** Options in front of the command. */
export const GLOBAL_FLAGS = {
  root: parsed("DIR", fileName)({ about: "Where containers are kept (MINICONTAINER_ROOT)" }),
  "run-root": parsed("DIR", fileName)({ about: "Where what ends with the machine is kept (MINICONTAINER_RUN_ROOT)" }),
  debug: bool({ short: "D", about: "Show where an error came from (MINICONTAINER_DEBUG)" }),
  version: bool({ short: "v", about: "Print the version" }),
}

/** Where the engine keeps things, and how it starts; absent: the engine's own defaults. */
export interface Roots {
  readonly root?: string
  readonly runRoot?: string
}

const STATUS_OF_SIGPIPE = 128 + 13

/**
 * @param argv without the program's own name.
 * @param open makes the engine; called once at most, after the command line has been understood.
 * @returns the exit status. Does not return if the command becomes the executor.
 */
export async function main(argv: readonly string[], io: Io, open: (roots: Roots) => Promise<Engine>): Promise<number> {
  let debug = Boolean(io.env.MINICONTAINER_DEBUG)
  try {
    if (argv.some((word) => word.includes("\ufffd"))) (await import("./bytes.ts")).refuseBytes(argv)
    const { options, words, help } = parse(argv, GLOBAL_FLAGS, { command: "", optionsEnd: "first" })
    debug ||= options.debug
    const at = { io, open: () => open(roots(options, io)), globals: argv.slice(0, argv.length - words.length) }
    if (options.version) return await call("version", ["--short"], at)
    if (help || words.length === 0) return await call("help", [], at)
    const found = find(words)
    if (!found) throw (await import("./unknown.ts")).unknown(words)
    return await call(found.name, words.slice(found.took), at)
  } catch (error) {
    return error instanceof BrokenPipe ? STATUS_OF_SIGPIPE : tell(error, io, debug)
  }
}

async function call(name: string, argv: readonly string[], at: Surroundings): Promise<number> {
  const page = await COMMANDS[name]!.page()
  return page.run(argv, at)
}

/** What is typed is relative to where it is typed; a variable outlives a `cd`, so the engine takes absolute ones only. */
function roots(options: OptionsOf<typeof GLOBAL_FLAGS>, { env, cwd }: Io): Roots {
  const typed = (path: string | undefined) => path && resolve(cwd, path)
  const root = typed(options.root) || env.MINICONTAINER_ROOT
  const runRoot = typed(options["run-root"]) || env.MINICONTAINER_RUN_ROOT
  return { ...(root && { root }), ...(runRoot && { runRoot }) }
}
