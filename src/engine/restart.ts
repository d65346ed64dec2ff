/**
 * Restart: stop, then start; of a container that does not run, only the latter.
 *
 * Read on: stop.ts, start.ts.
 */

import { EngineError } from "../base/errors.ts"
import { see } from "./reconcile.ts"
import { start } from "./start.ts"
import { stop } from "./stop.ts"
import type { RunOptions, StopOptions } from "./types.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `WRONG_STATE` for a `--rm` container, of which nothing is left to start; as `stop` and `start`. */
export async function restart(
  world: World,
  reference: string,
  { warn, ...options }: StopOptions & RunOptions = {},
): Promise<void> {
  const { record, state } = await see(world, reference)
  if (state === "running" && record.placement?.remove)
    throw new EngineError(
      "WRONG_STATE",
      `cannot restart container ${record.name}: it was made with --rm, and is gone when it ends`,
      "stop it, and run a new one",
    )
  await stop(world, record.id, options)
  await start(world, record.id, { ...(warn && { warn }) })
}
