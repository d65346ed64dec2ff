/** `minicontainer diff`: what a container has changed in its files. */

import { command } from "../command.ts"

export const diff = command({
  name: "diff",
  usage: "CONTAINER",
  about: "List what a container has changed in its files",
  details: "A: added, C: changed (a directory: something in it), D: deleted.",
  examples: ["web"],
  options: {},
  words: [1, 1],
  run: async ({ engine, io, words: [container] }) => {
    for (const { kind, path } of await engine.diff(container!)) io.print(`${kind} ${path}`)
  },
})
