/** `minicontainer create`: all of `run` but the running. What is wrong with the container is told now; `start` starts it. */

import { command } from "../command.ts"
import { warn } from "../failure.ts"
import { requestOf } from "../request.ts"
import { RUN_FLAGS } from "../run-flags.ts"

/** What only says how the caller of `run` is attached. */
const { detach: _, "detach-keys": __, "sig-proxy": ___, ...CREATE_FLAGS } = RUN_FLAGS
const AS_MADE = { detach: false, "detach-keys": undefined, "sig-proxy": true } as const

export const create = command({
  name: "create",
  usage: "IMAGE [COMMAND [ARG...]] | --rootfs DIR [COMMAND [ARG...]]",
  about: "Make a container that waits for its start",
  details: "Takes the options of run, and prints the id. Nothing runs until start; the container is there until rm.",
  examples: ["--name greeting hello", "--name web --rootfs / sleep 1000", "-it --name shell --rootfs / sh"],
  options: CREATE_FLAGS,
  optionsEnd: "first",
  words: [0],
  run: async ({ engine, io, options, words }) => {
    const request = requestOf({ ...options, ...AS_MADE }, words, io)
    io.print(
      await engine.create(request, {
        ...(options.cidfile && { cidFile: options.cidfile }),
        warn: (line) => warn(io, line),
      }),
    )
  },
})
