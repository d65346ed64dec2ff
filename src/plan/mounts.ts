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
import type { Host } from "../model/host.ts"
import type { Config, IdMapping, Mount, NamespaceType } from "../model/oci.ts"
import type { PlacedVolume } from "../model/placement.ts"
import { attach, bind, type Placed, point, type Whose } from "./mounts-bind.ts"
import type { Step } from "./step.ts"

export interface Mounts {
  readonly mounts: readonly Mount[]
  readonly host: Host
  /** Where config.json lies: a relative source is relative to it. */
  readonly bundle: string
  /** Whose a namespace is. A user namespace has power over those that were made in it, and may mount only their file systems. */
  readonly namespace: (type: NamespaceType) => Whose
  /** The container's map, if it has a user namespace. */
  readonly uids: readonly IdMapping[]
  readonly gids: readonly IdMapping[]
  /** /dev as made by devices.ts, in slot "dev". */
  readonly devices: boolean
  /** v1: the hierarchies in which the container has a group of its own: what to call them, and the mount options that name them. */
  readonly hierarchies: readonly { readonly name: string; readonly options: readonly string[] }[]
  /** The host's id for group 5 (tty), if the container has one: devpts may name no other. */
  readonly ttyGroup: boolean
  /** Sources that the engine has written itself: files about which the Host says nothing. */
  readonly ownFiles: readonly string[]
  readonly volumes: readonly PlacedVolume[]
}

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
 * @param at where hooks will look for it. It is found while we still have the ids of the host's root: others may not get there.
 */
