/**
 * What a command may touch of the world: its two outputs, its environment, its terminal.
 *
 *     stdout   data, for people and programs       print, write
 *     stderr   for people only                     warn, note
 *
 * Everything is written by write(2), at once and whole. The command may be replaced by the executor at any moment
 * (process.execve), and Node's streams would then lose what they still hold, and leave a pipe non-blocking behind.
 * Read on: main.ts.
 */

import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from "node:fs"
import { EngineError } from "../base/errors.ts"

export type Output = "stdout" | "stderr"

export interface Io {
  /** One line of data on stdout. */
  print(line: string): void
  /** Bytes as they are. @throws {BrokenPipe} if nobody reads stdout any more. Never for stderr. */
  write(to: Output, bytes: string | Uint8Array): void
  readonly terminal: { readonly stdin: boolean; readonly stdout: boolean; readonly stderr: boolean }
  /** Width of stdout's terminal; undefined: it is none. */
  readonly columns: number | undefined
  readonly env: Readonly<Record<string, string | undefined>>
  /** Absolute: what relative paths on the command line are relative to. */
  readonly cwd: string
  /** Never more than `limit` bytes. @throws Node's error with a `code`; `EFBIG` for a file that has more. */
  readFile(path: string, limit: number): Uint8Array
  /** What is typed up to the end of the line; "" at the end of stdin. */
  readLine(): string
  /** Whether a path can be read as often as one likes: an ordinary file, no pipe. False if it is not there. */
  isFile(path: string): boolean
  /** Milliseconds since 1970. */
  now(): number
  /** The argv that starts this command again: what the executor becomes to tell of a failed step. */
  readonly self: readonly string[]
}

/** The reader of stdout is gone: there is nothing more to do, and nothing to say. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe"
}

const DESCRIPTORS = { stdin: 0, stdout: 1, stderr: 2 } as const

/** The real one. */
export function stdio(): Io {
  return {
    print: (line) => writeWhole("stdout", `${line}\n`),
    write: writeWhole,
    terminal: {
      get stdin() {
        return isatty(DESCRIPTORS.stdin)
      },
      get stdout() {
        return isatty(DESCRIPTORS.stdout)
      },
      get stderr() {
        return isatty(DESCRIPTORS.stderr)
      },
    },
    get columns() {
      return isatty(DESCRIPTORS.stdout) ? process.stdout.columns || undefined : undefined
    },
    env: process.env,
    get cwd() {
      return process.cwd()
    },
    readFile: readBounded,
    readLine,
    isFile: (path) => statSync(path, { throwIfNoEntry: false })?.isFile() === true,
    now: () => Date.now(),
    get self() {
      // A compiled command is its own interpreter; its script lies in a file system that only it can see.
      const script = process.argv[1]
      return script === undefined || script.startsWith("/$bunfs/")
        ? [process.execPath]
        : [process.execPath, ...process.execArgv, script]
    },
  }
}

function writeWhole(to: Output, data: string | Uint8Array): void {
  const bytes = typeof data === "string" ? Buffer.from(data) : data
  let written = 0
  while (written < bytes.length) {
    try {
      written += writeSync(DESCRIPTORS[to], bytes, written)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      // Somebody who shares the pipe with us made it non-blocking; it is full.
      if (code === "EAGAIN") pause(5)
      else if (to === "stderr") return
      else if (code === "EPIPE") throw new BrokenPipe("stdout", { cause: error })
      else throw unwritten(code, error)
    }
  }
}

/** write(2), "Errors". */
const CAUSES: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on device",
  EDQUOT: "the disk quota is used up",
  EFBIG: "the file would be too large",
  EIO: "input/output error",
  EBADF: "it is not open for writing",
}
const unwritten = (code: string | undefined, cause: unknown): EngineError =>
  new EngineError("OUTPUT_FAILED", `cannot write to stdout: ${CAUSES[code ?? ""] ?? code}`, undefined, { cause })

/** Of a pipe or a device nobody knows the size before: so it is read up to the limit, and one byte more to see that it ends. */
function readBounded(path: string, limit: number): Uint8Array {
  const fd = openSync(path, "r")
  try {
    const pieces: Uint8Array[] = []
    for (let left = limit + 1; left > 0; ) {
      const piece = new Uint8Array(Math.min(left, 1 << 16))
      const length = readSync(fd, piece)
      if (length === 0) return Buffer.concat(pieces)
      pieces.push(piece.subarray(0, length))
      left -= length
    }
    throw Object.assign(new Error(`EFBIG: file too large, read '${path}'`), { code: "EFBIG" })
  } finally {
    closeSync(fd)
  }
}

/** A terminal gives a line at a time; a longer one than this is no answer to any question of ours. */
function readLine(): string {
  const piece = new Uint8Array(1024)
  return new TextDecoder().decode(piece.subarray(0, readSync(DESCRIPTORS.stdin, piece)))
}

/** Linux Documentation/admin-guide/devices.txt: memory devices (/dev/null), and the slaves of Unix98 pseudo-terminals. */
const MEMORY = 1
const isPseudoTerminal = (major: number): boolean => major >= 136 && major <= 143

/** As isatty(3). node:tty is asked only where the device does not tell: loading it takes a third as long as the whole start. */
function isatty(descriptor: number): boolean {
  let stat: ReturnType<typeof fstatSync>
  try {
    stat = fstatSync(descriptor)
  } catch {
    return false
  }
  const major = (stat.rdev >> 8) & 0xfff
  if (!stat.isCharacterDevice() || major === MEMORY) return false
  return isPseudoTerminal(major) || process.getBuiltinModule("node:tty").isatty(descriptor)
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

/** Colour on this output: only for a terminal that can show it, and never against NO_COLOR. */
export function wantsColour(io: Io, output: Output): boolean {
  return io.terminal[output] && !io.env.NO_COLOR && io.env.TERM !== "dumb"
}
