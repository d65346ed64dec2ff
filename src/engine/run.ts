/**
 * Run: a new container, from a request to its first instruction.
 *
 *     become   this process turns into the executor: the command
 *     run      the executor is a child: the library
 *
 * Read on: prepare.ts, what happens before; native/executor.h, what happens after.
 */

import { EngineError } from "../base/errors.ts"
import { become as becomeExecutor } from "../executor/become.ts"
import { REPORT_FD, spawnExecutor } from "../executor/spawn.ts"
import type { Request } from "../model/request.ts"
import { type PrepareOptions, prepare } from "./prepare.ts"
import { abandon } from "./reconcile.ts"
import type { BecomeOptions, Running, RunOptions } from "./types.ts"
import type { World } from "./world.ts"

export async function become(world: World, request: Request, { warn, ...options }: BecomeOptions = {}): Promise<never> {
  const executor = executorOf(world)
  const { plan, wire } = await prepare(world, request, options)
  for (const line of plan.warnings) warn?.(line)
  return becomeExecutor(executor, ["run", wire])
}

/** The state root first: what is wrong with it is told as that, and not as a failure to put the executor there. */
function executorOf(world: World): string {
  world.store()
  return world.executor()
}

/** @param options for tests: the step that fails. */
export async function run(
  world: World,
  request: Request,
  { warn, ...options }: RunOptions & Pick<PrepareOptions, "fault"> = {},
): Promise<Running> {
  const executor = executorOf(world)
  const { id, plan, wire } = await prepare(world, request, { ...options, report: REPORT_FD })
  try {
    for (const line of plan.warnings) warn?.(line)
  } catch (error) {
    await abandon(world, id)
    throw error
  }
  const seen = (stream: "stdin" | "stdout" | "stderr"): boolean =>
    !request.detached && (request.attach?.includes(stream) ?? (stream !== "stdin" || request.interactive === true))
  const { stdin, stdout, stderr, exited, started } = spawnExecutor(executor, ["run", wire], plan, {
    stdin: seen("stdin"),
    stdout: seen("stdout"),
    stderr: seen("stderr"),
    ...(warn && { warn }),
  })
  try {
    await started
  } catch (error) {
    // A step that failed was taken back with all before it; an executor that broke off could not do that.
    if (error instanceof EngineError && error.code === "EXECUTOR_FAILED") await abandon(world, id)
    throw error
  }
  return { id, stdin, stdout, stderr, exited }
}
