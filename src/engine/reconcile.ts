/**
 * Reconcile: holds the records against the kernel, and repairs what a crash has left, before anybody is shown it.
 *
 *     record + status + who lives ──stateOf──▶ created starting running exited   shown as they are
 *                                              lost                       undo, last status: 137
 *                                              halted                     undo, as after a failed step: created
 *                                              unfinished                 the rest of the undo
 *                                              abandoned                  undo, as after a failed step: gone
 *
 * There is no daemon that would see a monitor die. But everything that a container's undo needs is on disk before its first step, so the plan is
 * computed again, and its undo carried out by `do`; every part of it accepts that it was done already. So any command can
 * do it, again and again, and two at once are kept apart by one lock that is taken only if there is something to repair.
 *
 * Read on: record/states.ts; plan/plan.ts, undoOf.
 */

import { existsSync, readdirSync } from "node:fs"
import { setTimeout } from "node:timers/promises"
import { EngineError } from "../base/errors.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { groupPath } from "../host/cgroups.ts"
import type { Placement } from "../model/placement.ts"
import { containerPlan, undoOf } from "../plan/plan.ts"
import type { Plan, Step } from "../plan/step.ts"
import { isAlive, isAtWork, isNamedByProcess } from "../record/alive.ts"
import {
  type BrokenRecord,
  type Container,
  disown,
  draftsIn,
  dropRemains,
  findRecord,
  listRecords,
  readConfig,
  starterOf,
} from "../record/containers.ts"
import { leasesOf, ownerOf, release } from "../record/leases.ts"
import { resolveContainer } from "../record/names.ts"
import { addressLeases, networksOf } from "../record/networks.ts"
import { type State, stateOf } from "../record/states.ts"
import { readStatus, type StatusFile, writeLost } from "../record/status.ts"
import { containerDirectory, runDirectory, type Store } from "../record/store.ts"
import { pathsOf } from "../spec/spec.ts"
import type { World } from "./world.ts"

/** How long the kernel may take to end a process after SIGKILL, and a monitor to undo. */
export const END_MS = 30_000
const LOOK_MS = 5

/** A container as it can be shown. */
export interface Seen {
  readonly record: Container
  /** Absent: created, and not running yet. */
  readonly status?: StatusFile
  readonly state: "created" | "running" | "exited"
  /** Somebody is just starting it, or removing it. */
  readonly starting?: true
}
type Whole = Seen["state"] | "starting"

interface Given {
  readonly hasRunDirectory: boolean
  /** Its creator lives, but will not carry it out any more. */
  readonly creatorIsGone?: boolean
}
type Look = { readonly record: Container; readonly status: StatusFile | undefined; readonly state: State }

const WHOLE: readonly State[] = ["created", "starting", "running", "exited"]
const isWhole = (look: Look): look is Look & { state: Whole } => WHOLE.includes(look.state)
const seen = ({ record, status, state }: Look & { state: Whole }): Seen => ({
  record,
  ...(state === "starting"
    ? { state: status ? ("exited" as const) : ("created" as const), starting: true as const }
    : { state }),
  ...(status && { status }),
})

/**
 * A verdict on a container whose processes are gone counts only if its status is still the one that was read: they
 * may have said their last word between the two looks.
 */
function lookAt(store: Store, record: Container, { hasRunDirectory, creatorIsGone = false }: Given): Look {
  const read = (): StatusFile | undefined => readStatus(containerDirectory(store, record.id))
  for (let status = read(); ; ) {
    const state = stateOf({
      status,
      creator: record.creator,
      kept: record.placement?.kept === true,
      starter: () => (creatorIsGone ? undefined : starterOf(store, record.id)),
      boot: store.boot,
      hasRunDirectory,
      remove: record.placement?.remove === true,
      isAlive: (process) => !(creatorIsGone && process === record.creator) && isAtWork(process),
      isNamedByProcess: () => isNamedByProcess(record.id),
    })
    const look = { record, status, state }
    if (isWhole(look)) return look
    const now = read()
    if (now?.state === status?.state) return look
    status = now
  }
}

/** Ids of what is to be repaired. Looks only: what `seeAll` would repair at once. */
export function findDamaged(world: World): readonly string[] {
  const store = world.store()
  const running = new Set(readdirSync(store.run))
  return listRecords(store).ids.filter((id) => {
    const found = findRecord(store, id)
    if (found.kind === "remains") return !isNamedByProcess(id)
    return found.kind === "container" && !isWhole(lookAt(store, found.record, { hasRunDirectory: running.has(id) }))
  })
}

