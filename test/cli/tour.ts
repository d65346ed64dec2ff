/**
 * A document, played: every line of its console blocks that begins with `# ` is typed, all in one directory, and what it prints must be what
 * stands below it. A line that ends in a backslash goes on behind `> `.
 *
 * What differs from run to run is made equal first: ids, spans of time, numbers of steps and ids of the host.
 */

import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Machine } from "../machine.ts"

/** @param path of the document, from the top of the repository. */
export function playTour(path: string, machine: Machine): void {
  const played = commandsOf(readFileSync(join(import.meta.dir, "../..", path), "utf8"))
  test(`${path} has something to show`, () => expect(played.length).toBeGreaterThan(10))
  const cwd = machine.directory(path.replaceAll("/", "-"))
  // A file, not a function of the shell: timeout(1) and xargs(1) start it too.
  const bin = machine.directory("bin")
  const command = machine.command.map((word) => `'${word}'`).join(" ")
  writeFileSync(join(bin, "minicontainer"), `#!/bin/sh\nexec ${command} "$@"\n`, { mode: 0o755 })
  for (const { line, printed } of played) {
    // A shell for a person; nothing to compare.
    if (line.includes(" -it ")) continue
    test(line, () => {
      const { stdout } = spawnSync("sh", ["-c", `{ ${line}\n} 2>&1`], {
        cwd,
        env: {
          ...process.env,
          PATH: `${bin}:${process.env.PATH}`,
          MINICONTAINER_ROOT: machine.root,
          MINICONTAINER_RUN_ROOT: machine.runRoot,
          NO_COLOR: "1",
          LC_ALL: "C.UTF-8",
        },
      })
      expect(anyId(stdout.toString())).toBe(anyId(printed))
    }, 60_000)
  }
}

function commandsOf(document: string): { readonly line: string; readonly printed: string }[] {
  const blocks = [...document.matchAll(/```console\n([\s\S]*?)```/g)].map(([, block = ""]) => block)
  return blocks.flatMap((block) =>
    block.split(/^(?=# )/m).map((part) => {
      const [, line = "", printed = ""] = /^# ((?:.*\\\n> )*.*)\n([\s\S]*)$/.exec(part) ?? []
      return { line: line.replaceAll("\\\n> ", ""), printed }
    }),
  )
}

const anyId = (text: string): string =>
  text
    // About this machine, not about the tour: that its / is an overlay, for one.
    .replaceAll(/^minicontainer: warning: .*\n/gm, "")
    .replaceAll(/\b[0-9a-f]{64}\b/g, "ID")
    .replaceAll(/\b[0-9a-f]{12}\b/g, "ID")
    .replaceAll(/(Less than a second|\d+ seconds?)( ago)? */g, "SPAN ")
    .replaceAll(/^ +0 +\d+ +65536$/gm, "0 BASE 65536")
    .replaceAll(/^ +\d+ {2}(?=\S)/gm, "N  ")
    .replaceAll(/step \d+ of \d+/g, "step N of N")
    .replaceAll(/^ +(\d+) (sh -c|ps -e)/gm, "PID $2")
    .replaceAll(/ +PID/g, "PID")
