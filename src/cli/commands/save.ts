/** `minicontainer save`: images as one archive, for load here or anywhere. Read on: archive.ts; engine/save.ts. */

import { writeArchive } from "../archive.ts"
import { command } from "../command.ts"
import { text } from "../flags.ts"

export const save = command({
  name: "save",
  usage: "IMAGE...",
  about: "Write images as one archive",
  details: "The archive is an OCI layout and a Docker archive at once: docker, podman and skopeo read it.",
  examples: ["-o hello.tar hello", "hello | ssh there minicontainer load"],
  options: {
    output: text({ short: "o", value: "FILE", about: "Write to a file instead of stdout" }),
    platform: text({ refuse: "an image has one platform here", harmless: [""], about: "Which platform" }),
  },
  words: [1],
  run: ({ engine, io, words, options: { output } }) => writeArchive(io, output, engine.saveImages(words)),
})
