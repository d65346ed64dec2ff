/**
 * What a file must have, and may not have, whatever it is about.
 */

import { expect, test } from "bun:test"
import { dirname, join } from "node:path"
import { VERSION } from "../../src/base/version.ts"
import { make, stale } from "../../tools/generate.ts"
import { lesson } from "../../tools/lesson.ts"
import { files, isTest, ROOT, sources, specifiers, target, text } from "./tree.ts"

const made = (path: string): boolean => /\.gen\.\w+$/.test(path)
const lines = (path: string): number => text(path).split("\n").length
const native = (): string[] => files("native").filter((path) => /\.[ch]$/.test(path) && !made(path))

/** Where a program begins. */
const ENTRIES = [
  "src/index.ts",
  "src/cli/bin.ts",
  "src/cli/node.ts",
  ...files("tools").filter((path) => path.endsWith(".ts")),
]

/** Reached only from tests, on purpose. */
const PROOFS: Readonly<Record<string, string>> = {
  "src/plan/check.ts": "what it proves holds for every plan, so tests prove it once and no start pays for it",
  "src/model/guards.ts":
    "the guard for a config.json that is not ours; the conformance suite reads other engines' through it",
  "src/registry/registry.ts": "the client, before the first command that dials out",
}

/** Longer than a reader has patience for, on purpose. */
const LONG: Readonly<Record<string, string>> = {}
const MOST_LINES = 500
/** docs/decisions/0003: what makes containers, and what reads and writes files in them. */
const MOST_NATIVE_LINES = 3500

test("every source file opens with its lesson", () => {
  const all = [...sources(), ...native(), ...files("tools"), ...files("bench"), ...files("examples")]
  const source = all.filter((path) => /\.(ts|c|h)$/.test(path) && !made(path) && !isTest(path))
  expect(source.filter((path) => (lesson(text(path))?.length ?? 0) < 40)).toEqual([])
})

test("no dead file: each is reached from where a program begins, not only from a test", () => {
  const seen = new Set<string>()
  const visit = (path: string): void => {
    if (seen.has(path) || !path.endsWith(".ts")) return
    seen.add(path)
    for (const specifier of specifiers(text(path))) {
      const next = target(path, specifier)
      if (next !== undefined) visit(next)
    }
  }
  ENTRIES.forEach(visit)
  Object.keys(PROOFS).forEach(visit)
  expect(sources().filter((path) => !seen.has(path))).toEqual([])
})

test(`no file has more than ${MOST_LINES} lines, but for tables`, () => {
  const all = [...sources(), ...native(), ...files("tools")].filter(
    (path) => /\.(ts|c|h|sh)$/.test(path) && !made(path),
  )
  const long = all.filter((path) => lines(path) > MOST_LINES && !(path in LONG) && !/-table\.ts$/.test(path))
  expect(long.map((path) => `${path}: ${lines(path)}`)).toEqual([])
})

test(`the executor stays small: under ${MOST_NATIVE_LINES} lines of code, so that one person can hold it in mind`, () => {
  const own = native().filter((path) => !/^native\/(fuzz|hello)\//.test(path))
  // Neither empty lines nor comments: nobody shall save on those.
  const code = (path: string): string[] =>
    text(path)
      .replaceAll(/\/\*[\s\S]*?\*\//g, "")
      .split("\n")
      .filter((line) => line.trim() !== "")
  expect(own.reduce((sum, path) => sum + code(path).length, 0)).toBeLessThan(MOST_NATIVE_LINES)
})

test("what is made is fresh (make generate)", () => {
  expect(stale(make())).toEqual([])
})

test("no file names a place that only one machine has", () => {
  const here = [ROOT, join(dirname(ROOT), "shared")].filter((path) => path.split("/").length > 2)
  // In pieces, or this file would be the first to break its own rule.
  const hosts = [
    ["registry", "npmjs"],
    ["registry", "yarnpkg"],
    ["deb", "debian"],
  ].map((parts) => parts.join("."))
  const wrong = files().flatMap((path) =>
    [...here, ...hosts].filter((name) => text(path).includes(name)).map((name) => `${path}: ${name}`),
  )
  expect(wrong).toEqual([])
})

test("the version in the source is the one in package.json", () => {
  expect((JSON.parse(text("package.json")) as { version: string }).version).toBe(VERSION)
})

test("dependencies are pinned exactly, and the lock says nothing about where they came from", () => {
  const manifest = JSON.parse(text("package.json")) as Record<string, unknown>
  const groups = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"]
  const versions = groups.flatMap((group) => Object.entries((manifest[group] ?? {}) as Record<string, string>))
  expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([])
  expect(text("package-lock.json")).not.toContain('"resolved"')
})
