/** `minicontainer kill`: one signal, to process 1. */

import { command, each } from "../command.ts"
import { parsed } from "../flags.ts"
import { signal } from "../values/limits.ts"

export const kill = command({
  name: "kill",
  usage: "CONTAINER...",
  about: "Send a signal to running containers",
  details: "KILL, which no program can refuse, is waited for; any other signal is only sent.",
  examples: ["web", "-s HUP web db"],
  options: { signal: parsed("SIGNAL", signal)({ short: "s", about: "What to send (default KILL)" }) },
  words: [1],
  run: ({ engine, io, words, options }) =>
    each(
      words,
      (name) => engine.kill(name, { ...(options.signal && { signal: options.signal }) }),
      (name) => io.print(name),
      { together: true },
    ),
})
