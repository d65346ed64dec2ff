/**
 * Claims: what the engine has written before the first step, and who takes it away.
 *
 *     containers/ID     the record           goes if the container never ran, or at its end with --rm
 *     names/NAME …      leases               the same
 *     RUN/ID            plan, socket, gate   goes in any case
 *
 * The record comes first so that whoever looks after a crash knows what to undo; therefore it also goes last. A step that
 * only looks whether its thing is there is what the undo hangs on.
 *
 * Read on: record/containers.ts, plan.ts.
 */

import type { Placement } from "../model/placement.ts"
import type { Step } from "./step.ts"

/** Phase host, first. */
export function claims({ directory, runDirectory, leases }: Placement): readonly Step[] {
  return [
    ...leases.map(
      (path): Step => ({
        phase: "host",
        op: "claim",
        path,
        does: `find the lease ${path}`,
        why: "a name, or a range of ids, belongs to one container as long as its record lives",
        undo: { op: "unlink", path, when: "failure", does: `give back ${path}` },
      }),
    ),
    {
      phase: "host",
      op: "claim",
      path: directory,
      does: `find the record ${directory}`,
      why: "it was written before the first step, so that whoever comes after a crash knows what to undo",
      undo: { op: "remove-tree", path: directory, when: "failure", does: `remove ${directory}` },
    },
    {
      phase: "host",
      op: "claim",
      path: runDirectory,
      does: `find the run directory ${runDirectory}`,
      why: "what only a running container needs lies there: its plan, its socket",
      undo: { op: "remove-tree", path: runDirectory, does: `remove ${runDirectory}` },
    },
  ]
}

/** `--rm`: phase end. The leases go last: until then nobody else can be given the same ids. */
export function removal({ directory, leases }: Placement): readonly Step[] {
  return [
    {
      phase: "end",
      op: "remove-tree",
      path: directory,
      must: false,
      does: `remove ${directory}`,
      why: "the container was to leave nothing behind",
    },
    ...leases.map(
      (path): Step => ({
        phase: "end",
        op: "unlink",
        path,
        must: false,
        ok: ["ENOENT"],
        does: `give back ${path}`,
        why: "the name and the ids can be used again",
      }),
    ),
  ]
}
