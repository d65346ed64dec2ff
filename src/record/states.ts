/**
 * The states of a container, and who moves it from one to the next.
 *
 *       record written          program runs            process 1 ends         rm, or --rm
 *     ────────────────▶ created ─────────────▶ running ────────────────▶ exited ──────────▶ (gone)
 *        the command       │      the monitor     │       the monitor      ▲ │
 *                          │                      │                        │ │
 *              the command │          the monitor │              reconcile │ │ the monitor was killed
 *               was killed ▼           was killed ▼                        │ ▼ while it undid
 *                      abandoned                lost ──────────────────────┘ unfinished
 *                          │                          undo, 137                 │
 *                          └─▶ (gone): undo, as after a failed step             └─▶ exited or (gone): the rest of the undo
 *
 * Nobody writes down a state: it follows from what there is (a record, a status) and from who lives, so it cannot be wrong after a crash. The lower
 * three are never shown to anybody: a command that looks repairs them first (engine/reconcile.ts).
 *
 * Read on: status.ts, alive.ts.
 */

import type { ProcessMark } from "./alive.ts"
import type { StatusFile } from "./status.ts"

export type State = "created" | "running" | "exited" | "abandoned" | "lost" | "unfinished"

export interface Evidence {
  readonly status: StatusFile | undefined
  /** Who wrote the record, and in which boot. */
  readonly creator: ProcessMark & { readonly boot: string }
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

export function stateOf({
  status,
  creator,
  boot,
  hasRunDirectory,
  remove,
  isAlive,
  isNamedByProcess,
}: Evidence): State {
  if (status === undefined) {
    if (creator.boot !== boot) return "abandoned"
    // Between the fork of the monitor and its first status the command may be killed, and the monitor goes on.
    return isAlive(creator) || isNamedByProcess() ? "created" : "abandoned"
  }
  const monitorLives = status.boot === boot && status.monitor !== undefined && isAlive(status.monitor)
  if (status.state === "running") return monitorLives ? "running" : "lost"
  // The last status comes before the undo; whoever finds both a status and something to undo must ask if that is still being done.
  return (hasRunDirectory || remove) && !monitorLives ? "unfinished" : "exited"
}
