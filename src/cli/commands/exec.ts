/**
 * `minicontainer exec`: another program in a running container. This process becomes the executor.
 *
 * Read on: engine/exec.ts, plan/join.ts.
 */

import { command } from "../command.ts"
import { warn } from "../failure.ts"
import { needTerminal, programOf } from "../request.ts"
import { PROCESS_FLAGS } from "../run-flags.ts"

export const exec = command({
  name: "exec",
  usage: "CONTAINER COMMAND [ARG...]",
  about: "Run another program in a running container",
  details:
    "It gets the container's namespaces, limits, capabilities and system call policy. Its exit status is this command's.",
  examples: ["-it web sh", "-e LANG=C -w /tmp web ls -l"],
  options: PROCESS_FLAGS,
  optionsEnd: "first",
  words: [2],
  run: ({ engine, io, globals, options, words: [container, ...args] }) => {
    needTerminal(options, io)
    return engine.becomeExec(
      container!,
      { args, ...programOf(options, io) },
      { warn: (line) => warn(io, line), failed: [...io.self, ...globals, "report"] },
    )
  },
})
