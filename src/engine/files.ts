/**
 * Files of a container, as values: what `cp`, `export` and `diff` share.
 *
 *     view of a container + walks ──▶ ops with the container's ids ──▶ an archive
 *     an archive ──▶ ops with the host's ids ──▶ a view of a container
 *
 * Read on: cp.ts, export.ts, diff.ts; plan/view.ts, plan/unpack.ts.
 */

import { EngineError } from "../base/errors.ts"
import { planOf } from "../executor/do.ts"
import { errnoWords } from "../executor/errno.ts"
import { readFiles } from "../executor/files.ts"
import type { TarEntry } from "../formats/tar/entry.ts"
import { tarEnd, tarHeader, tarPadding } from "../formats/tar/write.ts"
import type { IdMapping } from "../model/oci.ts"
import type { Step } from "../plan/step.ts"
import { type FileOp, WALK } from "../plan/unpack.ts"
import type { Viewed } from "../plan/view.ts"
import { readConfig } from "../record/containers.ts"
import { see } from "./reconcile.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `WRONG_STATE` for one that is just being started or removed. */
export async function viewed(
  world: World,
  container: string,
  verb: string,
): Promise<Viewed & { readonly name: string }> {
  const { record, state, status, starting } = await see(world, container)
  const { placement, id, name } = record
  if (!placement || starting)
    throw new EngineError("WRONG_STATE", `cannot ${verb} ${name}: it is just being started`, "try again")
  const running = state === "running" && status?.pid ? { process: status.pid } : {}
  return { name, placement, config: readConfig(world.store(), id), ...running }
}

/** From the host's id to the container's, and back. An id that the map does not have is nobody's: 65534. */
export function idsOf({ config }: Viewed): {
  readonly inside: (id: number, kind: "uid" | "gid") => number
  readonly outside: (id: number, kind: "uid" | "gid") => number
} {
  const { uidMappings = [], gidMappings = [] } = config.linux ?? {}
  const maps = { uid: uidMappings, gid: gidMappings }
  const move = (
    map: readonly IdMapping[],
    id: number,
    from: "hostID" | "containerID",
    to: "hostID" | "containerID",
  ) => {
    if (map.length === 0) return id
    const row = map.find((each) => id >= each[from] && id < each[from] + each.size)
    return row && id - row[from] + row[to]
  }
  return {
    inside: (id, kind) => move(maps[kind], id, "hostID", "containerID") ?? NOBODY,
    outside: (id, kind) => {
      const moved = move(maps[kind], id, "containerID", "hostID")
      if (moved === undefined)
        throw new EngineError(
          "INVALID_VALUE",
          `cannot give a file to ${kind} ${id}: the container does not have that id`,
        )
      return moved
    },
  }
}
const NOBODY = 65_534

/** All depths; a file of any size. */
export const EVERYTHING = { depth: 100_000, limit: Number.MAX_SAFE_INTEGER } as const

const NODE_TYPES: Readonly<Record<number, TarEntry["type"]>> = {
  0o10000: "fifo",
  0o20000: "character",
  0o60000: "block",
}
const S_IFMT = 0o170000

export interface Archiving {
  /** The name in the archive; undefined: not in it. Binary, a directory's without its slash. */
  readonly name: (path: string) => string | undefined
  readonly inside: (id: number, kind: "uid" | "gid") => number
  readonly verb: string
}

/**
 * Ops as `read` answers them with xattrs before content, as an archive. What has gone in the meantime is left out; sockets are, too.
 * @throws {EngineError} for what cannot be read.
 */
export async function* archiveOf(
  ops: AsyncIterable<FileOp>,
  { name, inside, verb }: Archiving,
): AsyncGenerator<Uint8Array> {
  let entry: (TarEntry & { readonly xattrs: Map<string, Uint8Array> }) | undefined
  let said = false
  let at = 0
  function* header(): Generator<Uint8Array> {
    if (entry && !said) yield tarHeader(entry)
    said = true
  }
  function* close(): Generator<Uint8Array> {
    yield* header()
    if (entry) {
      yield* zeros(entry.size - at)
      yield tarPadding(entry.size)
    }
    entry = undefined
  }
  for await (const op of ops) {
    switch (op.op) {
      case "xattr":
        entry?.xattrs.set(op.name, op.name === CAPABILITY ? plainCapability(op.value) : op.value)
        break
      case "content":
        if (!entry) break
        yield* header()
        yield* zeros(op.offset - at)
        yield op.bytes
        at = op.offset + op.bytes.length
        break
      case "failed":
        if (op.errno === ENOENT) break
        throw new EngineError("STATE_UNUSABLE", `cannot ${verb}: ${shown(op.path)}: ${errnoWords(op.errno)}`)
      default:
        yield* close()
        said = false
        at = 0
        entry = entryOf(op, name, inside)
    }
  }
  yield* close()
  yield tarEnd()
}
const ENOENT = 2
const CAPABILITY = "security.capability"

function entryOf(op: FileOp, name: Archiving["name"], inside: Archiving["inside"]) {
  if (!("path" in op)) return undefined
  const path = name(op.path)
  if (path === undefined) return undefined
  const none = { link: "", mode: 0o777, uid: 0, gid: 0, size: 0, seconds: 0, nanoseconds: 0, major: 0, minor: 0 }
  const made = (type: TarEntry["type"], more: Partial<TarEntry>) => ({
    ...none,
    type,
    path: type === "directory" ? `${path}/` : path,
    ...more,
    xattrs: new Map<string, Uint8Array>(),
  })
  if (op.op === "hardlink") return made("hardlink", { link: name(op.target) ?? "" })
  if (!("seconds" in op)) return undefined
  const { mode, seconds, nanoseconds } = op
  const same = { mode: mode & 0o7777, uid: inside(op.uid, "uid"), gid: inside(op.gid, "gid"), seconds, nanoseconds }
  if (op.op === "directory") return made("directory", same)
  if (op.op === "file") return made("file", { ...same, size: op.size })
  if (op.op === "symlink") return made("symlink", { ...same, link: op.target })
  const type = NODE_TYPES[mode & S_IFMT]
  return type && made(type, { ...same, major: op.major, minor: op.minor })
}

/** Version 3 names the user namespace that it counts in; an archive knows none, and has version 2. capabilities(7). */
function plainCapability(value: Uint8Array): Uint8Array {
  if (value.length !== 24 || value[3] !== 3) return value
  const plain = value.slice(0, 20)
  plain[3] = 2
  return plain
}

const ZEROS = new Uint8Array(1 << 16)
function* zeros(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, Math.min(left, ZEROS.length))
}

/** Names are bytes inside, and UTF-8 for people and for JavaScript. */
export const bytesOf = (text: string): string => Buffer.from(text, "utf8").toString("latin1")
export const shown = (path: string): string => Buffer.from(path, "latin1").toString("utf8")

/** What one path is: the op of it alone, or an errno. */
export async function statOf(executor: string, steps: readonly Step[], path: string, follow: boolean): Promise<FileOp> {
  const flags = follow ? WALK.follow : 0
  for await (const op of readFiles(executor, planOf(steps), [{ op: "walk", path, flags, depth: 0, limit: 0 }]))
    return op
  throw new EngineError("EXECUTOR_FAILED", `cannot look at ${shown(path)}: the executor said nothing`)
}
