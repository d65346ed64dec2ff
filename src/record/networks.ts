/**
 * Networks: one directory each, `networks/NAME`.
 *
 *     network.json         its bridge, its range of addresses: written once, when it is made
 *     leases/10.88.0.5     a symlink to the id of the container that has the address
 *
 * A network is on disk before anything of it is in the kernel: whoever starts the first container makes the bridge, and whoever finds it gone
 * makes it again, with the same name, number and addresses. It is put in place by one rename, so of many that make it one does.
 *
 * An address belongs to a container as long as its record lives, as its name does. It is claimed as that is: leases.ts.
 *
 * Read on: leases.ts; engine/network.ts; plan/network.ts.
 */

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { addressNumber, addressText, sizeOf, subnetOf } from "../base/ip.ts"
import { claimLink, ownerOf } from "./leases.ts"
import { codeOf, readText, type Store, unusable } from "./store.ts"

const VERSION = 1

export interface Network {
  readonly version: number
  /** 64 hexadecimal digits. */
  readonly id: string
  readonly name: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  readonly bridge: { readonly name: string; readonly index: number }
  /** `10.88.0.0/16` */
  readonly subnet: string
  /** The bridge's address. */
  readonly gateway: string
  /** It has no way out. */
  readonly internal?: true
  readonly labels?: Readonly<Record<string, string>>
}

/** It is a directory's name, too. */
export const NETWORK_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/

const directoryOf = ({ root }: Pick<Store, "root">, name: string): string => `${root}/networks/${name}`
const RECORD = "network.json"

/** @throws {EngineError} `RECORD_BROKEN` */
export function readNetwork(store: Pick<Store, "root">, name: string): Network | undefined {
  const path = `${directoryOf(store, name)}/${RECORD}`
  const json = readText(path)
  if (json === undefined) return undefined
  const broken = (why: string) =>
    new EngineError(
      "RECORD_BROKEN",
      `cannot read the network ${name}: ${path} ${why}`,
      `remove ${directoryOf(store, name)} while no container uses it`,
    )
  let value: Partial<Network> | null
  try {
    value = JSON.parse(json)
  } catch (error) {
    throw broken(`is not JSON: ${(error as Error).message}`)
  }
  if (value?.version !== VERSION) throw broken(`has version ${value?.version}, and only ${VERSION} is known`)
  const { bridge, subnet, gateway } = value
  if (!bridge || !/^[\w.-]{1,15}$/.test(bridge.name) || !Number.isSafeInteger(bridge.index))
    throw broken("names no bridge")
  if (subnetOf(subnet ?? "") === undefined) throw broken("has no subnet")
  if (addressNumber(gateway ?? "") === undefined) throw broken("has no gateway")
  return value as Network
}

/** Puts a new network in its place; if somebody was faster, theirs is returned. */
export function putNetwork(store: Pick<Store, "root">, network: Network): Network {
  const directory = directoryOf(store, network.name)
  const fresh = `${store.root}/networks/.new-${process.pid}-${network.id}`
  try {
    mkdirSync(`${fresh}/leases`, { recursive: true, mode: 0o700 })
    writeFileSync(`${fresh}/${RECORD}`, `${JSON.stringify(network, undefined, 1)}\n`, { mode: 0o600 })
    renameSync(fresh, directory)
    return network
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    const there =
      codeOf(error) === "ENOTEMPTY" || codeOf(error) === "EEXIST" ? readNetwork(store, network.name) : undefined
    if (there) return there
    throw unusable(directory, error)
  }
}

/** Names of all networks. */
const names = ({ root }: Pick<Store, "root">): readonly string[] => {
  try {
    return readdirSync(`${root}/networks`).filter((name) => !name.startsWith("."))
  } catch (error) {
    if (codeOf(error) === "ENOENT") return []
    throw unusable(`${root}/networks`, error)
  }
}

/** All of them, by name. What cannot be read is left out. */
export const listNetworks = (store: Pick<Store, "root">): readonly Network[] =>
  names(store).flatMap((name) => {
    try {
      return readNetwork(store, name) ?? []
    } catch (error) {
      if (error instanceof EngineError && error.code === "RECORD_BROKEN") return []
      throw error
    }
  })

/** The first address of a network that a container with this id would try. */
export const firstAddress = (network: Network, id: string): string => addressOf(network, placeOf(network, id) || 1)

/** Without the network's own address, and the last one, which is for all; the bridge's is passed over. */
const roomOf = (network: Network): number => sizeOf(subnetOf(network.subnet)!) - 2
const placeOf = (network: Network, id: string): number => Number.parseInt(id.slice(8, 16), 16) % roomOf(network) || 0
const addressOf = (network: Network, place: number): string => addressText(subnetOf(network.subnet)!.base + 1 + place)

