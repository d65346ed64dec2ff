/**
 * `minicontainer start`: containers that exist, in the background, or one of them in the foreground. The latter becomes the executor, as `run` does,
 * and after a failed step `report`, which may try once more (`tryAgain`).
 */

import { EngineError } from "../../base/errors.ts"
import type { Correction, Engine } from "../../engine/types.ts"
import { type Context, command, each, type Surroundings } from "../command.ts"
import { warn } from "../failure.ts"
import { bool, parsed } from "../flags.ts"
import { parse } from "../parse.ts"
import { detachKeys } from "../values/names.ts"

const START_FLAGS = {
  attach: bool({ short: "a", about: "Show its output, pass signals on, and end with its exit code" }),
  "detach-keys": parsed("KEYS", detachKeys)({ about: "Keys that leave the container running (default ctrl-p,ctrl-q)" }),
  interactive: bool({ short: "i", about: "The same with its stdin, if it was made with -i" }),
  "sig-proxy": bool({ otherwise: true, about: "Pass signals on to the container" }),
}

export const start = command({
  name: "start",
  usage: "CONTAINER...",
  about: "Start containers that exist",
  details:
    "A stopped container runs again with its own changes, name and ids; what it was asked for is planned anew for this host. One that runs is left alone.",
  examples: ["web db", "-ai shell"],
  options: START_FLAGS,
  words: [1],
  run: (context) => begin(context),
})

type Given = Context<typeof START_FLAGS> & { readonly engine: Engine }

function begin({ engine, io, options, words, argv, globals }: Given, corrected?: Correction): Promise<void> {
  const tell = (line: string): void => warn(io, line)
  if (!options.attach && !options.interactive)
    return each(
      words,
      (name) => engine.start(name, { warn: tell }),
      (name) => io.print(name),
    )
  const [name = "", ...others] = words
  if (others.length > 0)
    throw new EngineError("USAGE", "cannot attach to several containers at once", "start one, or leave out -a and -i")
  return engine.becomeStart(name, {
    interactive: options.interactive,
    ...(options["detach-keys"] && { detachKeys: options["detach-keys"] }),
    ...(!options["sig-proxy"] && { signalProxy: false }),
    warn: tell,
    failed: [...io.self, ...globals, "report"],
    ...(corrected ? { corrected } : { again: [start.name, ...argv] }),
  })
}

/** For `report`: the same words once more, after a step has shown that the host is not what it seemed. There is no third time. */
export async function tryAgain(
  argv: readonly string[],
  { io, open, globals }: Surroundings,
  corrected: Correction,
): Promise<never> {
  const { options, words } = parse(argv, START_FLAGS, { command: start.name, optionsEnd: "anywhere" })
  await begin({ engine: await open(), io, options, words, argv, globals }, corrected)
  throw new Error("a start in the foreground does not return")
}
