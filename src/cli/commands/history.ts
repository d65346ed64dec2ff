/** `minicontainer history`: how an image was made, the newest step first. Read on: engine/inspect-image.ts. */

import { decimalSize, humanSpan } from "../../base/units.ts"
import type { HistoryStep } from "../../engine/types.ts"
import { command } from "../command.ts"
import { bool, text } from "../flags.ts"
import { type Item, printList } from "../print/format.ts"

const HEADINGS = {
  ID: "IMAGE",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  CreatedBy: "CREATED BY",
  Size: "SIZE",
  Comment: "COMMENT",
}
const DEFAULT = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
const SHORT_ID = 12
const SHORT_COMMAND = 45

export const history = command({
  name: "history",
  usage: "IMAGE",
  about: "Print how an image was made",
  examples: ["hello", "--no-trunc --format '{{.CreatedBy}}' hello"],
  options: {
    format: text({ value: "FORMAT", blank: true, about: "json, table, or a Go template for each" }),
    human: bool({ short: "H", otherwise: true, about: "Print sizes and times for people" }),
    "no-trunc": bool({ about: "Print ids and commands whole" }),
    quiet: bool({ short: "q", about: "Print ids only" }),
  },
  words: [1, 1],
  run: async ({ engine, io, words: [image = ""], options }) => {
    const items = (await engine.history(image)).map((step) =>
      item(step, { whole: options["no-trunc"], human: options.human, now: io.now() }),
    )
    if (options.quiet) {
      for (const { fields } of items) io.print(String(fields.ID))
      return
    }
    const format = options.format?.trim() ?? ""
    printList(io, format === "" || format === "table" ? DEFAULT : options.format!, items, HEADINGS)
  },
})

interface How {
  readonly whole: boolean
  readonly human: boolean
  readonly now: number
}

function item({ id, created, createdBy, comment, size }: HistoryStep, { whole, human, now }: How): Item {
  const words = createdBy.replaceAll("\t", " ")
  const document = {
    Comment: comment,
    CreatedAt: created ?? "",
    CreatedBy: whole || words.length <= SHORT_COMMAND ? words : `${words.slice(0, SHORT_COMMAND - 1)}…`,
    CreatedSince: created === undefined ? "N/A" : human ? `${humanSpan(now - Date.parse(created))} ago` : created,
    ID: id === undefined ? "<missing>" : whole ? id : id.slice("sha256:".length).slice(0, SHORT_ID),
    Size: human ? decimalSize(size) : String(size),
  }
  return { fields: document, document }
}
