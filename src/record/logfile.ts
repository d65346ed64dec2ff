/**
 * The log of a container, read back: from any number of rotated files, from its end, and while it grows.
 *
 *     log.2   log.1   log                       oldest … newest; rotation renames, so a file keeps its inode
 *     ─────▶ ──────▶ ─────────▶ …
 *             2026-11-24T14:05:41.123456789Z stdout P the beginning of
 *             2026-11-24T14:05:41.123456790Z stdout F  a line
 *
 * One file descriptor per file, opened newest first: if the log rotates meanwhile, a file is met twice and never missed.
 * An entry without its newline is still being written and waits. P entries are joined with what follows them in the same stream. The log
 * is never locked and never read whole: its end is looked for from the end, in pieces.
 *
 * Read on: native/log.c, which writes it. Kubernetes design proposal kubelet-cri-logging.md.
 */

import { closeSync, fstatSync, openSync, readSync, statSync, watch } from "node:fs"
import { dirname } from "node:path/posix"
import { codeOf, unusable } from "./store.ts"

export interface LogEntry {
  /** RFC 3339 with nanoseconds: when the beginning of the line was written. */
  readonly time: string
  readonly stream: "stdout" | "stderr"
  /** As the program wrote it; ends in a newline unless the program has not written one (yet), or the line is longer than LINE_LIMIT. */
  readonly bytes: Uint8Array
}

export interface ReadLog {
  /** At most so many lines, the last ones. */
  readonly tail?: number
  /** Lines from this time on, and before that; RFC 3339 with nanoseconds in UTC. */
  readonly since?: string
  readonly until?: string
  /** Go on until this says that nothing more will be written. */
  readonly follow?: { readonly ended: () => boolean; readonly signal?: AbortSignal }
  /** Called where lines may be missing: the log was rotated away under whoever follows it. */
  readonly lost?: () => void
}

/** What of one line is held in memory; a longer line comes in parts. */
export const LINE_LIMIT = 1 << 20
const PIECE = 65536
const NEWLINE = 10
const SPACE = 32
/** How long a log may be silent before an unfinished line is shown as it is, and before one looks without being told to. */
const SILENCE_MS = 200

/** @param path the newest file. @param files how many there are at most, with it. A log that does not exist is empty. */
export async function* readLog(
  path: string,
  files: number,
  { tail, since, until, follow, lost }: ReadLog,
): AsyncGenerator<LogEntry> {
  const logs = openLogs(path, files)
  const lines = new Lines()
  let skip = tail === undefined ? 0 : startAtTail(logs, tail)
  const wanted = (entry: LogEntry | undefined): entry is LogEntry => {
    if (entry === undefined || skip-- > 0) return false
    return (since === undefined || entry.time >= since) && (until === undefined || entry.time < until)
  }
  let lostBefore: OpenLog | undefined
  const watcher = follow && new Watcher(path, follow.signal)
  try {
    for (let at = 0; ; ) {
      // Both are asked before reading: then what was written before the end, or before the rotation, is read below.
      const ended = follow === undefined || follow.ended() || follow.signal?.aborted === true
      if (at === logs.length - 1 || logs.length === 0) {
        const { newer, gap } = openNewer(path, files, logs.at(-1))
        // What is behind the gap comes after what is left in front of it.
        if (gap) lostBefore = newer[0]
        logs.push(...newer)
      }
      const log = logs[at]
      if (log && (log === lostBefore || log.wasEmptied())) lost?.()
      if (log === lostBefore) lostBefore = undefined
      for (const entry of log?.entries() ?? []) {
        const line = lines.add(entry)
        if (wanted(line)) yield line
      }
      if (at < logs.length - 1) {
        // Nobody writes to it any more.
        log!.close()
        at++
        continue
      }
      if (ended || (until !== undefined && lines.time >= until)) break
      if (await watcher!.change()) continue
      for (const line of lines.unfinished()) if (wanted(line)) yield line
    }
    for (const line of lines.unfinished()) if (wanted(line)) yield line
  } finally {
    watcher?.close()
    for (const log of logs) log.close()
  }
}

