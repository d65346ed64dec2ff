/**
 * Binds: a directory or a file of the host, seen inside.
 *
 *     parent   clone the mount of /srv/data, with the container's ids, read-only …      where the host's names mean what they say
 *     child    attach the clone at /data                                                where the container's do
 *
 * The clone is a mount of its own: what is set on it, the host's does not notice. `rbind` clones all mounts below, too; an option counts
 * for these only if it begins with an r (`rro`), so what is for the top alone is set when it has its place.
 *
 * A clone listens to the host (slave) unless the config says otherwise: what the host mounts there later appears, and nothing goes back.
 *
 * Read on: mounts.ts. Linux man-pages open_tree(2), mount_setattr(2).
 */

import { EngineError } from "../base/errors.ts"
import { ATTR, type Options, PROPAGATION } from "../formats/mount/options.ts"
import type { Host, PathFacts } from "../model/host.ts"
import { canShift } from "../model/idmap.ts"
import type { IdMapping, Mount, NamespaceType } from "../model/oci.ts"
import type { PlacedVolume } from "../model/placement.ts"
import type { Slot, Step } from "./step.ts"

/** A namespace of the container: made for it, one that others have too, or the host's. */
export type Whose = "own" | "joined" | "host"

export interface Binds {
  readonly host: Host
  readonly bundle: string
  readonly namespace: (type: NamespaceType) => Whose
  readonly uids: readonly IdMapping[]
  readonly gids: readonly IdMapping[]
  /** Sources that the engine has written itself: files about which the Host says nothing. */
  readonly ownFiles: readonly string[]
  readonly volumes: readonly PlacedVolume[]
}

/** What one mount takes: in the parent, where the host's files are; in the child, where they go. */
export interface Placed {
  readonly parent: readonly Step[]
  readonly child: readonly Step[]
  readonly late?: readonly Step[]
  readonly warning?: string
}

const DIRECTORY = 0
const FILE = 1

export const point = (path: string, kind = DIRECTORY): Step => ({
  phase: "child",
  op: "mount-point",
  path,
  kind,
  mode: kind === FILE ? 0o644 : 0o755,
  does: `make sure ${path} exists`,
  why: "one can only mount on something that is there",
})

export const attach = (slot: Slot, target: string): Step => ({
  phase: "child",
  op: "attach-mount",
  mount: slot,
  target,
  does: `attach it at ${target}`,
  why: "here the container sees it",
})

/** What is mounted lies below it, at a path that containers may have made a link: it is resolved inside. */
const openVolume = (root: string, gives: Slot): Step => ({
  phase: "parent",
  op: "open",
  path: root,
  flags: O_PATH,
  gives,
  does: `open the volume ${root}`,
  why: "the path inside it may hold links, and they must not lead out",
})
const O_PATH = 0o10000000

const fill = (mount: Slot, path: string, loose: boolean): Step => ({
  phase: "child",
  op: "fill",
  mount,
  path,
  ok: ["ENOENT", "ENOTDIR"],
  // Where owners cannot be shifted the container may not even write.
  ...(loose && { must: false as const }),
  does: `fill the volume for ${path}, if it is empty`,
  why: "programs expect there what their image brings; the volume would hide it",
})

/**
 * A directory of the host. With a user namespace it is seen through the container's ids, so that container uid N writes as host uid N: exactly
 * what people know from Docker. File systems that cannot do that are bound plainly, with a warning.
 */
