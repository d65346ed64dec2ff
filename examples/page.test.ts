/**
 * The programs of docs/library.md, and the one of README.md: each prints what stands below it, under Node, against the library that `make build` made; and all of
 * them compile in a package of somebody else, as strictly as TypeScript can.
 */

import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Machine, newMachine } from "../test/machine.ts"

const ROOT = join(import.meta.dirname, "..")
const platform = readdirSync(join(ROOT, "node_modules")).find((name) => name.startsWith("node-linux-"))
const node = join(ROOT, "node_modules", platform ?? "missing", "bin/node")

const page = readFileSync(join(ROOT, "docs/library.md"), "utf8")
const [, readme = ""] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(ROOT, "README.md"), "utf8")) ?? []
const written = [...page.matchAll(/^## (.*)\n[^#]*?```ts\n([\s\S]*?)```\n\n```\n([\s\S]*?)```/gm)].map(
  ([, title = "", source = "", prints = ""]) => ({ title, source, prints }),
)
const programs = [...written, { title: "README.md", source: readme, prints: "" }]

/** A package that has ours among its dependencies. */
const consumer = mkdtempSync(join(tmpdir(), "mc-consumer-"))
let machine: Machine
beforeAll(() => {
  machine = newMachine()
  writeFileSync(join(consumer, "package.json"), JSON.stringify({ name: "consumer", type: "module" }))
  mkdirSync(join(consumer, "node_modules"))
  symlinkSync(ROOT, join(consumer, "node_modules/minicontainer"))
  symlinkSync(join(ROOT, "node_modules/@types"), join(consumer, "node_modules/@types"))
  for (const [index, { source }] of programs.entries()) writeFileSync(join(consumer, `${index}.ts`), source)
})
afterAll(() => {
  rmSync(consumer, { recursive: true, force: true })
  machine[Symbol.dispose]()
})

test("the page has its programs", () => {
  expect(written.length).toBe(page.split("```ts\n").length - 1)
  expect(readme).toContain("minicontainer")
})

for (const [index, { title, prints }] of programs.entries())
  test(title, () => {
    const { stdout, stderr } = spawnSync(node, [join(consumer, `${index}.ts`)], {
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin", MINICONTAINER_ROOT: machine.root, MINICONTAINER_RUN_ROOT: machine.runRoot },
    })
    expect(stderr).toBe("")
    expect(stdout).toBe(prints)
  }, 60_000)

test("all of them compile strictly, and so do the library's types", () => {
  const compilerOptions = {
    module: "nodenext",
    moduleResolution: "nodenext",
    target: "es2024",
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noImplicitOverride: true,
    skipLibCheck: false,
    noEmit: true,
    types: ["node"],
  }
  writeFileSync(join(consumer, "tsconfig.json"), JSON.stringify({ compilerOptions }))
  const { status, stdout } = spawnSync(join(ROOT, "node_modules/.bin/tsc"), ["-p", consumer], { encoding: "utf8" })
  expect([status, stdout]).toEqual([0, ""])
}, 60_000)
