/** `minicontainer rename`: another name; its host name stays. */

import { command } from "../command.ts"

export const rename = command({
  name: "rename",
  usage: "CONTAINER NAME",
  about: "Give a container another name",
  details: "It may run. Its host name stays: programs inside know it by that.",
  examples: ["web old-web"],
  options: {},
  words: [2, 2],
  run: ({ engine, words: [container = "", name = ""] }) => engine.rename(container, name),
})
