/**
 * Join: one more program in a container that runs.
 *
 *     caller ── front ── keeper ── enters all namespaces ── clone ── the program
 *
 * `setns` with the pidfd of the container's process 1 enters all its namespaces in one call. For the pid namespace that
 * counts for children only, so a short-lived process in between enters and clones. From there on the program gets what the first one
 * got: the cgroup, the ids, the capabilities, the seccomp policy. Nothing is made here, so there is nothing to undo.
 *
 * Read on: process.ts. Linux man-pages setns(2), pidfd_open(2).
 */

import { CLONE_NEW } from "../formats/clone.ts"
import type { Namespace } from "../model/oci.ts"
import type { Slot, Step } from "./step.ts"

export interface Target {
  /** Process 1 on the host, and its start time: two numbers that no other process shares until the next boot. */
  readonly pid: number
  readonly start: number
  readonly namespaces: readonly Namespace[]
}

/** Phase host and clone. @param cgroup the slot of a v2 group that the program is born in. */
export function join({ pid, start, namespaces }: Target, { cgroup }: { readonly cgroup?: Slot }): readonly Step[] {
  const kinds = namespaces.reduce((flags: number, { type }) => flags | CLONE_NEW[type], 0)
  return [
    {
      phase: "host",
      op: "open-process",
      pid,
      start,
      gives: "container",
      does: `open the container's process ${pid}`,
      why: "an open process cannot be mistaken for a later one with the same number",
    },
    {
      phase: "clone",
      op: "clone",
      flags: 0,
      ...(cgroup !== undefined && { cgroup }),
      join: ["container"],
      kinds: [kinds],
      gives: "child",
      does: `clone a process inside the container's ${namespaces.map(({ type }) => type).join(", ")}`,
      why: "the namespaces of a process can be entered by whoever may trace it",
    },
  ]
}
