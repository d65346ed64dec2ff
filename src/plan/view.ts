/**
 * View: a container's files, for whoever reads or writes them from outside: `cp`, `export`, `diff`, a copy into a volume.
 *
 *     running    open its process, enter its mount namespace          / as it sees it, volumes too
 *                … and clone the mount of / alone                     / without what is mounted on it
 *     stopped    a user namespace with its map, its overlay, once more, in a mount namespace of our own
 *
 * The last step gives the directory; what follows below it is the work of `apply` or `read` (unpack.ts). Ids are the host's: the
 * container's own, moved by its map. A mount of ours ends with the executor, whoever dies.
 *
 * Read on: overlay.ts, unpack.ts. setns(2) with a pidfd; open_tree(2).
 */

import { CLONE_NEW } from "../formats/clone.ts"
import type { Config, IdMapping } from "../model/oci.ts"
import type { Placement } from "../model/placement.ts"
import { hostId, mapText } from "./idmap.ts"
import { rootFileSystem } from "./overlay.ts"
import type { Step } from "./step.ts"

export interface Viewed {
  readonly config: Config
  readonly placement: Placement
  /** Its process 1, if it runs. */
  readonly process?: { readonly pid: number; readonly start: number }
}

/** O_PATH, O_DIRECTORY, O_CLOEXEC. */
const DIRECTORY = 0o10000000 | 0o200000 | 0o2000000
const O_NOFOLLOW = 0o400000
const MS_PRIVATE = 1 << 18

/** All of phase host. @param alone without what is mounted below the root. */
export function viewRoot(
  { config, placement, process }: Viewed,
  { alone }: { readonly alone: boolean },
): readonly Step[] {
  if (process) return [...enter(process), alone ? cloneRoot : openDirectory("/", "what the container sees")]
  const { uidMappings: uids = [], gidMappings: gids = [], namespaces = [] } = config.linux ?? {}
  const shifted = namespaces.some(({ type, path }) => type === "user" && path === undefined)
  const { rootfs } = placement
  if (rootfs.kind === "directory") return [openDirectory(rootfs.path, "what the container saw")]
  const { host, parent } = rootFileSystem(rootfs, {
    staging: placement.staging ?? placement.directory,
    uid: shifted ? (hostId(uids, 0) ?? 0) : 0,
    gid: shifted ? (hostId(gids, 0) ?? 0) : 0,
    shifted,
  })
  return [
    ...(shifted ? [userNamespace(uids, gids)] : []),
    // There is no child that we would be the parent of, and nothing to go back to: we end in that mount namespace.
    ...[...host, ...parent].filter(({ op }) => op !== "enter-mounts").map((step): Step => ({ ...step, phase: "host" })),
  ]
}

/** The directories of a stopped or running container without its own changes: as one tree. */
export function viewLower({ rootfs, staging, directory }: Placement): readonly Step[] | undefined {
  if (rootfs.kind !== "overlay") return undefined
  const layers = [...new Set(rootfs.layers.toReversed())].map((layer) =>
    rootfs.store === undefined ? layer : `${rootfs.store}/${layer}`,
  )
  // An overlay needs two: one alone is itself.
  if (layers.length === 1) return [openDirectory(layers[0]!, "what the container began with")]
  const target = `${staging ?? directory}/root`
  return [
    {
      phase: "host",
      op: "mkdir",
      path: target,
      mode: 0o700,
      ok: ["EEXIST"],
      does: `make ${target}`,
      why: "something to mount on",
    },
    {
      phase: "host",
      op: "private-mounts",
      gives: "host mounts",
      does: "enter a mount namespace of our own",
      why: "what is mounted never shows on the host, and ends with us",
    },
    {
      phase: "host",
      op: "overlay",
      lower: layers,
      options: [],
      target,
      gives: "directory",
      does: `stack ${layers.length} layers`,
      why: "what the container began with, as one tree",
    },
  ]
}

/** A directory of the host, as it lies there. */
export const openDirectory = (path: string, why: string): Step => ({
  phase: "host",
  op: "open",
  path,
  flags: DIRECTORY | O_NOFOLLOW,
  gives: "directory",
  does: `open ${path}`,
  why,
})

const enter = ({ pid, start }: { readonly pid: number; readonly start: number }): readonly Step[] => [
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
    phase: "host",
    op: "join-namespace",
    namespace: "container",
    kind: CLONE_NEW.mount,
    does: "enter the container's mount namespace",
    why: "its root and its volumes are mounted there, and nowhere else",
  },
]

const cloneRoot: Step = {
  phase: "host",
  op: "clone-mount",
  source: "/",
  recursive: 0,
  set: 0,
  clear: 0,
  propagation: MS_PRIVATE,
  gives: "directory",
  does: "clone the mount of its root, alone",
  why: "below a mount that lies over it, its own directories are seen",
}

const userNamespace = (uids: readonly IdMapping[], gids: readonly IdMapping[]): Step => ({
  phase: "host",
  op: "new-userns",
  uids: mapText(uids),
  gids: mapText(gids),
  gives: "userns",
  does: "make a user namespace with the container's ids",
  why: "its layers are shown with these ids, as when it ran: what is copied up keeps the right owner",
})
