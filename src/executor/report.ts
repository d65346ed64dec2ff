/**
 * Reports: what the executor tells a process that stays, one line each.
 *
 *     started 4711            the program runs, with this pid on the host
 *     warning 12 1            step 12, which was not a must, failed with errno 1
 *     failed 13 1 0 mount …   step 13 failed; everything before it is undone. The last line.
 *     exited 0                the program's exit code, or 128 + the signal. The last line.
 *     freed 4096              so many bytes were on disk of what was removed (use `do` alone)
 *
 * Read on: sentence.ts, spawn.ts, do.ts. native/executor.h.
 */

import type { Failure } from "./sentence.ts"

export type Report =
  | { readonly kind: "started"; readonly pid: number }
  | { readonly kind: "warning"; readonly index: number; readonly errno: number }
  | ({ readonly kind: "failed" } & Failure)
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "freed"; readonly bytes: number }

/** One line without its newline; undefined for what is none: a newer executor may say more. */
export function parseReport(line: string): Report | undefined {
  const [kind, ...words] = line.split(" ")
  const [first, second, third] = words.slice(0, 3).map(Number)
  const whole = (...numbers: (number | undefined)[]): boolean => numbers.every(Number.isInteger)
  if (kind === "started" && whole(first)) return { kind, pid: first! }
  if (kind === "exited" && whole(first)) return { kind, code: first! }
  if (kind === "freed" && whole(first)) return { kind, bytes: first! }
  if (kind === "warning" && whole(first, second)) return { kind, index: first!, errno: second! }
  if (kind === "failed" && whole(first, second, third))
    return { kind, index: first!, errno: second!, detail: third!, does: words.slice(3).join(" ") }
  return undefined
}

/** Turns chunks of text into reports, however the lines are cut. */
export class Reports {
  #rest = ""
  readonly #each: (report: Report) => void
  constructor(each: (report: Report) => void) {
    this.#each = each
  }

  push(chunk: string): void {
    const lines = (this.#rest + chunk).split("\n")
    this.#rest = lines.pop() ?? ""
    for (const line of lines) {
      const report = parseReport(line)
      if (report) this.#each(report)
    }
  }

  /** For a stream of bytes. */
  listen(stream: NodeJS.ReadableStream): void {
    stream.setEncoding("utf8")
    stream.on("data", (chunk: string) => this.push(chunk))
  }
}