export const enterRoot = (at = ANYWHERE): readonly Step[] => [
  {
    phase: "child",
    op: "attach-mount",
    mount: "root",
    target: at,
    does: `attach the root file system at ${at}`,
    why: "a detached mount can become the root only after it lies somewhere",
  },
  {
    phase: "child",
    op: "pivot",
    target: at,
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

/** Where a mount goes, as one absolute path: a relative one is below /, so says the specification since 1.1. */
export const destinationOf = ({ destination }: Pick<Mount, "destination">): string =>
  `/${destination
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/")}`

/** Every mount of the config, in its order. `late`, phase child: when nothing is made in them any more. */
export function mounts(given: Mounts): {
  readonly parent: readonly Step[]
  readonly child: readonly Step[]
  readonly late: readonly Step[]
  readonly warnings: readonly string[]
} {
  const placed = given.mounts.map((mount, index) =>
    place({ ...mount, destination: destinationOf(mount) }, index, given),
  )
  return {
    parent: placed.flatMap(({ parent }) => parent),
    child: placed.flatMap(({ child }) => child),
    late: placed.flatMap(({ late = [] }) => late),
    warnings: placed.flatMap(({ warning }) => (warning === undefined ? [] : [warning])),
  }
}

function place(mount: Mount, index: number, given: Mounts): Placed {
  const { type = "none", destination } = mount
  const options = readOptions(mount.options ?? [], destination)
  const slot = `mount${index}`
  if (options.bind || type === "bind") return bind(mount, options, slot, given)
  if (options.idmap || mount.uidMappings !== undefined || mount.gidMappings !== undefined)
    throw new EngineError(
      "UNSUPPORTED",
      `cannot mount ${type} on ${destination} with other ids: only a bind can be shown with them`,
      "drop idmap, uidMappings and gidMappings",
    )
  if (type === "none")
    throw new EngineError(
      mount.type === undefined ? "INVALID_CONFIG" : "UNSUPPORTED",
      `cannot mount on ${destination}: the mount has neither a type nor the option bind`,
      "only new mounts can be made: to change one, give it the options",
    )
  const long = options.data.find((option) => new TextEncoder().encode(option).length > MOST_OPTION)
  if (long !== undefined)
    throw new EngineError(
      "UNSUPPORTED",
      `cannot mount ${type} on ${destination}: the option ${long.slice(0, 20)}… has more than ${MOST_OPTION} bytes`,
      "give it shorter paths",
    )

  const owner = Object.hasOwn(NAMESPACE_OF, type) ? NAMESPACE_OF[type] : undefined
  const whose = owner && given.namespace(owner.namespace)
  if (owner && whose === "host" && given.namespace("user") !== "host")
    return hosts(type, destination, owner.path, options, slot)
  if (owner && whose === "joined" && given.namespace("user") === "own")
    throw new EngineError(
      "UNSUPPORTED",
      `cannot mount ${type} on ${destination}: it shows a ${owner.namespace} namespace that was joined, over which the container's own user namespace has no power`,
      "join the user namespace of that one too, or drop the mount",
    )
  if (type === "cgroup" || type === "cgroup2") return cgroup(destination, options, slot, given)
  // Made before anything is put into it, so it can become read-only only afterwards.
  const readOnly = type === "tmpfs" && Boolean((options.set | options.recursiveSet) & ATTR.rdonly)
  const covered = given.mounts.slice(index + 1).some((other) => destinationOf(other) === destination)
  const late =
    readOnly && !covered ? [{ ...change(destination, ATTR.rdonly, 0), does: `make ${destination} read-only` }] : []
  const propagation = options.propagation
    ? [
        {
          ...change(destination, 0, options.propagation),
          does: `say how ${destination} shares what is mounted below it`,
        },
      ]
    : []
  if (type === "tmpfs" && destination === "/dev" && given.devices)
    return {
      parent: [],
      child: [
        point("/dev"),
        {
          ...attach("dev", "/dev"),
          does: "attach the container's own /dev",
          why: "it holds only the devices that are safe to share",
        },
        ...propagation,
      ],
      late,
    }
  const data =
    type === "devpts" && !given.ttyGroup ? options.data.filter((option) => !option.startsWith("gid=")) : options.data
  const made = fresh(type, mount.source, data, late.length > 0 ? writable(options) : options, destination)
  const warning =
    data.length < options.data.length
      ? `terminals on ${destination} have no group of their own: the container's user namespace has no group 5`
      : undefined
  if (!ofTheHost(type, mount.source))
    return { parent: [], child: [point(destination), made, ...propagation], late, ...(warning && { warning }) }
  const { target: _, ...detached } = made
  return {
    parent: [{ ...detached, phase: "parent", gives: slot, does: `make a ${type} for ${destination}` }],
    child: [point(destination), attach(slot, destination), ...propagation],
    ...(given.namespace("user") !== "host" && {
      warning: `${destination} has files that will show the owner nobody inside: a new ${type} cannot be shown with other ids`,
    }),
  }
}

/** fsconfig(2) takes 256 bytes with the NUL at the end. */
const MOST_OPTION = 255

/** Whether what a mount names are files of the host: inside, the same names would be others. */
const ofTheHost = (type: string, source = ""): boolean =>
  type === "overlay" || (source.startsWith("/") && !(Object.hasOwn(WHY, type) || type === "ramfs"))

const writable = (options: Options): Options => ({
  ...options,
  set: options.set & ~ATTR.rdonly,
  recursiveSet: options.recursiveSet & ~ATTR.rdonly,
})

const change = (target: string, set: number, propagation: number) => ({
  phase: "child" as const,
  op: "set-mount" as const,
  target,
  recursive: 0,
  set,
  clear: 0,
  propagation,
  why: "the config asks for it",
})

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

function fresh(type: string, source: string | undefined, data: readonly string[], options: Options, target: string) {
  return {
    phase: "child",
    op: "new-mount",
    type,
    ...(source !== undefined && { source }),
    options: data,
    attributes: options.set | options.recursiveSet,
    target,
    does: `mount ${type} on ${target}`,
    why: (Object.hasOwn(WHY, type) && WHY[type]) || "the config asks for it",
  } as const satisfies Step
}

/** A file system of a namespace that the container shares with the host: a clone of the host's own mount of it. */
function hosts(type: string, destination: string, path: string, options: Options, slot: string): Placed {
  return {
    ...(options.data.length > 0 && {
      warning: `${destination} is mounted without ${options.data.join(", ")}: it is the host's own ${type}, which has its options`,
    }),
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

/** The container's own view of its limits: what the JVM, Go and Node read at their start. */
function cgroup(destination: string, options: Options, slot: string, given: Mounts): Placed {
  const { mode, unified } = given.host.cgroups
  // That there are none is told where its limits are.
  if (mode === "none") return { parent: [], child: [] }
  if (given.namespace("cgroup") === "host") {
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

/**
 * Phase child, last of the mounts: `root.readonly`.
 * @param unguarded the config denies devices, and this host has nothing that would: no group with rules.
 */
export function finishRoot({ root }: Config, unguarded: boolean): readonly Step[] {
  return [
    ...(root?.readonly
      ? [
          {
            ...change("/", ATTR.rdonly, 0),
            does: "make the root file system read-only",
            why: "only volumes and tmpfs can be written",
          },
        ]
      : []),
    ...(unguarded
      ? [
          {
            ...change("/", ATTR.nodev, 0),
            does: "make the device nodes of the root file system mere names",
            why: "an image may bring any, and without a group nothing denies the devices themselves",
          },
        ]
      : []),
  ]
}

/** Phase child, when the old root is gone: pivot_root(2) moves no root that is shared. `rootfsPropagation`. */
export function shareRoot({ linux }: Config): readonly Step[] {
  const word = linux?.rootfsPropagation
  if (word === undefined || word === "") return []
  const flag = PROPAGATION[word.replace(/^r/, "") as keyof typeof PROPAGATION]
  if (flag === undefined)
    throw new EngineError(
      "INVALID_CONFIG",
      `cannot make the root file system ${word}: linux.rootfsPropagation is one of shared, slave, private, unbindable`,
    )
  const does = `make the root file system ${word}`
  return [
    {
      ...change("/", 0, flag),
      recursive: word.startsWith("r") ? 1 : 0,
      does,
      why: "the config says how its mounts are shared",
    },
  ]
}
