/** `minicontainer inspect`: all that is known of containers, images, networks and volumes, in Docker's words, as one JSON array. */

import { EngineError } from "../../base/errors.ts"
import type { Engine } from "../../engine/types.ts"
import { command } from "../command.ts"
import { bool, choice, text } from "../flags.ts"
import { printInspected } from "../print/inspected.ts"

/** A container, or an image of this name if there is no such container. */
async function eitherOf(engine: Engine, name: string): Promise<object> {
  try {
    return await engine.inspect(name)
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== "CONTAINER_NOT_FOUND") throw error
    try {
      return await engine.inspectImage(name)
    } catch (other) {
      const isNone = other instanceof EngineError && ["IMAGE_NOT_FOUND", "INVALID_REFERENCE"].includes(other.code)
      throw isNone ? error : other
    }
  }
}

/** By the word of `--type`. */
const LOOKS: Readonly<Record<string, (engine: Engine, name: string) => Promise<object>>> = {
  container: (engine, name) => engine.inspect(name),
  image: (engine, name) => engine.inspectImage(name),
  network: (engine, name) => engine.inspectNetwork(name),
  volume: (engine, name) => engine.inspectVolume(name),
}

export const inspect = command({
  name: "inspect",
  usage: "NAME...",
  about: "Print all that is known of containers or images, as JSON",
  examples: ["web", "--type image hello", "--format '{{.State.Status}} {{.State.ExitCode}}' web"],
  options: {
    format: text({ short: "f", value: "TEMPLATE", blank: true, about: "json, or a Go template for each" }),
    size: bool({ short: "s", refuse: "sizes are not measured yet", harmless: ["false"], about: "Print sizes" }),
    type: choice({
      of: ["container", "image", "network", "volume"],
      about: "What the names are",
    }),
  },
  words: [1],
  run: ({ engine, io, words, options: { format, type } }) =>
    printInspected(io, words, format, (name) => (LOOKS[type ?? ""] ?? eitherOf)(engine, name)),
})
