/**
 * Where control groups can be made on this machine.
 *
 *     v2       /sys/fs/cgroup              one tree, all controllers                   systemd since 2019
 *     v1       /sys/fs/cgroup/memory       one tree per controller (or per few)
 *     hybrid   v1, and /sys/fs/cgroup/unified: a v2 tree that has no controllers       counts as v1
 *
 * A controller lives in exactly one tree, so a v2 tree beside v1 trees gives no limits; it still names groups.
 * Containers go to the root of each tree, as with other engines, so that they outlive the session that started them. Where
 * the root may not be written (not root), they go below the group that this process is in.
 *
 * A mount shows a part of its tree: `root` in mountinfo. In a container without a cgroup namespace that is the
 * container's own group, and /proc/self/cgroup names the same group from the machine's root: so the way from the mount
 * point to our group is the second without the first. In a cgroup namespace both begin at the namespace's own group, so what looks
 * like the root of everything is `nested` in somebody's tree; a mount made outside the namespace shows `/..`, more than is ours.
 *
 * Read on: mountinfo.ts, plan/cgroups.ts. cgroups(7); systemd, "Control Group APIs and Delegation".
 */

import type { Cgroups } from "../model/host.ts"
import type { MountInfo } from "./mountinfo.ts"

/** Controllers of cgroup v1 as mount options name them; `name=…` is a tree without a controller. */
const V1_CONTROLLERS = new Set([
  "blkio",
  "cpu",
  "cpuacct",
  "cpuset",
  "devices",
  "freezer",
  "hugetlb",
  "memory",
  "misc",
  "net_cls",
  "net_prio",
  "perf_event",
  "pids",
  "rdma",
])

/** Controllers without which an engine cannot limit a container. */
const LIMITING = new Set(["memory", "cpu", "pids"])

export interface CgroupSources {
  readonly mounts: readonly MountInfo[]
  /** /proc/self/cgroup. */
  readonly self: string
  /** The link /proc/self/ns/cgroup; undefined on a kernel without cgroup namespaces. */
  readonly namespace: string | undefined
  /** Whether we are root, who may make groups anywhere. */
  readonly root: boolean
  /** The text of a small file; undefined if it cannot be read. */
  readonly read: (path: string) => string | undefined
}

/** `0::/user.slice` and `4:memory:/a`: controller → group; the v2 tree is "". */
function parseSelf(text: string): ReadonlyMap<string, string> {
  const groups = new Map<string, string>()
  for (const line of text.split("\n")) {
    // A group's name may hold colons; a controller's may not.
    const [first, second] = [line.indexOf(":"), line.indexOf(":", line.indexOf(":") + 1)]
    if (second < 0) continue
    for (const controller of line.slice(first + 1, second).split(",")) groups.set(controller, line.slice(second + 1))
  }
  return groups
}

/** The way from a mount point to a group: `/` is the mount point itself. */
function below(mount: MountInfo, group: string): string {
  if (mount.root === "/" || group === mount.root) return group === mount.root ? "/" : group
  return group.startsWith(`${mount.root}/`) ? group.slice(mount.root.length) : "/"
}

/**
 * The group of the version 2 tree that a process is in, as we see it: the text of its /proc/PID/cgroup.
 * @returns undefined if there is no such tree, or its group lies outside of our cgroup namespace.
 */
export function unifiedGroup(text: string): string | undefined {
  const group = parseSelf(text).get("")
  return group?.startsWith("/..") ? undefined : group
}

/** Joins a mount point and a way below it. */
export const groupPath = (point: string, group: string): string => (group === "/" ? point : `${point}${group}`)

/** The machine's own cgroup namespace, as the kernel numbers it. @see Linux include/linux/proc_ns.h, PROC_CGROUP_INIT_INO */
const MACHINES_NAMESPACE = "cgroup:[4026531835]"

/** Another cgroup namespace's tree: with `nsdelegate` nobody may be moved in or out, and only what is below our own namespace is ours. */
const isForeign = ({ type, root, superOptions }: MountInfo): boolean =>
  type === "cgroup2" && root.startsWith("/..") && superOptions.includes("nsdelegate")

export function cgroupsFrom({ mounts, self, namespace, root, read }: CgroupSources): Cgroups {
  const groups = parseSelf(self)
  // The usual place wins over a copy elsewhere.
  const usual = ({ point }: MountInfo): number =>
    point === "/sys/fs/cgroup" || point.startsWith("/sys/fs/cgroup/") ? 0 : 1
  const all = mounts.filter(({ type }) => type === "cgroup" || type === "cgroup2").sort((a, b) => usual(a) - usual(b))
  // A tree that is mounted read-only, as in most containers, cannot be used.
  const usable = all.filter((mount) => !mount.options.includes("ro") && !isForeign(mount))
  // Namespaces came with Linux 4.6; before that only a mount can show less than all.
  const inside = namespace !== undefined && namespace !== MACHINES_NAMESPACE
  const isNested = ({ root }: MountInfo): boolean => !root.startsWith("/..") && (inside || root !== "/")

  const base: Record<string, string> = {}
  const own: Record<string, string> = {}
  const place = (mount: MountInfo, controller: string): void => {
    const group = groups.get(controller)
    if (group !== undefined) own[mount.point] = group
    base[mount.point] = root || group === undefined ? "/" : below(mount, group)
  }

  const controllers: Record<string, string> = {}
  for (const mount of usable) {
    if (mount.type !== "cgroup") continue
    for (const word of mount.superOptions) {
      if ((!V1_CONTROLLERS.has(word) && !word.startsWith("name=")) || word in controllers) continue
      controllers[word] = mount.point
      place(mount, word)
    }
  }
  const nested = (mount: MountInfo | undefined) => mount !== undefined && isNested(mount) && { nested: true as const }
  const v2 = usable.find(({ type }) => type === "cgroup2")
  if (v2) place(v2, "")
  const unified = v2 ? { unified: v2.point } : {}
  const text = v2 && read(`${groupPath(v2.point, base[v2.point]!)}/cgroup.controllers`)
  const inV2 = (text ?? "").split(/\s+/).filter(Boolean)
  const inV1 = Object.keys(controllers).filter((name) => V1_CONTROLLERS.has(name))
  // Some programs mount a lone net_cls beside a v2 tree, and a hybrid v2 tree may hold a lone rdma: the ones that limit decide.
  if (v2 && (inV1.length === 0 || inV2.some((name) => LIMITING.has(name))))
    return {
      mode: "v2",
      ...unified,
      ...nested(v2),
      controllers: Object.fromEntries(inV2.map((name) => [name, v2.point])),
      base,
      own,
    }
  if (inV1.length === 0) return { mode: "none", why: whyNone(all), controllers: {}, base: {}, own: {} }

  const point = controllers.cpuset
  const cpuset = point === undefined ? undefined : groupPath(point, base[point]!)
  const [cpus, mems] = ["cpus", "mems"].map((name) =>
    cpuset === undefined ? undefined : read(`${cpuset}/cpuset.${name}`)?.trim(),
  )
  return {
    mode: "v1",
    ...unified,
    ...nested(usable.find(({ type }) => type === "cgroup")),
    controllers,
    base,
    own,
    ...(cpus !== undefined && mems !== undefined && { cpuset: { cpus, mems } }),
  }
}

function whyNone(all: readonly MountInfo[]): string {
  const [mount] = all
  if (mount === undefined) return "no cgroup file system is mounted"
  if (isForeign(mount)) return `${mount.point} belongs to another cgroup namespace than ours`
  return `${mount.point} is read-only`
}
