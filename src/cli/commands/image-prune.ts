/** `minicontainer image prune`: images that nobody needs. Read on: engine/rmi.ts. */

import { decimalSize } from "../../base/units.ts"
import { command } from "../command.ts"
import { bool, list } from "../flags.ts"

export const imagePrune = command({
  name: "image prune",
  usage: "",
  about: "Remove images without a name",
  examples: ["", "--all"],
  options: {
    all: bool({ short: "a", about: "Every image that no container is of" }),
    filter: list({ refuse: "filters of prune are not built yet", about: "Only what matches" }),
    force: bool({ short: "f", about: "Accepted: nothing is asked" }),
  },
  words: [0, 0],
  run: async ({ engine, io, options: { all } }) => {
    const { untagged, deleted, bytes } = await engine.pruneImages({ all })
    if (untagged.length + deleted.length > 0) io.print("Deleted Images:")
    for (const name of untagged) io.print(`untagged: ${name}`)
    for (const digest of deleted) io.print(`deleted: ${digest}`)
    if (untagged.length + deleted.length > 0) io.print("")
    io.print(`Total reclaimed space: ${decimalSize(bytes)}`)
  },
})
