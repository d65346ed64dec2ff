/**
 * Cgroups, version 1: the same idea as in cgroups.ts, but each controller has a tree of its own.
 *
 *     /sys/fs/cgroup
 *       memory/minicontainer/<id>      memory.limit_in_bytes  tasks
 *       cpu,cpuacct/minicontainer/<id>                              one tree may hold two controllers
 *       cpuset/minicontainer/<id>      its CPUs and nodes must be filled in before anyone may enter
 *       systemd/minicontainer/monitors                              a tree without a controller: whose process is whose
 *       unified/                                                    "hybrid": version 2 besides, without controllers
 *
 * A container has a group in each tree that has a controller for it, and must enter all of them; no process is born into one.
 * How it enters decides how long a start takes (Linux 6.18, eight trees, median of forty):
 *
 *     parent writes the child's pid to cgroup.procs    9.7 ms    the first waits for an RCU grace period, the rest for nothing
 *     child writes 0 to tasks                          0.3 ms
 *
 * Whoever moves a whole process must first make sure that no thread is just being made or ending; a thread that moves only
 * itself knows (Linux 5.5, kernel/cgroup/cgroup.c, cgroup_procs_write_start). Both the child and the monitor are single threads then.
 * It may: the group's files belong to root, and until its ids are set the child still is.
 *
 * A cgroup namespace begins where its maker is, so it comes after this.
 *
 * Read on: cgroups-v1-files.ts. Linux Documentation/admin-guide/cgroup-v1/cgroups.rst.
 */

import { EngineError } from "../base/errors.ts"
import type { Cgroups } from "../model/host.ts"
import { ancestors, below, type CgroupsRequest, capture, checked, enforce, type Grouped } from "./cgroups-limits.ts"
import { limits } from "./cgroups-v1-files.ts"
import type { Phase, Step } from "./step.ts"

/**
 * In every one of these a container gets a group: limits can be changed later, `stats` and `pause` work, and the JVM, which
 * insists on four of them, finds its limits. `name=systemd` is left out: it limits nothing, and its groups are systemd's to make.
 */
const ALWAYS = ["memory", "cpu", "cpuacct", "cpuset", "pids", "devices", "freezer", "blkio"]

const O_PATH = 0o10000000

/** One tree: where it is mounted, and which controllers it has. */
interface Hierarchy {
  readonly mount: string
  readonly controllers: readonly string[]
  /** "cpu,cpuacct" */
  readonly name: string
  readonly at: (path: string) => string
}

/**
 * The container's groups on a v1 host.
 * @throws {EngineError} `INVALID_CONFIG` for limits that contradict each other; `UNSUPPORTED` for `resources.unified`.
 */
export function cgroupsV1({ resources, path, monitors, host, sharesPids }: CgroupsRequest): Grouped {
  const [unifiedFile] = Object.keys(resources.unified ?? {})
  if (unifiedFile !== undefined)
    throw new EngineError(
      "UNSUPPORTED",
      `cannot write ${unifiedFile}: this host has cgroup v1, and resources.unified is for cgroup v2`,
      "use the other fields of linux.resources",
    )
  const { cgroups } = host
  const rows = limits(checked(resources), host.kernel)
  const asked = rows.flatMap((row) => ("controller" in row ? [row.controller] : []))
  const all = hierarchies(cgroups)
  const ours = all.filter(({ controllers }) =>
    controllers.some((name) => ALWAYS.includes(name) || asked.includes(name)),
  )
  const groups = Object.fromEntries(ours.flatMap(({ controllers, at }) => controllers.map((name) => [name, at(path)])))
  const enforced = enforce(rows, (controller) => groups[controller])
  // Killing its process 1 ends a container that has a pid namespace. For one that has none there is cgroup.kill, and only v2 has that.
  const born = sharesPids === true && cgroups.unified !== undefined
  const unified = cgroups.unified === undefined ? undefined : tree(cgroups, cgroups.unified, ["unified"])
  const moved =
    monitors === undefined ? [] : all.filter((one) => holds(cgroups, one)).flatMap((one) => moveMonitor(one, monitors))

  return {
    steps: [
      ...once([...moved, ...[...ours, ...(born && unified ? [unified] : [])].flatMap((one) => make(one, path))]),
      ...enforced.steps,
      ...(born && unified
        ? [
            {
              phase: "host",
              op: "open",
              path: unified.at(path),
              flags: O_PATH,
              gives: "cgroup",
              does: `open the unified cgroup ${path}`,
              why: "the child is born in it, so that all it ever makes can be killed at once",
            } as const,
          ]
        : []),
      ...ours.map((one) =>
        enter(one, path, "child", "every tree has its own groups; a thread moves itself without a wait"),
      ),
      ...(groups.memory
        ? [capture(groups.memory, "memory.oom_control", "it counts the kills for lack of memory")]
        : []),
      ...(groups.cpuacct
        ? [capture(groups.cpuacct, "cpuacct.usage", "it tells the CPU time that the container has used")]
        : []),
    ],
    warnings: enforced.warnings,
    ...(born && { slot: "cgroup" }),
    attachesInChild: true,
    groups: { ...groups, ...(born && unified && { unified: unified.at(path) }) },
    ...(monitors !== undefined && unified && { monitors: unified.at(monitors) }),
  }
}

/**
 * The groups of a running container, for one more process: phases host and parent.
 *
 * The new process is cloned inside the container's mount namespace, where the host's trees are not to be seen. So the monitor
 * enters the groups, clones, and leaves again; the child stays.
 * @param resources those the container was made with: they tell in which trees it has a group.
 */
