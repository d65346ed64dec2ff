/** `minicontainer import`: an image of an archive of files. Read on: archive.ts; engine/import.ts. */

import { EngineError } from "../../base/errors.ts"
import { readArchive } from "../archive.ts"
import { command } from "../command.ts"
import { list, text } from "../flags.ts"

export const importCommand = command({
  name: "import",
  usage: "FILE|- [NAME[:TAG]]",
  about: "Make an image of an archive of files",
  details:
    "A tar archive, plain or compressed by gzip or zstd: what export writes, for instance. Prints the image's id.",
  examples: ["system.tar.gz mine:1", `--change 'CMD ["sh"]' - mine <system.tar`],
  options: {
    change: list({
      short: "c",
      value: "LINE",
      about: "How it is to be run: CMD, ENTRYPOINT, ENV, USER, … of a Dockerfile",
    }),
    message: text({ short: "m", about: "What history says of it" }),
    platform: text({ value: "OS/ARCH", blank: true, about: "What it runs on (default: this machine)" }),
  },
  words: [1, 2],
  run: async ({ engine, io, words: [source = "", name], options: { change, message, platform } }) => {
    if (/^https?:\/\//.test(source))
      throw new EngineError(
        "UNSUPPORTED",
        `cannot import ${source}: only a registry is dialled`,
        `curl -fL ${source} | minicontainer import -`,
      )
    const id = await engine.importImage(readArchive(io, source), {
      ...(name !== undefined && { name }),
      changes: change,
      ...(message !== undefined && { message }),
      ...(platform !== undefined && { platform }),
    })
    io.print(id)
  },
})
