/** `minicontainer attach`: one more front of a running container. This process becomes the executor. */

import { command } from "../command.ts"
import { bool, parsed } from "../flags.ts"
import { detachKeys } from "../values/names.ts"

export const attach = command({
  name: "attach",
  usage: "CONTAINER",
  about: "See what a running container writes, and type what it reads",
  details: "Several may attach at once. It ends with the container's exit code, or by the detach keys.",
  examples: ["web", "--no-stdin --sig-proxy=false web"],
  options: {
    "detach-keys": parsed(
      "KEYS",
      detachKeys,
    )({ about: "Keys that leave the container running (default ctrl-p,ctrl-q)" }),
    "no-stdin": bool({ about: "Only look" }),
    "sig-proxy": bool({ otherwise: true, about: "Pass signals on to the container" }),
  },
  words: [1, 1],
  run: ({ engine, options, words: [container = ""] }) =>
    engine.becomeAttach(container, {
      stdin: !options["no-stdin"],
      signalProxy: options["sig-proxy"],
      ...(options["detach-keys"] && { detachKeys: options["detach-keys"] }),
    }),
})
