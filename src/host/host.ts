/**
 * The machine, looked at once: everything that spec/ and plan/ may know about it, as one value.
 *
 *     /proc/self/mountinfo, cgroup, status, limits  ─┐
 *     /proc/meminfo, boot_id, max_user_namespaces   ─┼─▶ Host ─▶ spec/, plan/
 *     the paths that the request names              ─┘
 *
 * A handful of small reads, under a millisecond together, so nothing is remembered between two commands: a cache
 * could be wrong, and would cost as much to read. What this kernel lacks is noted, not judged: plan/ decides what follows.
 *
 * Read on: cgroups.ts, paths.ts, model/host.ts.
 */

import { existsSync, readFileSync, readlinkSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import type { Host } from "../model/host.ts"
import { cgroupsFrom } from "./cgroups.ts"
import { parseMountinfo } from "./mountinfo.ts"
import { pathFacts } from "./paths.ts"

/** The text of a small file, or undefined if this kernel has no such file or we may not read it. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return undefined
  }
}

/** Where a symbolic link leads, or undefined if there is none. */
function link(path: string): string | undefined {
  try {
    return readlinkSync(path)
  } catch {
    return undefined
  }
}

/** The machine's first user namespace, as the kernel numbers it. @see Linux include/linux/proc_ns.h, PROC_USER_INIT_INO */
const MACHINES_USERS = "user:[4026531837]"

/**
 * @param paths what the plan will mention: rootfs, layers, volume sources, devices. Absolute; each becomes a key of `paths`.
 * @throws {EngineError} `HOST_LACKS` on another processor than x86_64 and aarch64, or without /proc; `SOURCE_UNUSABLE` for a
 *   path that cannot be looked at.
 */
export function readHost(paths: readonly string[]): Host {
  const mountinfo = read("/proc/self/mountinfo")
  const status = read("/proc/self/status")
  if (mountinfo === undefined || status === undefined)
    throw new EngineError("HOST_LACKS", "cannot look at this host: /proc is not mounted", "mount -t proc proc /proc")
  const mounts = parseMountinfo(mountinfo)
  const { uid, capabilities, cpus, seccomp } = parseStatus(status)
  const kernelRelease = read("/proc/sys/kernel/osrelease")?.trim() ?? ""
  return {
    arch: arch(process.arch),
    kernel: kernelOf(kernelRelease),
    kernelRelease,
    hostname: read("/proc/sys/kernel/hostname")?.trim() ?? "",
    bootId: read("/proc/sys/kernel/random/boot_id")?.trim() ?? "",
    uid,
    capabilities,
    cpus,
    seccomp,
    memory: Number(/^MemTotal:\s*(\d+) kB/m.exec(read("/proc/meminfo") ?? "")?.[1] ?? 0) * 1024,
    cgroups: cgroupsFrom({
      mounts,
      self: read("/proc/self/cgroup") ?? "",
      namespace: link("/proc/self/ns/cgroup"),
      root: uid === 0,
      read,
    }),
    userNamespaces: Number(read("/proc/sys/user/max_user_namespaces") ?? 0) > 0,
    hardLimits: parseLimits(read("/proc/self/limits") ?? ""),
    lsm: lsmOf(),
    ipv6: existsSync("/proc/net/if_inet6"),
    ...((link("/proc/self/ns/user") ?? MACHINES_USERS) !== MACHINES_USERS && { confined: true }),
    paths: Object.fromEntries([...new Set(paths)].map((path) => [path, pathFacts(path, mounts)])),
  }
}

/** @throws {EngineError} `NOT_ROOT` if we are not root on this host. */
export function requireRoot({ uid }: Pick<Host, "uid">, what: string): void {
  if (uid !== 0)
    throw new EngineError("NOT_ROOT", `cannot ${what}: this needs root, and we are uid ${uid}`, "run it with sudo")
}

/** CAP_SYS_ADMIN of capabilities(7): mounts and namespaces. */
const SYS_ADMIN = 1n << 21n

/**
 * Makes sure that we can make containers here at all: the things that no step could do without, told before any is tried.
 * @throws {EngineError} `NOT_ROOT`; `HOST_LACKS` in a user namespace of somebody's, or without CAP_SYS_ADMIN: both are what a container
 *   has by default, ours too.
 */
export function requirePower(host: Pick<Host, "uid" | "confined" | "capabilities">, what: string): void {
  requireRoot(host, what)
  const outer = "if this is a container: start it with --privileged"
  if (host.confined)
    throw new EngineError(
      "HOST_LACKS",
      `cannot ${what}: we are in a user namespace, whose root may neither mount a container's layers nor give it ids of its own`,
      outer,
    )
  if (!(host.capabilities & SYS_ADMIN))
    throw new EngineError("HOST_LACKS", `cannot ${what}: we have no CAP_SYS_ADMIN, so we may not mount anything`, outer)
}

/** @param name as Node spells it. */
function arch(name: string): Host["arch"] {
  if (name === "x64") return "x86_64"
  if (name === "arm64") return "aarch64"
  throw new EngineError(
    "HOST_LACKS",
    `cannot make containers on a ${name} processor: only x86_64 and aarch64 are known`,
  )
}

/** `6.1.0-56-cloud-amd64` is `[6, 1]`. */
export function kernelOf(kernelRelease: string): Host["kernel"] {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(kernelRelease) ?? []
  return [Number(major ?? 0), Number(minor ?? 0)]
}

/** Of /proc/self/status: who we are, on how many CPUs we may run, whether filters exist. @see proc_pid_status(5) */
export function parseStatus(text: string): Pick<Host, "uid" | "capabilities" | "cpus" | "seccomp"> {
  const field = (name: string): string | undefined => {
    const at = text.indexOf(`\n${name}:`)
    if (at < 0) return undefined
    const begin = at + name.length + 2
    return text.slice(begin, text.indexOf("\n", begin)).trim()
  }
  // Uid: real, effective, saved, file system.
  const uid = Number(field("Uid")?.split("\t")[1] ?? -1)
  let cpus = 0
  for (const range of field("Cpus_allowed_list")?.split(",") ?? []) {
    const [first, last = first] = range.split("-").map(Number)
    cpus += last! - first! + 1
  }
  // The line with the number of filters is there exactly if CONFIG_SECCOMP_FILTER is.
  const seccomp = field("Seccomp_filters") !== undefined || field("Seccomp") !== undefined
  return { uid, capabilities: BigInt(`0x${field("CapEff") ?? "0"}`), cpus: Math.max(cpus, 1), seccomp }
}

/** How /proc/self/limits names each limit. @see proc_pid_limits(5), getrlimit(2) */
const LIMITS: Readonly<Record<string, string>> = {
  "Max cpu time": "RLIMIT_CPU",
  "Max file size": "RLIMIT_FSIZE",
  "Max data size": "RLIMIT_DATA",
  "Max stack size": "RLIMIT_STACK",
  "Max core file size": "RLIMIT_CORE",
  "Max resident set": "RLIMIT_RSS",
  "Max processes": "RLIMIT_NPROC",
  "Max open files": "RLIMIT_NOFILE",
  "Max locked memory": "RLIMIT_MEMLOCK",
  "Max address space": "RLIMIT_AS",
  "Max file locks": "RLIMIT_LOCKS",
  "Max pending signals": "RLIMIT_SIGPENDING",
  "Max msgqueue size": "RLIMIT_MSGQUEUE",
  "Max nice priority": "RLIMIT_NICE",
  "Max realtime priority": "RLIMIT_RTPRIO",
  "Max realtime timeout": "RLIMIT_RTTIME",
}

/** Hard limits by OCI name; what is unlimited is Infinity. */
export function parseLimits(text: string): Host["hardLimits"] {
  const limits: Record<string, number> = {}
  for (const line of text.split("\n")) {
    const [, name, hard] = /^(Max .*?)\s{2,}\S+\s+(\S+)/.exec(line) ?? []
    const oci = name === undefined ? undefined : LIMITS[name]
    if (oci !== undefined) limits[oci] = hard === "unlimited" ? Number.POSITIVE_INFINITY : Number(hard)
  }
  return limits
}

/** Security modules: the list needs securityfs, which not every host mounts; then each module's own files tell. */
function lsmOf(): Host["lsm"] {
  const list = read("/sys/kernel/security/lsm")?.trim().split(",")
  return {
    apparmor: list
      ? list.includes("apparmor")
      : read("/sys/module/apparmor/parameters/enabled")?.startsWith("Y") === true,
    selinux: list ? list.includes("selinux") : existsSync("/sys/fs/selinux/enforce"),
  }
}
