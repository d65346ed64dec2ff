/** `minicontainer image inspect`: all that is known of images, in Docker's words. Read on: inspect.ts, of containers. */

import { command } from "../command.ts"
import { text } from "../flags.ts"
import { printInspected } from "../print/inspected.ts"

export const imageInspect = command({
  name: "image inspect",
  usage: "IMAGE...",
  about: "Print all that is known of images, as JSON",
  examples: ["hello", "--format '{{json .Config.Cmd}}' hello"],
  options: { format: text({ short: "f", value: "TEMPLATE", blank: true, about: "json, or a Go template for each" }) },
  words: [1],
  run: async ({ engine, io, words, options: { format } }) => {
    await printInspected(io, words, format, (name) => engine.inspectImage(name))
  },
})
