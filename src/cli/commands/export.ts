/** `minicontainer export`: all files of a container as a tar archive. Read on: archive.ts; engine/export.ts. */

import { writeArchive } from "../archive.ts"
import { command } from "../command.ts"
import { text } from "../flags.ts"

export const exportCommand = command({
  name: "export",
  usage: "CONTAINER",
  about: "Write all files of a container as a tar archive",
  details: "What is mounted in it, volumes too, is not part of it.",
  examples: ["-o web.tar web", "web | gzip >web.tar.gz"],
  options: {
    output: text({ short: "o", value: "FILE", about: "Write to a file instead of stdout" }),
  },
  words: [1, 1],
  run: ({ engine, io, words: [container = ""], options: { output } }) =>
    writeArchive(io, output, engine.exportFiles(container)),
})
