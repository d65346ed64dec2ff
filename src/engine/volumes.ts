/**
 * Volumes as verbs: what people do with them, and what a new container gets.
 *
 *     request ── name those without, take over those of others ──▶ record ── make what is missing ──▶ spec, plan
 *
 * The names stand in the container's record before the first volume is made: so a volume that is being used is found to be, and of a container
 * that was killed while it was made nothing is left but what has a name, which is what was asked for.
 *
 * Read on: record/volumes.ts. plan/mounts-bind.ts, what is mounted.
 */

import { EngineError } from "../base/errors.ts"
import { hex } from "../base/hex.ts"
import { doSteps, planOf } from "../executor/do.ts"
import type { MountRequest, Request, VolumeMount } from "../model/request.ts"
import { type Container, findRecord, listRecords } from "../record/containers.ts"
import { resolveContainer } from "../record/names.ts"
import { containerDirectory } from "../record/store.ts"
import { timeOf } from "../record/time.ts"
import {
  checkVolumeName,
  disownVolume,
  dropOwnVolumes,
  findVolume,
  type Kept,
  listVolumes,
  makeVolume,
  outlive,
  sourceOf,
} from "../record/volumes.ts"
import { recordBroken, removeTree } from "./reconcile.ts"
import type { VolumeInspected, VolumeRequest, VolumesPruned } from "./types.ts"
import type { World } from "./world.ts"

/* ---- what a container gets ---- */

const isVolume = (mount: MountRequest): mount is VolumeMount => mount.kind === "volume"

/**
 * The request with every volume by its name, and with the mounts of the containers in `volumesFrom`. Makes nothing, but that a volume which
 * another container has for itself alone outlives that one from here on, unless `keep` is false.
 * @throws {EngineError} `CONTAINER_NOT_FOUND`, `INVALID_VALUE`.
 */
export function nameVolumes(world: World, request: Request, { keep = true } = {}): Request {
  const named = (request.mounts ?? []).map((mount): MountRequest => {
    if (!isVolume(mount)) return mount
    if (mount.name === undefined) return { ...mount, name: hex(world.random(NAME_BYTES)), anonymous: true }
    checkVolumeName(mount.name)
    return mount
  })
  const taken = new Set(named.map(({ target }) => target))
  const others = (request.volumesFrom ?? []).flatMap((text) => {
    const [reference, mode] = fromOf(text)
    return mountsOf(world, reference, keep).map((mount) => (mode === "ro" ? { ...mount, readOnly: true } : mount))
  })
  // As Docker: what the container says itself goes before, and of others the last.
  const last = new Map(others.filter(({ target }) => !taken.has(target)).map((mount) => [mount.target, mount]))
  return { ...request, mounts: [...named, ...last.values()] }
}
const NAME_BYTES = 32
/** Stands for the digits that are chosen when it is made. */
const PREVIEW_NAME = "ID"

function fromOf(text: string): readonly [reference: string, mode: string] {
  const at = text.indexOf(":")
  const [reference, mode] = at < 0 ? [text, "rw"] : [text.slice(0, at), text.slice(at + 1)]
  if (reference !== "" && ["ro", "rw", "z", "Z"].includes(mode)) return [reference, mode]
  throw new EngineError(
    "INVALID_VALUE",
    `cannot take the volumes of "${text}": it is not CONTAINER, CONTAINER:ro or CONTAINER:rw`,
  )
}

function mountsOf(
  world: World,
  reference: string,
  keep: boolean,
): readonly Exclude<MountRequest, { readonly kind: "tmpfs" }>[] {
  const store = world.store()
  const id = resolveContainer(store, reference)
  const found = findRecord(store, id)
  if (found.kind === "broken") throw recordBroken(found.broken)
  if (found.kind !== "container")
    throw new EngineError("CONTAINER_NOT_FOUND", `cannot find container "${reference}": it is gone`)
  return (found.record.request.mounts ?? []).flatMap((mount): Exclude<MountRequest, { readonly kind: "tmpfs" }>[] => {
    if (mount.kind === "tmpfs") return []
    if (!isVolume(mount) || mount.name === undefined) return [mount]
    if (mount.anonymous && keep) outlive(store, `${containerDirectory(store, id)}/volumes/${mount.name}`, mount.name)
    const { source: _, anonymous: __, ...shared } = mount
    return [shared]
  })
}

