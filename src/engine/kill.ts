/**
 * `kill`: one signal for process 1 of a container that runs.
 *
 *     open pid, check its start time ──▶ signal        KILL: ──▶ wait for process 1 and its monitor
 *
 * A signal other than KILL is a word to the program, which may do with it what it likes; so nothing is waited for.
 *
 * Read on: stop.ts. pidfd_send_signal(2); pid_namespaces(7): process 1 gets only signals that it handles.
 */

import { EngineError } from "../base/errors.ts"
import { signalName, signalNumber } from "../base/signals.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { stepError, toldOf } from "../executor/sentence.ts"
import type { Step } from "../plan/step.ts"
import { checkKill } from "./options.ts"
import { see } from "./reconcile.ts"
import { kill as killForGood } from "./stop.ts"
import type { KillOptions } from "./types.ts"
import type { World } from "./world.ts"

const SIGKILL = 9

/** @throws {EngineError} `WRONG_STATE` if it does not run; `INVALID_VALUE` for a signal that there is not. */
export async function kill(world: World, reference: string, options: KillOptions = {}): Promise<void> {
  checkKill(options)
  const signal = signalNumber(options.signal ?? "KILL")
  const container = await see(world, reference)
  const { name } = container.record
  const { pid } = container.status ?? {}
  const over = (): EngineError =>
    new EngineError("WRONG_STATE", `cannot kill container ${name}: it is not running`, "ps -a shows what became of it")
  if (container.state !== "running" || !pid) throw over()
  if (signal === SIGKILL) return killForGood(world, container)
  const why = "somebody has asked for it"
  const steps: readonly Step[] = [
    { phase: "host", op: "open-process", ...pid, gives: "process", does: `find process 1 of ${name}`, why },
    { phase: "host", op: "signal", process: "process", signal, does: `send ${signalName(signal)} to ${name}`, why },
  ]
  const { failed } = await doSteps(world.executor(), planOf(steps))
  if (!failed) return
  throw failed.errno === ESRCH ? over() : stepError(failed, toldOf({ steps }))
}
const ESRCH = 3
