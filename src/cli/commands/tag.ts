/** `minicontainer tag`: one more name for an image. Read on: engine/tag.ts. */

import { command } from "../command.ts"

export const tag = command({
  name: "tag",
  usage: "IMAGE NAME[:TAG]",
  about: "Give an image one more name",
  examples: ["hello registry.example/greetings:1"],
  options: {},
  words: [2, 2],
  run: ({ engine, words: [image = "", name = ""] }) => engine.tag(image, name),
})
