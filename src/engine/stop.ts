/**
 * `stop`: ask, wait, insist.
 *
 *     open pid, check its start time ──▶ signal ──▶ wait up to the grace ──▶ SIGKILL ──▶ wait for the monitor
 *
 * The signal goes to a process that was opened and checked, never to a number; and all of it is one call of the executor, so this
 * process may be idle meanwhile, or killed. When the monitor has gone too, everything is undone: what the container had is free, and a `--rm`
 * container leaves nothing.
 *
 * Read on: reconcile.ts. pidfd_open(2), pid_namespaces(7): process 1 gets only signals that it handles, but for SIGKILL.
 */

import { EngineError } from "../base/errors.ts"
import { signalName, signalNumber } from "../base/signals.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { stepError, toldOf } from "../executor/sentence.ts"
import type { Step } from "../plan/step.ts"
import { checkStop } from "./options.ts"
import { thawing } from "./pause.ts"
import { END_MS, type Seen, see } from "./reconcile.ts"
import type { StopOptions } from "./types.ts"
import type { World } from "./world.ts"

const GRACE_MS = 10_000
const SIGTERM = 15
const SIGKILL = 9
/** What poll(2) can wait: 24 days; for a grace without end. */
const FOREVER_MS = 2 ** 31 - 1
/** @throws {EngineError} `CONTAINER_NOT_FOUND`, `AMBIGUOUS_ID`, `RECORD_BROKEN`, `INVALID_VALUE`, `TIMED_OUT`. */
export async function stop(world: World, reference: string, options: StopOptions = {}): Promise<void> {
  checkStop(options)
  const container = await see(world, reference)
  if (container.state !== "running") return
  const { stopSignal, stopTimeoutSeconds } = container.record.request
  const signal = options.signal ?? stopSignal
  const graceMs = options.graceMs ?? (stopTimeoutSeconds === undefined ? GRACE_MS : stopTimeoutSeconds * 1000)
  await end(world, container, {
    signal: signal === undefined ? SIGTERM : signalNumber(signal),
    graceMs: graceMs < 0 ? FOREVER_MS : graceMs,
  })
}

/** SIGKILL at once. */
export const kill = (world: World, container: Seen): Promise<void> =>
  end(world, container, { signal: SIGKILL, graceMs: END_MS })

async function end(
  world: World,
  { record, status }: Seen,
  { signal, graceMs }: { readonly signal: number; readonly graceMs: number },
): Promise<void> {
  const { pid, monitor } = status ?? {}
  if (!pid || !monitor)
    throw new EngineError("WRONG_STATE", `cannot stop container ${record.name}: it is just being started`, "try again")
  const why = "the container is to end"
  const thaw = thawing(world, record)
  const steps: Step[] = [
    {
      phase: "host",
      op: "open-process",
      ...pid,
      gives: "process",
      ok: ["ESRCH"],
      does: `find process 1 of ${record.name}`,
      why,
    },
    {
      phase: "host",
      op: "open-process",
      ...monitor,
      gives: "monitor",
      ok: ["ESRCH"],
      does: `find the monitor of ${record.name}`,
      why,
    },
    {
      phase: "host",
      op: "signal",
      process: "process",
      signal,
      ok: ["ESRCH"],
      does: `send ${signalName(signal)} to ${record.name}`,
      why,
    },
    // After the signal, as in Docker: it is the first thing that a paused program hears.
    ...thaw,
    {
      phase: "host",
      op: "await-exit",
      process: "process",
      ms: Math.min(Math.ceil(graceMs), FOREVER_MS),
      must: false,
      does: `wait for ${record.name} to end`,
      why,
    },
    {
      phase: "host",
      op: "signal",
      process: "process",
      signal: SIGKILL,
      ok: ["ESRCH"],
      does: `kill ${record.name}`,
      why,
    },
    ...thaw,
    { phase: "host", op: "await-exit", process: "process", ms: END_MS, does: `wait for ${record.name} to die`, why },
    {
      phase: "host",
      op: "await-exit",
      process: "monitor",
      ms: END_MS,
      does: `wait until ${record.name} is cleaned up`,
      why,
    },
  ]
  const { failed } = await doSteps(world.executor(), planOf(steps))
  if (!failed) {
    const { network } = record.placement ?? {}
    if (network) (await import("./neighbours.ts")).tellNeighbours(world, network.network)
    return
  }
  const { op } = steps[failed.index]!
  if (op === "await-exit")
    throw new EngineError(
      "TIMED_OUT",
      `cannot stop container ${record.name}: it did not end in ${END_MS / 1000} s after SIGKILL`,
      "a process that waits for a device cannot be killed: see dmesg",
    )
  throw stepError(failed, toldOf({ steps }))
}
