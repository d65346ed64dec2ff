/** `minicontainer rmi`: names of images, and images with their last name. Read on: engine/rmi.ts. */

import { command, each } from "../command.ts"
import { bool } from "../flags.ts"

export const rmi = command({
  name: "rmi",
  usage: "IMAGE...",
  about: "Remove images",
  details:
    "By name: the name goes, and with its last one the image and everything that only it used. By id: the image goes. One that a container is of stays; with --force, a container that has ended loses it its names.",
  examples: ["hello", "--force 8d1e5c0f0a1b"],
  options: {
    force: bool({ short: "f", about: "Also an image with several names, or of a container that has ended" }),
    "no-prune": bool({ about: "Accepted: there are no parents without a name" }),
    platform: bool({ refuse: "an image has one platform here", about: "Remove one platform of it" }),
  },
  words: [1],
  run: ({ engine, io, words, options: { force } }) =>
    each(
      words,
      (image) => engine.rmi(image, { force }),
      (_, { untagged, deleted }) => {
        for (const name of untagged) io.print(`Untagged: ${name}`)
        for (const digest of deleted) io.print(`Deleted: ${digest}`)
      },
    ),
})
