/**
 * Leftovers of containers: records that a crash has stopped halfway, and what points to records that are not there.
 *
 *     containers/ID       lost, unfinished, abandoned; or without a record: a removal that was cut short
 *     containers/.new-…   a record that was being written by a process that is dead
 *     names/NAME, ids/N   → ID, without a containers/ID
 *     RUN/ID              without a containers/ID
 *
 * Read on: ../reconcile.ts; record/leases.ts, why a lease without a directory is nobody's.
 */

import { existsSync, readdirSync } from "node:fs"
import { doSteps, planOf } from "../../executor/do.ts"
import { isAlive, isNamedByProcess } from "../../record/alive.ts"
import { dropRemains, listRecords } from "../../record/containers.ts"
import { ownerOf, release } from "../../record/leases.ts"
import { containerDirectory, type Store } from "../../record/store.ts"
import { findDamaged, removeTree, repairAll } from "../reconcile.ts"
import type { Class, Leftover } from "./types.ts"

const ID = /^[0-9a-f]{64}$/

export const containers: Readonly<Record<string, Class>> = {
  containers: {
    about: "a container whose monitor was killed, or whose making or removal was cut short",
    find: (world) =>
      findDamaged(world).map((id) => ({
        what: containerDirectory(world.store(), id),
        fix: async () => void (await repairAll(world, [id])),
      })),
  },
  drafts: {
    about: "a record that was never finished",
    find: (world) =>
      listRecords(world.store())
        .drafts.filter(({ creator }) => !isAlive(creator))
        .map(({ path }) => ({ what: path, fix: () => dropRemains(path) })),
  },
  leases: {
    about: "a name or a range of ids that a container had which is gone",
    find: (world) => ["names", "ids"].flatMap((kind) => leases(world.store(), kind)),
  },
  "run directories": {
    about: "the socket and the plan of a container that is gone",
    find: (world) => {
      const store = world.store()
      return readdirSync(store.run)
        .filter((id) => ID.test(id) && !existsSync(containerDirectory(store, id)) && !isNamedByProcess(id))
        .map((id) => {
          const path = `${store.run}/${id}`
          return { what: path, fix: async () => void (await doSteps(world.executor(), planOf([removeTree(path)]))) }
        })
    },
  },
}

function leases(store: Store, kind: string): readonly Leftover[] {
  const isLeft = (link: string): string | undefined => {
    const owner = ownerOf(link)
    return owner && ID.test(owner) && !existsSync(containerDirectory(store, owner)) ? owner : undefined
  }
  return readdirSync(`${store.root}/${kind}`)
    .map((name) => `${store.root}/${kind}/${name}`)
    .filter((link) => isLeft(link) !== undefined)
    .map((link) => ({
      what: link,
      // Looked at once more where nobody else may take it: as whoever wants the lease does.
      fix: () =>
        store.lock("leases", () => {
          const owner = isLeft(link)
          if (owner !== undefined) release(link, owner)
        }),
    }))
}
