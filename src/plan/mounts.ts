/**
 * Mounts: what lies where in the container's file tree.
 *
 *     /             the overlay, attached as a detached mount, then made the root
 *       proc        of its own pid namespace        sys     of its own network namespace, read-only
 *       dev         a tmpfs with the few devices    pts, shm, mqueue   below it
 *       any/place   a volume: a clone of a host directory's mount, with the container's ids
 *
 * Everything that comes from the host (volumes) is cloned by the parent, in the host's mount namespace, as a detached
 * mount; everything that belongs to the container's own namespaces (proc, sysfs, …) is made by the child. The child
 * places them after the pivot, when every path, whatever links a hostile image has put there, resolves inside the new root.
 * proc and sysfs must be mounted before the old root is let go: later the kernel refuses, lest they reveal what was hidden.
 *
 * Read on: formats/mount/options.ts, protection.ts. Linux man-pages mount_namespaces(7), pivot_root(2), open_tree(2).
 */

import { EngineError } from "../base/errors.ts"
import { ATTR, type Options, PROPAGATION, readOptions } from "../formats/mount/options.ts"
import type { Host, PathFacts } from "../model/host.ts"
import { canShift } from "../model/idmap.ts"
import type { Config, Mount, NamespaceType } from "../model/oci.ts"
import type { Step } from "./step.ts"

export interface Mounts {
  readonly mounts: readonly Mount[]
  readonly host: Host
  /** The container has a user namespace of its own: slot "userns". */
  readonly shifted: boolean
  /** The container made this namespace itself: only then may it mount that namespace's file system. */
  readonly isNew: (type: NamespaceType) => boolean
  /** /dev as made by devices.ts, in slot "dev". */
  readonly devices: boolean
  /** v1: the hierarchies in which the container has a group of its own: what to call them, and the mount options that name them. */
  readonly hierarchies: readonly { readonly name: string; readonly options: readonly string[] }[]
  /** The host's id for group 5 (tty), if the container has one: devpts may name no other. */
  readonly ttyGroup: boolean
  /** Sources that the engine has written itself: files about which the Host says nothing. */
  readonly ownFiles: readonly string[]
}

/** What one mount takes: in the parent, where the host's files are; in the child, where they go. */
interface Placed {
  readonly parent: readonly Step[]
  readonly child: readonly Step[]
  readonly warning?: string
}

const DIRECTORY = 0
const FILE = 1

const point = (path: string, kind = DIRECTORY): Step => ({
  phase: "child",
  op: "mount-point",
  path,
  kind,
  mode: kind === FILE ? 0o644 : 0o755,
  does: `make sure ${path} exists`,
  why: "one can only mount on something that is there",
})

/** Phase child, before the pivot: stop telling the host what we mount. */
export const isolateMounts: Step = {
  phase: "child",
  op: "set-mount",
  target: "/",
  recursive: 1,
  set: 0,
  clear: 0,
  propagation: PROPAGATION.slave,
  does: "stop telling the host about our mounts",
  why: "a shared mount repeats everything that is mounted below it in the other namespace; a slave only listens",
}

/**
 * A directory that every host has and everybody may enter: the container's root, nobody out here, could not get into our own,
 * which are the host root's alone. What lies there is hidden for a moment, in the child's mount namespace only.
 */
const ANYWHERE = "/proc"

/**
 * Phase child: the mount in slot "root" becomes /. The old root stays mounted beside it until `leaveOldRoot`: proc and sysfs can
 * only be mounted while it is. On top of it, where pivot_root(".", ".") would lay it, `..` of a hostile link would lead into it.
 */
export const enterRoot: readonly Step[] = [
  {
    phase: "child",
    op: "attach-mount",
    mount: "root",
    target: ANYWHERE,
    does: `attach the root file system at ${ANYWHERE}`,
    why: "a detached mount can become the root only after it lies somewhere",
  },
  {
    phase: "child",
    op: "pivot",
    target: ANYWHERE,
    does: "make it the root of this process",
    why: "every path and every link is now resolved inside it, whoever has made them",
  },
]
export const leaveOldRoot: Step = {
  phase: "child",
  op: "leave-old-root",
  does: "let the host's file tree go",
  why: "unlike chroot, this moves the whole namespace: from here on nothing leads back",
}

/** Every mount of the config, in its order. */
export function mounts(given: Mounts): {
  readonly parent: readonly Step[]
  readonly child: readonly Step[]
  readonly warnings: readonly string[]
} {
  const placed = given.mounts.map((mount, index) => place(mount, index, given))
  return {
    parent: placed.flatMap(({ parent }) => parent),
    child: placed.flatMap(({ child }) => child),
    warnings: placed.flatMap(({ warning }) => (warning === undefined ? [] : [warning])),
  }
}

