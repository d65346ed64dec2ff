/**
 * `logs`: what a container wrote, read from its files. It works while the container runs and after it ended, and
 * asks nobody: the monitor only writes.
 *
 * Read on: record/logfile.ts; native/log.c.
 */

import { EngineError } from "../base/errors.ts"
import { parseSpan } from "../base/units.ts"
import { isAlive } from "../record/alive.ts"
import { findRecord } from "../record/containers.ts"
import { readLog } from "../record/logfile.ts"
import { resolveContainer } from "../record/names.ts"
import { readStatus } from "../record/status.ts"
import { containerDirectory } from "../record/store.ts"
import { parseTime, timeOf } from "../record/time.ts"
import { checkLogs } from "./options.ts"
import { recordBroken } from "./reconcile.ts"
import type { LogLine, LogOptions } from "./types.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `CONTAINER_NOT_FOUND`, `AMBIGUOUS_ID`, `RECORD_BROKEN`, `INVALID_VALUE`; `WRONG_STATE` if it keeps no log. */
export async function* logs(world: World, reference: string, options: LogOptions = {}): AsyncGenerator<LogLine> {
  checkLogs(options)
  const store = world.store()
  const id = resolveContainer(store, reference)
  const found = findRecord(store, id)
  if (found.kind === "broken") throw recordBroken(found.broken)
  if (found.kind !== "container")
    throw new EngineError("CONTAINER_NOT_FOUND", `cannot find container "${reference}": it is gone`)
  const { name, placement, creator } = found.record
  const log = placement?.log
  if (log && log.path === undefined)
    throw new EngineError("WRONG_STATE", `cannot read the log of ${name}: it was started with --log-driver none`)
  const moment = (field: "since" | "until"): string | undefined => {
    const text = options[field]
    return text === undefined ? undefined : momentOf(text, field, world.now())
  }
  const [since, until] = [moment("since"), moment("until")]

  // The last status comes after the last line of the log. A container that is gone writes nothing either.
  const directory = containerDirectory(store, id)
  const ended = (): boolean => {
    const status = readStatus(directory)
    if (status === undefined) return !isAlive(creator) || findRecord(store, id).kind !== "container"
    return (
      status.state === "exited" ||
      status.monitor === undefined ||
      status.boot !== store.boot ||
      !isAlive(status.monitor)
    )
  }
  yield* readLog(log?.path ?? `${directory}/log`, log?.maxFiles ?? 1, {
    ...(options.tail !== undefined && { tail: options.tail }),
    ...(since !== undefined && { since }),
    ...(until !== undefined && { until }),
    ...(options.warn && {
      lost: () => options.warn?.("the log was rotated faster than it was read: lines are missing here"),
    }),
    ...(options.follow && { follow: { ended, ...(options.signal && { signal: options.signal }) } }),
  })
}

/** `10m` is ten minutes before now. */
function momentOf(text: string, field: string, now: Date): string {
  const span = parseSpan(text)
  const time = span !== undefined && !/^\d+$/.test(text) ? timeOf(new Date(now.getTime() - span)) : parseTime(text)
  if (time !== undefined) return time
  throw new EngineError(
    "INVALID_VALUE",
    `cannot read --${field} ${text}: it is not a time`,
    "for example 2026-01-02T13:23:37Z, 1767360217, or 10m for ten minutes ago",
  )
}
