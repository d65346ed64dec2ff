/**
 * `rm`: a container that has ended, taken off the disk.
 *
 *     record renamed (it is gone for everybody) ──▶ run directory, tree ──▶ name and ids free
 *
 * The tree is removed by the executor, by file descriptors: a container may have filled its upper directory with links that
 * lead anywhere. If all of this is cut short, what is left has no record, and the next command that looks removes it.
 *
 * Read on: stop.ts, reconcile.ts; record/containers.ts.
 */

import { setTimeout } from "node:timers/promises"
import { EngineError } from "../base/errors.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { isAlive } from "../record/alive.ts"
import { claimRun, disown, dropClaim, findRecord, starterOf } from "../record/containers.ts"
import { resolveContainer } from "../record/names.ts"
import { markOf } from "../record/states.ts"
import { cgroupOf } from "../spec/placement.ts"
import { checkRm } from "./options.ts"
import { END_MS, finish, groupsOf, leasesByLooking, recordBroken, removeAll, type Seen, see } from "./reconcile.ts"
import { kill } from "./stop.ts"
import type { World } from "./world.ts"

const LOOK_MS = 5

/** @throws {EngineError} `WRONG_STATE` if it runs, without force; as `stop`. */
export async function rm(
  world: World,
  reference: string,
  options: { readonly force?: boolean; readonly volumes?: boolean } = {},
  freed?: (bytes: number) => void,
): Promise<void> {
  checkRm(options)
  const { force = false, volumes = false } = options
  const store = world.store()
  const id = resolveContainer(store, reference)
  const found = findRecord(store, id)
  if (found.kind === "broken") {
    if (!force) throw recordBroken(found.broken)
    await doSteps(world.executor(), planOf(groupsOf(world, `${cgroupOf(world.scope())}/${id}`)))
    disown(store, id)
    await removeAll(world, id, leasesByLooking(store, id))
    return
  }
  for (let waitedMs = 0; ; waitedMs += LOOK_MS) {
    const container = await seeAny(world, id)
    // A `--rm` container may be gone by now; and of two that remove it, one does.
    if (!container) return
    // Somebody else has claimed it, to start or to remove it, which is a matter of milliseconds.
    if (container.starting && starterOf(store, id) && waitedMs < END_MS) {
      await setTimeout(LOOK_MS)
      continue
    }
    if (container.state === "running" || container.starting) {
      await insist(world, container, force)
      // If its monitor was killed with it, what it would have undone is undone by the next look.
      continue
    }
    if (container.status?.monitor && isAlive(container.status.monitor)) await finish(world, container)
    // Nobody starts it from here on.
    if (claimRun(store, id, markOf(container.status?.monitor))) break
  }
  const last = findRecord(store, id)
  if (last.kind !== "container") return dropClaim(store, id)
  if (!volumes && last.record.request.mounts?.some((mount) => mount.kind === "volume" && mount.anonymous))
    (await import("../record/volumes.ts")).releaseVolumes(store, id)
  if (!disown(store, id)) return dropClaim(store, id)
  await removeAll(world, id, last.record.placement?.leases ?? [], freed)
}

/** Undefined if it is gone. */
async function seeAny(world: World, id: string): Promise<Seen | undefined> {
  try {
    return await see(world, id)
  } catch (error) {
    if (error instanceof EngineError && error.code === "CONTAINER_NOT_FOUND") return undefined
    throw error
  }
}

async function insist(world: World, container: Seen, force: boolean): Promise<void> {
  const no = (cause: string, hint: string): EngineError =>
    new EngineError("WRONG_STATE", `cannot remove container ${container.record.name}: ${cause}`, hint)
  if (container.starting) throw no("it is just being started", "try again")
  if (!force) throw no("it is running", "stop it first, or use --force")
  await kill(world, container)
}
