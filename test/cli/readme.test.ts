/**
 * The tour of README.md, played: every line that begins with `# ` is typed, and what it prints is what stands below it.
 *
 * What differs from run to run is made equal first: ids, spans of time, numbers of steps and ids of the host.
 */

import { afterAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const readme = readFileSync(join(import.meta.dir, "../../README.md"), "utf8")
const blocks = [...readme.matchAll(/```console\n([\s\S]*?)```/g)].map(([, block = ""]) => block)
const played = blocks.flatMap((block) =>
  block.split(/^(?=# )/m).map((part) => {
    const [line = "", ...rest] = part.split("\n")
    return { line: line.slice(2), printed: rest.join("\n") }
  }),
)
const anyId = (text: string): string =>
  text
    .replaceAll(/\b[0-9a-f]{64}\b/g, "ID")
    .replaceAll(/\b[0-9a-f]{12}\b/g, "ID")
    .replaceAll(/(Less than a second|\d+ seconds?)( ago)? */g, "SPAN ")
    .replaceAll(/^ +0 +\d+ +65536$/gm, "0 BASE 65536")
    .replaceAll(/^ +\d+ {2}(?=\S)/gm, "N  ")
    .replaceAll(/^ +(\d+) (sh -c|ps -e)/gm, "PID $2")
    .replaceAll(/ +PID/g, "PID")

test("the tour has something to show", () => expect(played.length).toBeGreaterThan(10))

for (const { line, printed } of played) {
  // A shell for a person; nothing to compare.
  if (line.includes(" -it ")) continue
  test(line, () => {
    const words = machine.command.map((word) => `'${word}'`).join(" ")
    const { stdout } = spawnSync("sh", ["-c", `minicontainer() { ${words} "$@"; }; { ${line}\n} 2>&1`], {
      env: {
        ...process.env,
        MINICONTAINER_ROOT: machine.root,
        MINICONTAINER_RUN_ROOT: machine.runRoot,
        NO_COLOR: "1",
        LC_ALL: "C.UTF-8",
      },
    })
    expect(anyId(stdout.toString())).toBe(anyId(printed))
  }, 20_000)
}
