/** `minicontainer stop`: ask, wait, insist. All containers at once: three that take ten seconds take ten. */

import type { StopOptions } from "../../engine/types.ts"
import { command, each } from "../command.ts"
import { parsed, seconds } from "../flags.ts"
import { signal } from "../values/limits.ts"

export const stop = command({
  name: "stop",
  usage: "CONTAINER...",
  about: "End running containers, gently first",
  details: "Sends the stop signal, waits, then sends KILL. A container that does not run is left alone.",
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
  run: ({ engine, io, words, options }) => {
    const how: StopOptions = {
      ...(options.timeout !== undefined && { graceMs: options.timeout * 1000 }),
      ...(options.signal && { signal: options.signal }),
    }
    return each(
      words,
      (name) => engine.stop(name, how),
      (name) => io.print(name),
      { together: true },
    )
  },
})
