/**
 * Networks that people make, look at and remove.
 *
 *     create   a record, and nothing else: whoever starts the first container there makes the bridge
 *     rm       the record out of everybody's way, by one rename ─▶ no lease in it? ─▶ bridge, elements of the table, directory
 *
 * Cut short, a removal leaves a directory `.gone-…`, which says what is left to take away; the next `create`, `ls`, `rm` or `prune` does.
 *
 * Read on: network.ts; record/networks.ts; plan/network.ts, plan/firewall.ts.
 */

import { EngineError } from "../base/errors.ts"
import { hex } from "../base/hex.ts"
import { addressNumber, addressText, contains, overlap, sizeOf, subnetOf, subnetText } from "../base/ip.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { readRoutes } from "../host/routes.ts"
import { DEFAULT_NETWORK } from "../model/request.ts"
import { flag, map, mismatch, record, text } from "../model/shape.ts"
import { leaveTable } from "../plan/firewall.ts"
import { removeBridge } from "../plan/network.ts"
import { findRecord } from "../record/containers.ts"
import {
  goneNetworks,
  leasesIn,
  listNetworks,
  NETWORK_NAME,
  type Network,
  putAway,
  putBack,
  putNetwork,
  readNetwork,
  wipe,
} from "../record/networks.ts"
import { timeOf } from "../record/time.ts"
import { chooseSubnet, indexOf, notFound, tableOf } from "./network.ts"
import { see, seeAll } from "./reconcile.ts"
import type { NetworkInspected, NetworkRequest, NetworkSummary } from "./types.ts"
import type { World } from "./world.ts"

const REQUEST = record({ subnet: text, gateway: text, internal: flag, labels: map(text) })
/** These names mean something else. */
const RESERVED = ["none", "host", "default", "container", DEFAULT_NETWORK]
/** With fewer there is no room for a gateway and two containers. */
const LONGEST_PREFIX = 29

/** @returns the id. @throws {EngineError} `INVALID_VALUE`, `NAME_TAKEN`. */
export async function createNetwork(world: World, name: string, request: NetworkRequest = {}): Promise<string> {
  const refuse = (cause: string, hint?: string) =>
    new EngineError("INVALID_VALUE", `cannot make the network ${JSON.stringify(name)}: ${cause}`, hint)
  const wrong = mismatch(REQUEST, request)
  if (wrong) throw refuse(wrong)
  if (!NETWORK_NAME.test(name))
    throw refuse(`a name is letters, digits, "_", "." and "-", and begins with a letter or digit`)
  if (RESERVED.includes(name)) throw refuse("this name means something else")
  await takeAway(world)
  const subnet = request.subnet === undefined ? chooseSubnet(world) : subnetOf(request.subnet)
  if (!subnet || subnet.prefix > LONGEST_PREFIX || subnet.prefix < 8)
    throw refuse(
      `${request.subnet} is no range of addresses for it`,
      `for example 10.90.0.0/24: 8 to ${LONGEST_PREFIX} bits, and none set behind them`,
    )
  if (request.subnet !== undefined) {
    const other = listNetworks(world.store()).find((one) => overlap(subnetOf(one.subnet)!, subnet))
    if (other) throw refuse(`${subnetText(subnet)} overlaps ${other.subnet} of the network ${other.name}`)
    const route = readRoutes().ranges.find((range) => overlap(range, subnet))
    if (route) throw refuse(`this host has a route to ${subnetText(route)}, which overlaps ${subnetText(subnet)}`)
  }
  const gateway = request.gateway === undefined ? subnet.base + 1 : addressNumber(request.gateway)
  if (
    gateway === undefined ||
    !contains(subnet, gateway) ||
    gateway === subnet.base ||
    gateway === subnet.base + sizeOf(subnet) - 1
  )
    throw refuse(`${request.gateway} is no address in ${subnetText(subnet)}`)
  const id = hex(world.random(32))
  const made = putNetwork(world.store(), {
    version: 1,
    id,
    name,
    created: timeOf(world.now()),
    bridge: { name: `mc-${id.slice(0, 10)}`, index: indexOf(id) },
    subnet: subnetText(subnet),
    gateway: addressText(gateway),
    ...(request.internal && { internal: true }),
    ...(request.labels && { labels: request.labels }),
  })
  if (made.id !== id)
    throw new EngineError("NAME_TAKEN", `cannot make the network "${name}": there is one of this name`)
  return id
}