/** All containers, and what cannot be read. The order is that of their ids. */
export async function seeAll(
  world: World,
): Promise<{ readonly containers: readonly Seen[]; readonly broken: readonly BrokenRecord[] }> {
  const store = world.store()
  const containers: Seen[] = []
  const broken: BrokenRecord[] = []
  const damaged: string[] = []
  const { ids, drafts } = listRecords(store)
  const names = readdirSync(store.run)
  const running = new Set(names)
  for (const { path, creator } of [...drafts, ...draftsIn(store.run, names)]) if (!isAlive(creator)) dropRemains(path)
  for (const id of ids) {
    const found = findRecord(store, id)
    if (found.kind === "broken") broken.push(found.broken)
    else if (found.kind === "remains") damaged.push(id)
    else if (found.kind === "container") {
      const look = lookAt(store, found.record, { hasRunDirectory: running.has(id) })
      if (isWhole(look)) containers.push(seen(look))
      else damaged.push(id)
    }
  }
  for (const container of await repairAll(world, damaged)) {
    if ("why" in container) broken.push(container)
    else containers.push(container)
  }
  return { containers, broken }
}

/**
 * One container, by name, id or the first digits of its id.
 * @throws {EngineError} `CONTAINER_NOT_FOUND`, `AMBIGUOUS_ID`, `RECORD_BROKEN`.
 */
export async function see(world: World, reference: string): Promise<Seen> {
  const store = world.store()
  const id = resolveContainer(store, reference)
  const found = findRecord(store, id)
  if (found.kind === "broken") throw recordBroken(found.broken)
  if (found.kind === "container") {
    const look = lookAt(store, found.record, { hasRunDirectory: existsSync(runDirectory(store, id)) })
    if (isWhole(look)) return seen(look)
    for (const repaired of await repairAll(world, [id])) {
      if ("why" in repaired) throw recordBroken(repaired)
      return repaired
    }
  }
  throw new EngineError("CONTAINER_NOT_FOUND", `cannot find container "${reference}": it is gone`)
}

export const recordBroken = ({ id, why }: BrokenRecord): EngineError =>
  new EngineError(
    "RECORD_BROKEN",
    `cannot read the record of container ${id.slice(0, 12)}: ${why}`,
    `rm --force ${id.slice(0, 12)} removes it`,
  )

/**
 * For createRecord: somebody wants a name that this container has. One that is just leaving is waited for.
 * @returns whether the name may be free now.
 */
export async function settle(world: World, id: string): Promise<boolean> {
  const store = world.store()
  const found = findRecord(store, id)
  if (found.kind === "broken") return false
  if (found.kind !== "container") {
    // Its record is gone and its name is not: whoever removes it is between the two, or was killed there.
    for (let waitedMs = 0; isNamedByProcess(id) && waitedMs < END_MS; waitedMs += LOOK_MS) await setTimeout(LOOK_MS)
    await repairAll(world, [id])
    return true
  }
  const look = lookAt(store, found.record, { hasRunDirectory: existsSync(runDirectory(store, id)) })
  if (isWhole(look) && !(look.state === "exited" && found.record.placement?.remove)) return false
  if (isWhole(look)) await finish(world, seen(look))
  return (await repairAll(world, [id])).length === 0
}

/** Waits until the monitor of a container whose program has ended is done with its undo. */
export async function finish(world: World, { record, status }: Seen): Promise<void> {
  if (!status?.monitor) return
  const why = "what it undoes must not be undone twice"
  await doSteps(
    world.executor(),
    planOf([
      {
        phase: "host",
        op: "open-process",
        ...status.monitor,
        gives: "monitor",
        ok: ["ESRCH"],
        does: `find the monitor of ${record.name}`,
        why,
      },
      {
        phase: "host",
        op: "await-exit",
        process: "monitor",
        ms: END_MS,
        must: false,
        does: `wait until ${record.name} is cleaned up`,
        why,
      },
    ]),
  )
}

interface RepairOptions {
  readonly creatorIsGone?: boolean
  /** Called with the bytes on disk of what was removed. */
  readonly freed?: (bytes: number) => void
}

/** What remains of these containers after their repair. Another process may be at it: then they are looked at when it is done. */
export async function repairAll(
  world: World,
  ids: readonly string[],
  options: RepairOptions = {},
): Promise<readonly (Seen | BrokenRecord)[]> {
  if (ids.length === 0) return []
  return world.store().lock("repair", async () => {
    const left: (Seen | BrokenRecord)[] = []
    for (const id of ids) {
      try {
        const container = await repair(world, id, options)
        if (container) left.push(container)
      } catch (error) {
        if (!(error instanceof EngineError)) throw error
        left.push({ id, why: `it cannot be cleaned up: ${error.message}` })
      }
    }
    return left
  })
}

