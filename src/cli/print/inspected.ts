/** What all commands that inspect print: one JSON array of Docker's documents, or a template for each. */

import { each } from "../command.ts"
import type { Io } from "../io.ts"
import { printDocument } from "./format.ts"
import { json } from "./json.ts"

/** Docker's own indentation. */
const INDENT = 4

/** @param format `json` or a template; absent: the array. @throws what failed for some of the names, when all were looked at. */
export async function printInspected<T extends object>(
  io: Io,
  names: readonly string[],
  format: string | undefined,
  look: (name: string) => Promise<T>,
): Promise<void> {
  const found: T[] = []
  try {
    await each(names, look, (_, document) => {
      if (format === undefined) found.push(document)
      else printDocument(io, format, document)
    })
  } finally {
    // As Docker: what was found is printed, and an empty array if nothing was.
    if (format === undefined) io.print(json(found, INDENT))
  }
}