export function joinCgroupsV1({ resources, path, monitors, host }: CgroupsRequest): Grouped {
  const { cgroups } = host
  const asked = limits(resources, host.kernel).flatMap((row) => ("controller" in row ? [row.controller] : []))
  const all = hierarchies(cgroups)
  const ours = all.filter(({ controllers }) =>
    controllers.some((name) => ALWAYS.includes(name) || asked.includes(name)),
  )
  const unified = cgroups.unified === undefined ? undefined : tree(cgroups, cgroups.unified, ["unified"])
  return {
    steps: [
      ...(monitors === undefined ? [] : ours.flatMap((one) => makeShared(one, monitors))),
      ...ours.map((one) => enter(one, path, "host", "whom we clone now is born where we are")),
      ...(monitors === undefined
        ? []
        : ours.map((one) => ({
            ...enter(one, monitors, "parent", "the container's limits are not ours"),
            must: false as const,
          }))),
    ],
    warnings: [],
    attachesInChild: false,
    groups: Object.fromEntries(ours.flatMap(({ controllers, at }) => controllers.map((name) => [name, at(path)]))),
    ...(monitors !== undefined && unified && { monitors: unified.at(monitors) }),
  }
}

/** Groups that are shared stand on the way to several others; they are made on the first. */
function once(steps: readonly Step[]): readonly Step[] {
  const made = new Set<string>()
  return steps.filter(({ does, undo }) => {
    if (undo === undefined && made.has(does)) return false
    made.add(does)
    return true
  })
}

const tree = (cgroups: Cgroups, mount: string, controllers: readonly string[]): Hierarchy => ({
  mount,
  controllers,
  name: controllers.join(","),
  at: below(mount, cgroups.base[mount]),
})

/** Every v1 tree once, ALWAYS first and in its order, so that the same host gives the same steps. */
function hierarchies(cgroups: Cgroups): readonly Hierarchy[] {
  const rest = Object.keys(cgroups.controllers).filter((name) => !ALWAYS.includes(name))
  const mounts = new Map<string, string[]>()
  for (const name of [...ALWAYS, ...rest.toSorted()]) {
    const mount = cgroups.controllers[name]
    if (mount !== undefined) mounts.set(mount, [...(mounts.get(mount) ?? []), name])
  }
  return [...mounts].map(([mount, controllers]) => tree(cgroups, mount, controllers))
}

/** Whether whoever starts us may be limited, or ended at logout, by the group we are in. At the root nobody is. */
const holds = ({ own }: Cgroups, { mount }: Hierarchy): boolean => own?.[mount] !== "/"

/** The container's group in one tree, and the groups above it. */
function make(one: Hierarchy, path: string): readonly Step[] {
  return [
    ...ancestors(path).flatMap((parent) => shared(one, parent, "the groups of all containers lie below it")),
    {
      phase: "host",
      op: "mkdir",
      path: one.at(path),
      mode: 0o755,
      does: `make the ${one.name} cgroup ${path}`,
      why: WHY[one.controllers[0] ?? ""] ?? "what was asked for is written here",
      undo: { op: "remove-cgroup", path: one.at(path), does: `remove the ${one.name} cgroup ${path}` },
    },
    ...fillCpuset(one, path),
  ]
}

const WHY: Readonly<Record<string, string>> = {
  memory: "it counts memory, limits it, and tells when the kernel killed for lack of it",
  cpu: "it shares out CPU time",
  cpuacct: "it counts CPU time",
  cpuset: "it says which CPUs and which memory; programs read here how many they have",
  pids: "it counts processes and threads",
  devices: "it says which devices may be opened",
  freezer: "it can stop all of them at one moment",
  blkio: "it counts and limits disk traffic",
  unified: "it can kill all of them at one moment",
}

/** A group that containers share: it may be there, and it stays. */
function shared(one: Hierarchy, path: string, why: string): readonly Step[] {
  return [
    {
      phase: "host",
      op: "mkdir",
      path: one.at(path),
      mode: 0o755,
      ok: ["EEXIST"],
      does: `make the ${one.name} cgroup ${path}`,
      why,
    },
    ...fillCpuset(one, path),
  ]
}

const makeShared = (one: Hierarchy, path: string): readonly Step[] =>
  [...ancestors(path), path].flatMap((group) =>
    shared(one, group, "the processes that watch containers lie there, out of the caller's reach"),
  )

/** A new cpuset is empty, and an empty one refuses every process; what is above it is copied, level by level. */
function fillCpuset({ controllers, at }: Hierarchy, path: string): readonly Step[] {
  if (!controllers.includes("cpuset")) return []
  const above = path.slice(0, path.lastIndexOf("/"))
  return ["cpuset.cpus", "cpuset.mems"].map((file) => ({
    phase: "host",
    op: "copy-file",
    from: `${at(above)}/${file}`,
    to: `${at(path)}/${file}`,
    does: `fill in ${file} of ${path}`,
    why: "a new cpuset is empty, and the kernel lets nobody into an empty one",
  }))
}

/** Before the clone: what has no group of its own for the container inherits the monitor's. */
function moveMonitor(one: Hierarchy, path: string): readonly Step[] {
  return [
    ...makeShared(one, path),
    {
      ...enter(one, path, "host", "neither the caller's limits nor its logout should end what watches the container"),
      must: false,
    },
  ]
}

const enter = ({ name, at }: Hierarchy, path: string, phase: Phase, why: string): Step => ({
  phase,
  op: "attach-self",
  path: `${at(path)}/tasks`,
  does: `enter the ${name} cgroup ${path}`,
  why,
})
