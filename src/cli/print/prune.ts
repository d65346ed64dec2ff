/**
 * What every prune says and asks: what is going to happen, whether it shall, how much room that has made.
 *
 *     WARNING! This will remove all volumes that no container has.
 *     Are you sure you want to continue? [y/N]
 *     Total reclaimed space: 1.5MB
 *
 * Docker's words, because scripts look for them. Who is not at a terminal cannot be asked, and must say --force.
 * Read on: io.ts.
 */

import { EngineError } from "../../base/errors.ts"
import type { Io } from "../io.ts"

/** @throws {EngineError} `USAGE` where nobody could answer. */
export function confirmed(io: Pick<Io, "terminal" | "write" | "readLine">, what: string): boolean {
  if (!io.terminal.stdin)
    throw new EngineError(
      "USAGE",
      "cannot ask whether to remove this: the input device is not a TTY",
      "--force removes without asking",
    )
  io.write("stderr", `WARNING! ${what}\nAre you sure you want to continue? [y/N] `)
  return /^\s*y(es)?\s*$/i.test(io.readLine())
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB"]

/** In thousands, with four digits at most, as Docker prints sizes. */
export function humanSize(bytes: number): string {
  let size = bytes
  let unit = 0
  for (; size >= 1000 && unit < UNITS.length - 1; unit++) size /= 1000
  return `${Number(size.toPrecision(4))}${UNITS[unit]}`
}

export const reclaimed = (bytes: number): string => `Total reclaimed space: ${humanSize(bytes)}`
