/**
 * `info`: what this machine offers, and what of it the engine uses. The document for "it works here and not there".
 *
 * Read on: host/host.ts. Docker Engine API, "SystemInfo".
 */

import { VERSION } from "../base/version.ts"
import type { Host } from "../model/host.ts"
import { canShiftLayers } from "../model/idmap.ts"
import { seeAll } from "./reconcile.ts"
import type { Info } from "./types.ts"
import type { World } from "./world.ts"

export async function info(world: World): Promise<Info> {
  const { store, host, roots } = world
  const { root } = store()
  const { containers, broken } = await seeAll(world)
  const found = host([root])
  const count = (state: string): number => containers.filter((container) => container.state === state).length
  return {
    ServerVersion: VERSION,
    Containers: containers.length,
    ContainersRunning: count("running"),
    ContainersPaused: 0,
    ContainersStopped: containers.length - count("running"),
    ContainersBroken: broken.map(({ id }) => id),
    RootDir: roots.state,
    RunRootDir: roots.run,
    Driver: "overlay",
    DriverStatus: [["Backing Filesystem", found.paths[root]!.filesystem]],
    LoggingDriver: "json-file",
    KernelVersion: found.kernelRelease,
    OSType: "linux",
    Architecture: found.arch,
    NCPU: found.cpus,
    MemTotal: found.memory,
    Name: found.hostname,
    ...cgroups(found),
    UserNamespaces: found.userNamespaces && canShiftLayers(found.kernel),
    SecurityOptions: security(found),
    IPv6: found.ipv6,
    Warnings: warnings(found),
  }
}

/** What each limit needs: a controller of either version. */
const LIMITS = {
  MemoryLimit: "memory",
  CpuCfsQuota: "cpu",
  CPUShares: "cpu",
  CPUSet: "cpuset",
  PidsLimit: "pids",
} as const

function cgroups({ cgroups: { mode, controllers } }: Host): Info {
  const limits = Object.entries(LIMITS).map(([field, name]) => [field, name in controllers])
  return {
    CgroupDriver: mode === "none" ? "none" : "cgroupfs",
    CgroupVersion: mode === "none" ? "" : mode.slice(1),
    CgroupControllers: Object.keys(controllers).sort(),
    ...Object.fromEntries(limits),
  }
}

const security = ({ seccomp, lsm, userNamespaces, kernel }: Host): readonly string[] => [
  ...(seccomp ? ["name=seccomp,profile=builtin"] : []),
  ...(userNamespaces && canShiftLayers(kernel) ? ["name=userns"] : []),
  ...(lsm.apparmor ? ["name=apparmor"] : []),
  ...(lsm.selinux ? ["name=selinux"] : []),
]

/** CAP_SYS_RESOURCE of capabilities(7). */
const SYS_RESOURCE = 1n << 24n

function warnings(host: Host): readonly string[] {
  const { mode, controllers, why } = host.cgroups
  const missing = [...new Set(Object.values(LIMITS))].filter((name) => !(name in controllers))
  return [
    ...(mode === "none"
      ? [`no cgroups can be made${why === undefined ? "" : `, because ${why}`}: containers run without limits`]
      : missing.length > 0
        ? [`without the cgroup controllers ${missing.join(", ")}: what they limit cannot be limited`]
        : []),
    ...(host.confined ? ["we are in a user namespace, whose root has not the power to run containers"] : []),
    ...(host.userNamespaces ? [] : ["user namespaces are switched off: containers run with the host's ids"]),
    ...(canShiftLayers(host.kernel)
      ? []
      : [`kernel ${host.kernelRelease} is older than 5.19: containers run with the host's ids`]),
    ...(host.seccomp ? [] : ["the kernel has no seccomp filters: containers may make any system call"]),
    ...(host.capabilities & SYS_RESOURCE ? [] : ["we have no CAP_SYS_RESOURCE: no limit can exceed our own"]),
  ]
}
