/**
 * `cp`: files between a container and this host.
 *
 *     host  ── read ──▶ ops ── names, owners ──▶ apply ──▶ a container's view          and the other way round
 *
 * Both sides are the executor's, the host's too: what comes out of a container is as hostile as what goes on inside it, and a
 * directory that is copied out may hold links. Neither side follows one, but for those in the paths that were asked for, and these stay
 * inside their root.
 *
 *     source      DEST is a directory   is a file          is not there, but the one above is
 *     file        DEST/name             replaced           DEST (not with a slash at its end)
 *     dir         DEST/name             refused            DEST
 *     dir/.       into DEST             refused            DEST
 *
 * Read on: files.ts; plan/view.ts. docker-cp(1).
 */

import { basename, dirname, resolve } from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import { planOf } from "../executor/do.ts"
import { errnoWords } from "../executor/errno.ts"
import { type Applying, ApplyRefused, readFiles, startApply } from "../executor/files.ts"
import { type TarEntry, TarError } from "../formats/tar/entry.ts"
import { TarReader } from "../formats/tar/read.ts"
import type { Step } from "../plan/step.ts"
import { type FileOp, MOST_CONTENT, WALK } from "../plan/unpack.ts"
import { openDirectory, viewRoot } from "../plan/view.ts"
import { archiveOf, bytesOf, EVERYTHING, idsOf, shown, statOf, viewed } from "./files.ts"
import type { CopyOptions, Place } from "./types.ts"
import type { World } from "./world.ts"

type Kind = "uid" | "gid"
interface Side {
  readonly steps: readonly Step[]
  readonly inside: (id: number, kind: Kind) => number
  readonly outside: (id: number, kind: Kind) => number
  /** Whose the files are that nobody's owner is kept of. */
  readonly owner: Readonly<Record<Kind, number>>
  /** "web:/x", "/x". */
  readonly says: (path: string) => string
}

const ENOENT = 2
const MOST_LINKS = 40
const NOTHING = "failed"

async function sideOf(world: World, container: string | undefined): Promise<Side> {
  if (container === undefined) {
    const same = (id: number): number => id
    const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
    const steps = [openDirectory("/", "the path is the host's")]
    return { steps, inside: same, outside: same, owner, says: (path) => shown(path) }
  }
  const view = await viewed(world, container, "copy files of")
  return {
    steps: viewRoot(view, { alone: false }),
    ...idsOf(view),
    owner: { uid: 0, gid: 0 },
    says: (path) => `${view.name}:${shown(path)}`,
  }
}

/** A path as it was typed: absolute and clean, and what its end said. Binary. */
interface Path {
  readonly path: string
  /** `x/`: it must be a directory. */
  readonly slash: boolean
  /** `x/.`: what is in it. */
  readonly contents: boolean
}
function pathOf(typed: string): Path {
  const text = bytesOf(typed)
  const path = resolve("/", text)
  const contents = /(^|\/)\.$/.test(text) || path === "/"
  return { path, contents, slash: contents || text.endsWith("/") }
}

/** @throws {EngineError} `FILE_NOT_FOUND`, `COPY_FAILED`; what has been copied until then stays. */
export async function copy(world: World, from: Place, to: Place, options: CopyOptions = {}): Promise<void> {
  if ((from.container === undefined) === (to.container === undefined))
    throw new EngineError(
      "INVALID_VALUE",
      "cannot copy: one side must be a container, and one this host",
      "write CONTAINER:PATH for the container's side",
    )
  const executor = world.executor()
  const [source, target] = [await sideOf(world, from.container), await sideOf(world, to.container)]
  const asked = pathOf(from.path)
  const found = await sourceOf(executor, source, asked, options.followLink === true)
  const { enter, name } = await destination(executor, target, pathOf(to.path), {
    directory: found.directory,
    contents: asked.contents,
    base: basename(asked.path),
  })
  const flags = WALK.content | WALK.xattrs | found.follow
  const ops = readFiles(executor, planOf(source.steps), [{ op: "walk", path: asked.path, flags, ...EVERYTHING }])
  const under = (path: string): string => (path === "." ? name || "." : name ? `${name}/${path}` : path)
  await applying(executor, target, enter, async (apply) => {
    let skips = false
    for await (const op of ops) {
      if (op.op === "content" || op.op === "xattr") {
        if (!skips && !(op.op === "xattr" && !keeps(op.name, options)) && apply.put(op)) await apply.drained()
        continue
      }
      const made = moved(op, under, source, target, options)
      skips = made === undefined
      if (made && apply.put(made)) await apply.drained()
    }
  })
}

