/** `minicontainer restart`: stop, then start. All containers at once. */

import { command, each } from "../command.ts"
import { warn } from "../failure.ts"
import { parsed, seconds } from "../flags.ts"
import { signal } from "../values/limits.ts"

export const restart = command({
  name: "restart",
  usage: "CONTAINER...",
  about: "Stop containers, and start them again",
  details: "A container that does not run is only started.",
  examples: ["web", "--timeout 2 web db"],
  options: {
    timeout: seconds({
      short: "t",
      also: ["time"],
      min: -1,
      about: "Wait before KILL; -1: for ever (default: the container's own, else 10)",
    }),
    signal: parsed(
      "SIGNAL",
      signal,
    )({ short: "s", about: "What to send first (default: the container's own, else TERM)" }),
  },
  words: [1],
  run: ({ engine, io, words, options }) =>
    each(
      words,
      (name) =>
        engine.restart(name, {
          ...(options.timeout !== undefined && { graceMs: options.timeout * 1000 }),
          ...(options.signal && { signal: options.signal }),
          warn: (line) => warn(io, line),
        }),
      (name) => io.print(name),
      { together: true },
    ),
})
