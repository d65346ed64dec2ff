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

import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
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
  /** The bridge's address: the first of the range. */
  readonly gateway: string
}

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
export const firstAddress = (network: Network, id: string): string => addressOf(network, placeOf(network, id))

/** Without the network's own address, the bridge's, and the last one, which is for all. */
const roomOf = (network: Network): number => sizeOf(subnetOf(network.subnet)!) - 3
const placeOf = (network: Network, id: string): number => Number.parseInt(id.slice(8, 16), 16) % roomOf(network) || 0
const addressOf = (network: Network, place: number): string => addressText(subnetOf(network.subnet)!.base + 2 + place)

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
    const link = `${directoryOf(store, network.name)}/leases/${address}`
    if ((await claimLink(store, link, id)) === undefined) return { address, link }
  }
  throw new EngineError(
    "STATE_UNUSABLE",
    `cannot lease an address: all ${room} of the network ${network.name} are taken`,
    "remove containers",
  )
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
