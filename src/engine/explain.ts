/**
 * Explain: the plan, and nothing but the plan.
 *
 * Read on: prepare.ts, which makes it; plan/explain.ts, which prints it.
 */

import { EngineError } from "../base/errors.ts"
import type { Request } from "../model/request.ts"
import { readConfig } from "../record/containers.ts"
import { planOfRecord, preview } from "./prepare.ts"
import { see } from "./reconcile.ts"
import type { Explained } from "./types.ts"
import type { World } from "./world.ts"

export const explain = (world: World, request: Request): Promise<Explained> => preview(world, request)

export async function explainContainer(world: World, container: string): Promise<Explained> {
  const {
    record: { id, placement },
  } = await see(world, container)
  if (!placement)
    throw new EngineError(
      "RECORD_BROKEN",
      `cannot explain ${container}: its record is not complete`,
      `remove it: rm -f ${container}`,
    )
  const config = readConfig(world.store(), id)
  return { config, assumed: [], plan: planOfRecord(world, config, placement) }
}
