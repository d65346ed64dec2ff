/**
 * Namespaces: a process's own copy of something that the kernel otherwise has once.
 *
 *     uts      host name                       mount    what lies where in the file tree
 *     pid      process numbers, a process 1    network  interfaces, addresses, routes, ports
 *     ipc      message queues, shared memory   cgroup   where the cgroup tree seems to begin
 *     user     ids and what root may do        time     offsets of the monotonic clocks
 *
 * One `clone3` makes a process and all its new namespaces at once. The user namespace is made first and owns the
 * others: root of that namespace is root over them, and nobody over anything else.
 * An existing namespace is joined with `setns`. For the kinds that only take effect on children (pid), or that take
 * power away from the one who enters (user), a short-lived process in between joins and then clones.
 *
 * Read on: idmap.ts (who is who), mounts.ts (what the mount namespace shows). Linux man-pages namespaces(7), clone(2).
 */

import { EngineError } from "../base/errors.ts"
import { CLONE_NEW } from "../formats/clone.ts"
import type { Namespace, NamespaceType } from "../model/oci.ts"
import type { Slot, Step } from "./step.ts"

/** The container has a namespace of this kind that is not the host's: a new one, or a joined one. */
export function isolated(namespaces: readonly Namespace[], type: NamespaceType): boolean {
  return namespaces.some((namespace) => namespace.type === type)
}

/** The container has a namespace of this kind that is made for it. */
export function isNew(namespaces: readonly Namespace[], type: NamespaceType): boolean {
  return namespaces.some((namespace) => namespace.type === type && !namespace.path)
}

/**
 * The kinds that `clone3` makes at once.
 *
 * One is made later, by `unshare` inside: a cgroup namespace begins at the group that its maker is in, and only v2 can start
 * a process in its group; elsewhere it must wait for the attach. One is made before: see `timeNamespace`.
 */
function atOnce(type: NamespaceType, startsInCgroup: boolean): boolean {
  return type !== "time" && (type !== "cgroup" || startsInCgroup)
}

/**
 * The clone, and what it needs: phases host and clone.
 * @param startsInCgroup the child is born in all of its groups: v2. @param cgroup the slot of a v2 group that it is born in.
 * @throws {EngineError} `INVALID_CONFIG` if a kind appears twice.
 */
export function namespaces(
  list: readonly Namespace[],
  { startsInCgroup, cgroup }: { startsInCgroup: boolean; cgroup?: Slot },
): readonly Step[] {
  const twice = list.find(({ type }, index) => list.findIndex((other) => other.type === type) !== index)
  if (twice)
    throw new EngineError("INVALID_CONFIG", `cannot make namespaces: linux.namespaces names ${twice.type} twice`)

  const joined = list.filter(({ path }) => path)
  const fresh = list.filter(({ type, path }) => !path && atOnce(type, startsInCgroup)).map(({ type }) => type)
  return [
    ...joined.map(
      ({ type, path = "" }): Step => ({
        phase: "host",
        op: "open",
        path,
        flags: O_RDONLY,
        gives: `${type} namespace`,
        does: `open the ${type} namespace at ${path}`,
        why: "a namespace is a file: holding it open is how one refers to it",
      }),
    ),
    {
      phase: "clone",
      op: "clone",
      flags: fresh.reduce((flags: number, type) => flags | CLONE_NEW[type], 0),
      ...(cgroup !== undefined && { cgroup }),
      join: joined.map(({ type }) => `${type} namespace`),
      kinds: joined.map(({ type }) => CLONE_NEW[type]),
      gives: "child",
      does: `clone a process with ${fresh.length === 0 ? "no namespaces of its own" : `its own ${fresh.join(", ")} namespaces`}${joined.length > 0 ? `, in the existing ${joined.map(({ type }) => type).join(", ")}` : ""}`,
      why: "one call makes the container's first process and everything that separates it from the host",
    },
  ]
}

/** The namespaces that are made inside, after the clone: phase child. */
export function laterNamespaces(
  list: readonly Namespace[],
  { startsInCgroup }: { startsInCgroup: boolean },
): readonly Step[] {
  const steps: Step[] = []
  if (isNew(list, "cgroup") && !startsInCgroup)
    steps.push({
      phase: "child",
      op: "unshare",
      flags: CLONE_NEW.cgroup,
      does: "make a cgroup namespace",
      why: "it begins at the group we are in by now, so the container sees that group as / and none above it",
    })
  return steps
}

/**
 * A time namespace: phase host, before its clocks are set (settings.ts) and the clone. Its offsets can be set only while nobody is in it.
 * `unshare` leaves its caller where it is, and puts there whom it makes next; a program that it becomes, only from Linux 6.2 on.
 */
export function timeNamespace(list: readonly Namespace[]): readonly Step[] {
  if (!isNew(list, "time")) return []
  return [
    {
      phase: "host",
      op: "open",
      path: "/proc/self/ns/time",
      flags: O_RDONLY,
      gives: "host time",
      does: "remember the host's time namespace",
      why: "hooks of the host shall read the host's clocks",
    },
    {
      phase: "host",
      op: "unshare",
      flags: CLONE_NEW.time,
      does: "make a time namespace for the child",
      why: "until somebody is in it its clocks can be set",
    },
  ]
}

/** Phase parent, first: whom we make from here on is not the container's. */
export function leaveTime(list: readonly Namespace[]): readonly Step[] {
  if (!isNew(list, "time")) return []
  return [
    {
      phase: "parent",
      op: "join-namespace",
      namespace: "host time",
      kind: CLONE_NEW.time,
      does: "go back to the host's time namespace",
      why: "the child has its own by now",
    },
  ]
}

/** O_CLOEXEC is added by the op. */
const O_RDONLY = 0
