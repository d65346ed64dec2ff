/** `minicontainer info`: what this host offers, and what of it this engine uses. */

import { binarySize } from "../../base/units.ts"
import type { Info } from "../../engine/types.ts"
import { command } from "../command.ts"
import { text } from "../flags.ts"
import { printDocument } from "../print/format.ts"
import { outline } from "../print/outline.ts"

export const info = command({
  name: "info",
  usage: "",
  about: "Print what this host offers and how many containers there are",
  examples: ["", "--format json"],
  options: { format: text({ short: "f", value: "TEMPLATE", blank: true, about: "json, or a Go template" }) },
  words: [0, 0],
  run: async ({ engine, io, options: { format } }) => {
    const known = await engine.info()
    if (format === undefined) io.write("stdout", outline(forPeople(known)))
    else printDocument(io, format, known)
  },
})

/** The document as it is, but a size is a size. */
const forPeople = (known: Info): Info =>
  Object.fromEntries(
    Object.entries(known).map(([name, value]) => [
      name,
      name === "MemTotal" && typeof value === "number" ? binarySize(value) : value,
    ]),
  )
