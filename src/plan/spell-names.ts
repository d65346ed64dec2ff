/**
 * The kernel's names for the kernel's numbers: a table per kind of flag, and the two ways to read one.
 *
 *     bits(0x20020000, CLONE)   "CLONE_NEWPID|CLONE_NEWNS"
 *     word(9, RESOURCE)         "RLIMIT_AS"
 *
 * What a table does not know comes out as a number, so nothing is ever hidden.
 *
 * Read on: spell.ts, which uses them. Linux include/uapi.
 */

import { CAPABILITIES } from "../model/capabilities.ts"

type Names = readonly (readonly [name: string, bits: number])[]

/** `A|B|0x400`; "0" if nothing is set. */
export function bits(value: number | bigint, names: Names): string {
  let rest = BigInt(value)
  const found = names.flatMap(([name, mask]) => {
    if ((rest & BigInt(mask)) !== BigInt(mask)) return []
    rest &= ~BigInt(mask)
    return [name]
  })
  if (rest !== 0n) found.push(`0x${rest.toString(16)}`)
  return found.join("|") || "0"
}

/** The name of one number of a list, or the number. */
export const word = (value: number | bigint, names: Names): string =>
  names.find(([, number]) => BigInt(number) === BigInt(value))?.[0] ?? String(value)

/** As printf's %#o writes a mode: `0755`. */
export const octal = (value: number | bigint): string => `0${value.toString(8).padStart(3, "0")}`

/** A set of capabilities: names, `all but …` if that is shorter, or 0. */
export function capabilityNames(mask: number | bigint): string {
  const has = CAPABILITIES.filter((_, index) => ((BigInt(mask) >> BigInt(index)) & 1n) === 1n)
  const lacks = CAPABILITIES.filter((name) => !has.includes(name))
  if (has.length === 0) return "0"
  if (lacks.length === 0) return "all"
  return lacks.length < 6 ? `all but ${lacks.join("|")}` : has.join("|")
}

/** In the order in which people list them. @see include/uapi/linux/sched.h */
export const CLONE: Names = [
  ["CLONE_NEWUSER", 0x10000000],
  ["CLONE_NEWPID", 0x20000000],
  ["CLONE_NEWNS", 0x20000],
  ["CLONE_NEWNET", 0x40000000],
  ["CLONE_NEWIPC", 0x8000000],
  ["CLONE_NEWUTS", 0x4000000],
  ["CLONE_NEWCGROUP", 0x2000000],
  ["CLONE_NEWTIME", 0x80],
]
/** @see include/uapi/linux/mount.h */
export const MOUNT_ATTR: Names = [
  ["MOUNT_ATTR_RDONLY", 0x1],
  ["MOUNT_ATTR_NOSUID", 0x2],
  ["MOUNT_ATTR_NODEV", 0x4],
  ["MOUNT_ATTR_NOEXEC", 0x8],
  ["MOUNT_ATTR__ATIME", 0x70],
  ["MOUNT_ATTR_NOATIME", 0x10],
  ["MOUNT_ATTR_STRICTATIME", 0x20],
  ["MOUNT_ATTR_NODIRATIME", 0x80],
  ["MOUNT_ATTR_IDMAP", 0x100000],
  ["MOUNT_ATTR_NOSYMFOLLOW", 0x200000],
]
/** The same attributes under the names that mount(2) and everyone's memory have for them. */
export const MS: Names = [
  ["MS_NOSUID", 0x2],
  ["MS_NODEV", 0x4],
  ["MS_NOEXEC", 0x8],
  ["MS_RDONLY", 0x1],
  ["MS_NOATIME", 0x10],
  ["MS_STRICTATIME", 0x20],
  ["MS_NODIRATIME", 0x80],
  ["MS_NOSYMFOLLOW", 0x200000],
]
export const PROPAGATION: Names = [
  ["MS_UNBINDABLE", 1 << 17],
  ["MS_PRIVATE", 1 << 18],
  ["MS_SLAVE", 1 << 19],
  ["MS_SHARED", 1 << 20],
]
/** What plans open files with. O_DIRECTORY and O_NOFOLLOW are left as numbers: they differ between machines. */
export const O: Names = [
  ["O_WRONLY", 0o1],
  ["O_RDWR", 0o2],
  ["O_CREAT", 0o100],
  ["O_EXCL", 0o200],
  ["O_NOCTTY", 0o400],
  ["O_NONBLOCK", 0o4000],
  ["O_PATH", 0o10000000],
]
export const FILE_TYPE: Names = [
  ["S_IFIFO", 0o010000],
  ["S_IFCHR", 0o020000],
  ["S_IFBLK", 0o060000],
  ["S_IFREG", 0o100000],
]
/** @see include/uapi/asm-generic/resource.h */
export const RESOURCE: Names = [
  "CPU",
  "FSIZE",
  "DATA",
  "STACK",
  "CORE",
  "RSS",
  "NPROC",
  "NOFILE",
  "MEMLOCK",
  "AS",
  "LOCKS",
  "SIGPENDING",
  "MSGQUEUE",
  "NICE",
  "RTPRIO",
  "RTTIME",
].map((name, number) => [`RLIMIT_${name}`, number])
/** @see include/uapi/linux/seccomp.h */
export const SECCOMP: Names = [
  ["SECCOMP_FILTER_FLAG_TSYNC", 0x1],
  ["SECCOMP_FILTER_FLAG_LOG", 0x2],
  ["SECCOMP_FILTER_FLAG_SPEC_ALLOW", 0x4],
  ["SECCOMP_FILTER_FLAG_NEW_LISTENER", 0x8],
  ["SECCOMP_FILTER_FLAG_TSYNC_ESRCH", 0x10],
  ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 0x20],
]
export const SCHEDULER: Names = [
  ["SCHED_OTHER", 0],
  ["SCHED_FIFO", 1],
  ["SCHED_RR", 2],
  ["SCHED_BATCH", 3],
  ["SCHED_ISO", 4],
  ["SCHED_IDLE", 5],
  ["SCHED_DEADLINE", 6],
]
export const IO_CLASS: Names = [
  ["IOPRIO_CLASS_RT", 1],
  ["IOPRIO_CLASS_BE", 2],
  ["IOPRIO_CLASS_IDLE", 3],
]
export const PERSONALITY: Names = [
  ["PER_LINUX", 0],
  ["PER_LINUX32", 8],
]
