/**
 * Hooks: programs of somebody else that run at fixed points of a container's life, with its state on stdin.
 *
 *     prestart, createRuntime   outside, when the namespaces exist        phase parent
 *     createContainer           inside, before the root changes           phase child
 *     startContainer            inside, in the new root, before exec      phase start
 *     poststart                 outside, when the program runs            phase started
 *     poststop                  outside, when all is gone                 phase end
 *
 * A hook that fails before the program runs makes the container fail; one that fails later is a warning.
 *
 * Read on: process.ts. OCI runtime-spec config.md "POSIX-platform Hooks", runtime.md "State".
 */

import type { Config, Hook, HookName } from "../model/oci.ts"
import type { Phase, Step } from "./step.ts"

interface Point {
  readonly phase: Phase
  readonly status: string
  readonly must?: false
}
const POINTS: Readonly<Record<HookName, Point>> = {
  prestart: { phase: "parent", status: "creating" },
  createRuntime: { phase: "parent", status: "creating" },
  createContainer: { phase: "child", status: "creating" },
  startContainer: { phase: "start", status: "created" },
  poststart: { phase: "started", status: "running", must: false },
  poststop: { phase: "end", status: "stopped", must: false },
}

/** The steps of one kind of hook, in the config's order. @param bundle the directory of config.json. */
export function hooks(
  name: HookName,
  { hooks, ociVersion, annotations = {} }: Config,
  { id, bundle }: { id: string; bundle: string },
): readonly Step[] {
  const { phase, status, must } = POINTS[name]
  // The pid is known only when the hook runs; the executor writes it between these two.
  const before = `${JSON.stringify({ ociVersion, id, status }).slice(0, -1)},"pid":`
  const after = `,${JSON.stringify({ bundle, annotations }).slice(1)}`
  return (hooks?.[name] ?? []).map(
    (hook: Hook): Step => ({
      phase,
      op: "hook",
      path: hook.path,
      argv: hook.args ?? [hook.path],
      env: hook.env ?? [],
      before,
      after,
      timeout: hook.timeout ?? 0,
      ...(must === false && { must }),
      does: `run the ${name} hook ${hook.path}`,
      why: "the config names it; it gets the container's state on its stdin",
    }),
  )
}