/**
 * An address for a container, by probing from a place that its id decides.
 * @returns the address, and its lease.
 * @throws {EngineError} `STATE_UNUSABLE` if all are taken.
 */
export async function claimAddress(
  store: Store,
  network: Network,
  id: string,
): Promise<{ readonly address: string; readonly link: string }> {
  const [first, room] = [placeOf(network, id), roomOf(network)]
  for (let probe = 0; probe < room; probe++) {
    const address = addressOf(network, (first + probe) % room)
    if (address === network.gateway) continue
    const link = `${directoryOf(store, network.name)}/leases/${address}`
    if ((await claimLink(store, link, id)) === undefined) return { address, link }
  }
  throw new EngineError(
    "STATE_UNUSABLE",
    `cannot lease an address: all ${room - 1} of the network ${network.name} are taken`,
    "remove containers",
  )
}

/** What a removal has put out of everybody's way. */
export interface Away {
  readonly directory: string
  readonly from: string
  /** Ids of containers that have an address of it. */
  readonly leases: readonly string[]
}

/** Ids of the containers that have an address of a network. */
export const leasesIn = (store: Pick<Store, "root">, name: string): readonly string[] =>
  owners(directoryOf(store, name))
/** Addresses of a network and who has them. */
export function leasesOfNetwork(
  store: Pick<Store, "root">,
  name: string,
): readonly { readonly address: string; readonly id: string }[] {
  const leases = `${directoryOf(store, name)}/leases`
  if (!existsSync(leases)) return []
  return readdirSync(leases).flatMap((address) => {
    const id = ownerOf(`${leases}/${address}`)
    return id === undefined ? [] : [{ address, id }]
  })
}
const owners = (directory: string): readonly string[] =>
  readdirSync(`${directory}/leases`).flatMap((address) => ownerOf(`${directory}/leases/${address}`) ?? [])

/** From here on nobody finds it, and nobody gets an address of it. Undefined: somebody else was faster. */
export function putAway(store: Pick<Store, "root">, { name, id }: Network): Away | undefined {
  const from = directoryOf(store, name)
  const directory = `${store.root}/networks/.gone-${id}`
  try {
    renameSync(from, directory)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw unusable(from, error)
  }
  return { directory, from, leases: owners(directory) }
}
export const putBack = ({ directory, from }: Away): void => renameSync(directory, from)

/** What removals that were cut short have left. `network` is absent if its record is gone already. */
export const goneNetworks = (
  store: Pick<Store, "root">,
): readonly { readonly directory: string; readonly network?: Network }[] =>
  readdirSync(`${store.root}/networks`)
    .filter((name) => name.startsWith(".gone-"))
    .flatMap((name) => {
      const network = readNetwork(store, name)
      const directory = directoryOf(store, name)
      // One that has leases was put away by somebody who has died before putting it back.
      if (network && owners(directory).length > 0) {
        renameSync(directory, directoryOf(store, network.name))
        return []
      }
      return [{ directory, ...(network && { network }) }]
    })

/** Only files of ours lie below. */
export const wipe = (directory: string): void => rmSync(directory, { recursive: true, force: true })

/**
 * One address, for whoever asks for it by number.
 * @throws {EngineError} `INVALID_VALUE` if it is none of the network's, or somebody has it.
 */
export async function claimThisAddress(
  store: Store,
  network: Network,
  id: string,
  address: string,
): Promise<{ readonly address: string; readonly link: string }> {
  const refuse = (cause: string) =>
    new EngineError("INVALID_VALUE", `cannot use the address ${address} of the network ${network.name}: ${cause}`)
  const subnet = subnetOf(network.subnet)!
  const number = addressNumber(address)
  if (number === undefined || number <= subnet.base || number >= subnet.base + sizeOf(subnet) - 1)
    throw refuse(`it is none of ${network.subnet}`)
  if (address === network.gateway) throw refuse("the bridge has it")
  const link = `${directoryOf(store, network.name)}/leases/${address}`
  const owner = await claimLink(store, link, id)
  if (owner !== undefined) throw refuse(`container ${owner.slice(0, 12)} has it`)
  return { address, link }
}

/** All addresses that a container has, by looking at every lease. */
export const addressLeases = (store: Pick<Store, "root">, id: string): readonly string[] =>
  names(store).flatMap((name) => {
    const leases = `${directoryOf(store, name)}/leases`
    try {
      return readdirSync(leases)
        .map((address) => `${leases}/${address}`)
        .filter((link) => ownerOf(link) === id)
    } catch (error) {
      if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return []
      throw unusable(leases, error)
    }
  })

/** The networks of which these leases are addresses. */
export const networksOf = (leases: readonly string[]): ReadonlySet<string> =>
  new Set(leases.flatMap((link) => /\/networks\/([^/]+)\/leases\/[^/]+$/.exec(link)?.[1] ?? []))
