/**
 * The processes of this host, and which of them carry out a container.
 *
 *     front ──▶ monitor ──▶ process 1 ──▶ …       all but the last are `executor run …/ID/wire` until process 1 becomes the program
 */

import { readdirSync, readFileSync } from "node:fs"
import { startOf } from "../src/record/alive.ts"

export interface Process {
  readonly pid: number
  readonly parent: number
  /** argv, each word ended by NUL. */
  readonly words: string
}

export function processes(): readonly Process[] {
  return readdirSync("/proc").flatMap((name): Process[] => {
    try {
      if (!/^\d+$/.test(name)) return []
      const words = readFileSync(`/proc/${name}/cmdline`, "latin1")
      const parent = Number(/^PPid:\t(\d+)/m.exec(readFileSync(`/proc/${name}/status`, "latin1"))?.[1])
      return [{ pid: Number(name), parent, words }]
    } catch {
      // It has ended since the listing.
      return []
    }
  })
}

/** The processes of one container whose front is, or was, `front`; those that are there. */
export function familyOf(front: number, runRoot: string): { readonly monitor?: number; readonly first?: number } {
  const all = processes()
  const monitor = all.find(({ parent, words }) => parent === front && words.includes(`run\0${runRoot}/`))
  const first = monitor && all.find(({ parent }) => parent === monitor.pid)
  return { ...(monitor && { monitor: monitor.pid }), ...(first && { first: first.pid }) }
}

/** SIGKILL; to one that has ended meanwhile it is nothing. */
export function killed(pid: number): void {
  try {
    process.kill(pid, "SIGKILL")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
  }
}

/** Polls: what is waited for has no event of its own. */
export async function until(what: () => boolean, name = what.toString()): Promise<void> {
  for (const deadline = performance.now() + 20_000; !what(); await Bun.sleep(5))
    if (performance.now() > deadline) throw new Error(`this did not come true in 20 s: ${name}`)
}

/** SIGKILL, and waits until it is dead: a process takes a moment to die, and so long it lives. */
export async function ended(pid: number): Promise<void> {
  killed(pid)
  await until(() => startOf(pid) === undefined, `process ${pid} ends`)
}
