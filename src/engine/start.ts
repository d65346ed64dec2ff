/**
 * Start: a container that exists runs again.
 *
 *     created, exited ── claim ──▶ request + host of today ─▶ config.json, plan ─▶ executor ──▶ running
 *                        RUN/ID        the id, the name, the ids and the writable layer are its own
 *
 * Nothing of an earlier plan is used: what was asked for is planned anew, so a start after a reboot, an upgrade or a change of limits is
 * like any other. Of several that start one container the one that has made its run directory goes on; the others are told. A start that fails
 * takes back what it has made: the run directory, cgroups, mounts; the container stays as it was.
 *
 * Read on: prepare.ts, prepareAgain; record/states.ts, record/containers.ts, claimRun.
 */

import { EngineError } from "../base/errors.ts"
import { become as becomeExecutor } from "../executor/become.ts"
import { REPORT_FD } from "../executor/spawn.ts"
import type { Request } from "../model/request.ts"
import { type Container, claimRun, dropClaim, findRecord } from "../record/containers.ts"
import { markOf } from "../record/states.ts"
import { readStatus } from "../record/status.ts"
import { containerDirectory } from "../record/store.ts"
import { prepareAgain } from "./prepare.ts"
import { finish, type Seen, see } from "./reconcile.ts"
import { executorOf, runPrepared } from "./run.ts"
import type { RunOptions, StartOptions } from "./types.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `WRONG_STATE` if somebody else is just starting or removing it; as `run`. */
export async function start(world: World, reference: string, { warn }: RunOptions = {}): Promise<void> {
  const container = await see(world, reference)
  if (container.state === "running") return
  const request: Request = { ...withoutAttach(container.record.request), detached: true }
  const { exited } = await runPrepared(world, request, warn, async (correction) =>
    prepareAgain(world, request, { ...correction, record: await claimed(world, container), report: REPORT_FD }),
  )
  // The front of a detached container ends when the program runs.
  await exited
}

/** @throws {EngineError} as `start`. */
export async function becomeStart(
  world: World,
  reference: string,
  { warn, interactive = false, detachKeys, signalProxy, ...options }: StartOptions = {},
): Promise<never> {
  const executor = executorOf(world)
  const container = await see(world, reference)
  if (container.state === "running")
    return (await import("./attach.ts")).becomeAttach(world, container.record.id, {
      stdin: interactive,
      ...(detachKeys !== undefined && { detachKeys }),
      ...(signalProxy !== undefined && { signalProxy }),
    })
  const own = withoutAttach(container.record.request)
  const request: Request = {
    ...own,
    attach: ["stdout", "stderr", ...(interactive && own.interactive ? (["stdin"] as const) : [])],
    ...(detachKeys !== undefined && { detachKeys }),
    ...(signalProxy !== undefined && { signalProxy }),
  }
  const record = await claimed(world, container)
  const { plan, wire } = await prepareAgain(world, request, { ...options, record })
  for (const line of plan.warnings) warn?.(line)
  return becomeExecutor(executor, ["run", wire])
}

/** How it was attached when it was made says nothing of this start. */
function withoutAttach({ attach: _, detached: __, ...request }: Request): Request {
  return request
}

/**
 * Claims a container that does not run, for who starts or removes it.
 * @returns its record as it is now.
 * @throws {EngineError} `WRONG_STATE`, `CONTAINER_NOT_FOUND`.
 */
export async function claimed(world: World, container: Seen): Promise<Container> {
  const { id, name } = container.record
  const store = world.store()
  const busy = (): EngineError =>
    new EngineError(
      "WRONG_STATE",
      `cannot take container ${name}: somebody else is just starting or removing it`,
      "try again",
    )
  // Its last monitor may still be undoing.
  if (container.state === "exited") await finish(world, container)
  const before = markOf(container.status?.monitor)
  if (container.starting || !claimRun(store, id, before)) throw busy()
  const found = findRecord(store, id)
  // It may have run between the two looks.
  const now = markOf(readStatus(containerDirectory(store, id))?.monitor)
  if (found.kind === "container" && now === before) return found.record
  dropClaim(store, id)
  if (found.kind === "container") throw busy()
  throw new EngineError("CONTAINER_NOT_FOUND", `cannot find container "${name}": it is gone`)
}
