/** Builds filtered.c, once for each test file that asks. */

import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Filtered extends Disposable {
  /** A directory of its own, gone with it. */
  readonly directory: string
  /** @returns stdout. Throws if the status is not 0. */
  run(...args: readonly string[]): string
}

export function buildFiltered(): Filtered {
  const directory = mkdtempSync(join(tmpdir(), "mctest-filtered-"))
  const program = join(directory, "filtered")
  const run = (command: string, args: readonly string[]): string => {
    const { status, signal, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" })
    if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${signal ?? status} ${stderr}${stdout}`)
    return stdout
  }
  run("gcc", ["-O1", "-Wall", "-Wextra", "-Werror", "-o", program, join(import.meta.dirname, "filtered.c")])
  return {
    directory,
    run: (...args) => run(program, args),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}
