/**
 * Names: containers of a network find each other in /etc/hosts, which is a file of ours bound into each of them.
 *
 *     start, stop, rm ──▶ who has an address of this network, and runs? ──▶ the block in the hosts file of each
 *                          ▲                                                  │
 *                          └───────── has that changed meanwhile? ◀───────────┘
 *
 * The file is rewritten in place: a bind mount holds on to the file, not to its name. Only the block between our two comments is ours; the container
 * may write what it likes around it. There is no lock: whoever has written looks once more, and so the last to write has seen the last to come.
 *
 * A container that ends by itself keeps its line until somebody starts, stops or is removed on its network; its address is nobody else's until then,
 * because whoever gets it writes the block anew before it starts.
 *
 * Read on: record/networks.ts; docs/decisions/0011-names-in-hosts.md. hosts(5)
 */

import { closeSync, constants, existsSync, fstatSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs"
import { findRecord } from "../record/containers.ts"
import { leasesOfNetwork } from "../record/networks.ts"
import { containerDirectory, runDirectory } from "../record/store.ts"
import type { World } from "./world.ts"

const BEGIN = "# minicontainer: who else is on this network"
const END = "# minicontainer: the end of that"
/** A container may write into its own, and fill it. */
const MOST_BYTES = 1 << 20
const MOST_ROUNDS = 100

interface Neighbour {
  readonly id: string
  readonly line: string
}

/** Tells all running containers of a network who is there. A network that is gone has nobody. */
export function tellNeighbours(world: World, network: string): void {
  let told: string | undefined
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const all = neighbours(world, network)
    const now = all.map(({ line }) => line).join("\n")
    if (now === told) return
    for (const { id } of all) {
      const others = all.filter((other) => other.id !== id).map(({ line }) => line)
      write(`${containerDirectory(world.store(), id)}/hosts`, others)
    }
    told = now
  }
}

function neighbours(world: World, network: string): readonly Neighbour[] {
  const store = world.store()
  return leasesOfNetwork(store, network).flatMap(({ address, id }) => {
    // Its first undo, and its last: without it, it does not run.
    if (!existsSync(runDirectory(store, id))) return []
    const found = findRecord(store, id)
    if (found.kind !== "container") return []
    const { name, request } = found.record
    return [{ id, line: [address, name, ...(request.networkAliases ?? []), id.slice(0, 12)].join("\t") }]
  })
}

function write(path: string, lines: readonly string[]): void {
  let file: number
  try {
    file = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch {
    // It is just being made, and will tell itself; or it is gone.
    return
  }
  try {
    if (fstatSync(file).size > MOST_BYTES) return
    const old = readFileSync(file, "utf8")
    const text = withBlock(old, lines)
    if (text === old) return
    const bytes = new TextEncoder().encode(text)
    writeSync(file, bytes, 0, bytes.length, 0)
    ftruncateSync(file, bytes.length)
  } finally {
    closeSync(file)
  }
}

/** The text with our block at its end, and none elsewhere. */
export function withBlock(text: string, lines: readonly string[]): string {
  const kept: string[] = []
  let ours = false
  for (const line of text.split("\n").slice(0, text.endsWith("\n") ? -1 : undefined)) {
    if (line === BEGIN) ours = true
    if (!ours) kept.push(line)
    if (line === END) ours = false
  }
  const block = lines.length > 0 ? [BEGIN, ...lines, END] : []
  return [...kept, ...block].map((line) => `${line}\n`).join("")
}
