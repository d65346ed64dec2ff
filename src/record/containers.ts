/**
 * Records of containers: one directory each, `containers/ID`.
 *
 *     container.json   who asked for what, when, and where it lies: written by commands, twice
 *     config.json      the OCI configuration, as it was carried out
 *     status           the monitor's
 *     upper work log   the container's changes and output: touched by the executor alone
 *
 * The order of making, each step atomic, so that a SIGKILL anywhere leaves something that can be read:
 *
 *     1  containers/.new-PID-START-ID, with container.json     not a container yet; garbage once PID is dead
 *     2  renamed to containers/ID                              a container in state created, of a living creator
 *     3  names/NAME, ids/N                                     links to it; if the name is taken, 2 goes again
 *     4  container.json with placement, config.json            from here on its undo can be computed
 *
 * Who starts a container that exists, or removes it, claims it: RUN/ID, made with the file `starter` in it beside its place and renamed there, which
 * succeeds for one only. Other changes of a record (`rename`, a policy) happen under one lock, held for the reading and the writing.
 *
 * and of removing: container.json → removed.json, or gone (it does not exist any more), the leases, the directory.
 *
 * Read on: leases.ts, states.ts. engine/reconcile.ts, which finds what a crash has left.
 */

import { existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, writeFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { hex } from "../base/hex.ts"
import type { Config } from "../model/oci.ts"
import type { Placement } from "../model/placement.ts"
import type { Request } from "../model/request.ts"
import { ownMark, type ProcessMark } from "./alive.ts"
import { claimIds, claimName, idsBaseOf, release } from "./leases.ts"
import { randomName } from "./names.ts"
import type { Starter } from "./states.ts"
import {
  codeOf,
  containerDirectory,
  discard,
  nameLink,
  readText,
  runDirectory,
  type Store,
  unusable,
  writeWhole,
} from "./store.ts"

export const VERSION = 1

export interface Container {
  readonly version: number
  readonly id: string
  readonly name: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  readonly request: Request
  readonly creator: ProcessMark & { readonly boot: string }
  /** Written down before the layers are used, so that whoever frees layers knows whose they are. */
  readonly image?: ImageOf
  /** Absent until step 4. */
  readonly placement?: Placement
  /** What a failed step has shown about the host (engine/corrections.ts): whoever starts it again knows it. */
  readonly corrected?: { readonly fact: string; readonly does: string; readonly errno: string }
}

/** What a container was made of: the image's name as it was asked for, its id (`sha256:…`), its layers below the state root, oldest first. */
export interface ImageOf {
  readonly name: string
  readonly id: string
  readonly layers: readonly string[]
}

/** A record that cannot be read. */
export interface BrokenRecord {
  readonly id: string
  readonly why: string
}

const RECORD = "container.json"
const REMOVED = "removed.json"
const STARTER = "starter"

/** What `createRecord` has taken: the container is in state created. */
export interface Draft {
  readonly record: Container
  readonly directory: string
  readonly runDirectory: string
  /** Links that are this container's: `leases` of its placement. */
  readonly leases: readonly string[]
  /** The first of its 65,536 ids of the host, if it has its own. */
  readonly idsBase?: number
}

export interface Wanted {
  readonly request: Request
  readonly image?: ImageOf | undefined
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  /** Lease a range of ids. */
  readonly ownIds: boolean
  /** It is made by `create` and waits for its start: no run directory yet. */
  readonly waits?: boolean
  /** n random bytes. */
  readonly random: (n: number) => Uint8Array
  /**
   * Asks that a container which has our name be held against the kernel: its creator may be dead, or it may be just ending.
   * @returns whether it is worth trying once more.
   */
  readonly settle: (id: string) => Promise<boolean>
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/

/**
 * Steps 1 to 3. Whatever it throws, nothing remains.
 * @throws {EngineError} `INVALID_VALUE`, `NAME_TAKEN`, `STATE_UNUSABLE`.
 */
export async function createRecord(
  store: Store,
  { request, image, created, ownIds, waits = false, random, settle }: Wanted,
): Promise<Draft> {
  if (request.name !== undefined && !NAME.test(request.name))
    throw new EngineError(
      "INVALID_VALUE",
      `cannot name a container ${JSON.stringify(request.name.slice(0, 80))}: a name has letters, digits, "_", "." and "-", begins with a letter or digit, and has 2 to 255 of them`,
    )
  const id = hex(random(32))
  const creator = { ...ownMark(), boot: store.boot }
  const record = (name: string): Container => ({
    version: VERSION,
    id,
    name,
    created,
    request,
    ...(image && { image }),
    creator,
  })
  const directory = containerDirectory(store, id)
  const links: string[] = []
  let name = request.name ?? randomName(random, 0)
  putDirectory(store, directory, record(name))
  try {
    for (let attempt = 1; ; attempt++) {
      const owner = await claimName(store, name, id)
      if (owner === undefined) break
      if (request.name !== undefined) {
        if (attempt === 1 && (await settle(owner))) continue
        throw new EngineError(
          "NAME_TAKEN",
          `cannot name the container "${name}": container ${owner.slice(0, 12)} has this name`,
          `choose another name, or remove it: rm ${name}`,
        )
      }
      name = randomName(random, attempt)
      // Before the claim: whoever finds the link must find the name in the record.
      writeWhole(`${directory}/${RECORD}`, text(record(name)))
    }
    links.push(nameLink(store, name))
    const ids = ownIds ? await claimIds(store, id) : undefined
    if (ids) links.push(ids.link)
    const run = runDirectory(store, id)
    if (!waits) make(run)
    return { record: record(name), directory, runDirectory: run, leases: links, ...(ids && { idsBase: ids.base }) }
  } catch (error) {
    for (const link of links) release(link, id)
    dropDraft(store, id)
    throw error
  }
}

/** Step 4. After it the first step of the plan may run. */
export function finishRecord(
  draft: Draft,
  placement: Placement,
  config: Config,
  corrected?: Container["corrected"],
): void {
  writeWhole(`${draft.directory}/config.json`, text(config))
  writeWhole(`${draft.directory}/${RECORD}`, text({ ...draft.record, placement, ...(corrected && { corrected }) }))
}

/**
 * Claims a container that exists and does not run, for who starts or removes it. It gets a run directory.
 * @param before its status's monitor, as `markOf`.
 * @returns false if somebody else has it, or it runs.
 */
export function claimRun(store: Store, id: string, before: string): boolean {
  const mark = ownMark()
  const fresh = `${store.run}/.new-${mark.pid}-${mark.start}-${id}`
  const starter: Starter = { ...mark, boot: store.boot, before }
  make(fresh)
  try {
    writeFileSync(`${fresh}/${STARTER}`, text(starter), { mode: 0o600 })
    renameSync(fresh, runDirectory(store, id))
    return true
  } catch (error) {
    discard(`${fresh}/${STARTER}`)
    rmdirSync(fresh)
    if (codeOf(error) === "ENOTEMPTY" || codeOf(error) === "EEXIST") return false
    throw unusable(runDirectory(store, id), error)
  }
}

/** Who has claimed it; undefined for a run directory that came with the record, or none. */
export function starterOf(store: Store, id: string): Starter | undefined {
  const json = readText(`${runDirectory(store, id)}/${STARTER}`)
  try {
    const found = json === undefined ? undefined : (JSON.parse(json) as Partial<Starter> | null)
    const { pid, start, boot, before } = found ?? {}
    if (typeof pid === "number" && typeof start === "number" && typeof boot === "string" && typeof before === "string")
      return { pid, start, boot, before }
  } catch {
    // What nobody can read, nobody holds.
  }
  return undefined
}

/** Gives our claim back, if it still is ours: no step has run, so there are only plain files of ours. */
export function dropClaim(store: Store, id: string): void {
  const { pid, start } = ownMark()
  const by = starterOf(store, id)
  if (by?.pid === pid && by.start === start) dropFiles(runDirectory(store, id))
}

/** A claimed container as a draft: what `createRecord` would have made of it. @throws {EngineError} `RECORD_BROKEN` */
export function draftOf(store: Store, record: Container): Draft {
  const { placement, id } = record
  if (!placement)
    throw new EngineError(
      "RECORD_BROKEN",
      `cannot read the record of container ${id.slice(0, 12)}: it has no placement`,
    )
  const idsBase = idsBaseOf(store, placement.leases)
  return {
    record,
    directory: containerDirectory(store, id),
    runDirectory: runDirectory(store, id),
    leases: placement.leases,
    ...(idsBase !== undefined && { idsBase }),
  }
}

/**
 * Changes a record that others may change too: read, changed and written under a lock.
 * @returns what it is now; undefined if it is gone.
 */
export async function changeRecord(
  store: Store,
  id: string,
  change: (record: Container) => Container,
): Promise<Container | undefined> {
  return store.lock("records", () => {
    const found = findRecord(store, id)
    if (found.kind !== "container") return undefined
    const changed = change(found.record)
    writeWhole(`${containerDirectory(store, id)}/${RECORD}`, text(changed))
    return changed
  })
}

/** Replaces config.json of a claimed container. */
export function writeConfig({ directory }: Pick<Draft, "directory">, config: Config): void {
  writeWhole(`${directory}/config.json`, text(config))
}

/** Takes a draft back that will never be a container: its plan could not be made. Nothing but the engine's own files is there yet. */
export function dropRecord(store: Store, { record, leases }: Draft): void {
  for (const link of leases) release(link, record.id)
  dropDraft(store, record.id)
}

const text = (value: unknown): string => `${JSON.stringify(value, undefined, 1)}\n`

function make(directory: string): void {
  try {
    mkdirSync(directory, { mode: 0o700 })
  } catch (error) {
    throw unusable(directory, error)
  }
}

function putDirectory(store: Store, directory: string, record: Container): void {
  const { pid, start } = record.creator
  const fresh = `${store.root}/containers/.new-${pid}-${start}-${record.id}`
  make(fresh)
  try {
    writeFileSync(`${fresh}/${RECORD}`, text(record), { mode: 0o600 })
    renameSync(fresh, directory)
  } catch (error) {
    discard(`${fresh}/${RECORD}`)
    rmdirSync(fresh)
    throw unusable(directory, error)
  }
}

/** Both directories with the plain files in them. No step has run, so nothing below belongs to a container; anything deeper stays, and says so. */
function dropDraft(store: Store, id: string): void {
  for (const path of [runDirectory(store, id), containerDirectory(store, id)]) dropFiles(path)
}

/** A directory with the plain files in it. The record, or the claim, goes last: a directory without one counts as the remains of a removal. */
function dropFiles(path: string): void {
  const isLast = (name: string): number => Number(name === RECORD || name === STARTER)
  try {
    const files = readdirSync(path).sort((a, b) => isLast(a) - isLast(b))
    for (const file of files) discard(`${path}/${file}`)
    rmdirSync(path)
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw unusable(path, error)
  }
}

/** What a directory of containers/ is. */
export type Found =
  | { readonly kind: "container"; readonly record: Container }
  /** It has no record: what a removal that was cut short has left. `leases`: what it may still hold, if that is known. */
  | { readonly kind: "remains"; readonly id: string; readonly leases: readonly string[] | undefined }
  | { readonly kind: "broken"; readonly broken: BrokenRecord }
  | { readonly kind: "nothing" }

/** Reads one record. A container that goes while we look is nothing. */
export function findRecord(store: Store, id: string): Found {
  const directory = containerDirectory(store, id)
  const json = readText(`${directory}/${RECORD}`)
  if (json !== undefined) {
    const record = parseRecord(json, id)
    return typeof record === "string" ? { kind: "broken", broken: { id, why: record } } : { kind: "container", record }
  }
  const removed = readText(`${directory}/${REMOVED}`)
  const record = removed === undefined ? undefined : parseRecord(removed, id)
  const leases = typeof record === "object" ? record.placement?.leases : undefined
  return existsSync(directory) ? { kind: "remains", id, leases } : { kind: "nothing" }
}

/** @returns what is wrong with it, if anything is. Unknown fields are kept. */
export function parseRecord(json: string, id: string): Container | string {
  let value: Partial<Container> | null
  try {
    value = JSON.parse(json)
  } catch (error) {
    return `${RECORD} is not JSON: ${(error as Error).message}`
  }
  if (typeof value !== "object" || value === null) return `${RECORD} is not an object`
  if (value.version !== VERSION) return `${RECORD} has version ${value.version}, and only ${VERSION} is known`
  if (value.id !== id) return `${RECORD} belongs to another container (${value.id})`
  const texts = ["name", "created"] as const
  for (const field of texts) if (typeof value[field] !== "string") return `${RECORD} has no ${field}`
  if (typeof value.request !== "object" || value.request === null) return `${RECORD} has no request`
  const { creator } = value
  if (typeof creator?.pid !== "number" || typeof creator.start !== "number" || typeof creator.boot !== "string")
    return `${RECORD} has no creator`
  return value as Container
}

/** @throws {EngineError} `RECORD_BROKEN` */
export function readConfig(store: Store, id: string): Config {
  const path = `${containerDirectory(store, id)}/config.json`
  const json = readText(path)
  try {
    if (json !== undefined) return JSON.parse(json) as Config
  } catch (error) {
    throw new EngineError("RECORD_BROKEN", `cannot read ${path}: ${(error as Error).message}`, undefined, {
      cause: error,
    })
  }
  throw new EngineError("RECORD_BROKEN", `cannot read ${path}: it does not exist`)
}

/** Ids of all directories of containers/, and what was being made there by whom. */
export function listRecords(store: Store): {
  readonly ids: readonly string[]
  readonly drafts: readonly { readonly path: string; readonly creator: ProcessMark }[]
} {
  let names: readonly string[]
  try {
    names = readdirSync(`${store.root}/containers`)
  } catch (error) {
    if (codeOf(error) === "ENOENT") return { ids: [], drafts: [] }
    throw unusable(`${store.root}/containers`, error)
  }
  return {
    ids: names.filter((name) => !name.startsWith(".")).sort(),
    drafts: draftsIn(`${store.root}/containers`, names),
  }
}

/** What is being made in a directory, and by whom. @param names all that is in it. */
export const draftsIn = (
  directory: string,
  names: readonly string[],
): readonly { readonly path: string; readonly creator: ProcessMark }[] =>
  names.flatMap((name) => {
    const [, pid, start] = /^\.new-(\d+)-(\d+)-/.exec(name) ?? []
    return pid === undefined
      ? []
      : [{ path: `${directory}/${name}`, creator: { pid: Number(pid), start: Number(start) } }]
  })

/** The first step of removing: from here on nobody finds the container. False if somebody else was first. */
export function disown(store: Store, id: string): boolean {
  const directory = containerDirectory(store, id)
  try {
    renameSync(`${directory}/${RECORD}`, `${directory}/${REMOVED}`)
    return true
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return false
    throw unusable(directory, error)
  }
}

/** Takes away a draft directory (`.new-…`) whose creator is dead. */
export function dropRemains(path: string): void {
  for (const file of [RECORD, STARTER]) discard(`${path}/${file}`)
  try {
    rmdirSync(path)
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw unusable(path, error)
  }
}
