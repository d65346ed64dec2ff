/**
 * `wait`: until a container does not run, and how it ended.
 *
 *     running ── its monitor is waited for ──▶ exited: the code of its last status
 *     --rm       nothing is left to read, so we listen at its control socket, whose last word is the code
 *
 * Nobody polls: one process of the executor waits in poll(2) for each container.
 *
 * Read on: reconcile.ts; native/monitor.c, the last frame.
 */

import { EngineError } from "../base/errors.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { listen } from "../executor/front.ts"
import type { ProcessMark } from "../record/alive.ts"
import { finish, see } from "./reconcile.ts"
import type { World } from "./world.ts"

/** What poll(2) can wait: 24 days. Then it waits once more. */
const FOREVER_MS = 2 ** 31 - 1

/**
 * @returns the exit code: 0 … 255; 0 for a container that has never run, as Docker says.
 * @throws {EngineError} `CONTAINER_NOT_FOUND`, also for a `--rm` container that ends before anybody could listen.
 */
export async function wait(world: World, reference: string): Promise<number> {
  for (let heard: number | undefined, id = reference; ; ) {
    const container = await see(world, id).catch((error: unknown) => {
      // Gone, and its last word was heard.
      if (heard !== undefined && error instanceof EngineError && error.code === "CONTAINER_NOT_FOUND") return undefined
      throw error
    })
    if (!container) return heard ?? 0
    const { record, state, status } = container
    if (state !== "running") {
      if (state === "exited") await finish(world, container)
      return status?.code ?? 0
    }
    ;({ id } = record)
    if (record.placement?.remove) heard = await listen(world.executor(), `${record.placement.runDirectory}/control`)
    // The socket may be gone a moment before the container is, or have no room for one more.
    if (heard === undefined && status?.monitor) await ended(world, record.name, status.monitor)
  }
}

async function ended(world: World, name: string, monitor: ProcessMark): Promise<void> {
  const why = "it says how the container ended before it ends itself"
  const steps = planOf([
    {
      phase: "host",
      op: "open-process",
      ...monitor,
      gives: "monitor",
      ok: ["ESRCH"],
      does: `find the monitor of ${name}`,
      why,
    },
    {
      phase: "host",
      op: "await-exit",
      process: "monitor",
      ms: FOREVER_MS,
      must: false,
      does: `wait for ${name} to end`,
      why,
    },
  ])
  await doSteps(world.executor(), steps)
}
