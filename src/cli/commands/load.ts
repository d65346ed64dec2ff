/** `minicontainer load`: images from an archive of save, docker, podman or skopeo. Read on: archive.ts; engine/load.ts. */

import { readArchive } from "../archive.ts"
import { command } from "../command.ts"
import { bool, text } from "../flags.ts"

export const load = command({
  name: "load",
  usage: "",
  about: "Take images out of an archive",
  details:
    "OCI archives and Docker archives, plain or compressed by gzip or zstd. An archive of files is taken by import.",
  examples: ["-i hello.tar", "<hello.tar"],
  options: {
    input: text({ short: "i", value: "FILE", blank: true, about: "Read a file instead of stdin" }),
    platform: text({ refuse: "what this machine can run is chosen", harmless: [""], about: "Which platform" }),
    quiet: bool({ short: "q", about: "Print nothing" }),
  },
  words: [0, 0],
  run: async ({ engine, io, options: { input, quiet } }) => {
    const images = await engine.loadImages(readArchive(io, input ?? "-"))
    if (quiet) return
    for (const { id, name } of images) io.print(name === undefined ? `Loaded image ID: ${id}` : `Loaded image: ${name}`)
  },
})
