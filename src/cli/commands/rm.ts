/** `minicontainer rm`: what is left of containers that ended; with force, those that have not, too. */

import { EngineError } from "../../base/errors.ts"
import type { Engine } from "../../engine/types.ts"
import { command, each } from "../command.ts"
import { tell } from "../failure.ts"
import { bool } from "../flags.ts"

export const rm = command({
  name: "rm",
  usage: "CONTAINER...",
  about: "Remove containers",
  details: "Its record, its log and its changes to files are gone afterwards.",
  examples: ["web", "--force web db", "--all"],
  options: {
    all: bool({ short: "a", about: "Remove every container that does not run; with --force, every container" }),
    force: bool({ short: "f", about: "Kill it first if it runs; a name that is not there is no failure" }),
    link: bool({ short: "l", refuse: "networks are not built yet", harmless: ["false"], about: "Remove a link" }),
    volumes: bool({ short: "v", about: "Remove also the volumes that it alone has and nobody has named" }),
  },
  words: [0],
  run: async ({ engine, io, words, options: { all, force, volumes } }) => {
    if (all === words.length > 0) {
      const cause = all ? "--all and names exclude each other" : "CONTAINER is missing"
      throw new EngineError("USAGE", `cannot run rm: ${cause}`, "minicontainer rm CONTAINER... or rm --all")
    }
    const missing = new Set<string>()
    await each(
      all ? await removable(engine, force) : words,
      async (name) => {
        try {
          await engine.rm(name, { force, ...(volumes && { volumes }) })
        } catch (error) {
          if (!(force && error instanceof EngineError && error.code === "CONTAINER_NOT_FOUND")) throw error
          missing.add(name)
          tell(error, io)
        }
      },
      (name) => {
        if (!missing.has(name)) io.print(name)
      },
    )
  },
})

const ALIVE = new Set(["running", "paused", "restarting"])

/** By id: names are for people. Broken records are there too, so that `rm --all --force` leaves nothing. */
async function removable(engine: Engine, force: boolean): Promise<string[]> {
  const { containers, broken } = await engine.ps({ all: true })
  const ids = containers.filter(({ status }) => force || !ALIVE.has(status)).map(({ id }) => id)
  return force ? [...ids, ...broken.map(({ id }) => id)] : ids
}
