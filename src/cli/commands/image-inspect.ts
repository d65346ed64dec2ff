/** `minicontainer image inspect`: all that is known of images, in Docker's words. Read on: inspect.ts, of containers. */

import type { Inspected } from "../../engine/types.ts"
import { command, each } from "../command.ts"
import { text } from "../flags.ts"
import { printDocument } from "../print/format.ts"
import { json } from "../print/json.ts"

/** Docker's own indentation. */
const INDENT = 4

export const imageInspect = command({
  name: "image inspect",
  usage: "IMAGE...",
  about: "Print all that is known of images, as JSON",
  examples: ["hello", "--format '{{json .Config.Cmd}}' hello"],
  options: { format: text({ short: "f", value: "TEMPLATE", blank: true, about: "json, or a Go template for each" }) },
  words: [1],
  run: async ({ engine, io, words, options: { format } }) => {
    const found: Inspected[] = []
    try {
      await each(
        words,
        (name) => engine.inspectImage(name),
        (_, document) => {
          if (format === undefined) found.push(document)
          else printDocument(io, format, document)
        },
      )
    } finally {
      if (format === undefined) io.print(json(found, INDENT))
    }
  },
})
