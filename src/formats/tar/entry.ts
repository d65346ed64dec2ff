/**
 * Tar: a tree of files as one stream of blocks of 512 bytes.
 *
 *     header │ content, padded to 512 │ header │ content … │ two blocks of zeros
 *       name 100, mode 8, uid 8, gid 8, size 12, mtime 12, checksum 8, type 1, link 100, "ustar", …
 *
 * What does not fit into those fields stands in an entry of its own before the one it is about: PAX records (`x`, and `g` for all that
 * follow), or GNU's long names (`L`, `K`). A number may be octal digits, or, with the first bit set, a binary number.
 *
 * Names are bytes, and need not be UTF-8: here they are strings each of whose characters stands for one byte ("binary").
 *
 * Read on: read.ts, sparse.ts, write.ts. pax(1) "ustar Interchange Format" and "pax Interchange Format"; GNU tar manual, "Tar Internals"; libarchive tar(5).
 */

export type TarType = "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo"

export interface TarEntry {
  readonly type: TarType
  /** As it stands there: it may be absolute, or hold `..`. Binary. */
  readonly path: string
  /** Of a symlink its target, of a hard link the path of the other entry; else "". Binary. */
  readonly link: string
  /** Permission bits: 07777. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes of a file, with its holes; 0 of everything else. */
  readonly size: number
  /** Since 1970; may be negative. */
  readonly seconds: number
  /** 0 … 999,999,999. */
  readonly nanoseconds: number
  readonly major: number
  readonly minor: number
  /** By name (binary), as `security.capability`. */
  readonly xattrs: ReadonlyMap<string, Uint8Array>
}

export const BLOCK = 512
/** From the last byte of something to the next block. */
export const padding = (size: number): number => -size & (BLOCK - 1)

/** What the letters of the type field mean. `0`, NUL (old) and `7` (contiguous) are files; a name that ends in `/` makes one a directory. */
export const TYPES: Readonly<Record<string, TarType>> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  S: "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  D: "directory",
  "6": "fifo",
}

/** @param at where in the archive, in bytes. */
export class TarError extends Error {
  constructor(
    readonly at: number,
    /** What is wrong there, alone. */
    readonly why: string,
  ) {
    super(`byte ${at} of the archive: ${why}`)
  }
}

export function binary(bytes: Uint8Array): string {
  let text = ""
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096))
  return text
}

/** @throws {TypeError} for a character that is no byte. */
export function unbinary(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const byte = text.charCodeAt(i)
    if (byte > 255) throw new TypeError(`not a string of bytes: ${JSON.stringify(text)}`)
    bytes[i] = byte
  }
  return bytes
}