/** Makes what is missing, when the container's record is on disk. @returns the request with the place of each. */
export function placeVolumes(world: World, request: Request, id: string): Request {
  const store = world.store()
  const created = timeOf(world.now())
  return {
    ...request,
    mounts: (request.mounts ?? []).map((mount) => {
      if (!isVolume(mount) || mount.name === undefined) return mount
      const { name, labels = {}, anonymous = false } = mount
      const wanted = { name, created, labels, options: {}, anonymous }
      return { ...mount, source: sourceOf(makeVolume(store, wanted, anonymous ? id : undefined)) }
    }),
  }
}

/** The container will never be: what it had for itself alone goes with it. Nothing has run that could have put anything there. */
export const dropVolumes = (world: World, id: string): void => dropOwnVolumes(world.store(), id)

/** The same for who only looks: where they would be. What other containers have is only known to root. */
export function previewVolumes(world: World, given: Request, id: string): Request {
  const { state } = world.roots
  const request = given.volumesFrom?.length ? nameVolumes(world, given, { keep: false }) : given
  return {
    ...request,
    mounts: (request.mounts ?? []).map((mount) =>
      isVolume(mount)
        ? {
            ...mount,
            source:
              mount.name && !mount.anonymous
                ? `${state}/volumes/${mount.name}/_data`
                : `${state}/containers/${id}/volumes/${PREVIEW_NAME}/_data`,
          }
        : mount,
    ),
  }
}

/* ---- what people do with them ---- */

interface Look {
  readonly volumes: readonly Kept[]
  /** Volume → the containers that have it. */
  readonly users: ReadonlyMap<string, readonly Container[]>
}

/** @throws {EngineError} `RECORD_BROKEN` if it cannot be known who uses what. */
function look(world: World, { sure }: { readonly sure: boolean }): Look {
  const store = world.store()
  const { ids } = listRecords(store)
  const users = new Map<string, Container[]>()
  for (const id of ids) {
    const found = findRecord(store, id)
    if (found.kind === "broken" && sure) throw recordBroken(found.broken)
    if (found.kind !== "container") continue
    for (const mount of found.record.request.mounts ?? [])
      if (isVolume(mount) && mount.name !== undefined)
        users.set(mount.name, [...(users.get(mount.name) ?? []), found.record])
  }
  return { volumes: listVolumes(store, ids).volumes, users }
}

const document = (kept: Kept): VolumeInspected => {
  const { name, created, labels, options, anonymous } = kept.volume
  return {
    CreatedAt: created,
    Driver: "local",
    Labels: anonymous ? { ...labels, [ANONYMOUS]: "" } : Object.keys(labels).length > 0 ? labels : null,
    Mountpoint: sourceOf(kept),
    Name: name,
    Options: Object.keys(options).length > 0 ? options : null,
    Scope: "local",
  }
}
/** The label by which Docker tells them, too. */
const ANONYMOUS = "com.docker.volume.anonymous"

const noVolume = (name: string): EngineError =>
  new EngineError(
    "VOLUME_NOT_FOUND",
    `cannot find volume "${name}": there is none of this name`,
    "volume ls lists them",
  )

/** Makes a volume, or leaves the one that is there. @returns its name. */
export function createVolume(world: World, { name, labels = {}, options = {} }: VolumeRequest = {}): string {
  const anonymous = name === undefined
  const chosen = name ?? hex(world.random(NAME_BYTES))
  checkOptions(options)
  makeVolume(world.store(), { name: chosen, created: timeOf(world.now()), labels, options, anonymous })
  return chosen
}

