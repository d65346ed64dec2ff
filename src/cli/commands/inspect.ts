/** `minicontainer inspect`: all that is known of containers and images, in Docker's words, as one JSON array. */

import { EngineError } from "../../base/errors.ts"
import type { Engine, Inspected } from "../../engine/types.ts"
import { command, each } from "../command.ts"
import { bool, choice, text } from "../flags.ts"
import { printDocument } from "../print/format.ts"
import { json } from "../print/json.ts"

/** A container, or an image of this name if there is no such container. */
async function eitherOf(engine: Engine, name: string, type: "container" | undefined): Promise<Inspected> {
  try {
    return await engine.inspect(name)
  } catch (error) {
    if (type !== undefined || !(error instanceof EngineError) || error.code !== "CONTAINER_NOT_FOUND") throw error
    try {
      return await engine.inspectImage(name)
    } catch (other) {
      const isNone = other instanceof EngineError && ["IMAGE_NOT_FOUND", "INVALID_REFERENCE"].includes(other.code)
      throw isNone ? error : other
    }
  }
}

/** Docker's own indentation. */
const INDENT = 4

export const inspect = command({
  name: "inspect",
  usage: "NAME...",
  about: "Print all that is known of containers or images, as JSON",
  examples: ["web", "--type image hello", "--format '{{.State.Status}} {{.State.ExitCode}}' web"],
  options: {
    format: text({ short: "f", value: "TEMPLATE", blank: true, about: "json, or a Go template for each" }),
    size: bool({ short: "s", refuse: "sizes are not measured yet", harmless: ["false"], about: "Print sizes" }),
    type: choice({
      of: ["container", "image"],
      others: {
        network: "networks are not built yet",
        volume: "volumes are not built yet",
      },
      about: "What the names are",
    }),
  },
  words: [1],
  run: async ({ engine, io, words, options: { format, type } }) => {
    const found: Inspected[] = []
    try {
      await each(
        words,
        (name) => (type === "image" ? engine.inspectImage(name) : eitherOf(engine, name, type)),
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