/** A tar archive of one path, whose entries begin with its last part. */
export async function* copyOut(
  world: World,
  { container, path }: Required<Place>,
  options: Pick<CopyOptions, "followLink"> = {},
): AsyncGenerator<Uint8Array> {
  const source = await sideOf(world, container)
  const asked = pathOf(path)
  const executor = world.executor()
  const found = await sourceOf(executor, source, asked, options.followLink === true)
  const base = asked.contents ? "." : basename(asked.path)
  const flags = WALK.content | WALK.xattrs | WALK.xattrsFirst | found.follow
  const ops = readFiles(executor, planOf(source.steps), [{ op: "walk", path: asked.path, flags, ...EVERYTHING }])
  yield* archiveOf(ops, {
    name: (below) => (below === "." ? base : `${base}/${below}`),
    inside: source.inside,
    verb: `copy ${source.says(asked.path)}`,
  })
}

/** @throws {EngineError} `FILE_NOT_FOUND`, `COPY_FAILED`. */
export async function copyIn(
  world: World,
  archive: AsyncIterable<Uint8Array>,
  { container, path }: Required<Place>,
  options: Pick<CopyOptions, "archive"> = {},
): Promise<void> {
  const executor = world.executor()
  const target = await sideOf(world, container)
  const asked = pathOf(path)
  const there = await statOf(executor, target.steps, asked.path, true)
  if (there.op !== "directory") throw missing(target, asked.path, there, "it is no directory")
  await applying(executor, target, asked.path, async (apply) => {
    let xattrs: TarEntry["xattrs"] = new Map()
    const ensured = new Set<string>([""])
    const flush = (): void => {
      for (const [name, value] of xattrs) if (keeps(name, options)) apply.put({ op: "xattr", name, value })
      xattrs = new Map()
    }
    const tar = new TarReader({
      entry(entry) {
        flush()
        const name = cleaned(entry.path)
        if (name === ".") return
        ensure(apply, ensured, name)
        apply.put(opOf(entry, name, target, options))
        xattrs = entry.type === "file" || entry.type === "directory" ? entry.xattrs : new Map()
      },
      data(offset, bytes) {
        for (let at = 0; at < bytes.length; at += MOST_CONTENT / 2)
          apply.put({ op: "content", offset: offset + at, bytes: bytes.subarray(at, at + MOST_CONTENT / 2) })
      },
    })
    for await (const chunk of archive) {
      tar.feed(chunk)
      await apply.drained()
    }
    tar.end()
    flush()
  })
}

/** Directories above an entry that the archive has not made. */
function ensure(apply: Applying, ensured: Set<string>, name: string): void {
  for (let at = name.indexOf("/"); at > 0; at = name.indexOf("/", at + 1)) {
    const path = name.slice(0, at)
    if (ensured.has(path)) continue
    if (ensured.size < MOST_REMEMBERED) ensured.add(path)
    apply.put({ op: "ensure", path })
  }
}
const MOST_REMEMBERED = 100_000

/** Relative, "." for the directory itself. @throws {EngineError} for a name that leads out. */
function cleaned(name: string): string {
  const parts: string[] = []
  for (const part of name.split("/")) {
    if (part === "" || part === ".") continue
    if (part !== "..") parts.push(part)
    else if (parts.pop() === undefined)
      throw new EngineError(
        "COPY_FAILED",
        `cannot unpack ${JSON.stringify(shown(name))}: its name leads out of the directory`,
      )
  }
  return parts.join("/") || "."
}

const S_IFMT = { character: 0o20000, block: 0o60000, fifo: 0o10000 } as const

function opOf(entry: TarEntry, path: string, target: Side, { archive = false }: CopyOptions): FileOp {
  if (entry.type === "hardlink") return { op: "hardlink", path, target: cleaned(entry.link) }
  const { mode, seconds, nanoseconds, type } = entry
  const owner = (kind: Kind): number => target.outside(archive ? entry[kind] : target.owner[kind], kind)
  const same = { path, mode, uid: owner("uid"), gid: owner("gid"), seconds, nanoseconds }
  if (type === "directory") return { op: "directory", ...same }
  if (type === "symlink") return { op: "symlink", ...same, target: entry.link }
  if (type === "file") return { op: "file", ...same, size: entry.size }
  return { op: "node", ...same, mode: mode | S_IFMT[type], major: entry.major, minor: entry.minor }
}

