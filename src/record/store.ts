/**
 * The state root: where the engine keeps what it knows.
 *
 *     STATE/                          RUN/
 *       id                            ID/       wire, control socket, gate: gone after a reboot
 *       containers/ID/
 *         container.json  config.json  status  log  upper  work
 *       names/NAME → ID
 *       ids/N → ID                    a range of 65,536 ids of the host
 *       networks/NAME/                network.json, leases/ADDRESS → ID
 *       skeleton                      a layer with the mount points that every container needs
 *       staging                       where executors put overlays together, unseen by each other
 *
 * There is no daemon that could remember anything, so every command reads the truth here and from the kernel. Rules that make it safe
 * without one: a file has one writer; it is written beside its place and renamed into it; a name or a range is claimed by
 * symlink(2), which makes it and says whose it is in one call; the record is there before anything that needs undoing.
 *
 * Read on: containers.ts, leases.ts, states.ts.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, unlinkSync, writeFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"

export interface Store {
  /** The state root and the run root; absolute. */
  readonly root: string
  readonly run: string
  /** The present boot of this machine: /proc/sys/kernel/random/boot_id. */
  readonly boot: string
  /** Runs `work` while no other process of this store does so under the same name. Costs a process: never on the way of a start. */
  readonly lock: <T>(name: string, work: () => T | Promise<T>) => Promise<T>
}

/** `STATE/containers/ID` and `RUN/ID`. */
export const containerDirectory = ({ root }: Pick<Store, "root">, id: string): string => `${root}/containers/${id}`
export const runDirectory = ({ run }: Pick<Store, "run">, id: string): string => `${run}/${id}`
export const nameLink = ({ root }: Pick<Store, "root">, name: string): string => `${root}/names/${name}`

/**
 * Makes what is missing of both roots; for root alone.
 * @throws {EngineError} `STATE_UNUSABLE`, with the way out.
 */
export function makeRoots(root: string, run: string): void {
  const make = (directory: string): void => {
    // Mostly all are there, and an error that is thrown costs ten times a look.
    if (existsSync(directory)) return
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
    } catch (error) {
      throw unusable(directory, error)
    }
  }
  for (const directory of [root, run]) {
    make(directory)
    mustBeOurs(directory)
  }
  for (const name of ["containers", "names", "ids", "networks", "staging"]) make(`${root}/${name}`)
  if (!existsSync(`${root}/skeleton`)) makeSkeleton(root)
}

/** Whoever could write into a root could have programs run as us: before anything is made in it. */
function mustBeOurs(directory: string): void {
  const stat = statSync(directory)
  if (!stat.isDirectory()) throw unusable(directory, { code: "ENOTDIR" })
  const refuse = (cause: string, hint: string) =>
    new EngineError("STATE_UNUSABLE", `cannot use ${directory}: ${cause}`, hint)
  if (stat.uid !== process.geteuid?.())
    throw refuse(`it belongs to uid ${stat.uid}, not to us`, "choose another --root, or chown it")
  if (stat.mode & 0o022) throw refuse("others may write into it", `chmod 700 ${directory}, or choose another --root`)
}

/** What a container mounts something on, and what its root file system may lack. */
const MOUNT_POINTS = {
  directories: ["proc", "sys", "dev", "etc"],
  files: ["etc/hosts", "etc/hostname", "etc/resolv.conf"],
} as const

/**
 * `STATE/skeleton`: a layer below every container's own, with the mount points that a root file system may lack. Without it they would be
 * made in the container's writable layer, at every start: a copied-up /etc and three files, and they would show as its changes.
 */
function makeSkeleton(root: string): void {
  const fresh = `${root}/skeleton.${process.pid}`
  try {
    mkdirSync(fresh, { mode: 0o755 })
    for (const name of MOUNT_POINTS.directories) mkdirSync(`${fresh}/${name}`, { mode: 0o755 })
    for (const name of MOUNT_POINTS.files) writeFileSync(`${fresh}/${name}`, "", { mode: 0o644 })
    renameSync(fresh, `${root}/skeleton`)
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true })
    // Somebody else may have been faster: rename(2) does not replace a directory with something in it.
    if (codeOf(error) !== "ENOTEMPTY" && codeOf(error) !== "EEXIST") throw unusable(fresh, error)
  }
}

const CAUSES: Readonly<Record<string, readonly [cause: string, hint: string]>> = {
  ENOSPC: ["the disk is full", "free some space, or choose a --root on another disk"],
  EDQUOT: ["the disk quota is used up", "free some space, or choose another --root"],
  EROFS: ["the file system is read-only", "choose a --root that can be written"],
  EACCES: ["permission denied", "run it as root, or choose another --root"],
  EPERM: ["not permitted", "run it as root, or choose another --root"],
  ENOENT: ["it is not there, and cannot be made", "choose another --root"],
  ENOTDIR: ["it, or a part of its path, is not a directory", "choose another --root"],
  EIO: ["the disk reports an error", "see dmesg"],
}

/** Any failure on the state root as a sentence. */
export function unusable(path: string, error: unknown): EngineError {
  if (error instanceof EngineError) return error
  const code = codeOf(error) ?? String(error)
  const [cause, hint] = CAUSES[code] ?? [code, undefined]
  return new EngineError("STATE_UNUSABLE", `cannot use ${path}: ${cause}`, hint, { cause: error })
}

export const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code

/** Writes a file so that whoever reads it sees the old text or the new one, never a part. */
export function writeWhole(path: string, text: string | Uint8Array): void {
  const fresh = `${path}.${process.pid}.new`
  try {
    writeFileSync(fresh, text, { mode: 0o600 })
    renameSync(fresh, path)
  } catch (error) {
    discard(fresh)
    throw unusable(path, error)
  }
}

/** unlink(2); what is gone already is no error. */
export function discard(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if (codeOf(error) !== "ENOENT" && codeOf(error) !== "ENOTDIR") throw unusable(path, error)
  }
}

/** The text of a small file; undefined if it does not exist. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined
    throw unusable(path, error)
  }
}
