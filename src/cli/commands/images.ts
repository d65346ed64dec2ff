/**
 * `minicontainer images`: what is in the store, the newest first.
 *
 * Names of fields and headings are Docker's, because scripts have them in their templates. Read on: engine/images.ts.
 */

import { decimalSize, humanSpan } from "../../base/units.ts"
import type { Engine, ImageSummary } from "../../engine/types.ts"
import { command } from "../command.ts"
import { BadValue, bool, keyValue, list, text } from "../flags.ts"
import { didYouMean } from "../nearest.ts"
import { type Item, printList } from "../print/format.ts"

const HEADINGS = {
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  ID: "IMAGE ID",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  VirtualSize: "SIZE",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
  Containers: "CONTAINERS",
}
const columns = (...names: readonly (keyof typeof HEADINGS)[]): string =>
  `table ${names.map((name) => `{{.${name}}}`).join("\t")}`
const DEFAULT = columns("Repository", "Tag", "ID", "CreatedSince", "Size")
const WITH_DIGESTS = columns("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")
const FILTERS = ["before", "dangling", "label", "reference", "since"]
const NONE = "<none>"
const SHORT = 12

export const images = command({
  name: "images",
  usage: "[REPOSITORY[:TAG]]",
  about: "List images",
  examples: ["", "--filter dangling=true -q", "--format '{{.Repository}}:{{.Tag}} {{.Size}}'"],
  options: {
    all: bool({ short: "a", about: "Accepted: there are no images between images" }),
    digests: bool({ about: "Print digests of manifests, too" }),
    filter: list({ short: "f", value: "KEY=VALUE", each: filter, about: `Only what matches: ${FILTERS.join(", ")}` }),
    format: text({ value: "FORMAT", blank: true, about: "json, table, or a Go template for each" }),
    "no-trunc": bool({ about: "Print ids whole" }),
    quiet: bool({ short: "q", about: "Print ids only" }),
    tree: bool({ refuse: "an image has one platform here", harmless: ["false"], about: "Print platforms as a tree" }),
  },
  words: [0, 1],
  run: async ({ engine, io, words: [pattern], options }) => {
    const all = await engine.images()
    const tests = [
      ...(pattern === undefined ? [] : [matcher(pattern)]),
      ...(await Promise.all(options.filter.map((given) => testOf(given, engine, all)))),
    ]
    const found = all.filter((image) => tests.every((test) => test(image)))
    const id = (image: ImageSummary) =>
      options["no-trunc"] ? image.id : image.id.slice("sha256:".length).slice(0, SHORT)
    if (options.quiet) {
      for (const shown of new Set(found.map(id))) io.print(shown)
      return
    }
    const format = options.format?.trim() ?? ""
    const items = found.map((image) => item(image, id(image), io.now()))
    const whole = options.digests ? WITH_DIGESTS : DEFAULT
    printList(io, format === "" || format === "table" ? whole : options.format!, items, HEADINGS)
  },
})

type Test = (image: ImageSummary) => boolean

function filter(given: string): { readonly key: string; readonly value: string } {
  const { key, value } = keyValue(given)
  if (value === undefined) throw new BadValue("not of the form KEY=VALUE", "for example dangling=true")
  if (!FILTERS.includes(key))
    throw new BadValue(`there is no filter ${key}`, didYouMean(key, FILTERS) ?? `there are ${FILTERS.join(", ")}`)
  if (key === "dangling" && !/^(true|false|1|0)$/.test(value)) throw new BadValue("neither true nor false")
  return { key, value }
}

async function testOf(
  { key, value }: { readonly key: string; readonly value: string },
  engine: Engine,
  all: readonly ImageSummary[],
): Promise<Test> {
  if (key === "dangling") return (image) => (image.repository === undefined) === /^(true|1)$/.test(value)
  if (key === "reference") return matcher(value)
  if (key === "label") {
    const { key: label, value: wanted } = keyValue(value)
    return ({ labels }) => Object.hasOwn(labels, label) && (wanted === undefined || labels[label] === wanted)
  }
  const { Id } = await engine.inspectImage(value)
  const created = all.find(({ id }) => id === Id)?.created ?? ""
  return (image) => (key === "before" ? (image.created ?? "") < created : (image.created ?? "") > created)
}

/** `alpine`, `alpine:3`, or with `*` and `?`, which stop at a slash, as in Docker. */
function matcher(pattern: string): Test {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]")
  const expression = new RegExp(`^${source}$`)
  const hasTag = /:[^/]*$/.test(pattern)
  return ({ repository, tag }) =>
    repository !== undefined && expression.test(hasTag ? `${repository}:${tag}` : repository)
}

function item(image: ImageSummary, id: string, now: number): Item {
  const { repository = NONE, tag = NONE, digest, created, size, containers } = image
  const document = {
    Containers: String(containers),
    CreatedAt:
      created === undefined ? "N/A" : `${new Date(created).toISOString().slice(0, 19).replace("T", " ")} +0000 UTC`,
    CreatedSince: created === undefined ? "N/A" : `${humanSpan(now - Date.parse(created))} ago`,
    Digest: digest,
    ID: id,
    Repository: repository,
    SharedSize: "N/A",
    Size: decimalSize(size),
    Tag: tag,
    UniqueSize: "N/A",
    VirtualSize: decimalSize(size),
  }
  return { fields: document, document }
}
