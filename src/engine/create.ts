/**
 * Create: a container that waits for its start.
 *
 *     request ─▶ record, leases, config.json, plan ─▶ (plan thrown away) ─▶ created ── start ──▶ running
 *
 * All that can be known before the first step is known now, so a mistake is told now. The plan itself is made anew at each
 * start, because the host may be another by then; what is kept is the request.
 *
 * Read on: start.ts, prepare.ts; record/states.ts.
 */

import type { Request } from "../model/request.ts"
import { prepareToWait } from "./prepare.ts"
import type { CreateOptions } from "./types.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} as `run`, for everything that can be known before the first step; then nothing remains. */
export async function create(
  world: World,
  request: Request,
  { warn, ...options }: CreateOptions = {},
): Promise<string> {
  const { id, warnings } = await prepareToWait(world, request, options)
  for (const line of warnings) warn?.(line)
  return id
}
