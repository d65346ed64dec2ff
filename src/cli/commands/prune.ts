/**
 * `minicontainer prune` and `container prune`: what nobody needs any more, and how much room that made.
 *
 * They ask, on a terminal; elsewhere they want --force. Read on: engine/prune.ts; print/prune.ts.
 */

import type { Pruned } from "../../engine/types.ts"
import { command } from "../command.ts"
import { BadValue, bool, keyValue, list } from "../flags.ts"
import type { Io } from "../io.ts"
import { didYouMean } from "../nearest.ts"
import { confirmed, reclaimed } from "../print/prune.ts"

const FILTERS = ["until", "label", "label!"]

const FLAGS = {
  filter: list({ value: "KEY=VALUE", each: filter, about: "Only those that match: until, label, label!" }),
  force: bool({ short: "f", about: "Do not ask" }),
}

function filter(given: string): { readonly key: string; readonly value: string } {
  const { key, value } = keyValue(given)
  if (value === undefined) throw new BadValue("not of the form KEY=VALUE", "for example until=24h")
  if (FILTERS.includes(key)) return { key, value }
  throw new BadValue(`there is no filter ${key}`, didYouMean(key, FILTERS) ?? `there are ${FILTERS.join(", ")}`)
}
type Pairs = readonly { readonly key: string; readonly value: string }[]
const filtersOf = (pairs: Pairs): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    [...Map.groupBy(pairs, ({ key }) => key)].map(([key, all]) => [key, all.map(({ value }) => value)]),
  )

export const prune = command({
  name: "prune",
  usage: "",
  about: "Remove what dead containers have left, and more on demand",
  details:
    "Always: directories of containers that a crash has cut short. With --all, every container that does not run. With --volumes, every volume that no container has and nobody has named.",
  examples: ["", "--all --volumes --force --filter until=24h"],
  options: {
    all: bool({ short: "a", about: "Also every container that does not run" }),
    volumes: bool({ about: "Also volumes that no container has and nobody has named" }),
    ...FLAGS,
  },
  words: [0, 0],
  run: async ({ engine, io, options: { all, volumes, filter, force } }) => {
    const what = [
      "what dead containers have left",
      ...(all ? ["all containers that do not run"] : []),
      ...(volumes ? ["all volumes without a name of their own that no container has"] : []),
    ]
    if (!force && !confirmed(io, `This will remove ${what.join(", and ")}.`)) return
    tell(io, await engine.prune({ containers: all, volumes, filters: filtersOf(filter) }))
  },
})

export const pruneContainers = command({
  name: "container prune",
  usage: "",
  about: "Remove all containers that do not run",
  examples: ["", "--force --filter until=24h"],
  options: FLAGS,
  words: [0, 0],
  run: async ({ engine, io, options: { filter, force } }) => {
    if (!force && !confirmed(io, "This will remove all containers that do not run.")) return
    tell(io, await engine.prune({ containers: true, filters: filtersOf(filter) }))
  },
})

function tell(io: Io, { leftovers, containers, volumes, freedBytes }: Pruned): void {
  const lists = { "Deleted Leftovers:": leftovers, "Deleted Containers:": containers, "Deleted Volumes:": volumes }
  for (const [heading, names] of Object.entries(lists))
    if (names.length > 0) io.print([heading, ...names, ""].join("\n"))
  io.print(reclaimed(freedBytes))
}