const summary = ({ id, name, created, internal, labels = {} }: Network): NetworkSummary => ({
  id,
  name,
  created,
  driver: "bridge",
  internal: internal ?? false,
  labels,
})
/** What is there without being made. */
const FIXED: readonly NetworkSummary[] = ["host", "none"].map((name) => ({
  id: "",
  name,
  created: "",
  driver: name === "none" ? "null" : name,
  internal: false,
  labels: {},
}))

/** By name; `host` and `none` last. */
export async function networks(world: World): Promise<readonly NetworkSummary[]> {
  await takeAway(world)
  const made = listNetworks(world.store()).map(summary)
  return [...made.toSorted((a, b) => (a.name < b.name ? -1 : 1)), ...FIXED]
}

/** By name, or by the first digits of its id. */
function find(world: World, reference: string): Network {
  const store = world.store()
  const named = NETWORK_NAME.test(reference) ? readNetwork(store, reference) : undefined
  if (named) return named
  const found = /^[0-9a-f]{3,64}$/.test(reference)
    ? listNetworks(store).filter(({ id }) => id.startsWith(reference))
    : []
  if (found.length > 1)
    throw new EngineError("AMBIGUOUS_ID", `cannot find the network "${reference}": several ids begin so`)
  if (!found[0]) throw notFound(reference)
  return found[0]
}

/** Docker's document, with the containers that run on it. */
export async function inspectNetwork(world: World, reference: string): Promise<NetworkInspected> {
  const network = find(world, reference)
  const { containers } = await seeAll(world)
  const on = containers.flatMap(({ record, state }) => {
    const attachment = record.placement?.network
    if (state !== "running" || attachment?.network !== network.name) return []
    const prefix = network.subnet.split("/")[1]
    return [
      [record.id, { Name: record.name, IPv4Address: `${attachment.address}/${prefix}`, IPv6Address: "" }] as const,
    ]
  })
  return {
    Name: network.name,
    Id: network.id,
    Created: network.created,
    Scope: "local",
    Driver: "bridge",
    EnableIPv6: false,
    IPAM: { Driver: "default", Options: {}, Config: [{ Subnet: network.subnet, Gateway: network.gateway }] },
    Internal: network.internal ?? false,
    Containers: Object.fromEntries(on),
    Options: { "com.docker.network.bridge.name": network.bridge.name },
    Labels: network.labels ?? {},
  }
}

/** @throws {EngineError} `NETWORK_IN_USE` if a container has an address of it, also one that does not run. */
export async function removeNetwork(world: World, reference: string): Promise<void> {
  const network = find(world, reference)
  // Whoever died with a lease is found dead by this, and gives it back.
  for (const id of leasesIn(world.store(), network.name)) await see(world, id).catch(ignoreGone)
  const away = putAway(world.store(), network)
  if (away === undefined) throw notFound(reference)
  const [first] = away.leases
  if (first !== undefined) {
    putBack(away)
    const found = findRecord(world.store(), first)
    const who = found.kind === "container" ? `container ${found.record.name}` : `container ${first.slice(0, 12)}`
    throw new EngineError(
      "NETWORK_IN_USE",
      `cannot remove the network ${network.name}: ${who} has an address of it`,
      "remove the container first: rm",
    )
  }
  await takeAway(world)
}

function ignoreGone(error: unknown): void {
  if (!(error instanceof EngineError)) throw error
}

/** Removes every network that somebody has made and no container has an address of. @returns their names. */
export async function pruneNetworks(world: World): Promise<readonly string[]> {
  await seeAll(world)
  await takeAway(world)
  const removed: string[] = []
  for (const { name } of listNetworks(world.store())) {
    if (name === DEFAULT_NETWORK) continue
    try {
      await removeNetwork(world, name)
      removed.push(name)
    } catch (error) {
      if (!(error instanceof EngineError && ["NETWORK_IN_USE", "NETWORK_NOT_FOUND"].includes(error.code))) throw error
    }
  }
  return removed
}

/** What is left in the kernel of networks that were removed; then their directories. */
async function takeAway(world: World): Promise<void> {
  const store = world.store()
  for (const { network, directory } of goneNetworks(store)) {
    if (network) {
      const steps = [removeBridge(network.bridge.name), ...leaveTable(tableOf(world), network)]
      const { failed } = await doSteps(world.executor(), planOf(steps))
      if (failed)
        throw new EngineError(
          "STEP_FAILED",
          `cannot remove the network ${network.name}: cannot ${failed.does} (errno ${failed.errno})`,
        )
    }
    wipe(directory)
  }
}
