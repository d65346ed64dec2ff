/**
 * What a cold start may load. Starting up is the larger half of a `run`, and a module of Node is not free: in a compiled
 * command, an empty program takes 3.1 ms, and each of these so much more (Bun 1.4.5, best of 180).
 *
 * What needs one loads it when it needs it: `await import()`, or `process.getBuiltinModule()` where nothing may wait.
 */

import { expect, test } from "bun:test"
import { code, sources, text } from "./tree.ts"

const HEAVY: Readonly<Record<string, string>> = {
  "node:crypto": "2.0 ms; the global crypto.getRandomValues costs nothing",
  "node:tty": "1.7 ms; a device number tells",
  "node:util": "1.8 ms",
  "node:net": "1.8 ms",
  "node:stream": "1.6 ms",
  "node:readline": "1.5 ms",
  "node:child_process": "0.4 ms; only what stays has children",
  "node:os": "0.2 ms; /proc/sys/kernel says it",
}

test("no module of Node that is dear is loaded before it is needed", () => {
  const imported = (path: string): string[] =>
    [...text(path).matchAll(/^import (?!type\b)[^"]*"(node:[^"]+)"/gm)].map((match) => match[1]!)
  const wrong = sources().flatMap((path) =>
    imported(path).flatMap((name) => (name in HEAVY ? [`${path} → ${name}: ${HEAVY[name]}`] : [])),
  )
  expect(wrong).toEqual([])
})

test("nobody names process.stdout and its like but to ask for a width: they load node:tty and all streams, 1.8 ms", () => {
  const named = /(?<![.\w$])process\.(stdin|stdout|stderr)\b(?!\.columns)/
  expect(sources().filter((path) => named.test(code(path)))).toEqual([])
})
