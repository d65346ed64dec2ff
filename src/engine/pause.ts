/**
 * `pause`, `unpause`: a running container held where it is, through the kernel's freezer.
 *
 *     running ──freeze──▶ paused: nothing of it runs, its memory stays ──thaw──▶ running
 *
 * The state is read from the kernel's file whenever somebody asks. A paused container can be stopped and removed: whoever ends it thaws it,
 * since a frozen process of cgroup v1 does not die.
 *
 * Read on: plan/freezer.ts, stop.ts.
 */

import { readFileSync } from "node:fs"
import { setTimeout } from "node:timers/promises"
import { EngineError } from "../base/errors.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { stepError, toldOf } from "../executor/sentence.ts"
import { type Freezer, freezerOf, freezeStep, frozenIn, thawStep } from "../plan/freezer.ts"
import type { Step } from "../plan/step.ts"
import type { Container } from "../record/containers.ts"
import { type Seen, see } from "./reconcile.ts"
import type { World } from "./world.ts"

/** How long a process may take to stop; one that waits for a device may never. */
const FREEZE_MS = 10_000
const LOOK_MS = 5

/** Whether containers are paused: the host is looked at once, and only if there is a running container to ask about. */
export function pausedOf(world: World): (container: Pick<Seen, "record" | "state">) => boolean {
  let cgroups: Parameters<typeof freezerOf>[0] | undefined
  return ({ record, state }) => {
    if (state !== "running" || !record.placement?.cgroup) return false
    cgroups ??= world.host([]).cgroups
    const freezer = freezerOf(cgroups, record.placement.cgroup.path)
    return freezer !== undefined && look(freezer) === "frozen"
  }
}

/** Steps that let go whatever is frozen; none if nothing can be. */
export function thawing(world: World, { name, placement }: Container): readonly Step[] {
  const freezer = placement?.cgroup && freezerOf(world.host([]).cgroups, placement.cgroup.path)
  return freezer ? [thawStep(freezer, name)] : []
}

/** A file of a group that is gone says what a thawed one says. */
function look({ seen }: Freezer): ReturnType<typeof frozenIn> {
  try {
    return frozenIn(readFileSync(seen, "utf8"))
  } catch {
    return "thawed"
  }
}

/** @throws {EngineError} `CONTAINER_NOT_FOUND`, `WRONG_STATE`, `HOST_LACKS`, `TIMED_OUT` if it cannot be stopped; then it runs on. */
export async function pause(world: World, reference: string): Promise<void> {
  const { record, freezer } = await freezable(world, reference, "pause")
  if (look(freezer) === "frozen")
    throw new EngineError("WRONG_STATE", `cannot pause container ${record.name}: it is paused already`)
  await carryOut(world, freezeStep(freezer, record.name))
  for (let waitedMs = 0; look(freezer) !== "frozen"; waitedMs += LOOK_MS) {
    if (waitedMs >= FREEZE_MS || !(await isRunning(world, record.id))) {
      await carryOut(world, thawStep(freezer, record.name))
      throw waitedMs >= FREEZE_MS
        ? new EngineError(
            "TIMED_OUT",
            `cannot pause container ${record.name}: it did not stop in ${FREEZE_MS / 1000} s, and runs on`,
            "a process that waits for a device cannot be stopped: see dmesg",
          )
        : new EngineError("WRONG_STATE", `cannot pause container ${record.name}: it has just ended`)
    }
    await setTimeout(LOOK_MS)
  }
}

/** @throws {EngineError} `CONTAINER_NOT_FOUND`, `WRONG_STATE` if it is not paused. */
export async function unpause(world: World, reference: string): Promise<void> {
  const { record, freezer } = await freezable(world, reference, "unpause")
  if (look(freezer) === "thawed")
    throw new EngineError("WRONG_STATE", `cannot unpause container ${record.name}: it is not paused`)
  await carryOut(world, thawStep(freezer, record.name))
}

const isRunning = async (world: World, id: string): Promise<boolean> => (await see(world, id)).state === "running"

async function freezable(
  world: World,
  reference: string,
  verb: string,
): Promise<{ readonly record: Container; readonly freezer: Freezer }> {
  const { record, state } = await see(world, reference)
  if (state !== "running")
    throw new EngineError("WRONG_STATE", `cannot ${verb} container ${record.name}: it is not running`)
  const { cgroup } = record.placement ?? {}
  const freezer = cgroup && freezerOf(world.host([]).cgroups, cgroup.path)
  if (freezer) return { record, freezer }
  throw new EngineError("HOST_LACKS", `cannot ${verb} container ${record.name}: this host has no freezer cgroup for it`)
}

async function carryOut(world: World, step: Step): Promise<void> {
  const { failed } = await doSteps(world.executor(), planOf([step]))
  if (failed) throw stepError(failed, toldOf({ steps: [step] }))
}
