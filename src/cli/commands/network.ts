/** `minicontainer network …`: networks that are made, listed, looked at, removed. */

import { command, each } from "../command.ts"
import { bool, map, text } from "../flags.ts"
import { printList } from "../print/format.ts"
import { printInspected } from "../print/inspected.ts"

const LATER = "IPv6 networks are not built yet"
const SHORT_ID = 12

export const create = command({
  name: "network create",
  usage: "NETWORK",
  about: "Make a network",
  details: "Nothing of it is in the kernel before the first container. Networks do not reach each other.",
  examples: ["back", "--internal --subnet 10.90.0.0/24 db"],
  options: {
    driver: text({ short: "d", otherwise: "bridge", about: "Kind of network: bridge is the only one" }),
    gateway: text({ value: "ADDRESS", about: "The bridge's own address (default: the first)" }),
    internal: bool({ about: "Without a way out" }),
    ipv6: bool({ refuse: LATER, harmless: ["false"], about: "Also IPv6" }),
    label: map({ value: "KEY[=VALUE]", bare: "", about: "Set a label" }),
    subnet: text({ value: "ADDRESS/BITS", about: "Its addresses (default: some to which this host has no route)" }),
  },
  words: [1, 1],
  run: async ({ engine, io, words: [name = ""], options: { driver, gateway, internal, label, subnet } }) => {
    if (driver !== "bridge") {
      const { EngineError } = await import("../../base/errors.ts")
      throw new EngineError(
        "UNSUPPORTED",
        `cannot make the network ${name}: there is no driver "${driver}", only bridge`,
      )
    }
    const labels = label && Object.keys(label).length > 0 ? { labels: label } : {}
    io.print(
      await engine.createNetwork(name, {
        ...(gateway !== undefined && { gateway }),
        ...(subnet !== undefined && { subnet }),
        ...(internal && { internal }),
        ...labels,
      }),
    )
  },
})

const HEADINGS = {
  ID: "NETWORK ID",
  Name: "NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  Internal: "INTERNAL",
  Labels: "LABELS",
  CreatedAt: "CREATED AT",
}

export const ls = command({
  name: "network ls",
  usage: "",
  about: "List networks",
  examples: ["", "--format '{{.Name}}: {{.Driver}}'"],
  options: {
    format: text({ value: "TEMPLATE", about: "table [TEMPLATE], json, or a Go template for each" }),
    "no-trunc": bool({ about: "Print ids whole" }),
    quiet: bool({ short: "q", about: "Print ids only" }),
  },
  words: [0, 0],
  run: async ({ engine, io, options }) => {
    const items = (await engine.networks()).map(({ id, name, driver, internal, labels, created }) => {
      const document = {
        CreatedAt: created,
        Driver: driver,
        ID: options["no-trunc"] ? id : id.slice(0, SHORT_ID),
        IPv4: "true",
        IPv6: "false",
        Internal: String(internal),
        Labels: Object.entries(labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(","),
        Name: name,
        Scope: "local",
      }
      return { fields: document, document }
    })
    if (options.quiet) for (const { document } of items) io.print(document.ID || document.Name)
    else
      printList(io, options.format?.trim() || "table {{.ID}}\\t{{.Name}}\\t{{.Driver}}\\t{{.Scope}}", items, HEADINGS)
  },
})

export const inspect = command({
  name: "network inspect",
  usage: "NETWORK...",
  about: "Print all that is known of networks, as JSON",
  examples: ["bridge", "--format '{{(index .IPAM.Config 0).Subnet}}' bridge"],
  options: { format: text({ short: "f", value: "TEMPLATE", blank: true, about: "json, or a Go template for each" }) },
  words: [1],
  run: async ({ engine, io, words, options: { format } }) => {
    await printInspected(io, words, format, (name) => engine.inspectNetwork(name))
  },
})

export const rm = command({
  name: "network rm",
  usage: "NETWORK...",
  about: "Remove networks",
  details: "One of which a container has an address, running or not, stays.",
  examples: ["back", "back db"],
  options: { force: bool({ short: "f", about: "A network that is not there is no failure" }) },
  words: [1],
  run: ({ engine, io, words, options: { force } }) =>
    each(
      words,
      async (name) => {
        try {
          await engine.removeNetwork(name)
        } catch (error) {
          if (!force || (error as { code?: string }).code !== "NETWORK_NOT_FOUND") throw error
        }
      },
      (name) => io.print(name),
    ),
})

export const prune = command({
  name: "network prune",
  usage: "",
  about: "Remove networks that no container has an address of",
  details: "The default network stays.",
  examples: ["", "--force"],
  options: { force: bool({ short: "f", about: "Accepted: nothing is asked" }) },
  words: [0, 0],
  run: async ({ engine, io }) => {
    const removed = await engine.pruneNetworks()
    if (removed.length > 0) io.print(`Deleted Networks:\n${removed.join("\n")}`)
  },
})
