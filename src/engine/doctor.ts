/**
 * `doctor`: what this host can do, what follows from it and what can be done about it; and what crashes have left over.
 *
 *     Host, Health ──▶ checks      ok       it is there
 *                                  limited  containers run, with less
 *                                  missing  containers do not run, or not safely
 *     leftovers/   ──▶ leftovers   found, or with `fix` taken away
 *
 * A check is a line of a table here, and does nothing but compare; a class of leftovers is a row over there.
 *
 * Read on: host/health.ts; leftovers/leftovers.ts.
 */

import { EngineError } from "../base/errors.ts"
import { binarySize } from "../base/units.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { type Health, readHealth } from "../host/health.ts"
import { CAPABILITIES, holds } from "../model/capabilities.ts"
import type { Host } from "../model/host.ts"
import { canShift, canShiftLayers } from "../model/idmap.ts"
import { LEFTOVERS } from "./leftovers/leftovers.ts"
import type { Check, Diagnosis, LeftoverTold } from "./types.ts"
import type { World } from "./world.ts"

export async function doctor(world: World, { fix = false }: { readonly fix?: boolean } = {}): Promise<Diagnosis> {
  const { state } = world.roots
  const host = world.host([state])
  const health = readHealth(state)
  const executor = await tried(world)
  return {
    checks: [...machine(host, health), ...cgroups(host), ...files(host, health, state), ...network(health), executor],
    leftovers: host.uid === 0 ? await leftovers(world, fix) : [],
  }
}

const ok = (name: string, found: string): Check => ({ name, state: "ok", found })
const limited = (name: string, found: string, means: string, fix?: string): Check => ({
  name,
  state: "limited",
  found,
  means,
  ...(fix && { fix }),
})
const missing = (name: string, found: string, means: string, fix?: string): Check => ({
  ...limited(name, found, means, fix),
  state: "missing",
})

/** What containers need a capability for; what is not here they can do without. */
const NEEDED = {
  CAP_SYS_ADMIN: "nothing can be mounted, and no namespace made",
  CAP_CHOWN: "files cannot be given to a container's users",
  CAP_DAC_OVERRIDE: "files of containers cannot be cleaned up",
  CAP_MKNOD: "a container gets no /dev",
  CAP_NET_ADMIN: "a container gets no network",
  CAP_SETUID: "a container gets no ids of its own",
  CAP_SETGID: "a container gets no ids of its own",
  CAP_SYS_CHROOT: "a container gets no root file system",
  CAP_KILL: "containers cannot be stopped",
} as const

const NAMESPACES = {
  mnt: "mount",
  pid: "pid",
  net: "network",
  ipc: "ipc",
  uts: "uts",
  cgroup: "cgroup",
  user: "user",
} as const

function machine(host: Host, health: Health): readonly Check[] {
  const { capabilities, kernelRelease, kernel } = host
  const outer = "if this is a container, start it with --privileged"
  const lacking = Object.entries(NEEDED).filter(([name]) => !holds(capabilities, name as keyof typeof NEEDED))
  const lost = CAPABILITIES.filter((name) => !(name in NEEDED) && !holds(capabilities, name))
  return [
    canShiftLayers(kernel)
      ? ok("kernel", kernelRelease)
      : limited("kernel", kernelRelease, "before 5.19 containers run with the host's user ids", "use a newer kernel"),
    host.uid === 0 ? ok("root", "uid 0") : missing("root", `uid ${host.uid}`, "no container can be made", "use sudo"),
    ...Object.entries(NAMESPACES).map(([name, said]): Check => {
      const row = `${said} namespaces`
      if (!(name in health.namespaces))
        return missing(row, "not in this kernel", `containers cannot have a ${said} namespace`, "use another kernel")
      const most = health.namespaces[name]
      const path = `user.max_${name}_namespaces`
      if (most !== 0) return ok(row, most === undefined ? "available" : `up to ${most}`)
      const means = name === "user" ? "containers run with the host's user ids" : "no container can be made"
      return {
        ...limited(row, `${path} is 0`, means, `sysctl -w ${path}=15000`),
        state: name === "user" ? "limited" : "missing",
      }
    }),
    host.confined
      ? missing("user namespace", "we are in one", "its root has not the power to run containers", outer)
      : ok("user namespace", "the machine's first"),
    health.restrictions.length === 0
      ? ok("limits on user namespaces", "none")
      : limited(
          "limits on user namespaces",
          health.restrictions.join(", "),
          "ordinary users cannot make them; root, who runs this, can",
        ),
    lacking.length === 0
      ? ok("capabilities", lost.length === 0 ? "all" : "all that containers need")
      : missing("capabilities", `without ${lacking.map(([name]) => name).join(", ")}`, lacking[0]![1], outer),
    ...(lost.length > 0
      ? [
          limited(
            "other capabilities",
            `without ${lost.join(", ")}`,
            "--privileged gives no more than we have, and limits cannot exceed our own",
            outer,
          ),
        ]
      : []),
    host.seccomp
      ? ok("seccomp", "filters")
      : missing("seccomp", "no filters in this kernel", "containers may make any system call", "use another kernel"),
    ok("AppArmor", host.lsm.apparmor ? "on; containers have no profile of their own" : "off"),
  ]
}

