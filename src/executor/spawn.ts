/**
 * Spawn: the executor as a child, for a process that stays: the library, or a server.
 *
 *     this process ──fork, execve──▶ executor run WIRE
 *        fd 3 ◀── started 4711, exited 0
 *
 * A plan that runs this way has 3 as `report` in its frame. Bun makes fd 3 a stream socket, Node a pipe; either carries lines.
 *
 * Read on: report.ts; become.ts, for a process that is replaced.
 */

import type { ChildProcess } from "node:child_process"
import { EngineError } from "../base/errors.ts"
import type { Plan } from "../plan/step.ts"
import { Reports } from "./report.ts"
import { type Failure, stepError, stepWarning, toldOf } from "./sentence.ts"

/** The fd on which a spawned executor reports: `report` in the plan's frame. */
export const REPORT_FD = 3

export interface Spawned {
  readonly stdin: NodeJS.WritableStream | null
  readonly stdout: NodeJS.ReadableStream | null
  readonly stderr: NodeJS.ReadableStream | null
  /** The program's pid on the host, once it runs. Rejects like `exited` if it never does. */
  readonly started: Promise<number>
  /** 0 … 255, 128 + n for a signal. Rejects with an EngineError if a step failed or the executor broke off. */
  readonly exited: Promise<number>
  /** The step that failed, once both have been rejected because of one. */
  readonly failure: () => Failure | undefined
}

export interface SpawnOptions {
  /** Which of the three streams are pipes to this process; the others are /dev/null. */
  readonly stdin?: boolean
  readonly stdout?: boolean
  readonly stderr?: boolean
  readonly warn?: (line: string) => void
}

/**
 * Starts `executor ARGS…`, as `run WIRE`.
 * @param plan what the wire holds, for the words of an error.
 */
export function spawnExecutor(
  executor: string,
  args: readonly string[],
  plan: Pick<Plan, "steps">,
  { stdin = false, stdout = false, stderr = false, warn }: SpawnOptions = {},
): Spawned {
  const pipe = (wanted: boolean) => (wanted ? "pipe" : "ignore")
  const child = process
    .getBuiltinModule("node:child_process")
    .spawn(executor, args, { stdio: [pipe(stdin), pipe(stdout), pipe(stderr), "pipe"] })
  const started = Promise.withResolvers<number>()
  const exited = Promise.withResolvers<number>()
  // Whoever awaits only one of the two must not be told of the other as unhandled.
  for (const { promise } of [started, exited]) promise.catch(() => {})
  const settle = (error: EngineError): void => {
    started.reject(error)
    exited.reject(error)
  }

  let code: number | undefined
  let failure: Failure | undefined
  const reports = new Reports((report) => {
    if (report.kind === "started") started.resolve(report.pid)
    else if (report.kind === "warning") warn?.(stepWarning(report, plan))
    else if (report.kind === "failed") failure = report
    else if (report.kind === "exited") code = report.code
  })
  child.on("error", (error) => settle(broken(executor, (error as NodeJS.ErrnoException).code ?? error.message, error)))
  const report = child.stdio[REPORT_FD] as NodeJS.ReadableStream | null
  // A file that cannot be executed gives no streams, and an error event.
  if (report) reports.listen(report)
  // A stream that was closed early answers EPIPE by an `error` event; the exit code tells the rest.
  for (const stream of child.stdio) stream?.on("error", () => {})
  whenOver(child, report, (status, signal) => {
    if (failure) return settle(stepError(failure, toldOf(plan)))
    if (code === undefined && signal !== null) return settle(broken(executor, `it was ended by ${signal}`))
    const answer = code ?? status ?? 0
    started.reject(broken(executor, `it ended with ${answer} before the program ran`))
    exited.resolve(answer)
  })
  return {
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    started: started.promise,
    exited: exited.promise,
    failure: () => failure,
  }
}

/**
 * When the process has ended and its report has been read to the end. Not `close`: that waits for stdout and stderr too, which
 * nobody may be reading, and which a detached grandchild may hold.
 */
function whenOver(
  child: ChildProcess,
  report: NodeJS.ReadableStream | null,
  then: (status: number | null, signal: NodeJS.Signals | null) => void,
): void {
  const read = Promise.withResolvers<void>()
  report?.on("end", () => read.resolve())
  report?.on("close", () => read.resolve())
  child.on("exit", (status, signal) => {
    read.promise.then(() => then(status, signal))
  })
}

export const broken = (executor: string, how: string, cause?: unknown): EngineError =>
  new EngineError("EXECUTOR_FAILED", `cannot finish: the executor ${executor} failed: ${how}`, undefined, { cause })
