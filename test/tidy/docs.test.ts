/**
 * What the documents say exists, exists: commands, targets, files.
 */

import { expect, test } from "bun:test"
import { existsSync } from "node:fs"
import { dirname, join } from "node:path"
import { files, ROOT, text } from "./tree.ts"

const documents = files().filter((path) => path.endsWith(".md"))

/** The lines of all fenced blocks of a document. */
const fenced = (path: string): string[] =>
  [...text(path).matchAll(/^```\w*\n([\s\S]*?)^```/gm)].flatMap((match) => match[1]!.split("\n"))

test("a relative link leads somewhere", () => {
  const broken = documents.flatMap((path) =>
    [...text(path).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)/g)]
      .map((match) => match[1]!)
      .filter((link) => !existsSync(join(ROOT, dirname(path), link)))
      .map((link) => `${path} → ${link}`),
  )
  expect(broken).toEqual([])
})

test("a make target that a document names is in the Makefile", () => {
  const targets = new Set(
    [...text("Makefile").matchAll(/^([\w%-]+(?: [\w%-]+)*):(?!=)/gm)].flatMap((match) => match[1]!.split(" ")),
  )
  const named = documents.flatMap((path) =>
    [...text(path).matchAll(/(?:`|^\s*(?:\$ |# )?)make ([a-z][\w-]*)/gm)].map((match) => match[1]!),
  )
  expect([...new Set(named)].filter((name) => !targets.has(name) && !name.startsWith("test-"))).toEqual([])
})

test("a decision says what it costs", () => {
  const decisions = files("docs/decisions").filter((path) => /\/\d{4}-.*\.md$/.test(path))
  expect(decisions.length).toBeGreaterThan(0)
  expect(decisions.filter((path) => !/^## (Price|What it costs)/m.test(text(path)))).toEqual([])
})

test("the tour shows commands that exist", async () => {
  const { COMMANDS } = await import("../../src/cli/commands.ts")
  const named = ["README.md", ...files("docs").filter((path) => path.endsWith(".md"))]
    .flatMap(fenced)
    .flatMap((line) => /^(?:[$#] )?(?:sudo )?(?:dist\/)?minicontainer ([a-z][\w-]*)/.exec(line)?.[1] ?? [])
  expect(named.length).toBeGreaterThan(5)
  expect([...new Set(named)].filter((name) => !(name in COMMANDS))).toEqual([])
})
