/**
 * `minicontainer run`: a program in a new container. This process becomes the executor, so nothing follows the call; if a step fails,
 * the executor becomes `report`, which may know better, and try once more (`tryAgain`).
 *
 * Read on: request.ts, what the options mean; engine/run.ts.
 */

import { resolve } from "node:path/posix"
import type { Correction, Engine } from "../../engine/types.ts"
import { type Context, command, type Surroundings } from "../command.ts"
import { warn } from "../failure.ts"
import { parse } from "../parse.ts"
import { needTerminal, type RunOptions, requestOf } from "../request.ts"
import { RUN_FLAGS } from "../run-flags.ts"

export const run = command({
  name: "run",
  usage: "IMAGE [COMMAND [ARG...]] | --rootfs DIR [COMMAND [ARG...]]",
  about: "Run a program in a new container",
  details:
    "The root file system is copy-on-write: neither the image nor DIR is ever changed. Without COMMAND and --entrypoint, what the image says runs, or sh of DIR. Options end at IMAGE or COMMAND: what follows is the program's own.",
  examples: [
    "hello",
    "--rm -it --rootfs / sh",
    "--rm --rootfs / --memory 512m --cpus 1.5 -v ./data:/data:ro ls -l /data",
  ],
  options: RUN_FLAGS,
  optionsEnd: "first",
  words: [0],
  run: (context) => start(context),
})

type Given = Context<typeof RUN_FLAGS> & { readonly engine: Engine }

function start({ engine, io, options, words, argv, globals }: Given, corrected?: Correction): Promise<never> {
  const request = requestOf(options, words, io)
  needTerminal(options, io)
  return engine.become(request, {
    ...(options.cidfile && { cidFile: options.cidfile }),
    warn: (line) => warn(io, line),
    failed: [...io.self, ...globals, "report"],
    ...(corrected
      ? { corrected }
      : filesOf(options).every((path) => io.isFile(resolve(io.cwd, path))) && { again: [run.name, ...argv] }),
  })
}

/** What a second try would read again. Of a pipe it would find nothing, and start a program with less than it was to have. */
const filesOf = (options: RunOptions): readonly string[] => [
  ...options["env-file"],
  ...options["label-file"],
  ...options["security-opt"].flatMap((option) =>
    option.kind === "seccomp" && typeof option.policy === "object" ? [option.policy.path] : [],
  ),
]

/** For `report`: the same words once more, after a step has shown that the host is not what it seemed. There is no third time. */
export async function tryAgain(
  argv: readonly string[],
  { io, open, globals }: Surroundings,
  corrected: Correction,
): Promise<never> {
  const { options, words } = parse(argv, RUN_FLAGS, { command: run.name, optionsEnd: "first" })
  return start({ engine: await open(), io, options, words, argv, globals }, corrected)
}
