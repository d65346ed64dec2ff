/** `minicontainer wait`: until containers have ended; then their exit codes, one a line, in the order of their names. */

import { command, each } from "../command.ts"

export const wait = command({
  name: "wait",
  usage: "CONTAINER...",
  about: "Wait until containers have ended, and print their exit codes",
  examples: ["web", "web db"],
  options: {},
  words: [1],
  run: ({ engine, io, words }) =>
    each(
      words,
      (name) => engine.wait(name),
      (_, code) => io.print(String(code)),
      { together: true },
    ),
})