/** What a file's own user may say of it; with `archive` also what makes a program powerful. What belongs to a file system never. */
const keeps = (name: string, { archive = false }: CopyOptions): boolean =>
  name.startsWith("user.") || (archive && name === "security.capability")

const S_IFSOCK = 0o140000

/** An op of the source as one of the target; undefined: it is left out. */
function moved(
  op: FileOp,
  under: (path: string) => string,
  source: Side,
  target: Side,
  { archive = false }: CopyOptions,
) {
  if (op.op === "failed") {
    if (op.errno === ENOENT) return undefined
    throw new EngineError("COPY_FAILED", `cannot copy ${source.says(op.path)}: ${errnoWords(op.errno)}`)
  }
  if (op.op === "hardlink") return { ...op, path: under(op.path), target: under(op.target) }
  if (!("seconds" in op) || (op.op === "node" && (op.mode & 0o170000) === S_IFSOCK)) return undefined
  // What is in a directory goes into one that keeps its own mode and owner.
  const path = under(op.path)
  if (path === ".") return undefined
  const owner = (kind: Kind): number =>
    target.outside(archive ? source.inside(op[kind], kind) : target.owner[kind], kind)
  return { ...op, path, uid: owner("uid"), gid: owner("gid") }
}

async function sourceOf(executor: string, side: Side, { path, slash }: Path, followLink: boolean) {
  const follow = followLink || slash ? WALK.follow : 0
  const found = await statOf(executor, side.steps, path, follow !== 0)
  if (found.op === NOTHING || (slash && found.op !== "directory"))
    throw missing(side, path, found, "it is no directory")
  return { directory: found.op === "directory", follow }
}

/** Which directory to go into, and the name in it: "" for the directory itself. */
async function destination(
  executor: string,
  side: Side,
  asked: Path,
  source: { readonly directory: boolean; readonly contents: boolean; readonly base: string },
): Promise<{ readonly enter: string; readonly name: string }> {
  let { path } = asked
  for (let links = 0; links < MOST_LINKS; links++) {
    const there = await statOf(executor, side.steps, path, false)
    if (there.op === "symlink") {
      path = resolve("/", dirname(path), there.target)
      continue
    }
    if (there.op === "directory") return { enter: path, name: source.contents ? "" : source.base }
    const exists = there.op !== NOTHING
    if (exists && source.directory) throw missing(side, path, there, "a directory cannot be copied over a file")
    if (asked.slash && (exists || !source.directory)) throw missing(side, path, there, "it is no directory")
    const above = await statOf(executor, side.steps, dirname(path), true)
    if (above.op !== "directory") throw missing(side, dirname(path), above, "it is no directory")
    return { enter: dirname(path), name: basename(path) }
  }
  throw new EngineError("COPY_FAILED", `cannot copy to ${side.says(asked.path)}: too many links`)
}

const missing = (side: Side, path: string, found: FileOp, otherwise: string): EngineError =>
  found.op === NOTHING && found.errno !== ENOENT
    ? new EngineError("COPY_FAILED", `cannot look at ${side.says(path)}: ${errnoWords(found.errno)}`)
    : found.op === NOTHING
      ? new EngineError("FILE_NOT_FOUND", `cannot find ${side.says(path)}: there is no such file or directory`)
      : new EngineError("COPY_FAILED", `cannot copy to ${side.says(path)}: ${otherwise}`)

/** An apply in a directory of a side, ended whatever happens. @throws {EngineError} in words about files. */
async function applying(
  executor: string,
  side: Side,
  enter: string,
  work: (apply: Applying) => Promise<void>,
): Promise<void> {
  const apply = startApply(executor, planOf(side.steps))
  try {
    apply.put({ op: "enter", path: enter })
    await work(apply)
    await apply.finish()
  } catch (error) {
    await apply.abandon()
    if (error instanceof ApplyRefused)
      throw new EngineError(
        "COPY_FAILED",
        `cannot write ${side.says(resolve("/", enter, error.refused.path))}: ${errnoWords(error.refused.errno)}`,
        undefined,
        { cause: error },
      )
    if (error instanceof TarError)
      throw new EngineError("COPY_FAILED", `cannot read the archive: ${error.why} (byte ${error.at})`, undefined, {
        cause: error,
      })
    throw error
  }
}
