/**
 * What a room may touch. Below the world there are only values; below the doors there is no process of ours.
 *
 * That the pure rooms name no process, fetch, timer or Buffer is proved by the compiler: tsconfig.json beside this file
 * gives them a platform that has none (platform.d.ts). What is left for here is what the language itself brings.
 */

import { describe, expect, test } from "bun:test"
import { builtinModules } from "node:module"
import { code, files, isTest, room, sources, specifiers, text } from "./tree.ts"

const PURE = ["base", "formats", "model", "spec", "plan"]
const DOORS = ["index", "library", "cli", "runtime-cli", "docker-api"]

interface Forbidden {
  readonly what: string
  readonly found: RegExp
  readonly why: string
}

/** A global, not a field or a variable of the same name: OCI's config has a `process`. */
const global = (name: string): RegExp => new RegExp(`(?<![.\\w$])${name}\\b`)

const IN_PURE: readonly Forbidden[] = [
  {
    what: "Date",
    found: /(?<![.\w$])(new Date\b|Date\.)/,
    why: "the same input gives the same bytes, whatever the time",
  },
  { what: "Math.random", found: /Math\.random/, why: "the same input gives the same bytes, every time" },
  { what: "await", found: /\bawait\s/, why: "a decision waits for nothing" },
]
const BELOW_DOORS: readonly Forbidden[] = [
  {
    what: "process.exit",
    found: /(?<![.\w$])process\.(exit\b|exitCode|reallyExit)/,
    why: "a library does not end its caller",
  },
  { what: "console", found: global("console\\."), why: "only a door knows whether a person reads" },
  {
    what: "environment, argv, stdio",
    found: /(?<![.\w$])process\.(env|argv|stdin|stdout|stderr)\b/,
    why: "what a door does not pass on, the engine does not know",
  },
]
const ANYWHERE: readonly Forbidden[] = [
  { what: "Bun", found: global("Bun\\."), why: "the library runs on Node too" },
  {
    what: "silenced compiler",
    found: /@ts-(ignore|expect-error|nocheck)/,
    why: "what the types do not say, the reader does not know",
  },
  {
    what: "unfinished work",
    found: new RegExp(`\\b(${["TO", "FIX", "XX"].map((word, index) => word + ["DO", "ME", "X"][index]).join("|")})\\b`),
    why: "what is left belongs into an issue",
  },
]

function check(paths: readonly string[], rows: readonly Forbidden[], read: (path: string) => string): void {
  const texts = paths.map((path) => [path, read(path)] as const)
  for (const { what, found, why } of rows)
    test(`no ${what}: ${why}`, () => {
      expect(texts.filter(([, source]) => found.test(source)).map(([path]) => path)).toEqual([])
    })
}

const pure = sources().filter((path) => PURE.includes(room(path)))
describe("the pure rooms touch nothing", () => {
  check(pure, IN_PURE, code)
  test("no module of Node but node:path/posix, which is text", () => {
    const builtin = (name: string): boolean =>
      name.startsWith("node:") || name.startsWith("bun") || builtinModules.includes(name)
    const wrong = pure.flatMap((path) =>
      specifiers(text(path))
        .filter((name) => builtin(name) && name !== "node:path/posix")
        .map((name) => `${path} → ${name}`),
    )
    expect(wrong).toEqual([])
  })
})

describe("below the doors there is a library", () => {
  check(
    sources().filter((path) => ![...DOORS, ...PURE].includes(room(path))),
    BELOW_DOORS,
    code,
  )
})

describe("nowhere in src/", () => {
  check(sources(), ANYWHERE, text)
})

test("no test is switched off or left alone", () => {
  const off = new RegExp(`\\b(test|describe|it)\\.(${["only", "todo", "failing"].join("|")})\\b|\\.skip\\(`)
  const tests = [...files("src"), ...files("test"), ...files("examples")].filter(isTest)
  expect(tests.filter((path) => off.test(code(path)))).toEqual([])
})
