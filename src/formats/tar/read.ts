/**
 * Reading an archive as it comes: any piece of bytes in, entries and their content out, nothing kept but what an entry needs.
 *
 *     feed ─▶ meta: x g L K, collected ─▶ header ─▶ entry ─▶ data … ─▶ (next header) … ─▶ end
 *
 * The archive is hostile: every size, count and length has a limit, every number is checked, and what is wrong is told with the byte at
 * which it stands. What the names mean (that they lead out of a directory, say) is not a matter of the format.
 *
 * Read on: entry.ts, pax.ts, sparse.ts.
 */

import { BLOCK, binary, padding, type TarEntry, TarError, type TarType, TYPES } from "./entry.ts"
import { parseRecords, parseTime, type Records, xattrsOf } from "./pax.ts"
import { checkPieces, MapLines, MOST_PIECES, mapOfRecords, type Piece, whole } from "./sparse.ts"

export interface TarLimits {
  /** Bytes of a path or of a link's target: PATH_MAX without its NUL. */
  readonly path: number
  /** Bytes of one PAX header or long name. */
  readonly meta: number
  /** Bytes of one xattr's value, and how many an entry has: the kernel's XATTR_SIZE_MAX, and what a list of names holds. */
  readonly xattr: number
  readonly xattrs: number
  readonly entries: number
}
export const TAR_LIMITS: TarLimits = { path: 4095, meta: 1 << 20, xattr: 65_536, xattrs: 1000, entries: 10_000_000 }

export interface TarEvents {
  entry(entry: TarEntry): void
  /** Content of the entry before, in order; what is left out is a hole. `bytes` is only valid until this returns. */
  data(offset: number, bytes: Uint8Array): void
}

type State = "header" | "meta" | "map-blocks" | "map-lines" | "data" | "skip" | "end"

const NUL_BLOCK = (block: Uint8Array): boolean => block.every((byte) => byte === 0)
const MOST_NUMBER = Number.MAX_SAFE_INTEGER

export class TarReader {
  #state: State = "header"
  #at = 0
  /** Where the present header, or what is being collected, begins. */
  #start = 0
  #block = new Uint8Array(BLOCK)
  #filled = 0
  #meta = new Uint8Array()
  #metaType = ""
  #left = 0
  #zeros = 0
  #entries = 0
  #records: Records = []
  #globals = new Map<string, string>()
  #longName: string | undefined
  #longLink: string | undefined
  #header: Header | undefined
  #pieces: Piece[] = []
  #piece = 0
  #within = 0
  #lines = new MapLines()
  readonly #limits: TarLimits
  readonly #on: TarEvents

  constructor(on: TarEvents, limits: Partial<TarLimits> = {}) {
    this.#on = on
    this.#limits = { ...TAR_LIMITS, ...limits }
  }

  /** How many entries there were until now, those that only tell of others not counted. */
  get entries(): number {
    return this.#entries
  }

