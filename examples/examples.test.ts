/** Every example prints what its first comment says, under Node, against the library that `make build` made. */

import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Machine, newMachine } from "../test/machine.ts"
import { lesson } from "../tools/lesson.ts"

const ROOT = join(import.meta.dirname, "..")
const platform = readdirSync(join(ROOT, "node_modules")).find((name) => name.startsWith("node-linux-"))
const node = join(ROOT, "node_modules", platform ?? "missing", "bin/node")

let machine: Machine
beforeAll(() => {
  machine = newMachine()
})
afterAll(() => machine[Symbol.dispose]())

for (const name of readdirSync(import.meta.dirname).filter((entry) => /^\d\d-.*\.ts$/.test(entry)))
  test(name, () => {
    const promised = lesson(readFileSync(join(import.meta.dirname, name), "utf8"))?.split("prints:\n")[1]
    const { stdout, stderr } = spawnSync(node, [join(import.meta.dirname, name), machine.rootfs], {
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin", MINICONTAINER_ROOT: machine.root, MINICONTAINER_RUN_ROOT: machine.runRoot },
    })
    expect(stderr).toBe("")
    expect(stdout).toBe(`${promised?.replaceAll(/^ {4}/gm, "").trim()}\n`)
  })
