/**
 * Do: a few steps without a container, all in phase host: a signal with its check, exit steps after a crash, a directory tree removed.
 *
 *     wire ──stdin──▶ executor do ──stdout──▶ reports
 *
 * Whatever touches a path below a container's root, or a process that may have ended in the meantime, goes this way: the
 * kernel calls that do it safely (openat2, pidfds) are not to be had in JavaScript.
 *
 * Read on: report.ts. plan.ts, undoOf.
 */

import type { Plan, Step } from "../plan/step.ts"
import { encode } from "../plan/wire.ts"
import { Reports } from "./report.ts"
import type { Failure } from "./sentence.ts"
import { broken } from "./spawn.ts"

export interface Done {
  /** The step that failed, after which everything before it was undone. Absent: all went well. */
  readonly failed?: Failure
  /** Steps that were no must, and failed. */
  readonly warnings: readonly Pick<Failure, "index" | "errno">[]
  /** Bytes on disk of what was removed. */
  readonly freed: number
}

/** The frame of a plan that runs nothing. */
export const NO_FRAME: Plan["frame"] = {
  stay: 0,
  outer: 0,
  stdio: 0,
  uid: 0,
  gid: 0,
  logBytes: 0,
  logFiles: 0,
  detachKeys: new Uint8Array(),
  failed: [],
  rows: 0,
  columns: 0,
}
const STDOUT = 1

/** A plan of steps for `do`. */
export const planOf = (steps: readonly Step[]): Plan => ({ frame: NO_FRAME, steps, warnings: [] })

/**
 * Carries out a plan whose steps are all of phase host.
 * @throws {EngineError} `EXECUTOR_FAILED` if the executor itself broke off. A failing step is an answer, not an error.
 */
export async function doSteps(executor: string, plan: Pick<Plan, "steps" | "frame">): Promise<Done> {
  if (plan.steps.length === 0) return { warnings: [], freed: 0 }
  const wire = encode({ ...plan, frame: { ...plan.frame, failed: [], report: STDOUT }, warnings: [] })
  let failed: Failure | undefined
  const warnings: Pick<Failure, "index" | "errno">[] = []
  let freed = 0
  const reports = new Reports((report) => {
    const { kind, ...told } = report
    if (report.kind === "freed") freed = report.bytes
    if (kind === "failed") failed = told as Failure
    if (kind === "warning") warnings.push(told as Failure)
  })
  const said = await execute(executor, ["do"], wire, reports)
  if (!failed && said.status !== 0)
    throw broken(executor, said.errors.trim() || `it ended with ${said.signal ?? said.status}`)
  return { ...(failed && { failed }), warnings, freed }
}

function execute(executor: string, args: readonly string[], input: Uint8Array, reports: Reports) {
  const { promise, resolve, reject } = Promise.withResolvers<{
    status: number | null
    signal: string | null
    errors: string
  }>()
  const child = process
    .getBuiltinModule("node:child_process")
    .spawn(executor, args, { stdio: ["pipe", "pipe", "pipe"] })
  let errors = ""
  child.on("error", (error) => reject(broken(executor, (error as NodeJS.ErrnoException).code ?? error.message, error)))
  reports.listen(child.stdout)
  child.stderr.setEncoding("utf8")
  child.stderr.on("data", (chunk: string) => {
    errors = (errors + chunk).slice(0, 4096)
  })
  // It may refuse the wire before it has read all of it: the exit status says so.
  child.stdin.on("error", () => {})
  child.stdin.end(input)
  child.on("close", (status, signal) => resolve({ status, signal, errors }))
  return promise
}
