/**
 * What `doctor` wants to know of this machine and no container does: switches that people and distributions set.
 *
 *     /proc/self/ns/*                 which namespaces this kernel has
 *     /proc/sys/user/max_*            how many of each may be made
 *     AppArmor, Debian                whether ordinary users may make user namespaces
 *     ip_forward, nf_tables           what a network of containers needs
 *     statfs(2)                       room on disk
 *
 * Noted, not judged: engine/doctor.ts says what follows.
 *
 * Read on: host.ts. namespaces(7), proc_sys_user(5).
 */

import { existsSync, readdirSync, readFileSync, statfsSync } from "node:fs"

export interface Health {
  /** Names as in /proc/self/ns: `user`, `mnt`, `net` … with how many may be made; undefined: no limit is told. */
  readonly namespaces: Readonly<Record<string, number | undefined>>
  /** What keeps ordinary users from making user namespaces, as the switches' paths. Root is not concerned. */
  readonly restrictions: readonly string[]
  /** Types in /proc/filesystems. */
  readonly filesystems: readonly string[]
  /** undefined: there is no such file. */
  readonly forwards: boolean | undefined
  /** The kernel has nf_tables now; a module may still be loaded when it is needed. */
  readonly nftables: boolean
  /** Of the file system that holds a directory. */
  readonly disk: { readonly freeBytes: number; readonly totalBytes: number; readonly freeInodes: number } | undefined
}

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8").trim()
  } catch {
    return undefined
  }
}

const LIMIT_OF: Readonly<Record<string, string>> = {
  ipc: "ipc",
  mnt: "mnt",
  net: "net",
  pid: "pid",
  user: "user",
  uts: "uts",
  cgroup: "cgroup",
}

/** Switch → the value with which ordinary users may not. */
const SWITCHES: Readonly<Record<string, string>> = {
  "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1",
  "/proc/sys/kernel/unprivileged_userns_clone": "0",
}

/** @param directory any: its file system, or that of the nearest one above that exists, is looked at. */
export function readHealth(directory: string): Health {
  const names = existsSync("/proc/self/ns") ? readdirSync("/proc/self/ns") : []
  return {
    namespaces: Object.fromEntries(
      Object.entries(LIMIT_OF)
        .filter(([name]) => names.includes(name))
        .map(([name, limit]) => {
          const most = read(`/proc/sys/user/max_${limit}_namespaces`)
          return [name, most === undefined ? undefined : Number(most)]
        }),
    ),
    restrictions: Object.entries(SWITCHES).flatMap(([path, value]) => (read(path) === value ? [path] : [])),
    filesystems: (read("/proc/filesystems") ?? "").split("\n").map((line) => line.split("\t").at(-1) ?? ""),
    forwards:
      read("/proc/sys/net/ipv4/ip_forward") === undefined ? undefined : read("/proc/sys/net/ipv4/ip_forward") === "1",
    nftables: existsSync("/sys/module/nf_tables") || existsSync("/proc/sys/net/netfilter/nf_tables"),
    disk: diskOf(directory),
  }
}

function diskOf(directory: string): Health["disk"] {
  for (let at = directory; ; at = at.slice(0, at.lastIndexOf("/")) || "/") {
    try {
      const { bavail, blocks, bsize, ffree } = statfsSync(at)
      return { freeBytes: bavail * bsize, totalBytes: blocks * bsize, freeInodes: ffree }
    } catch {
      if (at === "/") return undefined
    }
  }
}
