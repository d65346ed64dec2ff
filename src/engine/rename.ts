/**
 * Rename: another name for a container, running or not.
 *
 *     lease of the new name ──▶ record ──▶ lease of the old name given back
 *
 * Cut short anywhere it has at least the name that its record says; one that it has besides is given back when it is renamed again, or removed. Its
 * host name stays, as with Docker: programs inside know it by that.
 *
 * Read on: record/leases.ts; record/containers.ts, changeRecord.
 */

import { EngineError } from "../base/errors.ts"
import { changeRecord } from "../record/containers.ts"
import { claimName, release } from "../record/leases.ts"
import { nameLink } from "../record/store.ts"
import { containerName } from "../spec/placement.ts"
import { see, settle } from "./reconcile.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `NAME_TAKEN`, `INVALID_VALUE`; `WRONG_STATE` for a running `--rm` container, whose monitor knows only the name that it has. */
export async function rename(world: World, reference: string, wanted: string): Promise<void> {
  const store = world.store()
  const { record, state, starting } = await see(world, reference)
  const { id } = record
  const name = containerName(wanted)
  const no = (cause: string, hint?: string): EngineError =>
    new EngineError("WRONG_STATE", `cannot rename container ${record.name}: ${cause}`, hint)
  if (starting) throw no("it is just being started or removed", "try again")
  if (state === "running" && record.placement?.remove) throw no("it runs, and gives its name back itself (--rm)")
  if (name === record.name) throw new EngineError("INVALID_VALUE", `cannot rename container ${name}: it has this name`)
  let owner = await claimName(store, name, id)
  if (owner !== undefined && (await settle(world, owner))) owner = await claimName(store, name, id)
  if (owner !== undefined)
    throw new EngineError(
      "NAME_TAKEN",
      `cannot rename container ${record.name}: container ${owner.slice(0, 12)} has the name "${name}"`,
      `choose another name, or remove it: rm ${name}`,
    )
  let old: string | undefined
  const changed = await changeRecord(store, id, (now) => {
    old = now.name
    const { placement } = now
    const links = (leases: readonly string[]): readonly string[] =>
      leases.map((link) => (link === nameLink(store, now.name) ? nameLink(store, name) : link))
    return { ...now, name, ...(placement && { placement: { ...placement, name, leases: links(placement.leases) } }) }
  })
  if (changed && old !== undefined) return release(nameLink(store, old), id)
  release(nameLink(store, name), id)
  throw new EngineError("CONTAINER_NOT_FOUND", `cannot find container "${reference}": it is gone`)
}