/** What Docker's own driver would mount when it is first used; here a directory of the host is all that there is to mount. */
function checkOptions(options: Readonly<Record<string, string>>): void {
  const refuse = (cause: string) =>
    new EngineError("UNSUPPORTED", `cannot make the volume: ${cause}`, "--opt type=none --opt o=bind --opt device=/DIR")
  for (const key of Object.keys(options))
    if (!["type", "o", "device"].includes(key)) throw refuse(`the driver local has no option ${key}`)
  const { type = "none", o, device } = options
  if (Object.keys(options).length === 0) return
  if (!["none", "bind"].includes(type) || !["bind", "rbind"].includes(o ?? ""))
    throw refuse("only directories of the host can be volumes, by o=bind")
  if (!device?.startsWith("/")) throw refuse("its device is not an absolute path")
}

/** By name. */
export function volumes(
  world: World,
  { filters = {} }: { readonly filters?: Readonly<Record<string, readonly string[]>> } = {},
): readonly VolumeInspected[] {
  const { volumes: all, users } = look(world, { sure: false })
  return all.filter((kept) => passes(kept, filters, users)).map(document)
}

type Filters = Readonly<Record<string, readonly string[]>>
function passes({ volume }: Kept, filters: Filters, users: Look["users"]): boolean {
  const labelled = (value: string): boolean => {
    const at = value.indexOf("=")
    const key = at < 0 ? value : value.slice(0, at)
    return Object.hasOwn(volume.labels, key) && (at < 0 || volume.labels[key] === value.slice(at + 1))
  }
  const rows: Readonly<Record<string, (values: readonly string[]) => boolean>> = {
    dangling: (values) => values.some((value) => /^(1|true)$/i.test(value) !== users.has(volume.name)),
    driver: (values) => values.includes("local"),
    label: (values) => values.every(labelled),
    "label!": (values) => !values.some(labelled),
    name: (values) => values.some((value) => volume.name.includes(value)),
  }
  return Object.entries(filters).every(([name, values]) => {
    const row = Object.hasOwn(rows, name) ? rows[name] : undefined
    if (row) return row(values)
    throw new EngineError(
      "INVALID_VALUE",
      `cannot filter volumes by "${name}": there is no such filter`,
      `there are ${Object.keys(rows).join(", ")}`,
    )
  })
}

/** @throws {EngineError} `VOLUME_NOT_FOUND`. */
export function inspectVolume(world: World, name: string): VolumeInspected {
  const store = world.store()
  const found = findVolume(store, name) ?? findVolume(store, name, listRecords(store).ids)
  if (!found) throw noVolume(name)
  return document(found)
}

/** @throws {EngineError} `VOLUME_NOT_FOUND`; `VOLUME_IN_USE` if a container has it, whether it runs or not. */
export async function removeVolume(world: World, name: string): Promise<void> {
  const store = world.store()
  const found = findVolume(store, name) ?? findVolume(store, name, listRecords(store).ids)
  if (!found) throw noVolume(name)
  const { users } = look(world, { sure: true })
  const having = users.get(name) ?? []
  if (having.length > 0)
    throw new EngineError(
      "VOLUME_IN_USE",
      `cannot remove volume ${name}: ${having.map((record) => record.name).join(", ")} ${having.length > 1 ? "have" : "has"} it`,
      `rm ${having.map((record) => record.name).join(" ")}`,
    )
  await remove(world, [found])
}

/** @returns bytes that were freed. */
async function remove(world: World, all: readonly Kept[]): Promise<number> {
  const gone = all.flatMap((kept) => disownVolume(world.store(), kept) ?? [])
  const { freed } = await doSteps(world.executor(), planOf(gone.map(removeTree)))
  return freed
}

/** Removes what no container has: of those without a name of their own, or with `all` any. */
export async function pruneVolumes(
  world: World,
  { all = false, filters = {} }: { readonly all?: boolean; readonly filters?: Filters } = {},
): Promise<VolumesPruned> {
  const { volumes: there, users } = look(world, { sure: true })
  const unused = there.filter(
    (kept) => !users.has(kept.volume.name) && (all || kept.volume.anonymous) && passes(kept, filters, users),
  )
  return { removed: unused.map(({ volume }) => volume.name), freedBytes: await remove(world, unused) }
}
