/**
 * Volumes: directories that outlive containers, and that several may have at once.
 *
 *     volumes/NAME/               has a name: stays until somebody removes it
 *       volume.json                 who wanted it when, its labels
 *       _data                       what containers see
 *     containers/ID/volumes/NAME/ nobody gave it a name: the same, and goes with its container
 *
 * One of the second kind becomes one of the first when it is to outlive its container (`rm` without -v, --volumes-from): one rename, and a link
 * stays in its place. Each is made beside its place and renamed there, so of two that want one name one makes it and both have it; and each is
 * renamed away before it is removed: whatever begins with a dot is nobody's once its maker is dead.
 *
 * Who uses a volume stands in the containers' records and nowhere else: nothing has to be counted, so no crash makes a count wrong.
 *
 * Read on: containers.ts. engine/volumes.ts.
 */

import { existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { ownMark, type ProcessMark } from "./alive.ts"
import { codeOf, containerDirectory, readText, type Store, unusable } from "./store.ts"

export interface Volume {
  readonly version: number
  readonly name: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  readonly labels: Readonly<Record<string, string>>
  /** Of the driver: `type`, `o`, `device`. */
  readonly options: Readonly<Record<string, string>>
  /** Nobody gave it its name. */
  readonly anonymous: boolean
}

/** A volume and the directory that holds its record. */
export interface Kept {
  readonly volume: Volume
  readonly directory: string
}

const VERSION = 1
const RECORD = "volume.json"
const DATA = "_data"
/** Docker's rule, and what a directory's name may be. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/

const volumesOf = ({ root }: Pick<Store, "root">): string => `${root}/volumes`
const ownVolumesOf = (store: Pick<Store, "root">, id: string): string => `${containerDirectory(store, id)}/volumes`

/** Where the files of a volume are: in it, or where its options say. */
export const sourceOf = ({ volume, directory }: Kept): string => volume.options.device ?? `${directory}/${DATA}`

/** @throws {EngineError} `INVALID_VALUE`. */
export function checkVolumeName(name: string): void {
  if (!NAME.test(name))
    throw new EngineError(
      "INVALID_VALUE",
      `cannot name a volume ${JSON.stringify(name.slice(0, 80))}: a name has letters, digits, "_", "." and "-", begins with a letter or digit, and has 2 to 255 of them`,
      name.includes("/") ? "for a directory of the host, give an absolute path" : undefined,
    )
}

let drafts = 0
const beside = (directory: string, kind: "new" | "gone"): string => {
  const { pid, start } = ownMark()
  return `${directory}/.${kind}-${pid}-${start}-${drafts++}`
}

/**
 * Makes a volume; one that is there already is left as it is.
 * @param container whose it is alone; absent: one that stays.
 * @returns the volume that has the name now.
 */
export function makeVolume(store: Store, wanted: Omit<Volume, "version">, container?: string): Kept {
  checkVolumeName(wanted.name)
  const parent = container === undefined ? volumesOf(store) : ownVolumesOf(store, container)
  const directory = `${parent}/${wanted.name}`
  const volume = { version: VERSION, ...wanted }
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  const there = container === undefined ? findVolume(store, wanted.name) : undefined
  if (there) return there
  const fresh = beside(parent, "new")
  try {
    mkdirSync(fresh, { mode: 0o700 })
    mkdirSync(`${fresh}/${DATA}`, { mode: 0o755 })
    writeFileSync(`${fresh}/${RECORD}`, `${JSON.stringify(volume, undefined, 1)}\n`, { mode: 0o600 })
    renameSync(fresh, directory)
    return { volume, directory }
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    const faster = codeOf(error) === "ENOTEMPTY" || codeOf(error) === "EEXIST" ? read(directory) : undefined
    if (faster) return faster
    throw unusable(directory, error)
  }
}

/** What is wrong with a volume's record is its name alone: whoever lists goes on. */
function read(directory: string): Kept | undefined {
  const json = readText(`${directory}/${RECORD}`)
  if (json === undefined) return undefined
  try {
    const value = JSON.parse(json) as Partial<Volume> | null
    if (value?.version !== VERSION || typeof value.name !== "string" || typeof value.created !== "string")
      return undefined
    const { name, created, labels = {}, options = {}, anonymous = false } = value
    return { volume: { version: VERSION, name, created, labels, options, anonymous }, directory }
  } catch {
    return undefined
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return []
    throw unusable(directory, error)
  }
}

/** A volume by its name. `owners`: ids of containers whose own ones are looked through. */
export function findVolume(store: Store, name: string, owners: readonly string[] = []): Kept | undefined {
  if (!NAME.test(name)) return undefined
  const stays = read(`${volumesOf(store)}/${name}`)
  if (stays) return stays
  for (const id of owners) {
    const own = read(`${ownVolumesOf(store, id)}/${name}`)
    if (own) return own
  }
  return undefined
}

/** Every volume, by name; `broken`: directories without a record that can be read. @param owners ids of all containers. */
export function listVolumes(
  store: Store,
  owners: readonly string[],
): { readonly volumes: readonly Kept[]; readonly broken: readonly string[] } {
  const volumes: Kept[] = []
  const broken: string[] = []
  for (const parent of [volumesOf(store), ...owners.map((id) => ownVolumesOf(store, id))])
    for (const name of namesIn(parent)) {
      const directory = `${parent}/${name}`
      // What is a link is listed where it leads to.
      if (name.startsWith(".") || lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink()) continue
      const kept = read(directory)
      if (kept) volumes.push(kept)
      else if (existsSync(directory)) broken.push(directory)
    }
  return { volumes: volumes.sort((a, b) => (a.volume.name < b.volume.name ? -1 : 1)), broken }
}

/** Of a container that never ran: what is in them, we have made. */
export const dropOwnVolumes = (store: Store, id: string): void =>
  rmSync(ownVolumesOf(store, id), { recursive: true, force: true })

/** A container's own volumes outlive it from here on. */
export function releaseVolumes(store: Store, id: string): void {
  const parent = ownVolumesOf(store, id)
  for (const name of namesIn(parent)) if (!name.startsWith(".")) outlive(store, `${parent}/${name}`, name)
}

/** One that is a container's own becomes one that stays. Its old path leads to it. @returns where it is now. */
export function outlive(store: Store, directory: string, name: string): string {
  const stays = `${volumesOf(store)}/${name}`
  try {
    if (lstatSync(directory).isSymbolicLink()) return stays
    mkdirSync(volumesOf(store), { recursive: true, mode: 0o700 })
    renameSync(directory, stays)
    symlinkSync(stays, directory)
  } catch (error) {
    if (codeOf(error) !== "EEXIST" && codeOf(error) !== "ENOENT") throw unusable(directory, error)
  }
  return stays
}

/** Takes a volume out of everybody's sight. @returns what is to be removed now; undefined if somebody else was first. */
export function disownVolume(store: Store, { directory }: Kept): string | undefined {
  const gone = beside(volumesOf(store), "gone")
  try {
    renameSync(directory, gone)
    return gone
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined
    throw unusable(directory, error)
  }
}

/** Half-made and half-removed ones, with who was at it. */
export const volumeDrafts = (
  store: Pick<Store, "root">,
): readonly { readonly path: string; readonly maker: ProcessMark }[] =>
  namesIn(volumesOf(store)).flatMap((name) => {
    const [, pid, start] = /^\.(?:new|gone)-(\d+)-(\d+)-/.exec(name) ?? []
    return pid === undefined
      ? []
      : [{ path: `${volumesOf(store)}/${name}`, maker: { pid: Number(pid), start: Number(start) } }]
  })
