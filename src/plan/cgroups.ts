/**
 * Cgroups: how the kernel counts what a set of processes uses, and keeps it within limits.
 *
 *     /sys/fs/cgroup                   one tree for all controllers (version 2)
 *       cgroup.subtree_control         which controllers the directories below have: +cpu +memory …
 *       minicontainer
 *         cgroup.subtree_control
 *         monitors                     the small processes that watch the containers
 *         <id>                         the container
 *           memory.max                 a limit: a text in a file
 *           memory.events              a count
 *
 * A group is a directory, a limit is a text written to a file in it, and a process is born into a group: `clone3` takes the
 * directory's fd. Moving it there later (`cgroup.procs`) would do the same and cost an RCU grace period, 8 ms, since the kernel
 * first makes sure that no thread of anybody is just being made.
 *
 * A group above the container's must pass a controller on before the container has its files; and a group that passes
 * anything on may hold no processes itself, which is why ours lie at the root and not below the caller's session: the machine's root alone
 * is free of that rule. Inside a container what looks like the root is a group as any other, and the caller is in it:
 *
 *     /  (the outer container)          /
 *       sh, minicontainer       ──▶       init             sh, minicontainer
 *                                         minicontainer    passed on: +memory +pids
 *
 * Read on: cgroups-files.ts, cgroups-v1.ts. Linux Documentation/admin-guide/cgroup-v2.rst.
 */

import { EngineError } from "../base/errors.ts"
import { limits } from "./cgroups-files.ts"
import {
  ancestors,
  below,
  type CgroupsRequest,
  capture,
  checked,
  enforce,
  type Grouped,
  noGroup,
} from "./cgroups-limits.ts"
import type { Step } from "./step.ts"

/** Enabled for every container, so that its use can be told and its limits changed later. */
const ALWAYS = ["memory", "cpu", "io", "pids"]

/** O_PATH | O_DIRECTORY, asm-generic; aarch64 has another O_DIRECTORY, which O_PATH alone does not need. */
const O_PATH = 0o10000000

/**
 * The container's group on a v2 host; on a host without cgroups nothing but a warning.
 * @throws {EngineError} `INVALID_CONFIG` for limits that contradict each other; `HOST_LACKS` if `resources.unified` names a
 *   controller that cannot be had: the specification demands an error.
 */
export function cgroups(request: CgroupsRequest): Grouped {
  const { cgroups: host } = request.host
  const rows = limits(checked(request.resources), request.host.kernel)
  if (host.mode === "none" || host.unified === undefined)
    return { steps: [], warnings: [noGroup(rows, request)], attachesInChild: false, groups: {} }

  const at = below(host.unified, host.base[host.unified])
  const own = at(request.path)
  const has = (controller: string): boolean => controller === "cgroup" || host.controllers[controller] !== undefined
  for (const file of Object.keys(request.resources.unified ?? {})) {
    const [controller = ""] = file.split(".")
    if (!has(controller))
      throw new EngineError("HOST_LACKS", `cannot write ${file}: this host has no ${controller} controller`)
  }

  const enforced = enforce(rows, (controller) => (has(controller) ? own : undefined))
  const asked = new Set(
    rows.flatMap((row) => ("controller" in row && row.controller !== "cgroup" ? [row.controller] : [])),
  )
  const needed = [...asked].filter(has)
  const useful = ALWAYS.filter((controller) => has(controller) && !asked.has(controller))
  const parents = ancestors(request.path)

  return {
    steps: [
      ...(host.nested && needed.length + useful.length > 0 ? empty(at) : []),
      ...enable(at(""), needed, useful),
      ...parents.flatMap((parent) => [makeParent(at(parent), parent), ...enable(at(parent), needed, useful)]),
      {
        phase: "host",
        op: "mkdir",
        path: own,
        mode: 0o755,
        does: `make the cgroup ${request.path}`,
        why: "what the container uses is counted here, and what it may use is written here",
        undo: { op: "remove-cgroup", path: own, does: `remove the cgroup ${request.path}` },
      },
      ...enforced.steps,
      {
        phase: "host",
        op: "open",
        path: own,
        flags: O_PATH,
        gives: "cgroup",
        does: `open the cgroup ${request.path}`,
        why: "the child is born in it: not one instruction of it runs without limits",
      },
      ...(has("memory") ? [capture(own, "memory.events", "it counts the kills for lack of memory")] : []),
      capture(own, "cpu.stat", "it tells the CPU time that the container has used"),
    ],
    warnings: enforced.warnings,
    slot: "cgroup",
    attachesInChild: false,
    groups: { ...Object.fromEntries(Object.keys(host.controllers).map((name) => [name, own])), unified: own },
    ...(request.monitors !== undefined && { monitors: at(request.monitors) }),
  }
}

/** The group of a running container, for one more process: phase host. The same fields as for the first one. */
export function joinCgroup({ path, monitors, host }: Omit<CgroupsRequest, "resources">): Grouped {
  const { mode, unified, base } = host.cgroups
  if (mode === "none" || unified === undefined) return { steps: [], warnings: [], attachesInChild: false, groups: {} }
  const at = below(unified, base[unified])
  return {
    steps: [
      {
        phase: "host",
        op: "open",
        path: at(path),
        flags: O_PATH,
        gives: "cgroup",
        does: `open the cgroup ${path}`,
        why: "the new process shares the container's limits from its first instruction",
      },
    ],
    warnings: [],
    slot: "cgroup",
    attachesInChild: false,
    groups: { unified: at(path) },
    ...(monitors !== undefined && { monitors: at(monitors) }),
  }
}

/** The group at the top is left by all its processes, ours too, so that it may pass controllers on. They stay below its limits. */
function empty(at: (path: string) => string): readonly Step[] {
  return [
    {
      phase: "host",
      op: "move-processes",
      from: at(""),
      to: at(LEAF),
      does: `move the processes of ${at("")} to its group ${LEAF}`,
      why: "we are inside a container ourselves: the group at the top is no root, and one that passes controllers on may hold nobody",
      // No undo: they can stay where they are.
    },
  ]
}
/** Where other engines move them too. */
const LEAF = "/init"

const makeParent = (directory: string, path: string): Step => ({
  phase: "host",
  op: "mkdir",
  path: directory,
  mode: 0o755,
  ok: ["EEXIST"],
  does: `make the cgroup ${path}`,
  why: "the groups of all containers lie below it",
  // No undo: others are below it, or will be.
})

/** What was asked for must be there. What is merely useful may fail: then its numbers are missing. */
function enable(directory: string, needed: readonly string[], useful: readonly string[]): readonly Step[] {
  const pass = (controllers: readonly string[], must: boolean): readonly Step[] =>
    controllers.length === 0
      ? []
      : [
          {
            phase: "host",
            op: "write",
            path: `${directory}/cgroup.subtree_control`,
            text: controllers.map((name) => `+${name}`).join(" "),
            ...(!must && { must: false as const }),
            does: `pass ${controllers.join(", ")} on to the groups below ${directory}`,
            why: must
              ? "a group has a controller's files only if the one above passes it on"
              : "with them, its use can be told and limited later",
          },
        ]
  return [...pass(needed, true), ...pass(useful, false)]
}
