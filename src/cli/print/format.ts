/**
 * `--format`, as all commands have it.
 *
 *     (absent)            the command's own way to print
 *     json                a line of JSON for each thing
 *     table {{.ID}}\t…    columns with headings
 *     {{.ID}} …           a line for each thing, without
 *
 * `\t` and `\n` in the flag's text mean tab and newline: a shell does not make them so.
 * Read on: template.ts.
 */

import type { Io } from "../io.ts"
import { json } from "./json.ts"
import { table } from "./table.ts"
import { template, withMaps } from "./template.ts"
import { HEADER_FUNCTIONS } from "./template-functions.ts"

/** One of many things: its fields, and what `json` prints of them. */
export interface Item {
  readonly fields: Readonly<Record<string, unknown>>
  readonly document: unknown
}

const unescaped = (format: string) => format.replaceAll("\\t", "\t").replaceAll("\\n", "\n")

/** A list, each line by `format`. @param headings field → heading, for `table`. */
export function printList(
  io: Io,
  format: string,
  items: readonly Item[],
  headings: Readonly<Record<string, unknown>>,
): void {
  const asked = format.trim()
  if (asked === "json") {
    for (const { document } of items) io.print(json(document))
    return
  }
  const [, columns] = /^table(?:\s+([\s\S]*))?$/.exec(unescaped(asked)) ?? []
  const line = template(columns ?? unescaped(format))
  if (columns === undefined) {
    for (const { fields } of items) io.print(line(fields))
    return
  }
  const heading = template(columns, HEADER_FUNCTIONS)(headings)
  const rows = [heading, ...items.map(({ fields }) => line(fields))].map((text) => text.split("\t"))
  io.write("stdout", table(rows))
}

/** One document by `format`: `json` or a template. */
export function printDocument(io: Io, format: string, document: unknown): void {
  io.print(format.trim() === "json" ? json(document) : template(unescaped(format))(withMaps(document)))
}
