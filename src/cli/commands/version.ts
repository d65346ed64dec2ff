/**
 * `minicontainer version`: which one this is, without looking at the host.
 *
 * Docker's document has a client and a server; scripts read either. Here they are one program.
 */

import { VERSION } from "../../base/version.ts"
import { page } from "../command.ts"
import { bool, text } from "../flags.ts"
import { printDocument } from "../print/format.ts"
import { outline } from "../print/outline.ts"

/** Go's names for what Node calls x64 and arm64: Docker's document has them. */
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64" }

export const version = page({
  name: "version",
  usage: "",
  about: "Print the version",
  examples: ["", "--format '{{.Client.Version}}'"],
  options: {
    format: text({ short: "f", value: "TEMPLATE", blank: true, about: "json, or a Go template" }),
    short: bool({ about: "One line" }),
  },
  words: [0, 0],
  run: ({ io, options }) => {
    if (options.short) {
      io.print(`minicontainer version ${VERSION}`)
      return
    }
    const { bun, node } = process.versions
    const one = {
      Version: VERSION,
      Os: process.platform,
      Arch: ARCHITECTURES[process.arch] ?? process.arch,
      Runtime: bun ? `bun ${bun}` : `node ${node}`,
    }
    if (options.format === undefined) io.write("stdout", outline({ minicontainer: one }))
    else printDocument(io, options.format, { Client: one, Server: one })
  },
})
