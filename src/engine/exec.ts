/**
 * Exec: one more program in a container that runs.
 *
 * The plan is made from the container's own config.json with another `process`, so the program gets the same cgroup, namespaces,
 * capabilities and filter. Nothing is recorded: a program that was joined is not a container.
 *
 * Read on: plan/join.ts, spec/exec.ts.
 */

import { readFileSync, writeFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { become } from "../executor/become.ts"
import { REPORT_FD, spawnExecutor } from "../executor/spawn.ts"
import { readAccounts } from "../host/accounts.ts"
import { unifiedGroup } from "../host/cgroups.ts"
import { requireRoot } from "../host/host.ts"
import type { Host } from "../model/host.ts"
import type { Placement } from "../model/placement.ts"
import type { ExecRequest } from "../model/request.ts"
import { type Extras, execPlan } from "../plan/plan.ts"
import type { Plan } from "../plan/step.ts"
import { encode } from "../plan/wire.ts"
import { startOf } from "../record/alive.ts"
import { readConfig } from "../record/containers.ts"
import { execSpec } from "../spec/exec.ts"
import { detachKeys, stdio } from "../spec/placement.ts"
import { pausedOf } from "./pause.ts"
import { failedWords } from "./prepare.ts"
import { see } from "./reconcile.ts"
import { compiledPolicy } from "./seccomp-cache.ts"
import type { BecomeOptions, Running, RunOptions } from "./types.ts"
import type { World } from "./world.ts"

interface Joining {
  readonly id: string
  readonly plan: Plan
  readonly wire: string
}

/** Everything before the executor; nothing is written. */
export async function prepareExec(
  world: World,
  container: string,
  request: ExecRequest,
  extras: Pick<Extras, "report" | "fault"> = {},
): Promise<Joining> {
  const host = world.host([])
  requireRoot(host, "run a program in a container")
  const seen = await see(world, container)
  const {
    record: { id, placement },
    state,
    status,
  } = seen
  if (state !== "running" || !status?.pid || !placement)
    throw new EngineError(
      "WRONG_STATE",
      `cannot run a program in ${container}: it is not running`,
      "ps -a shows what became of it",
    )
  if (pausedOf(world)(seen))
    throw new EngineError(
      "WRONG_STATE",
      `cannot run a program in ${container}: it is paused`,
      `unpause it first: unpause ${container}`,
    )
  const { pid, start } = status.pid

  // Only if somebody is to be looked up. What /proc/PID/root leads to is the container's, now; if the number was given to
  // somebody else meanwhile, it is not.
  const accounts = request.user === undefined ? {} : readAccounts(`/proc/${pid}/root`)
  if (startOf(pid) !== start)
    throw new EngineError("WRONG_STATE", `cannot run a program in ${container}: it has just ended`)
  const own = readConfig(world.store(), id)
  const { config } = execSpec(own, placement, accounts, request, host)
  const { announce: _, ...place } = placement
  const plan = execPlan(
    config,
    {
      ...place,
      ...groupFor(placement, host, pid),
      init: false,
      stdio: stdio(request),
      detachKeys: detachKeys(request.detachKeys ?? ""),
    },
    host,
    { pid, start },
    { ...compiledPolicy(world, config, host), ...extras },
  )
  return { id, plan, wire: `${placement.runDirectory}/exec-${crypto.randomUUID()}` }
}

/**
 * On v2 the container's own group, or the one below it that process 1 has gone to: a container that makes containers passes controllers
 * on, and then its own group may hold nobody. Whatever is below has its limits.
 */
function groupFor({ cgroup }: Placement, { cgroups }: Host, pid: number): Pick<Placement, "cgroup"> {
  const { mode, unified = "", base } = cgroups
  if (!cgroup || mode !== "v2") return {}
  const above = base[unified] ?? "/"
  const group = unifiedGroup(textOf(`/proc/${pid}/cgroup`)) ?? ""
  const own = `${above === "/" ? "" : above}${cgroup.path}`
  return group.startsWith(`${own}/`)
    ? { cgroup: { ...cgroup, path: group.slice(own.length - cgroup.path.length) } }
    : {}
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** The executor removes the file when it has read it. */
const write = ({ plan, wire }: Joining): void => writeFileSync(wire, encode(plan), { mode: 0o600 })

export async function becomeExec(
  world: World,
  container: string,
  request: ExecRequest,
  { warn, failed }: Pick<BecomeOptions, "warn" | "failed"> = {},
): Promise<never> {
  const executor = world.executor()
  const { plan, ...joining } = await prepareExec(world, container, request)
  for (const line of plan.warnings) warn?.(line)
  write({ ...joining, plan: failed ? { ...plan, frame: { ...plan.frame, failed: failedWords(plan, failed) } } : plan })
  return become(executor, ["join", joining.wire])
}

/** @param options for tests: the step that fails. */
export async function exec(
  world: World,
  container: string,
  request: ExecRequest,
  { warn, ...fault }: RunOptions & Pick<Extras, "fault"> = {},
): Promise<Running> {
  const executor = world.executor()
  const joining = await prepareExec(world, container, request, { report: REPORT_FD, ...fault })
  for (const line of joining.plan.warnings) warn?.(line)
  write(joining)
  const attached = !request.detached
  const { stdin, stdout, stderr, exited, started } = spawnExecutor(executor, ["join", joining.wire], joining.plan, {
    stdin: attached && request.interactive === true,
    stdout: attached,
    stderr: attached,
    ...(warn && { warn }),
  })
  await started
  return { id: joining.id, stdin, stdout, stderr, exited }
}
