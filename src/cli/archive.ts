/**
 * Archives that go through the command: in from a file or stdin, out to a file or stdout.
 *
 * A file that is written appears under its name when it is whole, and not before. Read on: commands/export.ts, import.ts.
 */

import { closeSync, createReadStream, openSync, renameSync, statSync, unlinkSync, writeSync } from "node:fs"
import { resolve } from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import type { Io } from "./io.ts"

const PIECE = 1 << 20

/**
 * The bytes of a file, or of stdin.
 * @param name `-`: stdin.
 * @throws {EngineError} `INVALID_VALUE` if it cannot be read; `USAGE` for a terminal.
 */
export function readArchive(io: Io, name: string): AsyncIterable<Uint8Array> {
  if (name === "-") {
    if (io.terminal.stdin)
      throw new EngineError("USAGE", "cannot read an archive from a terminal", "name a file, or use a pipe")
    return createReadStream("", { fd: 0, autoClose: false, highWaterMark: PIECE })
  }
  const path = resolve(io.cwd as `/${string}`, name)
  const refuse = (cause: string, error?: unknown) =>
    new EngineError("INVALID_VALUE", `cannot read ${name}: ${cause}`, undefined, { cause: error })
  try {
    if (statSync(path).isDirectory()) throw refuse("it is a directory")
    return createReadStream(path, { fd: openSync(path, "r"), highWaterMark: PIECE })
  } catch (error) {
    if (error instanceof EngineError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw refuse(code === "ENOENT" ? "no such file" : String(code), error)
  }
}

/** @param output a file; absent: stdout, unless that is a terminal. */
export async function writeArchive(
  io: Io,
  output: string | undefined,
  bytes: AsyncIterable<Uint8Array>,
): Promise<void> {
  if (output === undefined) {
    if (io.terminal.stdout)
      throw new EngineError("USAGE", "cannot write an archive to a terminal", "use -o, or a redirection")
    for await (const piece of bytes) io.write("stdout", piece)
    return
  }
  const path = resolve(io.cwd as `/${string}`, output)
  const fresh = `${path}.${process.pid}`
  let fd: number | undefined
  try {
    fd = openSync(fresh, "wx", 0o600)
    for await (const piece of bytes) for (let at = 0; at < piece.length; ) at += writeSync(fd, piece, at)
    closeSync(fd)
    renameSync(fresh, path)
  } catch (error) {
    if (fd !== undefined) unlinkSync(fresh)
    if (error instanceof EngineError) throw error
    const { code } = error as NodeJS.ErrnoException
    throw new EngineError("OUTPUT_FAILED", `cannot write ${output}: ${code}`, undefined, { cause: error })
  }
}
