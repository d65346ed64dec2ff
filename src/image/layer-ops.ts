/**
 * From an image's layer to overlayfs: each entry of the archive becomes operations for the executor.
 *
 *     in the archive                    on disk
 *     a/.wh.x                           a/x, a character device 0:0: nothing is seen there, whatever lower layers have
 *     a/.wh..wh..opq                    a with trusted.overlay.opaque=y: nothing of a's lower layers is seen
 *     xattr trusted.overlay.NAME        trusted.overlay.overlay.NAME: what is the image's own is not overlayfs' business
 *
 * A whiteout hides lower layers only, not what the same layer has: wherever they stand in the archive, a directory of both is
 * opaque, and a file is enough by itself.
 *
 * Read on: layer-tree.ts, unpack.ts. OCI image-spec layer.md, "Whiteouts"; Linux Documentation/filesystems/overlayfs.rst.
 */

import { EngineError } from "../base/errors.ts"
import type { TarEntry } from "../formats/tar/entry.ts"
import type { FileOp } from "../plan/unpack.ts"
import { Directory, LayerTree, Link, type Place } from "./layer-tree.ts"

/** What the other layers of an image must be held against. Paths are binary, relative. */
export interface LayerFacts {
  /** Directories that are only there because something is in them: a lower layer may have a link, or another mode, at that path. */
  readonly implied: readonly string[]
  readonly symlinks: readonly (readonly [path: string, target: string])[]
}

const WHITEOUT = ".wh."
const OPAQUE = ".wh..wh..opq"
const OVERLAY = /^(trusted|user)\.overlay\./
const MOST_ID = 0xffff_fffe
const S_IFCHR = 0o20000
const NODE = { character: S_IFCHR, block: 0o60000, fifo: 0o10000 } as const
const ONE = new TextEncoder().encode("y")

const utf8 = new TextDecoder()
/** For people: a name that is not UTF-8 shows its bytes as question marks. */
export const shownName = (name: string): string =>
  JSON.stringify(utf8.decode(Uint8Array.from(name, (char) => char.charCodeAt(0))).slice(0, 200))

export class LayerOps {
  readonly #tree = new LayerTree()
  readonly #put: (op: FileOp) => void
  /** The last file: where its content goes. */
  #xattrs: ReadonlyMap<string, Uint8Array> = new Map()
  constructor(put: (op: FileOp) => void) {
    this.#put = put
  }

  /** @throws {EngineError} `LAYER_REFUSED` @returns the path at which a file was made, if it was one. */
  entry(entry: TarEntry): string | undefined {
    this.flush()
    const parts = LayerTree.parts(entry.path)
    if (parts === undefined) throw refused(entry.path, "its name leads out of the image")
    if (parts.some((part) => part.length > 255))
      throw refused(entry.path, "a part of its name is longer than 255 bytes")
    if (entry.uid > MOST_ID || entry.gid > MOST_ID) throw refused(entry.path, "its owner is no id")
    if (parts.length === 0) {
      if (entry.type !== "directory") throw refused(entry.path, "the root of an image is a directory")
      this.#tree.root.implied = false
      this.#put(about(entry, "."))
      this.#xattrs = attributes(entry)
      return undefined
    }
    const name = parts.at(-1)!
    if (name.startsWith(WHITEOUT)) {
      this.#whiteout(entry, parts)
      return undefined
    }
    const place = this.#place(entry, parts)
    const there = place.parent.below.get(name)
    if (entry.type === "hardlink") this.#hardlink(entry, place)
    else if (entry.type === "directory") {
      const keeps = there instanceof Directory
      if (keeps) there.implied = false
      else place.parent.below.set(name, new Directory(false))
      this.#put(about(entry, place.path))
      if (there === "whiteout") this.#opaque()
    } else {
      if (entry.type === "symlink" && entry.link === "") throw refused(entry.path, "it is a link to nothing")
      if (entry.type === "character" && entry.major === 0 && entry.minor === 0)
        throw refused(entry.path, "it is the device 0:0, by which overlayfs knows what is deleted")
      place.parent.below.set(name, entry.type === "symlink" ? new Link(entry.link) : "file")
      this.#put(about(entry, place.path))
    }
    this.#xattrs = entry.type === "hardlink" ? new Map() : attributes(entry)
    return entry.type === "file" ? place.path : undefined
  }

