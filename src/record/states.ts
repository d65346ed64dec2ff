/**
 * The states of a container, and who moves it from one to the next.
 *
 *                    create
 *     ──────────────────────────▶ created ──── rm ───▶ (gone)
 *                                    │ start                              start
 *       run: record written          ▼          ┌────────────────────────────────────────────┐
 *     ──────────────────────────▶ starting ─────┴───────▶ running ────────────────────────▶ exited ── rm, or --rm ──▶ (gone)
 *                                    │      program runs     │        process 1 ends        ▲ │
 *                                    │      (the monitor)    │         (the monitor)        │ │
 *              run, and the starter  │           the monitor │                    reconcile │ │ the monitor was killed
 *                         was killed ▼            was killed ▼                              │ ▼ while it undid
 *                                abandoned                 lost ────────────────────────────┘ unfinished
 *                                    │                          undo, 137                         │
 *                                    └─▶ (gone): undo, as after a failed step                     └─▶ exited or (gone): the rest of the undo
 *
 *              start, and the starter was killed:  halted ─▶ created, or unfinished ─▶ exited: what it had made is undone, no more
 *
 * Nobody writes down a state: it follows from what there is (a record, a status, a run directory) and from who lives, so it cannot be wrong after a
 * crash. The lower four are never shown to anybody: a command that looks repairs them first (engine/reconcile.ts). Each arrow is one rename
 * or one removal: the record's, the status's, the run directory's. The last is also the claim of whoever starts a container that exists, or removes
 * it: of several that try, one has it.
 *
 * Read on: status.ts, alive.ts.
 */

import type { ProcessMark } from "./alive.ts"
import type { StatusFile } from "./status.ts"

export type State = "created" | "starting" | "running" | "exited" | "abandoned" | "halted" | "lost" | "unfinished"

export interface Evidence {
  readonly status: StatusFile | undefined
  /** Who wrote the record, and in which boot. */
  readonly creator: ProcessMark & { readonly boot: string }
  /** It was made by `create`, and is there whether it runs or not. */
  readonly kept: boolean
  /** Who has claimed its run directory, if it was there before: asked only if there is one. */
  readonly starter: () => Starter | undefined
  /** The present boot. */
  readonly boot: string
  /** Its run directory is still there: the first thing that is made, and the last that is undone. */
  readonly hasRunDirectory: boolean
  /** `--rm`: nothing may remain of it. */
  readonly remove: boolean
  readonly isAlive: (process: ProcessMark) => boolean
  /** Asked last, because it is dear: some process was started for this container. */
  readonly isNamedByProcess: () => boolean
}

/** Who starts a container that exists, or removes it: the file `starter` of its run directory. */
export interface Starter extends ProcessMark {
  readonly boot: string
  /** The monitor of its last run, as `markOf`: as long as the status names the same one, the new run has not begun. */
  readonly before: string
}

/** A process as a text that can be compared; "" for none. */
export const markOf = (process: ProcessMark | undefined): string => (process ? `${process.pid} ${process.start}` : "")

export function stateOf({
  status,
  creator,
  kept,
  starter,
  boot,
  hasRunDirectory,
  remove,
  isAlive,
  isNamedByProcess,
}: Evidence): State {
  // Between the fork of the monitor and its first status the command may be killed, and the monitor goes on.
  const isAtIt = (by: Evidence["creator"]): boolean => by.boot === boot && (isAlive(by) || isNamedByProcess())
  if (status === undefined && kept) {
    if (!hasRunDirectory) return "created"
    const by = starter()
    return by && isAtIt(by) ? "starting" : "halted"
  }
  if (status === undefined) return isAtIt(creator) ? "starting" : "abandoned"
  const monitorLives = status.boot === boot && status.monitor !== undefined && isAlive(status.monitor)
  if (status.state === "running") return monitorLives ? "running" : "lost"
  if (hasRunDirectory && !monitorLives) {
    const by = starter()
    // Its own end has another monitor than the one before: then it is no start any more.
    if (by && by.before === markOf(status.monitor) && isAtIt(by)) return "starting"
  }
  // The last status comes before the undo; whoever finds both a status and something to undo must ask if that is still being done.
  return (hasRunDirectory || remove) && !monitorLives ? "unfinished" : "exited"
}
