/**
 * `minicontainer volume create|ls|inspect|rm|prune`: directories that outlive containers.
 *
 * Five small pages, which share what a volume looks like in a table and how it is filtered; fields and headings are Docker's.
 * Read on: engine/volumes.ts.
 */

import { EngineError } from "../../base/errors.ts"
import type { VolumeInspected } from "../../engine/types.ts"
import { command, each } from "../command.ts"
import { tell } from "../failure.ts"
import { BadValue, bool, choice, keyValue, list, map, text } from "../flags.ts"
import { didYouMean } from "../nearest.ts"
import { type Item, printList } from "../print/format.ts"
import { printInspected } from "../print/inspected.ts"
import { confirmed, reclaimed } from "../print/prune.ts"

const FILTERS = ["dangling", "driver", "label", "name"]
const PRUNE_FILTERS = ["all", "label", "label!"]
const HEADINGS = {
  Availability: "AVAILABILITY",
  Driver: "DRIVER",
  Group: "GROUP",
  Labels: "LABELS",
  Links: "LINKS",
  Mountpoint: "MOUNTPOINT",
  Name: "VOLUME NAME",
  Scope: "SCOPE",
  Size: "SIZE",
  Status: "STATUS",
  Label: (key: string) => key,
}
const DEFAULT = "table {{.Driver}}\t{{.Name}}"

const filterOf =
  (known: readonly string[]) =>
  (given: string): { readonly key: string; readonly value: string } => {
    const { key, value } = keyValue(given)
    if (value === undefined) throw new BadValue("not of the form KEY=VALUE", `for example ${known[0]}=…`)
    if (known.includes(key)) return { key, value }
    throw new BadValue(`there is no filter ${key}`, didYouMean(key, known) ?? `there are ${known.join(", ")}`)
  }

type Pairs = readonly { readonly key: string; readonly value: string }[]
const filtersOf = (pairs: Pairs): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    [...Map.groupBy(pairs, ({ key }) => key)].map(([key, all]) => [key, all.map(({ value }) => value)]),
  )

function item({ Name, Driver, Labels, Mountpoint, Scope }: VolumeInspected): Item {
  const labels = Labels ?? {}
  const document = {
    Availability: "N/A",
    Driver,
    Group: "N/A",
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Links: "N/A",
    Mountpoint,
    Name,
    Scope,
    Size: "N/A",
    Status: "N/A",
  }
  const Label = (...[key]: readonly unknown[]) => (typeof key === "string" ? (labels[key] ?? "") : "")
  return { fields: { ...document, Label }, document }
}

export const create = command({
  name: "volume create",
  usage: "[VOLUME]",
  about: "Make a volume",
  details: "One that is there already stays as it is. Without a name, one is made up.",
  examples: ["data", "--label keep=yes data", "--opt type=none --opt o=bind --opt device=/srv/data data"],
  options: {
    driver: choice({ short: "d", of: ["local"], about: "Who keeps it" }),
    label: map({ bare: "", about: "Set a label on the volume" }),
    name: text({ value: "NAME", blank: true, about: "Its name, if it is not given behind the options" }),
    opt: map({ short: "o", about: "type, o and device of a directory of the host: o=bind" }),
  },
  words: [0, 1],
  run: async ({ engine, io, words: [word], options: { label, name = word, opt } }) => {
    if (word !== undefined && name !== word)
      throw new EngineError("USAGE", "cannot use --name together with VOLUME: both are its name")
    io.print(await engine.createVolume({ ...(name && { name }), labels: label, options: opt }))
  },
})

export const ls = command({
  name: "volume ls",
  usage: "",
  about: "List volumes",
  examples: ["", "--filter dangling=true --quiet"],
  options: {
    filter: list({
      short: "f",
      value: "KEY=VALUE",
      each: filterOf(FILTERS),
      about: `Only those that match: ${FILTERS.join(", ")}`,
    }),
    format: text({ value: "TEMPLATE", blank: true, about: "table [TEMPLATE], json, or a Go template for each" }),
    quiet: bool({ short: "q", about: "Print names only" }),
  },
  words: [0, 0],
  run: async ({ engine, io, options: { filter, format = "table", quiet } }) => {
    const found = await engine.volumes({ filters: filtersOf(filter) })
    if (quiet) for (const { Name } of found) io.print(Name)
    else printList(io, format.trim() === "table" ? DEFAULT : format, found.map(item), HEADINGS)
  },
})

export const inspect = command({
  name: "volume inspect",
  usage: "VOLUME...",
  about: "Print all that is known of volumes, as JSON",
  examples: ["data", "--format '{{.Mountpoint}}' data"],
  options: { format: text({ short: "f", value: "TEMPLATE", blank: true, about: "json, or a Go template for each" }) },
  words: [1],
  run: async ({ engine, io, words, options: { format } }) => {
    await printInspected(io, words, format, (name) => engine.inspectVolume(name))
  },
})

export const rm = command({
  name: "volume rm",
  usage: "VOLUME...",
  about: "Remove volumes and what is in them",
  details: "One that a container has stays, whether the container runs or not.",
  examples: ["data", "--force data cache"],
  options: { force: bool({ short: "f", about: "A name that is not there is no failure" }) },
  words: [1],
  run: async ({ engine, io, words, options: { force } }) => {
    const missing = new Set<string>()
    await each(
      words,
      async (name) => {
        try {
          await engine.removeVolume(name)
        } catch (error) {
          if (!(force && error instanceof EngineError && error.code === "VOLUME_NOT_FOUND")) throw error
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

export const prune = command({
  name: "volume prune",
  usage: "",
  about: "Remove volumes that no container has",
  details: "Of those that nobody has named; with --all, any.",
  examples: ["--force", "--all --filter label=temporary"],
  options: {
    all: bool({ short: "a", about: "Also those that somebody has named" }),
    filter: list({ value: "KEY=VALUE", each: filterOf(PRUNE_FILTERS), about: "Only those that match: label, label!" }),
    force: bool({ short: "f", about: "Do not ask" }),
  },
  words: [0, 0],
  run: async ({ engine, io, options: { all, filter, force } }) => {
    const every = all || filter.some(({ key, value }) => key === "all" && /^(1|true)$/i.test(value))
    const which = every ? "all volumes" : "all volumes without a name of their own"
    if (!force && !confirmed(io, `This will remove ${which} that no container has.`)) return
    const filters = filtersOf(filter.filter(({ key }) => key !== "all"))
    const { removed, freedBytes } = await engine.pruneVolumes({ all: every, filters })
    if (removed.length > 0) io.print(["Deleted Volumes:", ...removed, ""].join("\n"))
    io.print(reclaimed(freedBytes))
  },
})
