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

import { EngineError } from "../base/errors.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { isAlive } from "../record/alive.ts"
import { disown, findRecord } from "../record/containers.ts"
import { resolveContainer } from "../record/names.ts"
import { cgroupOf } from "../spec/placement.ts"
import { checkRm } from "./options.ts"
import { finish, groupsOf, leasesByLooking, recordBroken, removeAll, type Seen, see } from "./reconcile.ts"
import { kill } from "./stop.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `WRONG_STATE` if it runs, without force; as `stop`. */
export async function rm(
  world: World,
  reference: string,
  options: { readonly force?: boolean; readonly volumes?: boolean } = {},
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
  const container = await see(world, id)
  if (container.state !== "exited") await insist(world, container, force)
  else if (container.status?.monitor && isAlive(container.status.monitor)) await finish(world, container)
  if (!volumes && container.record.request.mounts?.some((mount) => mount.kind === "volume" && mount.anonymous))
    (await import("../record/volumes.ts")).releaseVolumes(store, id)
  // A `--rm` container is gone by now; and of two that remove it, one does.
  if (!disown(store, id)) return
  await removeAll(world, id, container.record.placement?.leases ?? [])
}

async function insist(world: World, container: Seen, force: boolean): Promise<void> {
  const no = (cause: string, hint: string): EngineError =>
    new EngineError("WRONG_STATE", `cannot remove container ${container.record.name}: ${cause}`, hint)
  if (container.state === "created") throw no("it is just being started", "try again")
  if (!force) throw no("it is running", "stop it first, or use --force")
  await kill(world, container)
}