function place(mount: Mount, index: number, given: Mounts): Placed {
  const { type = "none" } = mount
  // A relative destination is below /: so says the specification since 1.1.
  const destination = mount.destination.startsWith("/") ? mount.destination : `/${mount.destination}`
  const options = readOptions(mount.options ?? [], destination)
  const slot = `mount${index}`
  if (options.bind || type === "bind") return bind({ ...mount, destination }, options, slot, given)

  const owner = NAMESPACE_OF[type]
  if (owner && given.shifted && !given.isNew(owner.namespace)) return hosts(destination, owner.path, options, slot)
  if (type === "cgroup" || type === "cgroup2") return cgroup(destination, options, slot, given)
  if (type === "tmpfs" && destination === "/dev" && given.devices)
    return {
      parent: [],
      child: [
        point("/dev"),
        {
          phase: "child",
          op: "attach-mount",
          mount: "dev",
          target: "/dev",
          does: "attach the container's own /dev",
          why: "it holds only the devices that are safe to share",
        },
      ],
    }
  const data =
    type === "devpts" && !given.ttyGroup ? options.data.filter((option) => !option.startsWith("gid=")) : options.data
  return { parent: [], child: [point(destination), fresh(type, mount.source, data, options, destination)] }
}

/** File systems that show a namespace, and where the host has them: one that is not our own we may only borrow. */
const NAMESPACE_OF: Readonly<Record<string, { readonly namespace: NamespaceType; readonly path: string }>> = {
  proc: { namespace: "pid", path: "/proc" },
  sysfs: { namespace: "network", path: "/sys" },
  mqueue: { namespace: "ipc", path: "/dev/mqueue" },
}

const WHY: Readonly<Record<string, string>> = {
  proc: "programs look here for themselves and their processes; it shows those of this pid namespace only",
  sysfs: "programs look here for interfaces and CPUs; it shows the interfaces of this network namespace",
  devpts: "terminals of its own, so that none of the host's can be opened",
  mqueue: "the message queues of this ipc namespace",
  tmpfs: "files in memory, gone with the container",
}

function fresh(
  type: string,
  source: string | undefined,
  data: readonly string[],
  options: Options,
  target: string,
): Step {
  return {
    phase: "child",
    op: "new-mount",
    type,
    ...(source !== undefined && { source }),
    options: data,
    attributes: options.set | options.recursiveSet,
    target,
    does: `mount ${type} on ${target}`,
    why: WHY[type] ?? "the config asks for it",
  }
}

/** A file system of a namespace that the container shares with the host: a clone of the host's own mount of it. */
function hosts(destination: string, path: string, options: Options, slot: string): Placed {
  return {
    parent: [
      {
        phase: "parent",
        op: "clone-mount",
        source: path,
        recursive: 0,
        set: options.set | options.recursiveSet,
        clear: options.clear,
        propagation: PROPAGATION.slave,
        gives: slot,
        // A host that nobody has given message queues a place has nothing to show.
        ok: ["ENOENT"],
        does: `clone the host's ${path}`,
        why: "it shows a namespace that is the host's; a user namespace may not mount what it does not own",
      },
    ],
    child: [point(destination), attach(slot, destination)],
  }
}

const attach = (slot: string, target: string): Step => ({
  phase: "child",
  op: "attach-mount",
  mount: slot,
  target,
  does: `attach it at ${target}`,
  why: "here the container sees it",
})

/**
 * A volume. With a user namespace it is seen through the container's ids, so that container uid N writes as host uid N: exactly
 * what people know from Docker. File systems that cannot do that are bound plainly, with a warning.
 */
function bind(mount: Mount, options: Options, slot: string, { host, shifted, ownFiles }: Mounts): Placed {
  const { destination, source } = mount
  if (source === undefined)
    throw new EngineError("INVALID_CONFIG", `cannot mount on ${destination}: a bind needs a source`)
  const facts = host.paths[source]
  if (facts?.kind === "missing")
    throw new EngineError(
      "SOURCE_UNUSABLE",
      `cannot mount ${source} on ${destination}: no such file or directory`,
      `make it first: mkdir -p ${source}`,
    )
  const wanted = options.idmap || mount.uidMappings !== undefined || mount.gidMappings !== undefined
  if (wanted && !shifted)
    throw new EngineError(
      "UNSUPPORTED",
      `cannot mount ${source} on ${destination} with other ids: the container has no user namespace`,
      "drop uidMappings, or give the container a user namespace",
    )

  const can = (place: Pick<PathFacts, "filesystem" | "idmap">): boolean => canShift(place, host.kernel)
  const submounts = options.recursive ? (facts?.submounts ?? []) : []
  const misfits = [facts, ...submounts].filter((place): place is PathFacts => place !== undefined && !can(place))
  const clone = (path: string, recursive: boolean, idmap: boolean, gives: string): Step => ({
    phase: "parent",
    op: "clone-mount",
    source: path,
    recursive: recursive ? 1 : 0,
    ...(idmap && { userns: "userns" }),
    set: options.set | options.recursiveSet,
    clear: options.clear | options.recursiveClear,
    propagation: options.propagation || PROPAGATION.slave,
    gives,
    does: `clone the mount of ${path}${idmap ? " with the container's ids" : ""}${(options.set | options.recursiveSet) & ATTR.rdonly ? ", read-only" : ""}`,
    why: idmap
      ? "container uid N reads and writes there as host uid N"
      : "the clone is the container's; what it does to the mount does not touch the host's",
  })
  const kind = ownFiles.includes(source) || (facts !== undefined && facts.kind !== "directory") ? FILE : DIRECTORY
  const top = point(destination, kind)
  if (!wanted || misfits.length === 0)
    return { parent: [clone(source, options.recursive, wanted, slot)], child: [top, attach(slot, destination)] }

  // One mount below that cannot be shifted makes the whole recursive call fail: so one call each.
  const inner = [...submounts].sort((a, b) => (a.path < b.path ? -1 : 1))
  const inside = (path: string): string =>
    `${destination.replace(/\/$/, "")}${path.slice(source === "/" ? 0 : source.length)}`
  return {
    parent: [
      clone(source, false, facts === undefined || can(facts), slot),
      ...inner.map((place, index) => clone(place.path, false, can(place), `${slot}_${index}`)),
    ],
    child: [
      top,
      attach(slot, destination),
      ...inner.map(({ path }, index) => attach(`${slot}_${index}`, inside(path))),
    ],
    warning: `${source} has files that will show the owner nobody inside: its file system (${[...new Set(misfits.map(({ filesystem }) => filesystem))].join(", ")}) cannot be shown with other ids; --userns host avoids it`,
  }
}

