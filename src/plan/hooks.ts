/**
 * Hooks: programs of somebody else that run at fixed points of a container's life, with its state on stdin.
 *
 *     prestart, createRuntime   outside, when all mounts are in place     phase outside
 *     createContainer           inside, before the root is alone          phase inside
 *     startContainer            inside, in the new root, before exec      phase start
 *     poststart                 outside, when the program runs            phase started
 *     poststop                  outside, when all is gone                 phase end, and the last undo of a container that failed
 *
 * Those before the program runs may change the container: so its root lies where the bundle says, with everything mounted, and what is to be
 * masked or read-only is not yet. They see the host's files, those inside by the container's mount namespace, in which the host's tree
 * still is.
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
  prestart: { phase: "outside", status: "creating" },
  createRuntime: { phase: "outside", status: "creating" },
  createContainer: { phase: "inside", status: "creating" },
  startContainer: { phase: "start", status: "created" },
  poststart: { phase: "started", status: "running", must: false },
  poststop: { phase: "end", status: "stopped", must: false },
}

interface Life {
  readonly id: string
  /** The directory of config.json. */
  readonly bundle: string
}

/** The steps of one kind of hook, in the config's order. */
export function hooks(name: HookName, config: Config, life: Life): readonly Step[] {
  const { phase, must } = POINTS[name]
  return (config.hooks?.[name] ?? []).map(
    (hook): Step => ({
      phase,
      ...call(name, hook, config, life),
      ...(must === false && { must }),
      does: `run the ${name} hook ${hook.path}`,
      why: "the config names it; it gets the container's state on its stdin",
    }),
  )
}

/** Whether a hook may want to find, and change, the container's root where the bundle says. */
export const lookInto = ({ hooks = {} }: Config): boolean =>
  (["prestart", "createRuntime", "createContainer"] as const).some((name) => hooks[name]?.length)

/**
 * Phase host, first of all: `poststop` of a container whose making fails. What stands first is taken back last, when all is gone.
 * @param directory one that is there.
 */
export function lastHooks(config: Config, life: Life, directory: string): readonly Step[] {
  return (config.hooks?.poststop ?? []).toReversed().map(
    (hook): Step => ({
      phase: "host",
      op: "claim",
      path: directory,
      does: `find ${directory}`,
      why: "from here on there is something to be told of, whatever fails",
      undo: {
        ...call("poststop", hook, config, life),
        when: "failure",
        does: `run the poststop hook ${hook.path}`,
      },
    }),
  )
}

function call(name: HookName, hook: Hook, { ociVersion, annotations = {} }: Config, { id, bundle }: Life) {
  // The pid is known only when the hook runs; the executor writes it between these two.
  return {
    op: "hook",
    path: hook.path,
    argv: hook.args ?? [hook.path],
    env: hook.env ?? [],
    before: `${JSON.stringify({ ociVersion, id, status: POINTS[name].status }).slice(0, -1)},"pid":`,
    after: `,${JSON.stringify({ bundle, annotations }).slice(1)}`,
    timeout: hook.timeout ?? 0,
  } as const
}
