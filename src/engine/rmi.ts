/**
 * `rmi`: a name less; and with the last one the image, and at once everything that only it used.
 *
 *     rmi   1 name, stack gone      2 who uses the layers? (records)     3 the rest is freed
 *     run   1 record names layers   2 is the stack still there?          3 it runs
 *
 * Each does its first before its second. So whichever order the two come in, either rmi sees the record, or run sees that the image is gone; no
 * lock is held across a start. Against a pull: what rmi frees it renames away under the index's lock, under which a pull asks whether all of
 * its layers are there before it writes its name. Only what the removed image had is looked at: what a pull is just putting there is not.
 *
 * Read on: image/stacks.ts; record/containers.ts, who writes down the image.
 */

import { existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { readManifest } from "../image/documents.ts"
import { type Found, idOf, needImage } from "../image/find.ts"
import { blobPath, changeIndex, NAME, readIndex, withoutName } from "../image/layout.ts"
import { readStack, stackPath } from "../image/stacks.ts"
import type { Descriptor } from "../model/image.ts"
import { familiar, parseReference } from "../model/reference.ts"
import { ownMark } from "../record/alive.ts"
import { type Container, type ImageOf, parseRecord } from "../record/containers.ts"
import { readStatus } from "../record/status.ts"
import { containerDirectory, readText } from "../record/store.ts"
import { removeTree } from "./reconcile.ts"
import type { Removed } from "./types.ts"
import type { World } from "./world.ts"

type User = Container & { readonly image: ImageOf }

/** Every container that is of an image, those included that are just being made. */
export function usersOf({ roots }: Pick<World, "roots">): readonly User[] {
  const directory = `${roots.state}/containers`
  return (existsSync(directory) ? readdirSync(directory) : []).flatMap((name) => {
    const id = /^(?:\.new-\d+-\d+-)?([0-9a-f]{64})$/.exec(name)?.[1]
    const json =
      id && (readText(`${directory}/${name}/container.json`) ?? readText(`${directory}/${id}/container.json`))
    const record = id && json ? parseRecord(json, id) : ""
    return typeof record === "object" && record.image ? [record as User] : []
  })
}

/**
 * @param word a name: it goes, and the image with its last one. An id: the image goes with all its names, more than one only by force.
 * @throws {EngineError} `IMAGE_NOT_FOUND`, `AMBIGUOUS_ID`, `IMAGE_IN_USE`.
 */
export async function rmi(
  world: World,
  word: string,
  { force = false }: { readonly force?: boolean } = {},
): Promise<Removed> {
  const store = world.store()
  needImage(readIndex(store), word)
  let done: Removed = { untagged: [], deleted: [] }
  let gone: readonly string[] = []
  await changeIndex(store, (entries) => {
    const found = needImage(entries, word)
    const { entry, name } = found
    const names = entries
      .filter((other) => idOf(other) === idOf(entry))
      .flatMap((other) => other.annotations?.[NAME] ?? [])
    const going = name === undefined ? names : [name]
    const isLast = names.every((other) => going.includes(other))
    if (isLast) refuseUse(world, word, found, { force })
    if (name === undefined && names.length > 1 && !force)
      throw new EngineError(
        "IMAGE_IN_USE",
        `cannot remove image ${word}: it has several names (${names.map(shown).join(", ")})`,
        "remove each by its name, or use --force",
      )
    const untagged = going.map(shown)
    const left = going.reduce(withoutName, entries)
    // A container that ended still needs its layers: by force the image loses its names only, and prune takes the rest when that is gone.
    if (!isLast || isUsed(world, entry)) {
      done = { untagged, deleted: [] }
      return left
    }
    const remaining = left.filter((other) => idOf(other) !== idOf(entry))
    const removed = entries.filter((other) => idOf(other) === idOf(entry))
    const freed = free(world, removed, remaining)
    done = { untagged, deleted: [idOf(entry), ...freed.layers] }
    gone = freed.paths
    return remaining
  })
  await removeLayers(world, gone)
  return done
}

const shown = (name: string): string => {
  try {
    return familiar(parseReference(name))
  } catch {
    return name
  }
}

const isUsed = (world: World, entry: Descriptor): boolean =>
  usersOf(world).some(({ image }) => image.id === idOf(entry))

function refuseUse(world: World, word: string, { entry }: Found, { force }: { readonly force: boolean }): void {
  const users = usersOf(world).filter(({ image }) => image.id === idOf(entry))
  const store = world.store()
  const runs = users.find(({ id }) => readStatus(containerDirectory(store, id))?.state !== "exited")
  const user = runs ?? users[0]
  if (!user || (force && !runs)) return
  throw new EngineError(
    "IMAGE_IN_USE",
    `cannot remove image ${word}: container ${user.name} ${runs ? "runs" : "is"} of it`,
    runs ? "stop and remove the container first" : "remove the container first, or use --force",
  )
}

/**
 * Frees what only the removed entries used. Called under the index's lock, before the index is written: a crash in between leaves an image that
 * cannot run and says so.
 * @returns digests of layers that went, and directories that are to be removed when the lock is given back.
 */
function free(
  world: World,
  removed: readonly Descriptor[],
  remaining: readonly Descriptor[],
): { readonly layers: readonly string[]; readonly paths: readonly string[] } {
  const store = { root: world.roots.state }
  const candidates = removed.map(({ digest }) => ({
    digest,
    stack: readStack(store, digest),
    blobs: blobsOf(world, digest),
  }))
  for (const { digest } of removed) rmSync(stackPath(store, digest), { force: true })
  const usedLayers = new Set([
    ...remaining.flatMap(({ digest }) => readStack(store, digest)?.layers ?? []),
    ...usersOf(world).flatMap(({ image }) => image.layers),
  ])
  const usedBlobs = new Set(remaining.flatMap(({ digest }) => blobsOf(world, digest)))
  const layers = [...new Set(candidates.flatMap(({ stack }) => stack?.layers ?? []))].filter(
    (path) => !usedLayers.has(path),
  )
  const { pid, start } = ownMark()
  const paths = layers.flatMap((layer) => {
    const path = `${store.root}/layers/${hexOfLayer(layer)}`
    // As a layer that was half unpacked is named, so that whoever sweeps those takes this one, too.
    const away = `${store.root}/layers/.new-${pid}-${start}-${hexOfLayer(layer)}`
    if (!existsSync(path)) return []
    renameSync(path, away)
    return [away]
  })
  for (const blob of new Set(candidates.flatMap(({ blobs }) => blobs)))
    if (!usedBlobs.has(blob)) rmSync(blobPath(store, blob), { force: true })
  return { layers: layers.map((layer) => `sha256:${hexOfLayer(layer)}`), paths }
}

/** `layers/HEX/tree` → HEX. */
const hexOfLayer = (layer: string): string => layer.split("/")[1] ?? layer

/** Digests of an image's blobs; of one whose manifest cannot be read, that alone. */
function blobsOf(world: World, digest: string): readonly string[] {
  try {
    const { config, layers } = readManifest({ root: world.roots.state }, digest)
    return [digest, config.digest, ...layers.map((layer) => layer.digest)]
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    return [digest]
  }
}

/** By the executor: what an image has unpacked, nobody follows by path. */
async function removeLayers(world: World, paths: readonly string[]): Promise<void> {
  if (paths.length > 0) await doSteps(world.executor(), planOf(paths.map(removeTree)))
}

/** @returns what went, and how many bytes of files and blobs that was. */
export async function pruneImages(
  world: World,
  { all = false }: { readonly all?: boolean } = {},
): Promise<Removed & { readonly bytes: number }> {
  const store = world.store()
  if (readIndex(store).length === 0) return { untagged: [], deleted: [], bytes: 0 }
  const untagged: string[] = []
  const deleted: string[] = []
  let paths: readonly string[] = []
  let bytes = 0
  await changeIndex(store, (entries) => {
    const used = new Set(usersOf(world).map(({ image }) => image.id))
    const goes = (entry: Descriptor) => !used.has(idOf(entry)) && (all || entry.annotations?.[NAME] === undefined)
    const removed = entries.filter(goes)
    if (removed.length === 0) return entries
    const remaining = entries.filter((entry) => !goes(entry))
    const kept = new Set(remaining.map(idOf))
    untagged.push(...removed.flatMap((entry) => (entry.annotations?.[NAME] ? [shown(entry.annotations[NAME])] : [])))
    const ids = [...new Set(removed.map(idOf))].filter((id) => !kept.has(id))
    const size = sizeOf(world, entries) - sizeOf(world, remaining)
    const freed = free(
      world,
      removed.filter((entry) => !kept.has(idOf(entry))),
      remaining,
    )
    deleted.push(...ids, ...freed.layers)
    paths = freed.paths
    bytes = size
    return remaining
  })
  await removeLayers(world, paths)
  return { untagged, deleted, bytes }
}

/** Bytes of the blobs that these entries need, each counted once. */
export function sizeOf(world: World, entries: readonly Descriptor[]): number {
  const blobs = new Set(entries.flatMap(({ digest }) => blobsOf(world, digest)))
  return [...blobs].reduce(
    (sum, blob) => sum + (statSync(blobPath({ root: world.roots.state }, blob), { throwIfNoEntry: false })?.size ?? 0),
    0,
  )
}
