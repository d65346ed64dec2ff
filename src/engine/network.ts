/**
 * The network of a container that is being made: which one, which address, which ports. Loaded only for a container that gets one.
 *
 *     request ─▶ network (made, if it is the default one and the first to ask) ─▶ lease of an address ─▶ Attachment
 *
 * Nothing of it is in the kernel yet: that is the plan's part, and its undo can be computed from what is decided here.
 *
 * Read on: record/networks.ts; plan/network.ts, plan/firewall.ts.
 */

import { readdirSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { hex } from "../base/hex.ts"
import { addressText, overlap, type Subnet, subnetOf, subnetText } from "../base/ip.ts"
import { forwards, portsOfHost, readRoutes } from "../host/routes.ts"
import type { Attachment, PublishedPort } from "../model/placement.ts"
import { DEFAULT_NETWORK, networkOf, type Request } from "../model/request.ts"
import { findRecord } from "../record/containers.ts"
import {
  claimAddress,
  claimThisAddress,
  firstAddress,
  listNetworks,
  NETWORK_NAME,
  type Network,
  putNetwork,
  readNetwork,
} from "../record/networks.ts"
import type { Store } from "../record/store.ts"
import { timeOf } from "../record/time.ts"
import type { World } from "./world.ts"

/** Where the default network may lie: the first that nobody uses. 10.88 and up as Podman's, then what is left of RFC 1918. */
const POOL: readonly Subnet[] = [
  ...Array.from({ length: 100 }, (_, at) => ({ base: 0x0a000000 + (88 + at) * 0x10000, prefix: 16 })),
  ...Array.from({ length: 15 }, (_, at) => ({ base: 0xac100000 + (17 + at - 16) * 0x10000, prefix: 16 })),
  ...Array.from({ length: 255 }, (_, at) => ({ base: 0xc0a80000 + (1 + at) * 0x100, prefix: 24 })),
]

/** Interfaces count from 1 up: ours have numbers that nobody gets to. */
const FIRST_INDEX = 1_000_000

/** Addresses of a container on its network, and the lease that says so. */
export interface Attached {
  readonly attachment: Attachment
  readonly lease: string
}

/** @throws {EngineError} `NETWORK_NOT_FOUND`, `HOST_LACKS`, `STATE_UNUSABLE`. */
export async function attach(world: World, request: Request, id: string): Promise<Attached> {
  const network = find(world, networkOf(request))
  const ports = request.publish ? choosePorts(world, request.publish, id) : []
  const { address, link } =
    request.ip === undefined
      ? await claimAddress(world.store(), network, id)
      : await claimThisAddress(world.store(), network, id, request.ip)
  return { attachment: attachment(world, ports, network, id, address), lease: link }
}

/** What `attach` would choose; nothing is made. */
export function wouldAttach(world: World, request: Request): Attachment {
  const name = networkOf(request)
  const network = named({ root: world.roots.state }, name) ?? (name === DEFAULT_NETWORK ? drafted(world) : undefined)
  if (!network) throw notFound(name)
  return attachment(world, request.publish ?? [], network, "ID", request.ip ?? firstAddress(network, ""))
}

const named = (store: Pick<Store, "root">, name: string): Network | undefined =>
  NETWORK_NAME.test(name) ? readNetwork(store, name) : undefined
export const notFound = (name: string) =>
  new EngineError("NETWORK_NOT_FOUND", `cannot find the network "${name}": there is none`)

function find(world: World, name: string): Network {
  const store = world.store()
  const network = named(store, name)
  if (network) return network
  if (name !== DEFAULT_NETWORK) throw notFound(name)
  return putNetwork(store, drafted(world))
}

/** A range of addresses for a new network, to which this host has no route. @throws {EngineError} `HOST_LACKS` */
export function chooseSubnet(world: World): Subnet {
  const taken = [
    ...readRoutes().ranges,
    ...listNetworks({ root: world.roots.state }).flatMap(({ subnet }) => subnetOf(subnet) ?? []),
  ]
  const free = POOL.find((subnet) => !taken.some((other) => overlap(subnet, other)))
  if (!free)
    throw new EngineError(
      "HOST_LACKS",
      "cannot choose addresses for a network: every range that we know is one to which this host has a route",
    )
  return free
}

export const indexOf = (id: string): number => FIRST_INDEX + Number.parseInt(id.slice(0, 6), 16)
export const tableOf = (world: World): string =>
  world.scope() === "" ? "minicontainer" : `minicontainer_${world.scope()}`

/** The default network, as it would be made now. */
function drafted(world: World): Network {
  const id = hex(world.random(32))
  const scope = world.scope()
  const free = chooseSubnet(world)
  return {
    version: 1,
    id,
    name: DEFAULT_NETWORK,
    created: timeOf(world.now()),
    bridge: {
      name: scope === "" ? "minicontainer0" : `mc${scope}-0`,
      index: indexOf(id),
    },
    subnet: subnetText(free),
    gateway: addressText(free.base + 1),
  }
}

function attachment(
  world: World,
  ports: readonly PublishedPort[],
  network: Network,
  id: string,
  address: string,
): Attachment {
  if (network.internal && ports.length > 0)
    throw new EngineError("INVALID_VALUE", `cannot publish ports: the network ${network.name} is internal`)
  return {
    network: network.name,
    bridge: network.bridge,
    table: tableOf(world),
    subnet: network.subnet,
    gateway: network.gateway,
    address,
    ...(network.internal && { internal: true }),
    mtu: readRoutes().mtu,
    veth: `mc${id.slice(0, 12)}`,
    ...(!network.internal && !forwards() && { startsForwarding: true }),
    ports,
  }
}

/** IANA's range of ports that belong to nobody. */
const [FIRST_PORT, LAST_PORT] = [49152, 65535]

/**
 * The ports of running containers cannot be had; whoever else has one is met by the step that binds it. A port 0 becomes one that is free.
 * @throws {EngineError} `PORT_TAKEN`, with who has it.
 */
function choosePorts(world: World, wanted: readonly PublishedPort[], self: string): readonly PublishedPort[] {
  const store = world.store()
  const taken: { readonly port: PublishedPort; readonly by: string }[] = []
  for (const id of readdirSync(store.run)) {
    // What it had when it ran last is free for it.
    if (id === self) continue
    const found = findRecord(store, id)
    if (found.kind !== "container") continue
    const { name, placement } = found.record
    taken.push(...(placement?.network?.ports ?? []).map((port) => ({ port, by: `container ${name}` })))
  }
  return wanted.map((port) => {
    const chosen = port.hostPort === 0 ? { ...port, hostPort: freePort(world, port, taken) } : port
    const other = taken.find(({ port }) => meets(port, chosen))
    if (other)
      throw new EngineError(
        "PORT_TAKEN",
        `cannot publish port ${chosen.hostPort}/${chosen.protocol}: ${other.by} has it`,
        "choose another port of the host, or leave it out: -p CONTAINER-PORT",
      )
    taken.push({ port: chosen, by: "this container itself" })
    return chosen
  })
}
const meets = (a: PublishedPort, b: PublishedPort): boolean =>
  a.hostPort === b.hostPort &&
  a.protocol === b.protocol &&
  (a.hostAddress === undefined || b.hostAddress === undefined || a.hostAddress === b.hostAddress)

function freePort(world: World, port: PublishedPort, taken: readonly { readonly port: PublishedPort }[]): number {
  const open = portsOfHost(port.protocol)
  const [high = 0, low = 0] = world.random(2)
  const room = LAST_PORT - FIRST_PORT + 1
  for (let probe = 0; probe < room; probe++) {
    const hostPort = FIRST_PORT + ((high * 256 + low + probe) % room)
    if (!open.has(hostPort) && !taken.some((other) => meets(other.port, { ...port, hostPort }))) return hostPort
  }
  throw new EngineError(
    "PORT_TAKEN",
    `cannot publish port ${port.containerPort}/${port.protocol}: no port of the host is free`,
  )
}
