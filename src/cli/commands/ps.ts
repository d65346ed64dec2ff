/**
 * `minicontainer ps`: containers, the newest first.
 *
 *     Summary ── fields ──▶ a row: shortened for people, whole with --no-trunc, all of it with --format
 *
 * Names of fields and headings are Docker's, because scripts have them in their templates.
 */

import { EngineError } from "../../base/errors.ts"
import { humanSpan } from "../../base/units.ts"
import type { PsOptions, Summary } from "../../engine/types.ts"
import { command } from "../command.ts"
import { warn } from "../failure.ts"
import { BadValue, bool, integer, keyValue, list, text } from "../flags.ts"
import { didYouMean } from "../nearest.ts"
import { type Item, printList } from "../print/format.ts"

/** What Docker filters by, as far as there is anything to filter. */
const FILTERS = ["ancestor", "before", "exited", "id", "label", "name", "network", "since", "status", "volume"]
/** And what it filters by where there is nothing yet. */
const LATER: Readonly<Record<string, string>> = {
  expose: "networks are not built yet",
  publish: "networks are not built yet",
  health: "health checks are not built yet",
  "is-task": "there are no services whose task it could be",
  isolation: "it means something on Windows only",
}

/** Field of a template → heading. */
const HEADINGS = {
  ID: "CONTAINER ID",
  Image: "IMAGE",
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  Ports: "PORTS",
  State: "STATE",
  Status: "STATUS",
  Size: "SIZE",
  Names: "NAMES",
  Labels: "LABELS",
  Mounts: "MOUNTS",
  LocalVolumes: "LOCAL VOLUMES",
  Networks: "NETWORKS",
  Label: (key: string) => key,
}
const COLUMNS = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"]
const DEFAULT = `table ${COLUMNS.map((name) => `{{.${name}}}`).join("\t")}`

export const ps = command({
  name: "ps",
  usage: "",
  about: "List containers",
  examples: ["-a", "--filter status=exited --format '{{.Names}}: {{.Status}}'"],
  options: {
    all: bool({ short: "a", about: "Also those that do not run" }),
    filter: list({
      short: "f",
      value: "KEY=VALUE",
      each: filter,
      about: `Only those that match: ${FILTERS.join(", ")}`,
    }),
    format: text({ value: "TEMPLATE", about: "table [TEMPLATE], json, or a Go template for each" }),
    last: integer({ short: "n", otherwise: -1, about: "The newest few, in any state; -1: all" }),
    latest: bool({ short: "l", about: "The newest one, in any state" }),
    "no-trunc": bool({ about: "Print ids and commands whole" }),
    quiet: bool({ short: "q", about: "Print ids only" }),
    size: bool({ short: "s", refuse: "sizes are not measured yet", harmless: ["false"], about: "Print sizes" }),
  },
  words: [0, 0],
  run: async ({ engine, io, options }) => {
    const last = options.latest ? 1 : options.last
    const { containers, broken } = await engine.ps(asked(options, last))
    for (const { id, why } of broken) warn(io, `container ${id} is left out: ${why}`)
    if (options.quiet) {
      if (options.format) warn(io, "--format is left out of account: --quiet prints ids only")
      for (const { id } of containers) io.print(options["no-trunc"] ? id : short(id))
      return
    }
    const items = containers.map((container) => item(container, options["no-trunc"], io.now()))
    const format = options.format?.trim() ?? ""
    printList(io, format === "" || format === "table" ? DEFAULT : options.format!, items, HEADINGS)
  },
})

interface Asked {
  readonly all: boolean
  readonly filter: readonly { readonly key: string; readonly value: string }[]
}

function asked({ all, filter }: Asked, last: number): PsOptions {
  const filters = Object.groupBy(filter, ({ key }) => key)
  const values = Object.entries(filters).map(([key, pairs = []]) => [key, pairs.map(({ value }) => value)] as const)
  return {
    all,
    ...(last > 0 && { last }),
    ...(values.length > 0 && { filters: Object.fromEntries(values) }),
  }
}

function filter(given: string): { readonly key: string; readonly value: string } {
  const { key, value } = keyValue(given)
  if (value === undefined) throw new BadValue("not of the form KEY=VALUE", "for example status=exited")
  if (FILTERS.includes(key)) return { key, value }
  if (Object.hasOwn(LATER, key)) throw new BadValue(LATER[key]!, undefined, "UNSUPPORTED")
  throw new BadValue(`there is no filter ${key}`, didYouMean(key, FILTERS) ?? `there are ${FILTERS.join(", ")}`)
}

const SHORT_ID = 12
const SHORT_COMMAND = 20
const short = (id: string) => id.slice(0, SHORT_ID)

function item(container: Summary, whole: boolean, now: number): Item {
  const { id, image, name, labels, mounts, networks, status, statusText } = container
  const { command } = container
  const document = {
    Command: JSON.stringify(whole ? command : shortened(command, SHORT_COMMAND)),
    CreatedAt: goTime(container.created),
    ID: whole ? id : short(id),
    Image: image,
    Labels: Object.entries(labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    LocalVolumes: "0",
    Mounts: mounts.join(","),
    Names: name,
    Networks: networks.join(","),
    Ports: container.ports.join(", "),
    RunningFor: `${humanSpan(now - Date.parse(container.created))} ago`,
    Size: "0B",
    State: status as string,
    Status: statusText,
  }
  const Label = (...keys: readonly unknown[]) => {
    const [key] = keys
    if (typeof key !== "string")
      throw new EngineError("INVALID_VALUE", "cannot use the template: Label needs a key", `{{.Label "key"}}`)
    return labels[key] ?? ""
  }
  return { fields: { ...document, Label }, document }
}

/** `2026-01-02 10:30:00 +0000 UTC`, as Go prints a time. */
const goTime = (rfc3339: string) => `${new Date(rfc3339).toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`

/** At most so many characters, an ellipsis among them. */
function shortened(text: string, most: number): string {
  const letters = [...text]
  return letters.length <= most ? text : `${letters.slice(0, most - 1).join("")}…`
}
