/**
 * The source tree as the tidy tests see it: paths from the root of the repository, texts, imports.
 */

import { readdirSync, readFileSync, statSync } from "node:fs"
import { dirname, join, normalize } from "node:path"

export const ROOT = join(import.meta.dirname, "../..")

/** Not ours, or made. */
const SKIP = new Set(["node_modules", "build", "dist", ".git"])

/** All files at and below `path`, sorted; none if it does not exist. */
export function files(path = "."): string[] {
  const full = join(ROOT, path)
  const stat = statSync(full, { throwIfNoEntry: false })
  if (stat === undefined) return []
  if (stat.isFile()) return [normalize(path)]
  return readdirSync(full)
    .filter((name) => !SKIP.has(name))
    .toSorted()
    .flatMap((name) => files(join(path, name)))
}

export const text = (path: string): string => readFileSync(join(ROOT, path), "utf8")

export const isTest = (path: string): boolean => path.endsWith(".test.ts")

/** Source of the product: src/ without the tests beside it. */
export const sources = (): string[] =>
  files("src").filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts") && !isTest(path))

/** `src/plan/mounts.ts` → `plan`; `src/index.ts` → `index`. */
export function room(path: string): string {
  const [, first = "", ...rest] = path.split("/")
  return rest.length === 0 ? first.replace(/\.ts$/, "") : first
}

/** Lines that are comments are left out: a lesson may show code. */
const withoutComments = (source: string): string => source.replaceAll(/^\s*(\*|\/\/|\/\*).*$/gm, "")

/** What a file imports, as it stands there: static, dynamic, re-exported and for types only. */
export function specifiers(source: string): string[] {
  const code = withoutComments(source)
  const whole = code.matchAll(/^(?:import|export)\b[^"'`]*?\bfrom\s*["']([^"']+)["']/gm)
  const bare = code.matchAll(/^import\s*["']([^"']+)["']/gm)
  const lazy = code.matchAll(/\bimport\(\s*["']([^"']+)["']\s*[,)]/g)
  return [...whole, ...bare, ...lazy].map((match) => match[1]!)
}

/** A relative specifier as a path from the root of the repository; undefined for a package or a built-in. */
export const target = (path: string, specifier: string): string | undefined =>
  specifier.startsWith(".") ? normalize(join(dirname(path), specifier)) : undefined

/** The code as it runs: without types and comments. */
export const code = (path: string): string => new Bun.Transpiler({ loader: "ts" }).transformSync(text(path))
