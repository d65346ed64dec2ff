/**
 * Unpack: a tree of files as a stream of operations: what `apply` of the executor carries out, and what `read`, its mirror, answers.
 *
 *     layer, volume, cp ──▶ directory │ file │ content … │ xattr │ symlink │ … │ end ──▶ executor apply, inside one directory
 *     executor read, inside one root ──▶ the same words ──▶ export, diff, cp; or straight into an `apply`
 *
 * Paths are relative, without `.` and `..`, and no link is followed on the way: whoever writes the stream has resolved them. The
 * executor checks that again with every path, so a stream can touch nothing outside its directory, whatever it says.
 *
 * Names are bytes, and need not be UTF-8: here they are strings each of whose characters stands for one byte ("binary", latin1).
 *
 * What is made replaces what is there, but for a directory over a directory, which stays with all in it. Modes and times of directories are
 * set at the end, when nothing changes them any more. Without `end` at its end, a stream is a failure.
 *
 * Read on: step.ts; native/apply.c, native/read.c. openat2(2), Linux Documentation/filesystems/overlayfs.rst.
 */

/** `text`: bytes without NUL, as a binary string. `number`: a whole number of 64 bits, may be negative. */
type FileKinds = { text: string; number: number; bytes: Uint8Array }
export type FileKind = keyof FileKinds
type FileRow = { readonly code: number; readonly about: string; readonly args: Readonly<Record<string, FileKind>> }

const ABOUT = {
  path: "text",
  mode: "number",
  uid: "number",
  gid: "number",
  seconds: "number",
  nanoseconds: "number",
} as const

/** A code is never used twice. `mode`: permission bits, 07777; of a node also its type. Times are of the last change of content. */
export const FILE_OPS = {
  directory: { code: 1, about: 'mkdirat(2); the path "." is the target itself', args: ABOUT },
  file: {
    code: 2,
    about: "openat(2) O_CREAT O_EXCL; stays open for the content that follows; `size` bytes long at the end",
    args: { ...ABOUT, size: "number" },
  },
  content: { code: 3, about: "pwrite(2); what is left out is a hole", args: { offset: "number", bytes: "bytes" } },
  symlink: { code: 4, about: "symlinkat(2)", args: { ...ABOUT, target: "text" } },
  hardlink: { code: 5, about: "linkat(2) of a file that is there", args: { path: "text", target: "text" } },
  node: {
    code: 6,
    about: "mknodat(2): a device, a FIFO or a socket",
    args: { ...ABOUT, major: "number", minor: "number" },
  },
  xattr: {
    code: 7,
    about: "lsetxattr(2) of what was made last, after its content",
    args: { name: "text", value: "bytes" },
  },
  remove: {
    code: 8,
    about: "unlinkat(2), with all below a directory; nothing there is no failure",
    args: { path: "text" },
  },
  end: { code: 9, about: "nothing follows", args: {} },
  walk: {
    code: 10,
    about:
      "asks `read`: answers what `path` is (links on the way and, with flag 1, at its end are followed inside the root), then what is below it, down to `depth`; flags 2: content, 4: xattrs, 8: stay on its file system, 16: xattrs before content, as an archive has them; a file over `limit` is EFBIG. `end` follows",
    args: { path: "text", flags: "number", depth: "number", limit: "number" },
  },
  at: { code: 12, about: "what the xattrs that follow belong to, if it was not made last", args: { path: "text" } },
  enter: {
    code: 13,
    about: "openat2(2): a directory inside the target, links followed inside it, is the target from here on",
    args: { path: "text" },
  },
  ensure: {
    code: 14,
    about: "mkdirat(2) of a directory 0755, root's; one that is there, or anything else, is left as it is",
    args: { path: "text" },
  },
  failed: { code: 11, about: "`read` could not read this; it goes on", args: { path: "text", errno: "number" } },
} as const satisfies Record<string, FileRow>

export type FileOps = typeof FILE_OPS
type ArgsOf<A extends Readonly<Record<string, FileKind>>> = { readonly [K in keyof A]: FileKinds[A[K]] }
export type FileOp = { [N in keyof FileOps]: { readonly op: N } & ArgsOf<FileOps[N]["args"]> }[keyof FileOps]

export const WALK = { follow: 1, content: 2, xattrs: 4, oneFileSystem: 8, xattrsFirst: 16 } as const

/** One record is at most so long: a header of 8 bytes, texts and content with their lengths, padded to 8. */
export const MOST_RECORD = 1 << 20
/** Content goes in pieces of at most this. */
export const MOST_CONTENT = 1 << 18

const HEADER_BYTES = 8
const padded = (bytes: number): number => (bytes + 7) & ~7

/**
 * Writes ops into buffers of bounded size.
 *
 *     u32 length of the whole record, u32 code │ number: i64 │ text: u32 length, bytes, NUL, padding │ bytes: u32 length, u32 0, bytes, padding
 *
 * @param full is given each buffer when it is full, and at `flush`; it is the receiver's to keep.
 */
