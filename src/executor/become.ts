/**
 * Become: this process turns into the executor.
 *
 *     shell ──fork──▶ minicontainer (TypeScript, 29 MB) ──execve──▶ executor (48 KB), the same pid
 *
 * The shell waits for one process and gets its exit status, its signals, its terminal; nothing stands between. Only the fds 0 to 2
 * survive, so whatever the executor needs is named by a path. What is still buffered on stdout would be lost: before this
 * call only `fs.writeSync` may be used.
 *
 * Read on: spawn.ts, for a process that stays. execve(2); nodejs.org/api/process.html, "process.execve".
 */

import { accessSync, constants } from "node:fs"
import process from "node:process"
import { EngineError } from "../base/errors.ts"

/**
 * @param args what follows argv[0].
 * @throws {EngineError} `EXECUTOR_FAILED` where this runtime cannot do it, or the file is not executable.
 */
export function become(executor: string, args: readonly string[]): never {
  if (process.execve === undefined)
    throw new EngineError(
      "EXECUTOR_FAILED",
      "cannot become the executor: this runtime has no process.execve",
      "use Node 24, Bun, or run() of the library",
    )
  try {
    // Node ends the whole process with a dump of its own if execve fails; asked before, it does not come to that.
    accessSync(executor, constants.X_OK)
  } catch (error) {
    throw new EngineError(
      "EXECUTOR_FAILED",
      `cannot become the executor ${executor}: ${(error as NodeJS.ErrnoException).code}`,
      undefined,
      { cause: error },
    )
  }
  return process.execve(executor, [executor, ...args])
}