async function repair(world: World, id: string, options: RepairOptions): Promise<Seen | undefined> {
  const store = world.store()
  const found = findRecord(store, id)
  if (found.kind === "remains") {
    // Somebody may be removing it just now: a monitor with its id in its arguments.
    if (!isNamedByProcess(id)) await removeAll(world, id, found.leases ?? leasesByLooking(store, id), options.freed)
    return undefined
  }
  if (found.kind !== "container") return undefined
  const look = lookAt(store, found.record, { hasRunDirectory: existsSync(runDirectory(store, id)), ...options })
  if (isWhole(look)) return seen(look)
  // Its monitor may have ended well while we looked, and have removed it; from here on only we would.
  if (findRecord(store, id).kind !== "container") return repair(world, id, options)

  const { record, status, state } = look
  const { placement } = record
  const failed = state === "abandoned" || state === "halted"
  if (placement) {
    // What is frozen does not die (cgroup v1), and the groups are removed one after the other.
    const { thawing } = await import("./pause.ts")
    await doSteps(world.executor(), planOf(thawing(world, record)))
    await doSteps(world.executor(), undo(world, record, placement, failed))
  }
  if (placement && state === "halted") return seen({ record, status, state: "created" })
  if (!placement || state === "abandoned" || placement.remove) {
    if (disown(store, id))
      await removeAll(
        world,
        id,
        placement?.leases ?? [...leasesOf(store, id, record.name), ...addressLeases(store, id)],
        options.freed,
      )
    return undefined
  }
  if (state === "lost" && status)
    writeLost(placement.directory, status, { error: lossOf(status, store), now: world.now() })
  return seen({ record, status: readStatus(placement.directory), state: "exited" })
}

/**
 * For whoever has spawned an executor that broke off before the program ran. The creator lives, so nobody else would call the
 * container abandoned; its monitor may still be at it, and then it is a container like any other.
 */
export async function abandon(world: World, id: string): Promise<void> {
  const directory = containerDirectory(world.store(), id)
  const isBeingMade = (): boolean => readStatus(directory) === undefined && isNamedByProcess(id)
  for (let waitedMs = 0; isBeingMade() && waitedMs < END_MS; waitedMs += LOOK_MS) await setTimeout(LOOK_MS)
  await repairAll(world, [id], { creatorIsGone: true })
}

const lossOf = ({ boot }: StatusFile, store: Store): string =>
  boot === store.boot
    ? "its monitor was killed, and the kernel killed the container with it"
    : "the machine was restarted while it ran"

/**
 * The undo of its plan, but for what `removeAll` does with more care; if that cannot be computed any more (a source is gone, the record is
 * older), of what every container has.
 */
function undo(world: World, record: Container, placement: Placement, failed: boolean): Plan {
  const host = world.host(pathsOf(record.request).paths)
  const { directory, runDirectory, leases, cgroup } = placement
  const kept = new Set([directory, `${directory}/container.json`, ...leases])
  try {
    const plan = undoOf(containerPlan(readConfig(world.store(), record.id), placement, host), { failed })
    return {
      ...plan,
      steps: plan.steps.filter((step) => !("path" in step && typeof step.path === "string" && kept.has(step.path))),
    }
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
  }
  return planOf([...groupsOf(world, cgroup?.path), removeTree(runDirectory)])
}

/** Removes the group of this path from every hierarchy, with whatever still runs in it. */
export function groupsOf(world: World, path: string | undefined): readonly Step[] {
  const { base } = world.host([]).cgroups
  return Object.entries(path === undefined ? {} : base).flatMap(([mount, below]): Step[] => {
    const group = `${groupPath(mount, below)}${path}`
    if (!existsSync(group)) return []
    return [
      {
        phase: "host",
        op: "remove-cgroup",
        path: group,
        must: false,
        does: `remove the cgroup ${group}`,
        why: "whatever still runs in it has lost its container",
      },
    ]
  })
}

export const removeTree = (path: string): Step => ({
  phase: "host",
  op: "remove-tree",
  path,
  ok: ["ENOENT"],
  must: false,
  does: `remove ${path}`,
  why: "it belongs to a container that is gone",
})
/** Leases and directories of a container without a record: in this order, so that a crash leaves a directory to be found by. */
export async function removeAll(
  world: World,
  id: string,
  leases: readonly string[],
  freed?: RepairOptions["freed"],
): Promise<void> {
  const store = world.store()
  const directories = [runDirectory(store, id), containerDirectory(store, id)]
  for (const link of leases) release(link, id)
  for (const network of networksOf(leases)) (await import("./neighbours.ts")).tellNeighbours(world, network)
  const { warnings, freed: bytes } = await doSteps(world.executor(), planOf(directories.map(removeTree)))
  freed?.(bytes)
  const [first] = warnings
  if (first && existsSync(directories[first.index]!))
    throw new EngineError(
      "STATE_UNUSABLE",
      `cannot remove ${directories[first.index]}: something in it is in use`,
      "see what holds it: fuser -m",
    )
}

/** Links in `names/` and `ids/` and of addresses that lead to a container whose record cannot tell. Reads all of them. */
export const leasesByLooking = (store: Store, id: string): readonly string[] => [
  ...["names", "ids"].flatMap((kind) =>
    readdirSync(`${store.root}/${kind}`)
      .map((name) => `${store.root}/${kind}/${name}`)
      .filter((link) => ownerOf(link) === id),
  ),
  ...addressLeases(store, id),
]