  /** @throws {TarError} */
  feed(chunk: Uint8Array): void {
    let from = 0
    try {
      while (from < chunk.length) {
        const took = this.#take(chunk, from)
        from += took
        this.#at += took
      }
    } catch (error) {
      if (error instanceof RangeError) throw new TarError(this.#start, error.message)
      throw error
    }
  }

  /** Nothing follows. @throws {TarError} if something should. The two blocks of zeros may be missing, as in Docker. */
  end(): void {
    const between = this.#state === "header" && this.#filled === 0 && this.#records.length === 0
    if (this.#state !== "end" && !(between && this.#longName === undefined && this.#longLink === undefined))
      throw new TarError(this.#at, "the archive ends in the middle of an entry")
  }

  #take(chunk: Uint8Array, from: number): number {
    const there = chunk.length - from
    switch (this.#state) {
      case "end":
        return there
      case "skip":
        return this.#leave(Math.min(there, this.#left), "header")
      case "meta": {
        const took = Math.min(there, this.#left)
        const done = this.#meta.length - this.#left
        this.#meta.set(chunk.subarray(from, from + took), done)
        this.#left -= took
        if (this.#left === 0) this.#tell()
        return took
      }
      case "data":
        return this.#data(chunk.subarray(from, Math.min(chunk.length, from + this.#left)))
      default: {
        if (this.#filled === 0) this.#start = this.#at
        const took = Math.min(there, BLOCK - this.#filled)
        this.#block.set(chunk.subarray(from, from + took), this.#filled)
        this.#filled += took
        if (this.#filled === BLOCK) {
          this.#filled = 0
          if (this.#state === "header") this.#readHeader()
          else if (this.#state === "map-blocks") this.#mapBlock()
          else if (this.#lines.push(this.#block)) this.#mapped(this.#lines.pieces, this.#left - BLOCK)
          else this.#left -= BLOCK
          if (this.#state === "map-lines" && this.#left < BLOCK)
            throw new RangeError("a sparse map is longer than its entry")
        }
        return took
      }
    }
  }

  #leave(took: number, next: State): number {
    this.#left -= took
    if (this.#left === 0) this.#state = next
    return took
  }
  #skip(bytes: number): void {
    this.#left = bytes
    this.#state = bytes > 0 ? "skip" : "header"
  }

  #readHeader(): void {
    const block = this.#block
    if (NUL_BLOCK(block)) {
      this.#zeros += 1
      if (this.#zeros === 2) this.#state = "end"
      return
    }
    if (this.#zeros > 0) throw new RangeError("a block of zeros stands alone")
    const header = parseHeader(block)
    const { letter, size } = header
    if ("xgXLK".includes(letter)) {
      if (size > this.#limits.meta)
        throw new RangeError(`a header of ${size} bytes is longer than the limit of ${this.#limits.meta}`)
      this.#metaType = letter
      this.#meta = new Uint8Array(size)
      this.#left = size
      this.#state = "meta"
      if (size === 0) this.#tell()
      return
    }
    if (letter === "V") return this.#skip(size + padding(size))
    this.#header = header
    this.#entry(header)
  }

  /** What has been collected says something about the next entry, or about all. */
  #tell(): void {
    const bytes = this.#meta
    if (this.#metaType === "L") this.#longName = binary(untilNul(bytes))
    else if (this.#metaType === "K") this.#longLink = binary(untilNul(bytes))
    else if (this.#metaType === "g") {
      // Of a path, a size or a map it makes no sense that every entry has the same.
      for (const [key, value] of parseRecords(bytes))
        if (value === "") this.#globals.delete(key)
        else if (!/^(path|linkpath|size|GNU\.sparse\..*)$/.test(key)) this.#globals.set(key, value)
      if (this.#globals.size > this.#limits.xattrs) throw new RangeError("there are too many global PAX records")
    } else this.#records = [...this.#records, ...parseRecords(bytes)]
    this.#skip(padding(bytes.length))
  }

  #entry(header: Header): void {
    const all = new Map(this.#globals)
    for (const [key, value] of this.#records)
      if (value === "" && !key.startsWith("SCHILY.xattr.")) all.delete(key)
      else all.set(key, value)
    const type = typeOf(header, this.#name(header, all))
    if (type === undefined) throw new RangeError(`an entry has the unknown type ${JSON.stringify(header.letter)}`)
    const stored = all.has("size") ? number(all, "size", header.size) : header.size
    header.stored = type === "file" ? stored : 0
    // GNU's dumps of directories have a body, and nothing else does.
    if (header.letter === "D") header.skipped = stored

    if (all.get("GNU.sparse.major") === "1" && all.get("GNU.sparse.minor") === "0" && type === "file") {
      header.size = number(all, "GNU.sparse.realsize", stored)
      this.#lines = new MapLines()
      this.#left = stored
      this.#state = "map-lines"
      if (stored < BLOCK) throw new RangeError("a sparse map is longer than its entry")
      return
    }
    if (header.letter === "S") {
      this.#pieces = header.pieces
      header.size = header.realSize
      if (header.extended) {
        this.#state = "map-blocks"
        return
      }
      return this.#mapped(this.#pieces, stored)
    }
    const map = type === "file" ? mapOfRecords(this.#records, all) : undefined
    header.size = map ? number(all, "GNU.sparse.size", stored) : header.stored
    this.#mapped(map ?? (stored > 0 && type === "file" ? [[0, stored]] : []), header.stored)
  }

  #mapBlock(): void {
    this.#pieces.push(...piecesIn(this.#block, 0, 21))
    if (this.#pieces.length > MOST_PIECES) throw new RangeError(`a sparse file has more than ${MOST_PIECES} pieces`)
    if (this.#block[504] === 0) this.#mapped(this.#pieces, this.#header!.stored)
  }

  /** The entry is known, and so many bytes of content follow. */
  #mapped(pieces: Piece[], stored: number): void {
    const header = this.#header!
    checkPieces(pieces, header.size, stored)
    this.#pieces = pieces
    this.#piece = this.#within = 0
    this.#entries += 1
    if (this.#entries > this.#limits.entries)
      throw new RangeError(`there are more than ${this.#limits.entries} entries`)
    const entry = this.#made(header)
    this.#records = []
    this.#longName = this.#longLink = undefined
    this.#on.entry(entry)
    this.#left = stored
    this.#state = "data"
    if (stored === 0) this.#skip((header.skipped ?? 0) + padding(header.skipped ?? 0))
  }

  #name(header: Header, all: ReadonlyMap<string, string>): string {
    return all.get("GNU.sparse.name") || all.get("path") || this.#longName || header.path
  }

  #made(header: Header): TarEntry {
    const all = new Map(this.#globals)
    for (const [key, value] of this.#records) all.set(key, value)
    const given = (key: string): string | undefined => all.get(key) || undefined
    const path = this.#name(header, all)
    const type = typeOf(header, path)!
    const link = given("linkpath") ?? this.#longLink ?? header.link
    for (const name of [path, link])
      if (name.length > this.#limits.path)
        throw new RangeError(`a name of ${name.length} bytes is longer than the limit of ${this.#limits.path}`)
    if (path === "") throw new RangeError("an entry has no name")
    if (path.includes("\0") || link.includes("\0")) throw new RangeError("a name holds a NUL byte")
    const xattrs = xattrsOf(all)
    if (xattrs.size > this.#limits.xattrs) throw new RangeError(`an entry has more than ${this.#limits.xattrs} xattrs`)
    for (const [name, value] of xattrs)
      if (value.length > this.#limits.xattr || name.length > 255 || name === "" || name.includes("\0"))
        throw new RangeError("an xattr is longer than the kernel takes, or has no name")
    const time = given("mtime") === undefined ? { seconds: header.seconds, nanoseconds: 0 } : parseTime(given("mtime")!)
    if (time === undefined) throw new RangeError("a time is no number")
    return {
      type,
      path,
      link: type === "symlink" || type === "hardlink" ? link : "",
      mode: header.mode & 0o7777,
      uid: number(all, "uid", header.uid),
      gid: number(all, "gid", header.gid),
      size: type === "file" ? header.size : 0,
      ...time,
      major: header.major,
      minor: header.minor,
      xattrs,
    }
  }

  /** Content, cut where the pieces of a sparse file end. */
  #data(bytes: Uint8Array): number {
    let from = 0
    while (from < bytes.length) {
      const [offset, length] = this.#pieces[this.#piece]!
      const took = Math.min(bytes.length - from, length - this.#within)
      if (took > 0) this.#on.data(offset + this.#within, bytes.subarray(from, from + took))
      from += took
      this.#within += took
      if (this.#within === length) {
        this.#piece += 1
        this.#within = 0
      }
    }
    this.#left -= bytes.length
    if (this.#left === 0) this.#skip(padding(this.#header!.stored))
    return bytes.length
  }
}

interface Header {
  readonly letter: string
  readonly path: string
  readonly link: string
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly seconds: number
  readonly major: number
  readonly minor: number
  /** As the header says, then with the holes. */
  size: number
  /** Bytes of content in the archive, and of what is there instead. */
  stored: number
  skipped?: number
  /** Of type `S`. */
  readonly pieces: Piece[]
  readonly extended: boolean
  readonly realSize: number
}

function typeOf({ letter }: Header, name: string): TarType | undefined {
  const type = TYPES[letter]
  return type === "file" && name.endsWith("/") && letter !== "S" ? "directory" : type
}

/** @throws {RangeError} */
function parseHeader(block: Uint8Array): Header {
  let sum = 0
  let signed = 0
  for (let i = 0; i < BLOCK; i++) {
    const byte = i >= 148 && i < 156 ? 0x20 : block[i]!
    sum += byte
    signed += byte > 127 ? byte - 256 : byte
  }
  const given = Number.parseInt(textAt(block, 148, 8), 8)
  // Some old programs summed signed bytes.
  if (given !== sum && given !== signed)
    throw new RangeError("a header has a wrong checksum: this is no tar archive, or a damaged one")
  const magic = binary(block.subarray(257, 263))
  const isGnu = magic === "ustar "
  const isUstar = magic === "ustar\0"
  const prefix = isUstar ? textAt(block, 345, 155) : ""
  const name = textAt(block, 0, 100)
  const letter = String.fromCharCode(block[156]!)
  const sparse = isGnu && letter === "S"
  const size = positive(block, 124, 12, "size")
  return {
    letter,
    path: prefix === "" ? name : `${prefix}/${name}`,
    link: textAt(block, 157, 100),
    mode: numberAt(block, 100, 8),
    uid: positive(block, 108, 8, "uid"),
    gid: positive(block, 116, 8, "gid"),
    seconds: numberAt(block, 136, 12),
    major: isGnu || isUstar ? positive(block, 329, 8, "device") : 0,
    minor: isGnu || isUstar ? positive(block, 337, 8, "device") : 0,
    size,
    stored: size,
    pieces: sparse ? piecesIn(block, 386, 4) : [],
    extended: sparse && block[482] !== 0,
    realSize: sparse ? positive(block, 483, 12, "size") : 0,
  }
}

function piecesIn(block: Uint8Array, from: number, count: number): Piece[] {
  const pieces: Piece[] = []
  for (let at = from; at < from + 24 * count && block[at] !== 0; at += 24)
    pieces.push([positive(block, at, 12, "piece"), positive(block, at + 12, 12, "piece")])
  return pieces
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0)
  return end < 0 ? bytes : bytes.subarray(0, end)
}
const textAt = (block: Uint8Array, at: number, length: number): string =>
  binary(untilNul(block.subarray(at, at + length)))

/** Octal digits between blanks, or a binary number in two's complement. @throws {RangeError} */
function numberAt(block: Uint8Array, at: number, length: number): number {
  const first = block[at]!
  if (first & 0x80) {
    const negative = (first & 0x40) !== 0
    let value = 0
    for (let i = at; i < at + length; i++) {
      const byte = i === at ? (negative ? first : first & 0x7f) : block[i]!
      value = value * 256 + (negative ? 255 - byte : byte)
      if (value > MOST_NUMBER) throw new RangeError("a number is too large")
    }
    return negative ? -1 - value : value
  }
  const digits = textAt(block, at, length).trim()
  if (digits === "") return 0
  if (!/^[0-7]+$/.test(digits)) throw new RangeError("a number is not octal")
  return Number.parseInt(digits, 8)
}

/** @throws {RangeError} */
function positive(block: Uint8Array, at: number, length: number, what: string): number {
  const value = numberAt(block, at, length)
  if (value < 0) throw new RangeError(`a ${what} is negative`)
  return value
}

function number(all: ReadonlyMap<string, string>, key: string, otherwise: number): number {
  const text = all.get(key)
  return text === undefined || text === "" ? otherwise : whole(text)
}