/** What a controller is for; without it that is not to be had. */
const CONTROLLERS = {
  memory: "--memory",
  cpu: "--cpus",
  cpuset: "--cpuset-cpus",
  pids: "--pids-limit",
  io: "--blkio-weight",
}
/** v1 has other names for some. */
const V1_NAMES: Readonly<Record<string, string>> = { io: "blkio" }

function cgroups({ cgroups: { mode, why, controllers } }: Host): readonly Check[] {
  if (mode === "none")
    return [
      missing(
        "cgroups",
        why ?? "none can be made",
        "containers run without limits, and cannot be paused",
        "mount -t cgroup2 none /sys/fs/cgroup",
      ),
    ]
  const version =
    mode === "v2"
      ? ok("cgroups", "version 2")
      : limited(
          "cgroups",
          "version 1",
          "pressure and memory.high are not to be had",
          "boot with systemd.unified_cgroup_hierarchy=1",
        )
  const all = mode === "v1" ? { ...CONTROLLERS, devices: "--device", freezer: "pause" } : CONTROLLERS
  return [
    version,
    ...Object.entries(all).map(([name, flag]) => {
      const real = mode === "v1" ? (V1_NAMES[name] ?? name) : name
      return real in controllers
        ? ok(`cgroup controller ${real}`, "available")
        : limited(
            `cgroup controller ${real}`,
            "not available",
            `${flag} has no effect`,
            "see /sys/fs/cgroup/cgroup.controllers",
          )
    }),
  ]
}

const GiB = 2 ** 30

function files(host: Host, { filesystems, disk }: Health, state: string): readonly Check[] {
  const facts = host.paths[state]!
  return [
    filesystems.includes("overlay")
      ? ok("overlay", "available")
      : limited(
          "overlay",
          "not loaded",
          "the kernel has to find its module at the first container",
          "modprobe overlay",
        ),
    canShift(facts, host.kernel)
      ? ok("idmapped mounts", `on ${facts.filesystem}, which holds ${state}`)
      : limited(
          "idmapped mounts",
          `not on ${facts.filesystem}, which holds ${state}`,
          "containers run with the host's user ids",
          "choose a --root on ext4, xfs or btrfs",
        ),
    disk === undefined
      ? missing("room on disk", "unknown", `${state} cannot be looked at`)
      : disk.freeBytes < GiB || disk.freeInodes === 0
        ? limited(
            "room on disk",
            `${binarySize(disk.freeBytes)} free`,
            "containers may fail to write",
            "prune; volume prune",
          )
        : ok("room on disk", `${binarySize(disk.freeBytes)} free of ${binarySize(disk.totalBytes)}`),
  ]
}

const network = ({ forwards, nftables }: Health): readonly Check[] => [
  forwards
    ? ok("IPv4 forwarding", "on")
    : limited(
        "IPv4 forwarding",
        forwards === undefined ? "not in this kernel" : "off",
        "packets of containers do not leave the host until a network switches it on",
        "sysctl -w net.ipv4.ip_forward=1",
      ),
  nftables
    ? ok("nf_tables", "available")
    : limited(
        "nf_tables",
        "not loaded",
        "the kernel has to find its module at the first published port",
        "modprobe nf_tables",
      ),
]

/** A real call: it may be missing, damaged, or on a file system that is mounted noexec. */
async function tried(world: World): Promise<Check> {
  try {
    const path = world.executor()
    const { failed } = await doSteps(
      path,
      planOf([{ phase: "host", op: "claim", path: "/", does: "look at /", why: "it is always there" }]),
    )
    return failed
      ? missing("executor", path, "no container can be made", "install the command again")
      : ok("executor", path)
  } catch (error) {
    if (!(error instanceof EngineError)) throw error
    return missing("executor", error.message, "no container can be made", error.hint ?? "install the command again")
  }
}

async function leftovers(world: World, fix: boolean): Promise<readonly LeftoverTold[]> {
  const told: LeftoverTold[] = []
  for (const [name, { about, find }] of Object.entries(LEFTOVERS))
    for (const leftover of find(world)) {
      const one = { class: name, about, what: leftover.what }
      told.push(fix ? { ...one, ...(await outcome(leftover.fix)) } : one)
    }
  return told
}

async function outcome(fix: () => Promise<void> | void): Promise<Pick<LeftoverTold, "fixed" | "why">> {
  try {
    await fix()
    return { fixed: true }
  } catch (error) {
    return { fixed: false, why: (error as Error).message }
  }
}
