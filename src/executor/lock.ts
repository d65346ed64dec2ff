/**
 * Lock: flock(2) by way of the executor, since JavaScript has no such call.
 *
 *     this process ──▶ executor lock PATH     opens PATH, flock(LOCK_EX), writes a newline
 *                  ──▶ closes its stdin       and it ends; if we die, the pipe is closed for us
 *
 * A lock that is a file with a pid in it outlives a crash; this one cannot. It costs a process, so nothing that happens at every start takes
 * it: names and leases are claimed by symlink(2), which is atomic by itself.
 *
 * Read on: record/leases.ts. flock(2).
 */

import { broken } from "./spawn.ts"

/**
 * Runs `work` while no other process holds the lock; waits for it as long as it takes.
 * @param path a file, made if it is missing, kept afterwards.
 * @throws whatever `work` throws; `EXECUTOR_FAILED` if the lock cannot be had.
 */
export async function withLock<T>(executor: string, path: string, work: () => T | Promise<T>): Promise<T> {
  const child = process
    .getBuiltinModule("node:child_process")
    .spawn(executor, ["lock", path], { stdio: ["pipe", "pipe", "ignore"] })
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()))
  child.stdin.on("error", () => {})
  try {
    await new Promise<void>((resolve, reject) => {
      child.once("error", (error) =>
        reject(broken(executor, (error as NodeJS.ErrnoException).code ?? error.message, error)),
      )
      child.once("close", (status) => reject(broken(executor, `no lock on ${path} (${status})`)))
      child.stdout.once("data", () => resolve())
    })
    return await work()
  } finally {
    child.stdin.end()
    await ended
  }
}
