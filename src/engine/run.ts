/**
 * Run: a new container, from a request to its first instruction.
 *
 *     become   this process turns into the executor: the command
 *     run      the executor is a child: the library
 *
 * A step that fails may show that the host is not what it seemed; then all is done once more with what is known now (corrections.ts). `run`
 * sees the failure itself; after `become` the door's `failed` argv does, and calls again.
 *
 * Read on: prepare.ts, what happens before; native/executor.h, what happens after.
 */

import { EngineError } from "../base/errors.ts"
import { become as becomeExecutor } from "../executor/become.ts"
import { REPORT_FD, spawnExecutor } from "../executor/spawn.ts"
import type { Request } from "../model/request.ts"
import { type Correction, correctionOf } from "./corrections.ts"
import { type Prepared, type PrepareOptions, prepare, preview } from "./prepare.ts"
import { abandon } from "./reconcile.ts"
import type { BecomeOptions, Running, RunOptions } from "./types.ts"
import type { World } from "./world.ts"

export async function become(world: World, request: Request, { warn, ...options }: BecomeOptions = {}): Promise<never> {
  const executor = executorOf(world)
  // What the first try has said already it has said from the host as it seemed.
  const told = options.corrected ? (await preview(world, request)).plan.warnings : []
  const { plan, wire } = await prepare(world, request, options)
  for (const line of plan.warnings) if (!told.includes(line)) warn?.(line)
  return becomeExecutor(executor, ["run", wire])
}

/** The state root first: what is wrong with it is told as that, and not as a failure to put the executor there. */
export function executorOf(world: World): string {
  world.store()
  return world.executor()
}

/** @param options for tests: the step that fails. */
export async function run(
  world: World,
  request: Request,
  { warn, ...options }: RunOptions & Pick<PrepareOptions, "fault"> = {},
): Promise<Running> {
  return runPrepared(world, request, warn, (correction) =>
    prepare(world, request, { ...options, ...correction, report: REPORT_FD }),
  )
}

/** Spawns what `make` has prepared; once more, prepared with what a failed step has shown. @param request which streams are the caller's. */
export async function runPrepared(
  world: World,
  request: Request,
  warn: RunOptions["warn"],
  make: (correction: { readonly corrected?: Correction }) => Promise<Prepared>,
): Promise<Running> {
  const executor = executorOf(world)
  const told = new Set<string>()
  // A second try has mostly the same to say.
  const once = (line: string): void => {
    if (!told.has(line)) warn?.(line)
    told.add(line)
  }
  const first = await attempt(world, executor, request, once, await make({}))
  if ("running" in first) return first.running
  if (!first.correction) throw first.error
  const second = await attempt(world, executor, request, once, await make({ corrected: first.correction }))
  if ("running" in second) return second.running
  throw second.error
}

type Attempt = { readonly running: Running } | { readonly error: unknown; readonly correction: Correction | undefined }

async function attempt(
  world: World,
  executor: string,
  request: Request,
  warn: (line: string) => void,
  { id, plan, wire, facts }: Prepared,
): Promise<Attempt> {
  try {
    for (const line of plan.warnings) warn(line)
  } catch (error) {
    await abandon(world, id)
    throw error
  }
  const seen = (stream: "stdin" | "stdout" | "stderr"): boolean =>
    !request.detached && (request.attach?.includes(stream) ?? (stream !== "stdin" || request.interactive === true))
  const { stdin, stdout, stderr, exited, started, failure } = spawnExecutor(executor, ["run", wire], plan, {
    stdin: seen("stdin"),
    stdout: seen("stdout"),
    stderr: seen("stderr"),
    warn,
  })
  try {
    await started
  } catch (error) {
    // A step that failed was taken back with all before it; an executor that broke off could not do that.
    if (error instanceof EngineError && error.code === "EXECUTOR_FAILED") await abandon(world, id)
    const failed = failure()
    return { error, correction: failed && correctionOf(failed, plan.steps[failed.index]?.op, facts) }
  }
  return { running: { id, stdin, stdout, stderr, exited } }
}
