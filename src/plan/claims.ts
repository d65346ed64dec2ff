/**
 * Claims: what the engine has written before the first step, and who takes it away.
 *
 *                            made    goes, if the container never ran, or at its end with --rm
 *     containers/ID            1     4   with all that is left in it
 *     names/NAME, ids/N        3     3   leases: free for others from here on
 *     … /container.json        2     2   the record: from here on nobody finds the container
 *     RUN/ID                   4     1   plan, socket, gate: goes in any case
 *
 * The rule that holds, wherever a crash cuts it short: as long as there is a record it has its leases, and as long as there is a lease its
 * owner has a directory. So whoever lists the directories finds everything that is left, and whoever finds a lease without one may take it.
 *
 * Read on: record/containers.ts, plan.ts.
 */

import type { Placement } from "../model/placement.ts"
import type { Step } from "./step.ts"

const recordOf = ({ directory }: Pick<Placement, "directory">): string => `${directory}/container.json`

/** Phase host, first. What is claimed was there before the first step, so whichever step fails, all of it is taken back. */
export function claims(placement: Placement): readonly Step[] {
  const { directory, runDirectory, leases } = placement
  const record = recordOf(placement)
  const started: readonly Step[] = [
    {
      phase: "host",
      op: "claim",
      path: runDirectory,
      does: `find the run directory ${runDirectory}`,
      why: "what only a running container needs lies there: its plan, its socket",
      undo: { op: "remove-tree", path: runDirectory, does: `remove ${runDirectory}` },
    },
  ]
  // What was there before this start stays when it fails.
  if (placement.kept) return started
  return [
    {
      phase: "host",
      op: "claim",
      path: directory,
      does: `find the directory ${directory}`,
      why: "everything that is the container's lies in it; it was made first, and goes last",
      undo: { op: "remove-tree", path: directory, when: "failure", does: `remove ${directory}` },
    },
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
      path: record,
      does: `find the record ${record}`,
      why: "it was written before the first step, so that whoever comes after a crash knows what to undo",
      undo: { op: "unlink", path: record, when: "failure", does: `remove ${record}` },
    },
    ...started,
  ]
}

/** `--rm`: phase end. If one of them fails, the rest waits for whoever looks next. */
export function removal(placement: Placement): readonly Step[] {
  const { directory, leases } = placement
  const record = recordOf(placement)
  return [
    {
      phase: "end",
      op: "unlink",
      path: record,
      ok: ["ENOENT"],
      does: `remove the record ${record}`,
      why: "the container was to leave nothing behind; from here on nobody finds it",
    },
    ...leases.map(
      (path): Step => ({
        phase: "end",
        op: "unlink",
        path,
        ok: ["ENOENT"],
        does: `give back ${path}`,
        why: "the name and the ids can be used again",
      }),
    ),
    {
      phase: "end",
      op: "remove-tree",
      path: directory,
      does: `remove ${directory}`,
      why: "what it has changed goes with it; last, so that a crash leaves something to be found by",
    },
  ]
}