export function bind(mount: Mount, options: Options, slot: Slot, given: Binds): Placed {
  const { destination } = mount
  const source = sourceOf(mount, options, given)
  const volume = given.volumes.find((one) => one.destination === destination)
  // Below a volume nobody but the executor looks: what lies there is the containers' own.
  const facts = given.host.paths[volume?.root ?? source]
  if (facts?.kind === "missing")
    throw new EngineError(
      "SOURCE_UNUSABLE",
      `cannot mount ${source} on ${destination}: no such file or directory`,
      `make it first: mkdir -p ${source}`,
    )
  const shift = shiftOf(mount, options, source, given)
  const userns = given.namespace("user") === "joined" ? "user namespace" : "userns"

  const can = (place: Pick<PathFacts, "filesystem" | "idmap">): boolean => canShift(place, given.host.kernel)
  const submounts = options.recursive ? (facts?.submounts ?? []) : []
  const inner = [...submounts].sort((a, b) => (a.path < b.path ? -1 : 1))
  const misfits = [facts, ...(shift === "all" ? submounts : [])].filter(
    (place): place is PathFacts => place !== undefined && !can(place),
  )
  const deep = options.recursive
  const within = volume && source !== volume.root ? source.slice(volume.root.length + 1) : undefined
  const opened = volume && within !== undefined ? [openVolume(volume.root, `${slot}_volume`)] : []
  // To become a peer of the host's mount, a clone must never have been its slave.
  const all = !deep || options.recursivePropagation || options.propagation === PROPAGATION.shared
  const clone = (path: string, recursive: boolean, idmap: boolean, gives: Slot): Step => {
    const set = deep ? options.recursiveSet : options.set | options.recursiveSet
    return {
      phase: "parent",
      op: "clone-mount",
      source: within === undefined || path !== source ? path : within,
      ...(within !== undefined && path === source && { from: `${slot}_volume` }),
      recursive: recursive ? 1 : 0,
      ...(idmap && { userns }),
      set,
      clear: deep ? options.recursiveClear : options.clear | options.recursiveClear,
      propagation: (all && options.propagation) || PROPAGATION.slave,
      gives,
      does: `clone the mount of ${path}${idmap ? " with the container's ids" : ""}${set & ATTR.rdonly ? ", read-only" : ""}`,
      why: idmap
        ? "container uid N reads and writes there as host uid N"
        : "the clone is the container's; what it does to the mount does not touch the host's",
    }
  }
  const kind = given.ownFiles.includes(source) || (facts !== undefined && facts.kind !== "directory") ? FILE : DIRECTORY
  const filled = volume?.fill ? [fill(slot, destination, misfits.length > 0)] : []
  const top = [...filled, point(destination, kind), attach(slot, destination), ...topOnly(destination, options, all)]
  const whole = shift === "none" || (misfits.length === 0 && (shift === "all" || inner.length === 0))
  if (whole) return { parent: [...opened, clone(source, deep, shift !== "none", slot)], child: top }

  // A recursive call treats all mounts alike, and fails if one of them cannot be shifted: so one call each.
  const inside = (path: string): string =>
    `${destination.replace(/\/$/, "")}${path.slice(source.replace(/\/+$/, "").length)}`
  return {
    parent: [
      ...opened,
      clone(source, false, facts === undefined || can(facts), slot),
      ...inner.map((place, index) => clone(place.path, false, shift === "all" && can(place), `${slot}_${index}`)),
    ],
    child: [...top, ...inner.map(({ path }, index) => attach(`${slot}_${index}`, inside(path)))],
    ...(misfits.length > 0 && {
      warning: `${source} has files that will show the owner nobody inside: its file system (${[...new Set(misfits.map(({ filesystem }) => filesystem))].join(", ")}) cannot be shown with other ids; --userns host avoids it`,
    }),
  }
}

function sourceOf({ source, destination }: Mount, { data }: Options, { bundle }: Binds): string {
  if (source === undefined || source === "")
    throw new EngineError("INVALID_CONFIG", `cannot mount on ${destination}: a bind needs a source`)
  // The kernel would pass over the word.
  if (data.length > 0)
    throw new EngineError(
      "UNSUPPORTED",
      `cannot mount ${source} on ${destination}: a bind has no option ${data.join(", ")}`,
      "what a file system is told counts for everybody who has it mounted, so the host must say it",
    )
  return source.startsWith("/") ? source : `${bundle}/${source.replace(/^(\.\/+)+/, "")}`
}

/** Which of the mounts is to be seen with other ids. @throws {EngineError} `UNSUPPORTED` for ids that are not the container's. */
function shiftOf(mount: Mount, { idmap }: Options, source: string, given: Binds): "none" | "one" | "all" {
  const { uidMappings, gidMappings } = mount
  if (!idmap && uidMappings === undefined && gidMappings === undefined) return "none"
  const refuse = (cause: string, hint: string): EngineError =>
    new EngineError("UNSUPPORTED", `cannot mount ${source} on ${mount.destination} with other ids: ${cause}`, hint)
  if (given.namespace("user") === "host")
    throw refuse("the container has no user namespace", "drop uidMappings, or give the container a user namespace")
  const differs = (map: readonly IdMapping[] | undefined, own: readonly IdMapping[]): boolean =>
    map !== undefined && spelled(map) !== spelled(own)
  if (differs(uidMappings, given.uids) || differs(gidMappings, given.gids))
    throw refuse("they are not those of the container's user namespace", "drop the mount's uidMappings and gidMappings")
  return idmap || "one"
}
const spelled = (map: readonly IdMapping[]): string =>
  map.map(({ containerID, hostID, size }) => `${containerID}:${hostID}:${size}`).join()

/** What `rbind` leaves for the top alone. */
function topOnly(
  target: string,
  { recursive, set, clear, propagation }: Options,
  everywhere: boolean,
): readonly Step[] {
  const own = everywhere || propagation === PROPAGATION.slave ? 0 : propagation
  if (!recursive || (set === 0 && clear === 0 && own === 0)) return []
  return [
    {
      phase: "child",
      op: "set-mount",
      target,
      recursive: 0,
      set,
      clear,
      propagation: own,
      does: set & ATTR.rdonly ? `make ${target} read-only` : `set the options of ${target}`,
      why: "an option without an r in front is not for the mounts below",
    },
  ]
}
