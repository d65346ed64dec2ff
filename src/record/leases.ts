/**
 * Leases: what only one container may have at a time: its name, its range of ids.
 *
 *     names/web     → 4f1e…          ids/17     → 4f1e…      ids 0x40000000 + 17 * 65536 and up
 *
 * symlink(2) is the whole protocol. It makes the link or says EEXIST, so of fifty that want one name exactly one gets it; and the link's target
 * says whose it is, in the same call. A lease of a container without a directory is free: the directory is made before its leases and goes after them.
 *
 * A free range is found by probing from a place that the id decides: a container with a random id hits an empty place at once, however many
 * there are. Ids from 0x40000000 up, because distributions give ordinary users and login sessions the ones below.
 *
 * Read on: containers.ts. symlink(2); user_namespaces(7); systemd, "Users, Groups, UIDs and GIDs".
 */

import { existsSync, readlinkSync, symlinkSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { codeOf, containerDirectory, discard, nameLink, type Store, unusable } from "./store.ts"

export const IDS_BASE = 0x40000000
export const IDS_SIZE = 65536
/** Up to 0xffff0000: the last ids are special (-1 and -2 are nobody and an error). */
export const IDS_RANGES = (0xffff0000 - IDS_BASE) / IDS_SIZE

/**
 * Claims `link` for a container.
 * @returns undefined if it is ours now (also if it was), else the id of whoever has it.
 */
export function claim(link: string, id: string): string | undefined {
  for (;;) {
    try {
      symlinkSync(id, link)
      return undefined
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw unusable(link, error)
    }
    const owner = ownerOf(link)
    // Gone between the two calls: once more.
    if (owner !== undefined) return owner === id ? undefined : owner
  }
}

/** Whose a lease is; undefined if nobody's. What is no link belongs to nobody we know, and is never free. */
export function ownerOf(link: string): string | undefined {
  try {
    return readlinkSync(link)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    if (codeOf(error) === "EINVAL") return ""
    throw unusable(link, error)
  }
}

/** Gives a lease back, if it is this container's. Its monitor must be gone: it does the same, without looking. */
export function release(link: string, id: string): void {
  if (ownerOf(link) === id) discard(link)
}

/** Whether the owner of a lease is gone. As long as it has a directory, somebody who removes it may just be giving the lease back. */
const isFree = (store: Store, owner: string): boolean =>
  /^[0-9A-Za-z][\w.-]*$/.test(owner) && !existsSync(containerDirectory(store, owner))

/** Claims a lease that nobody has any more. Looks again under the lock: of two that find it, one takes it. */
async function reclaim(store: Store, link: string, owner: string, id: string): Promise<string | undefined> {
  if (!isFree(store, owner)) return owner
  return store.lock("leases", () => {
    const now = ownerOf(link)
    if (now !== undefined && now === owner && isFree(store, owner)) discard(link)
    return claim(link, id)
  })
}

/** Claims a link, also from a container that is gone. @returns undefined if it is ours now, else the id of the container that has it. */
export async function claimLink(store: Store, link: string, id: string): Promise<string | undefined> {
  const owner = claim(link, id)
  return owner === undefined ? undefined : reclaim(store, link, owner, id)
}

/** @returns undefined if the name is ours now, else the id of the container that has it. */
export const claimName = (store: Store, name: string, id: string): Promise<string | undefined> =>
  claimLink(store, nameLink(store, name), id)

const placeOf = (id: string): number => Number.parseInt(id.slice(0, 8), 16) % IDS_RANGES || 0
const idsLink = ({ root }: Pick<Store, "root">, place: number): string => `${root}/ids/${place}`

/**
 * A range of IDS_SIZE ids of the host for a container.
 * @returns the first id, and the lease.
 * @throws {EngineError} `STATE_UNUSABLE` if all are taken.
 */
export async function claimIds(store: Store, id: string): Promise<{ readonly base: number; readonly link: string }> {
  const first = placeOf(id)
  for (let probe = 0; probe < IDS_RANGES; probe++) {
    const place = (first + probe) % IDS_RANGES
    const link = idsLink(store, place)
    if ((await claimLink(store, link, id)) === undefined) return { base: IDS_BASE + place * IDS_SIZE, link }
  }
  throw new EngineError(
    "STATE_UNUSABLE",
    `cannot lease ids: all ${IDS_RANGES} ranges of ${store.root}/ids are taken`,
    "remove containers, or use --userns host",
  )
}

/** The first id of the range among these leases; undefined if there is none. */
export function idsBaseOf({ root }: Pick<Store, "root">, leases: readonly string[]): number | undefined {
  const place = leases.find((link) => link.startsWith(`${root}/ids/`))?.slice(`${root}/ids/`.length)
  return place === undefined || !/^\d+$/.test(place) ? undefined : IDS_BASE + Number(place) * IDS_SIZE
}

/** The leases of a container that wrote down none: of one that was killed while it took them. */
export function leasesOf(store: Store, id: string, name: string): readonly string[] {
  const links = [nameLink(store, name)]
  // Where claimIds has been: from its own place up to an empty one.
  for (let place = placeOf(id); ownerOf(idsLink(store, place)) !== undefined; place = (place + 1) % IDS_RANGES)
    links.push(idsLink(store, place))
  return links.filter((link) => ownerOf(link) === id)
}