  /** What belongs behind the content of the last entry. */
  flush(): void {
    for (const [name, value] of this.#xattrs)
      this.#put({ op: "xattr", name: name.replace(OVERLAY, (prefix) => `${prefix}overlay.`), value })
    this.#xattrs = new Map()
  }

  facts(): LayerFacts {
    const implied: string[] = []
    const symlinks: (readonly [string, string])[] = []
    const todo: (readonly [string, Directory])[] = [["", this.#tree.root]]
    for (let next = todo.pop(); next; next = todo.pop()) {
      const [path, directory] = next
      if (directory.implied && path !== "") implied.push(path)
      for (const [name, made] of directory.below) {
        const below = path === "" ? name : `${path}/${name}`
        if (made instanceof Directory) todo.push([below, made])
        else if (made instanceof Link) symlinks.push([below, made.target])
      }
    }
    return { implied: implied.sort(), symlinks }
  }

  #place(entry: TarEntry, parts: readonly string[]): Place {
    const place = this.#tree.place(parts)
    if (typeof place === "string") throw refused(entry.path, place)
    for (const { path, covers } of place.implied) {
      this.#put({
        op: "directory",
        path,
        mode: 0o755,
        uid: 0,
        gid: 0,
        seconds: entry.seconds,
        nanoseconds: entry.nanoseconds,
      })
      if (covers) this.#opaque()
    }
    return place
  }

  #opaque(): void {
    this.#put({ op: "xattr", name: "trusted.overlay.opaque", value: ONE })
  }

  #whiteout(entry: TarEntry, parts: readonly string[]): void {
    const name = parts.at(-1)!
    const place = this.#place(entry, parts)
    if (name === OPAQUE) {
      const path = place.path.slice(0, -OPAQUE.length - 1)
      this.#put({ op: "at", path: path === "" ? "." : path })
      return this.#opaque()
    }
    // What aufs kept for itself.
    if (name.startsWith(`${WHITEOUT}${WHITEOUT}`)) return
    const hidden = name.slice(WHITEOUT.length)
    if (hidden === "" || hidden === "." || hidden === "..")
      throw refused(entry.path, "it would delete the directory that it is in, or one above")
    const there = place.parent.below.get(hidden)
    const path = `${place.path.slice(0, -name.length)}${hidden}`
    if (there instanceof Directory) {
      this.#put({ op: "at", path })
      return this.#opaque()
    }
    if (there !== undefined) return
    place.parent.below.set(hidden, "whiteout")
    this.#put({ ...about(entry, path), op: "node", mode: S_IFCHR, uid: 0, gid: 0, major: 0, minor: 0 })
  }

  #hardlink(entry: TarEntry, place: Place): void {
    const parts = LayerTree.parts(entry.link)
    if (parts === undefined || parts.length === 0)
      throw refused(entry.path, "it is a hard link that leads out of the image")
    const target = this.#tree.place(parts, false)
    if (typeof target === "string") throw refused(entry.path, `it is a hard link, and ${target}`)
    const there = target.parent.below.get(target.name)
    if (there instanceof Directory) throw refused(entry.path, "it is a hard link to a directory")
    if (there === undefined || there === "whiteout")
      throw refused(entry.path, `it is a hard link to ${shownName(entry.link)}, which this layer does not have`)
    if (target.path === place.path) return
    place.parent.below.set(place.name, there)
    this.#put({ op: "hardlink", path: place.path, target: target.path })
  }
}

/** The op that makes what an entry is. */
function about(entry: TarEntry, path: string): FileOp & { path: string; seconds: number; nanoseconds: number } {
  const { mode, uid, gid, seconds, nanoseconds, type } = entry
  const same = { path, mode, uid, gid, seconds, nanoseconds }
  if (type === "directory") return { op: "directory", ...same }
  if (type === "symlink") return { op: "symlink", ...same, target: entry.link }
  if (type === "character" || type === "block" || type === "fifo")
    return { op: "node", ...same, mode: mode | NODE[type], major: entry.major, minor: entry.minor }
  return { op: "file", ...same, size: entry.size }
}

/** user.* is for files and directories alone: the kernel says EPERM for anything else. */
const attributes = ({ type, xattrs }: TarEntry): ReadonlyMap<string, Uint8Array> =>
  type === "file" || type === "directory" ? xattrs : new Map([...xattrs].filter(([name]) => !name.startsWith("user.")))

const refused = (path: string, why: string): EngineError =>
  new EngineError("LAYER_REFUSED", `cannot unpack ${shownName(path)}: ${why}`)