export class FileOpWriter {
  #bytes = new Uint8Array(MOST_CONTENT)
  #view = new DataView(this.#bytes.buffer)
  #at = 0
  readonly #full: (bytes: Uint8Array) => void
  constructor(full: (bytes: Uint8Array) => void) {
    this.#full = full
  }

  put(op: FileOp): void {
    const row: FileRow = FILE_OPS[op.op]
    const values = op as unknown as Readonly<Record<string, string | number | Uint8Array>>
    let size = HEADER_BYTES
    for (const name in row.args) {
      const value = values[name]!
      size +=
        typeof value === "number" ? 8 : typeof value === "string" ? padded(5 + value.length) : padded(8 + value.length)
    }
    if (size > MOST_RECORD) throw new RangeError(`an op of ${size} bytes is too long`)
    this.#room(size)
    this.#u32(size)
    this.#u32(row.code)
    for (const name in row.args) {
      const value = values[name]!
      if (typeof value === "number") this.#i64(value)
      else if (typeof value === "string") this.#text(value)
      else this.#blob(value)
    }
  }
  flush(): void {
    if (this.#at > 0) this.#full(this.#bytes.subarray(0, this.#at))
    this.#bytes = new Uint8Array(MOST_CONTENT)
    this.#view = new DataView(this.#bytes.buffer)
    this.#at = 0
  }

  #room(size: number): void {
    if (this.#at + size <= this.#bytes.length) return
    this.flush()
    if (size <= this.#bytes.length) return
    this.#bytes = new Uint8Array(size)
    this.#view = new DataView(this.#bytes.buffer)
  }
  #u32(value: number): void {
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
  }
  #i64(value: number): void {
    this.#u32(value >>> 0)
    this.#view.setInt32(this.#at, Math.floor(value / 0x1_0000_0000), true)
    this.#at += 4
  }
  #text(text: string): void {
    const { length } = text
    this.#u32(length)
    for (let i = 0; i < length; i++) {
      const byte = text.charCodeAt(i)
      if (byte === 0 || byte > 255) throw new TypeError(`a name is bytes without NUL: ${JSON.stringify(text)}`)
      this.#bytes[this.#at + i] = byte
    }
    this.#at += padded(5 + length) - 4
  }
  #blob(bytes: Uint8Array): void {
    this.#u32(bytes.length)
    this.#u32(0)
    this.#bytes.set(bytes, this.#at)
    this.#at += padded(bytes.length)
  }
}

const BY_CODE: ReadonlyMap<number, keyof FileOps> = new Map(
  Object.entries(FILE_OPS).map(([name, row]) => [row.code, name as keyof FileOps]),
)

/**
 * Reads ops from bytes, however they are cut. Content points into the bytes that were pushed, where it can.
 * @throws {RangeError} for what is no such stream: the executor broke off, or is another version.
 */
export class FileOpReader {
  #rest: Uint8Array = new Uint8Array()
  /** Whether all that was pushed has been read. */
  get whole(): boolean {
    return this.#rest.length === 0
  }

  *push(chunk: Uint8Array): Generator<FileOp> {
    let bytes = chunk
    if (this.#rest.length > 0) {
      bytes = new Uint8Array(this.#rest.length + chunk.length)
      bytes.set(this.#rest)
      bytes.set(chunk, this.#rest.length)
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let at = 0
    while (bytes.length - at >= HEADER_BYTES) {
      const size = view.getUint32(at, true)
      if (size < HEADER_BYTES || size > MOST_RECORD || size % 8 !== 0)
        throw new RangeError("a record has a wrong length")
      if (size > bytes.length - at) break
      yield read(bytes, view, at, at + size)
      at += size
    }
    this.#rest = at === bytes.length ? new Uint8Array() : bytes.slice(at)
  }
}

function read(bytes: Uint8Array, view: DataView, from: number, end: number): FileOp {
  const op = BY_CODE.get(view.getUint32(from + 4, true))
  if (op === undefined) throw new RangeError("a record is of an unknown kind")
  const values: Record<string, unknown> = { op }
  let at = from + HEADER_BYTES
  const need = (size: number): void => {
    if (size > end - at) throw new RangeError("a record is longer than its length")
  }
  for (const [name, kind] of Object.entries(FILE_OPS[op].args)) {
    need(8)
    if (kind === "number") {
      values[name] = view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true)
      at += 8
      continue
    }
    const length = view.getUint32(at, true)
    need(kind === "text" ? padded(5 + length) : padded(8 + length))
    const start = at + (kind === "text" ? 4 : 8)
    const part = bytes.subarray(start, start + length)
    values[name] = kind === "text" ? binary(part) : part
    at = start + length
    at = from + padded(at - from + (kind === "text" ? 1 : 0))
  }
  return values as unknown as FileOp
}

function binary(bytes: Uint8Array): string {
  let text = ""
  for (let at = 0; at < bytes.length; at += 4096) text += String.fromCharCode(...bytes.subarray(at, at + 4096))
  return text
}
