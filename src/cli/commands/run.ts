/**
 * `minicontainer run`: a program in a new container. This process becomes the executor, so nothing follows the call.
 *
 * Read on: request.ts, what the options mean; engine/run.ts.
 */

import { command } from "../command.ts"
import { warn } from "../failure.ts"
import { needTerminal, requestOf } from "../request.ts"
import { RUN_FLAGS } from "../run-flags.ts"

export const run = command({
  name: "run",
  usage: "--rootfs DIR [COMMAND [ARG...]]",
  about: "Run a program in a new container",
  details:
    "The root file system is copy-on-write: DIR is never changed. Without COMMAND and --entrypoint, sh runs. Options end at COMMAND: what follows is its own.",
  examples: ["--rm -it --rootfs / sh", "--rm --rootfs / --memory 512m --cpus 1.5 -v ./data:/data:ro ls -l /data"],
  options: RUN_FLAGS,
  optionsEnd: "first",
  words: [0],
  run: ({ engine, io, options, words }) => {
    const request = requestOf(options, words, io)
    needTerminal(options, io)
    return engine.become(request, {
      ...(options.cidfile && { cidFile: options.cidfile }),
      warn: (line) => warn(io, line),
      failed: [...io.self, "report"],
    })
  },
})
