/** `minicontainer pause` and `unpause`: freeze containers, and let them go on. */

import { command, each } from "../command.ts"

export const pause = command({
  name: "pause",
  usage: "CONTAINER...",
  about: "Freeze all processes of running containers",
  details:
    "They stop at one moment, wherever they are, and keep their memory. The kernel does it, so nothing inside can notice or refuse. A paused container can be stopped and removed.",
  examples: ["web"],
  options: {},
  words: [1],
  run: ({ engine, io, words }) =>
    each(
      words,
      (name) => engine.pause(name),
      (name) => io.print(name),
    ),
})

export const unpause = command({
  name: "unpause",
  usage: "CONTAINER...",
  about: "Let paused containers go on",
  examples: ["web"],
  options: {},
  words: [1],
  run: ({ engine, io, words }) =>
    each(
      words,
      (name) => engine.unpause(name),
      (name) => io.print(name),
    ),
})