interface Entry {
  readonly time: string
  readonly stream: "stdout" | "stderr"
  /** F: the line ends here, and `bytes` with a newline. */
  readonly ends: boolean
  readonly bytes: Uint8Array
}

/** `2026-11-24T14:05:41.123456789Z stdout F bytes`, with the newline that ends it. */
function parseEntry(bytes: Uint8Array): Entry | undefined {
  if (bytes.length < 41 || bytes[30] !== SPACE || bytes[37] !== SPACE || bytes[39] !== SPACE) return undefined
  const ends = bytes[38] === 70
  return {
    time: String.fromCharCode(...bytes.subarray(0, 30)),
    stream: bytes[34] === 101 ? "stderr" : "stdout",
    ends,
    bytes: bytes.subarray(40, ends ? bytes.length : bytes.length - 1),
  }
}

/** One open file of a log, and how far it has been read. */
class OpenLog {
  readonly inode: number
  offset = 0
  readonly #fd: number
  #closed = false
  /** The beginning of an entry whose end has not been written yet. */
  #torn: Uint8Array = new Uint8Array()

  constructor(fd: number) {
    this.#fd = fd
    this.inode = fstatSync(fd).ino
  }
  get size(): number {
    return fstatSync(this.#fd).size
  }
  /** At most `length` bytes; a new buffer each time, since entries are views of it. */
  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    return bytes.subarray(0, readSync(this.#fd, bytes, 0, length, offset))
  }
  /** Every whole entry from here to the end; what is no entry is passed over. */
  *entries(end = Number.POSITIVE_INFINITY): Generator<Entry> {
    if (this.wasEmptied()) this.#restart(0)
    while (this.offset < end) {
      const bytes = this.read(this.offset, Math.min(PIECE, end - this.offset))
      if (bytes.length === 0) return
      this.offset += bytes.length
      let from = 0
      for (let newline = bytes.indexOf(NEWLINE); newline >= 0; newline = bytes.indexOf(NEWLINE, from)) {
        const piece = bytes.subarray(from, newline + 1)
        from = newline + 1
        const entry = parseEntry(this.#torn.length > 0 ? joined([this.#torn, piece]) : piece)
        this.#torn = new Uint8Array()
        if (entry) yield entry
      }
      if (from < bytes.length) this.#torn = joined([this.#torn, bytes.subarray(from)])
    }
  }
  /** With one file only, rotation empties it. */
  wasEmptied(): boolean {
    return this.size < this.offset
  }
  /** Goes on reading from the first entry that begins at or after `offset`. */
  startAt(offset: number): void {
    this.#restart(offset)
    while (offset > 0) {
      const bytes = this.read(offset - 1, PIECE)
      const newline = bytes.indexOf(NEWLINE)
      if (newline >= 0 || bytes.length === 0) {
        this.offset = newline < 0 ? offset : offset + newline
        return
      }
      offset += bytes.length
    }
  }
  #restart(offset: number): void {
    this.offset = offset
    this.#torn = new Uint8Array()
  }
  close(): void {
    if (!this.#closed) closeSync(this.#fd)
    this.#closed = true
  }
}

/** Puts the parts of a line together. */
class Lines {
  /** The time of the latest entry. */
  time = ""
  readonly #open: Record<Entry["stream"], { time: string; parts: Uint8Array[]; length: number }> = {
    stdout: { time: "", parts: [], length: 0 },
    stderr: { time: "", parts: [], length: 0 },
  }

  /** A line, if this entry ends it or it is too long to be kept. */
  add({ time, stream, ends, bytes }: Entry): LogEntry | undefined {
    const open = this.#open[stream]
    this.time = time
    if (ends && open.parts.length === 0) return { time, stream, bytes }
    if (open.parts.length === 0) open.time = time
    open.parts.push(bytes)
    open.length += bytes.length
    return ends || open.length >= LINE_LIMIT ? this.#take(stream) : undefined
  }
  /** What has been begun and not ended, oldest first. */
  unfinished(): readonly LogEntry[] {
    const streams = (["stdout", "stderr"] as const).filter((stream) => this.#open[stream].parts.length > 0)
    return streams.map((stream) => this.#take(stream)).sort((a, b) => (a.time < b.time ? -1 : 1))
  }
  #take(stream: Entry["stream"]): LogEntry {
    const { time, parts } = this.#open[stream]
    this.#open[stream] = { time: "", parts: [], length: 0 }
    return { time, stream, bytes: joined(parts) }
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function tryOpen(path: string): OpenLog | undefined {
  try {
    return new OpenLog(openSync(path, "r"))
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined
    throw unusable(path, error)
  }
}

/** All files, oldest first. */
function openLogs(path: string, files: number): OpenLog[] {
  const logs: OpenLog[] = []
  for (let n = 0; n < Math.max(1, files); n++) {
    const log = tryOpen(n === 0 ? path : `${path}.${n}`)
    if (log && logs.some(({ inode }) => inode === log.inode)) log.close()
    else if (log) logs.unshift(log)
  }
  return logs
}

/** What has come after `newest` by rotation; usually nothing. An open file keeps its inode from being used again. */
function openNewer(
  path: string,
  files: number,
  newest: OpenLog | undefined,
): { readonly newer: readonly OpenLog[]; readonly gap: boolean } {
  const inode = statSync(path, { throwIfNoEntry: false })?.ino
  if (inode === undefined || inode === newest?.inode) return { newer: [], gap: false }
  const logs = openLogs(path, files)
  const known = logs.findIndex((log) => log.inode === newest?.inode)
  for (const log of logs.slice(0, known + 1)) log.close()
  return { newer: logs.slice(known + 1), gap: known < 0 && newest !== undefined }
}

/**
 * Moves the reading position to before the last `tail` lines, and says how many lines too many that is.
 *
 * Counts newlines from the end; then goes back by as much as one line may have, since the beginning of a line of one stream may lie before
 * many lines of the other.
 */
function startAtTail(logs: OpenLog[], tail: number): number {
  let found = 0
  let at = logs.length - 1
  let offset = logs[at]?.size ?? 0
  for (let margin = LINE_LIMIT; at >= 0 && margin > 0; ) {
    if (offset === 0) {
      if (at === 0) break
      offset = logs[--at]!.size
      continue
    }
    const from = Math.max(0, offset - PIECE)
    const bytes = logs[at]!.read(from, offset - from)
    if (found > tail) margin -= bytes.length
    for (
      let newline = bytes.lastIndexOf(NEWLINE);
      newline >= 0;
      newline = newline > 0 ? bytes.lastIndexOf(NEWLINE, newline - 1) : -1
    )
      found++
    offset = from
  }
  for (const log of logs.splice(0, Math.max(0, at))) log.close()
  logs[0]?.startAt(offset)

  const lines = new Lines()
  const starts = logs.map((log) => log.offset)
  let count = 0
  for (const log of logs) for (const entry of log.entries(log.size)) if (lines.add(entry)) count++
  count += lines.unfinished().length
  logs.forEach((log, index) => {
    log.startAt(starts[index]!)
  })
  return Math.max(0, count - tail)
}

/** Wakes when something happens in a directory, or after a while. */
class Watcher {
  #changed = false
  #wake: () => void = () => {}
  readonly #close: () => void

  constructor(path: string, signal: AbortSignal | undefined) {
    const notice = (): void => {
      this.#changed = true
      this.#wake()
    }
    signal?.addEventListener("abort", notice)
    let watching: ReturnType<typeof watch> | undefined
    try {
      watching = watch(dirname(path), notice)
      watching.on("error", () => {})
    } catch {
      // No inotify instance left, or the directory is gone: then the clock alone wakes us.
    }
    this.#close = () => {
      signal?.removeEventListener("abort", notice)
      watching?.close()
    }
  }
  /** false: nothing happened for SILENCE_MS. */
  async change(): Promise<boolean> {
    if (!this.#changed) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, SILENCE_MS)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    const changed = this.#changed
    this.#changed = false
    return changed
  }
  close(): void {
    this.#close()
  }
}
