/**
 * Where the executor lies on disk.
 *
 *     given by the door                  what is run
 *     /usr/lib/minicontainer/executor    the same file
 *     /$bunfs/root/executor-1a2b         STATE/bin/SHA256, extracted once
 *
 * The shipped command carries the executor inside itself, in a file system that only its own process sees: it can be read, but the kernel
 * cannot execute it. So it is written out, once per version, into a directory that only root can enter. Whoever could
 * write there could be run as root: an extracted file counts only if it is ours and nobody else may touch it.
 *
 * Read on: become.ts, spawn.ts. bun.sh/docs/bundler/executables, "Embed files".
 */

import {
  accessSync,
  constants,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from "node:fs"
import { EngineError } from "../base/errors.ts"
import { errnoWords } from "./errno.ts"

export interface ExecutorSource {
  /** An ordinary file, or one embedded in a Bun executable. */
  readonly path: string
  /** Of an embedded file: its SHA-256 in hexadecimal digits, known since the build, so that a start hashes nothing. */
  readonly sha256?: string
}

const EMBEDDED = "/$bunfs/"

/**
 * A path that execve(2) takes.
 * @param bin where embedded executors are kept; made if it is missing.
 * @throws {EngineError} `EXECUTOR_FAILED` if there is none, or it cannot be written out.
 */
export function locateExecutor({ path, sha256 }: ExecutorSource, bin: string): string {
  if (!path.startsWith(EMBEDDED) && sha256 === undefined) {
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch (error) {
      throw new EngineError(
        "EXECUTOR_FAILED",
        `cannot use the executor ${path}: ${(error as NodeJS.ErrnoException).code}`,
        "make build",
        { cause: error },
      )
    }
  }
  if (sha256 === undefined || !/^[0-9a-f]{64}$/.test(sha256))
    throw new EngineError("EXECUTOR_FAILED", "cannot extract the executor: its checksum is not known")
  const target = `${bin}/${sha256}`
  if (isOurs(target)) return target
  const fresh = `${target}.${process.pid}`
  try {
    mkdirSync(bin, { recursive: true, mode: 0o700 })
    writeFileSync(fresh, readFileSync(path), { mode: 0o700, flush: true })
    renameSync(fresh, target)
  } catch (error) {
    try {
      unlinkSync(fresh)
    } catch {
      // It was never made; the first error is the one to tell.
    }
    throw new EngineError(
      "EXECUTOR_FAILED",
      `cannot extract the executor to ${target}: ${errnoWords(-((error as NodeJS.ErrnoException).errno ?? 0))}`,
      undefined,
      { cause: error },
    )
  }
  return target
}

/** A plain file of ours that nobody else may write, whole (it came here by rename). */
function isOurs(path: string): boolean {
  try {
    const stat = lstatSync(path)
    return stat.isFile() && stat.uid === process.geteuid?.() && (stat.mode & 0o7777) === 0o700 && stat.size > 0
  } catch {
    return false
  }
}