/** The container's own view of its limits: what the JVM, Go and Node read at their start. */
function cgroup(destination: string, options: Options, slot: string, given: Mounts): Placed {
  const { mode, unified } = given.host.cgroups
  if (mode === "none")
    return { parent: [], child: [], warning: `nothing is mounted on ${destination}: this host has no cgroups` }
  if (!given.isNew("cgroup")) {
    const path = mode === "v2" ? (unified ?? destination) : "/sys/fs/cgroup"
    return {
      parent: [
        {
          phase: "parent",
          op: "clone-mount",
          source: path,
          recursive: 1,
          set: options.set | options.recursiveSet,
          clear: 0,
          propagation: PROPAGATION.slave,
          gives: slot,
          does: `clone the host's ${path}`,
          why: "the container shares the host's view of the cgroups",
        },
      ],
      child: [point(destination), attach(slot, destination)],
    }
  }
  if (mode === "v2")
    return {
      parent: [],
      child: [point(destination), { ...fresh("cgroup2", "cgroup", options.data, options, destination), why: LIMITS }],
    }
  return {
    parent: [],
    child: [
      point(destination),
      {
        phase: "child",
        op: "new-mount",
        type: "tmpfs",
        source: "cgroup",
        options: ["mode=755", "size=64k"],
        attributes: (options.set | options.recursiveSet) & ~ATTR.rdonly,
        target: destination,
        does: `mount tmpfs on ${destination}`,
        why: "cgroup v1 has a tree for each controller; this holds them",
      },
      ...given.hierarchies.flatMap(({ name, options: names }): Step[] => [
        point(`${destination}/${name}`),
        {
          ...fresh("cgroup", "cgroup", names, options, `${destination}/${name}`),
          does: `mount the cgroups of ${name} on ${destination}/${name}`,
          why: LIMITS,
        },
      ]),
      ...((options.set | options.recursiveSet) & ATTR.rdonly
        ? [
            {
              phase: "child",
              op: "set-mount",
              target: destination,
              recursive: 0,
              set: ATTR.rdonly,
              clear: 0,
              propagation: 0,
              does: `make ${destination} read-only`,
              why: "there is nothing to write beside the controllers",
            } as const,
          ]
        : []),
    ],
  }
}
const LIMITS = "programs read their limits here; it begins at the container's own group"

/** Phase child, last of the mounts: `root.readonly`, and how the root shares mount events. */
export function finishRoot({ root, linux }: Config): readonly Step[] {
  const propagation = linux?.rootfsPropagation
  const steps: Step[] = []
  if (root?.readonly)
    steps.push({
      phase: "child",
      op: "set-mount",
      target: "/",
      recursive: 0,
      set: ATTR.rdonly,
      clear: 0,
      propagation: 0,
      does: "make the root file system read-only",
      why: "only volumes and tmpfs can be written",
    })
  if (propagation !== undefined && propagation !== "") {
    const flag = PROPAGATION[propagation.replace(/^r/, "") as keyof typeof PROPAGATION]
    if (flag === undefined)
      throw new EngineError(
        "INVALID_CONFIG",
        `cannot make the root file system ${propagation}: linux.rootfsPropagation is one of shared, slave, private, unbindable`,
      )
    steps.push({
      phase: "child",
      op: "set-mount",
      target: "/",
      recursive: propagation.startsWith("r") ? 1 : 0,
      set: 0,
      clear: 0,
      propagation: flag,
      does: `make the root file system ${propagation}`,
      why: "the config says how its mounts are shared",
    })
  }
  return steps
}
