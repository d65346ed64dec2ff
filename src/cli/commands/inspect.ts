/** `minicontainer inspect`: all that is known of containers, in Docker's words, as one JSON array. */

import type { Inspected } from "../../engine/types.ts"
import { command, each } from "../command.ts"
import { bool, choice, text } from "../flags.ts"
import { printDocument } from "../print/format.ts"
import { json } from "../print/json.ts"

/** Docker's own indentation. */
const INDENT = 4

export const inspect = command({
  name: "inspect",
  usage: "CONTAINER...",
  about: "Print all that is known of containers, as JSON",
  examples: ["web", "--format '{{.State.Status}} {{.State.ExitCode}}' web"],
  options: {
    format: text({ short: "f", value: "TEMPLATE", blank: true, about: "json, or a Go template for each" }),
    size: bool({ short: "s", refuse: "sizes are not measured yet", harmless: ["false"], about: "Print sizes" }),
    type: choice({
      of: ["container"],
      others: {
        image: "images are not built yet",
        network: "networks are not built yet",
        volume: "volumes are not built yet",
      },
      about: "What the names are",
    }),
  },
  words: [1],
  run: async ({ engine, io, words, options: { format } }) => {
    const found: Inspected[] = []
    try {
      await each(
        words,
        (name) => engine.inspect(name),
        (_, document) => {
          if (format === undefined) found.push(document)
          else printDocument(io, format, document)
        },
      )
    } finally {
      // As Docker: what was found is printed, and an empty array if nothing was.
      if (format === undefined) io.print(json(found, INDENT))
    }
  },
})
