/**
 * Ids: root inside is nobody outside.
 *
 *     inside      0 …  65535        what the container sees and stores
 *                 │        │        uid_map: "0 1073741824 65536"
 *     outside  1073741824 …         what the kernel checks against everything that is not the container's
 *
 * A new user namespace maps nobody until somebody outside writes /proc/PID/uid_map and gid_map, once. Files keep
 * their ordinary owners on disk; an idmapped mount (overlay.ts, mounts.ts) shows them shifted by the same map.
 *
 * Read on: overlay.ts. Linux man-pages user_namespaces(7), mount_setattr(2) "ID-mapped mounts".
 */

import type { IdMapping } from "../model/oci.ts"
import type { Step } from "./step.ts"

/** The id outside of `id` inside, or undefined if the map has no place for it. An empty map maps every id to itself. */
export function hostId(map: readonly IdMapping[], id: number): number | undefined {
  if (map.length === 0) return id
  const range = map.find(({ containerID, size }) => id >= containerID && id < containerID + size)
  return range && range.hostID + (id - range.containerID)
}

/** The lines of uid_map: first id inside, first id outside, how many. */
export const mapText = (map: readonly IdMapping[]): string =>
  map.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("")

/** Phase parent: the child waits, still nobody. Gives slot "userns". */
export function mapIds(uids: readonly IdMapping[], gids: readonly IdMapping[]): readonly Step[] {
  return [
    {
      phase: "parent",
      op: "map-ids",
      kind: 0,
      text: mapText(uids),
      does: `map the user ids (${describe(uids)})`,
      why: "until this is written nobody inside has an id at all; afterwards its root is an ordinary number outside",
    },
    {
      phase: "parent",
      op: "map-ids",
      kind: 1,
      text: mapText(gids),
      does: `map the group ids (${describe(gids)})`,
      why: "the same for groups, each a number of its own",
    },
    {
      phase: "parent",
      op: "open-namespace",
      name: "user",
      gives: "userns",
      does: "open the child's user namespace",
      why: "mounts are shifted by this same map, so files on disk keep their ordinary owners",
    },
  ]
}

/** Phase child, first: the clone starts with the ids of its maker, which mean nothing in its own namespace. */
export const becomeRoot: Step = {
  phase: "child",
  op: "set-ids",
  uid: 0,
  gid: 0,
  groups: [],
  does: "become root of the user namespace",
  why: "it owns all the other namespaces, so from here on it may mount, name and configure them, and nothing else",
}

const describe = (map: readonly IdMapping[]): string =>
  map
    .map(
      ({ containerID, hostID, size }) =>
        `${containerID}–${containerID + size - 1} are ${hostID}–${hostID + size - 1} outside`,
    )
    .join(", ")
