/**
 * Mounts: what a container sees where, in the words of config.json.
 *
 *     /proc /sys /sys/fs/cgroup          the kernel's own files, those of this container's namespaces
 *     /dev /dev/pts /dev/shm /dev/mqueue
 *     /etc/hosts hostname resolv.conf    the container's own files
 *     what the request says              -v, --mount, --tmpfs
 *
 * Two on one target cannot both be seen, so that is an error; but a request may take the place of a default. Parents come
 * before children, else a mount would hide what was mounted below its place.
 *
 * Read on: files.ts; plan/mounts.ts, which says how each is made. OCI runtime-spec config.md, "Mounts".
 */

import posix from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import type { Host } from "../model/host.ts"
import type { Mount } from "../model/oci.ts"
import type { PlacedVolume } from "../model/placement.ts"
import type { MountRequest, Request, VolumeMount } from "../model/request.ts"
import { OWN_FILES } from "./files.ts"

const SHM_BYTES = 64 * 1024 * 1024
const PROPAGATIONS = ["private", "rprivate", "slave", "rslave", "shared", "rshared"]
/** `ro` of a mount and of all below it can be had in one call from this kernel on (mount_setattr(2)). */
const RECURSIVE_READ_ONLY = [5, 12] as const

const TMPFS_DEFAULTS = ["noexec", "nosuid", "nodev"]
/** Options that take each other's place: the last one of a row wins. */
const TMPFS_FLAGS: readonly (readonly string[])[] = [
  ["ro", "rw"],
  ["noexec", "exec"],
  ["nosuid", "suid"],
  ["nodev", "dev"],
  ["noatime", "atime", "relatime", "norelatime", "strictatime", "nostrictatime"],
  ["nodiratime", "diratime"],
]
const TMPFS_VALUES = /^(size|nr_blocks|nr_inodes|mode|uid|gid|mpol|huge)=[\w.%:,=-]+$/

function defaults(request: Request): readonly Mount[] {
  const access = request.privileged ? "rw" : "ro"
  const all: readonly (Mount | undefined)[] = [
    { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] },
    {
      destination: "/dev",
      type: "tmpfs",
      source: "tmpfs",
      options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    },
    { destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", access] },
    {
      destination: "/dev/pts",
      type: "devpts",
      source: "devpts",
      options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    },
    { destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"] },
    shm(request),
    { destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "noexec", "nodev", access] },
  ]
  return all.filter((mount) => mount !== undefined)
}

function shm(request: Request): Mount | undefined {
  const bytes = request.shmBytes ?? SHM_BYTES
  if (!Number.isSafeInteger(bytes) || bytes < 0)
    throw new EngineError("INVALID_VALUE", `cannot make /dev/shm: ${bytes} is not a number of bytes`)
  if (request.ipc === "none") return undefined
  // Sharing the host's IPC means sharing its POSIX shared memory too, and that lives in files.
  if (request.ipc === "host")
    return { destination: "/dev/shm", type: "bind", source: "/dev/shm", options: ["rbind", "rprivate"] }
  return {
    destination: "/dev/shm",
    type: "tmpfs",
    source: "shm",
    options: ["nosuid", "noexec", "nodev", "mode=1777", `size=${bytes || SHM_BYTES}`],
  }
}

/** How a request is called in an error: by source and target, as people wrote it. */
const named = (mount: MountRequest): string => `${nameOf(mount)} on ${mount.target}`
const nameOf = (mount: MountRequest): string =>
  mount.kind === "bind" ? mount.source : mount.kind === "volume" ? `volume ${mount.name ?? ""}`.trimEnd() : "tmpfs"

function target(mount: MountRequest): string {
  const refuse = (cause: string) => new EngineError("INVALID_VALUE", `cannot mount ${named(mount)}: ${cause}`)
  if (!mount.target.startsWith("/")) throw refuse("the target is not an absolute path")
  const clean = posix.resolve("/", mount.target)
  if (clean === "/") throw refuse("the target is the root itself")
  return clean
}

/** The engine itself, and every program, reads there who it is. As with Docker; a host's /proc may take its place. */
const noProc = (mount: MountRequest): EngineError =>
  new EngineError("INVALID_VALUE", `cannot mount ${named(mount)}: it would hide the container's own /proc`)

function bind(mount: MountRequest & { readonly kind: "bind" }, host: Host): Mount {
  const { source, propagation = "rprivate", recursive = true } = mount
  const refuse = (cause: string, hint?: string) =>
    new EngineError("SOURCE_UNUSABLE", `cannot mount ${named(mount)}: ${cause}`, hint)
  if (!source.startsWith("/"))
    throw refuse("the source is not an absolute path", `"$PWD/${posix.normalize(source)}" names it from here`)
  const facts = host.paths[source]
  if (facts === undefined || facts.kind === "missing") throw refuse("the source does not exist", `mkdir -p ${source}`)
  if (target(mount) === "/proc" && facts.filesystem !== "proc") throw noProc(mount)
  if (!PROPAGATIONS.includes(propagation))
    throw new EngineError(
      "INVALID_VALUE",
      `cannot mount ${named(mount)}: the propagation ${propagation} is none of ${PROPAGATIONS.join(", ")}`,
    )
  const [major, minor] = host.kernel
  const deep =
    recursive &&
    (major > RECURSIVE_READ_ONLY[0] || (major === RECURSIVE_READ_ONLY[0] && minor >= RECURSIVE_READ_ONLY[1]))
  return {
    destination: target(mount),
    type: "bind",
    source,
    options: [recursive ? "rbind" : "bind", ...(mount.readOnly ? [deep ? "rro" : "ro"] : []), propagation],
  }
}

/** Its source was chosen by the engine. `ro` is for the top alone, so that it counts only when the volume has been filled. */
function volume(mount: VolumeMount): Mount {
  const refuse = (cause: string) => new EngineError("INVALID_VALUE", `cannot mount ${named(mount)}: ${cause}`)
  const { source, subpath, readOnly } = mount
  if (source === undefined) throw new TypeError("a volume without a place cannot be mounted")
  if (target(mount) === "/proc") throw noProc(mount)
  if (subpath !== undefined && (subpath.startsWith("/") || subpath.split("/").includes("..")))
    throw refuse(`its subpath ${subpath} is not a path inside the volume`)
  return {
    destination: target(mount),
    type: "bind",
    source: subpath ? `${source}/${subpath}` : source,
    options: ["rbind", ...(readOnly ? ["ro"] : []), "rprivate"],
  }
}

/** What of a request's volumes config.json has no words for. */
export const placedVolumes = ({ mounts: all = [] }: Request): readonly PlacedVolume[] =>
  all.flatMap((mount) =>
    mount.kind === "volume" && mount.source !== undefined
      ? [{ destination: target(mount), root: mount.source, fill: mount.copy !== false && !mount.subpath }]
      : [],
  )

function tmpfs(mount: MountRequest & { readonly kind: "tmpfs" }): Mount {
  const refuse = (cause: string) => new EngineError("INVALID_VALUE", `cannot mount ${named(mount)}: ${cause}`)
  const { sizeBytes, mode } = mount
  if (target(mount) === "/proc") throw noProc(mount)
  if (sizeBytes !== undefined && !(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0))
    throw refuse(`${sizeBytes} is not a number of bytes`)
  if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o7777))
    throw refuse(`${mode} is not a file mode`)
  const asked = [
    ...(sizeBytes ? [`size=${sizeBytes}`] : []),
    ...(mode === undefined ? [] : [`mode=${mode.toString(8)}`]),
    ...(mount.options ?? []),
  ]
  const kept = new Map<string, string>()
  for (const option of [...TMPFS_DEFAULTS, ...asked]) {
    const row = TMPFS_FLAGS.find((flags) => flags.includes(option))
    if (row === undefined && !TMPFS_VALUES.test(option)) throw refuse(`there is no option ${option}`)
    const key = row?.[0] ?? option.slice(0, option.indexOf("="))
    kept.delete(key)
    kept.set(key, option)
  }
  return { destination: target(mount), type: "tmpfs", source: "tmpfs", options: [...kept.values()] }
}

const depth = (path: string): number => path.split("/").length

/**
 * All mounts of a container, parents first.
 * @param directory the container's, where its own files lie.
 * @param ownIds it has its own user namespace: what comes from the host is seen with its ids.
 * @throws {EngineError} `SOURCE_UNUSABLE` for a source that is missing or relative; `INVALID_VALUE` for two mounts on one
 *   target, for `/`, or an unknown option.
 */
export function mounts(request: Request, host: Host, directory: string, ownIds: boolean): readonly Mount[] {
  const shifted = (mount: Mount): Mount => {
    if (!ownIds || mount.type !== "bind") return mount
    return { ...mount, options: [...(mount.options ?? []), mount.options?.includes("rbind") ? "ridmap" : "idmap"] }
  }
  const asked = new Map<string, MountRequest>()
  const wanted: Mount[] = []
  for (const one of request.mounts ?? []) {
    const mount = one.kind === "bind" ? bind(one, host) : one.kind === "volume" ? volume(one) : tmpfs(one)
    const other = asked.get(mount.destination)
    if (other)
      throw new EngineError(
        "INVALID_VALUE",
        `cannot mount ${named(one)}: ${other.kind === "tmpfs" ? "a tmpfs" : nameOf(other)} is mounted there already`,
      )
    asked.set(mount.destination, one)
    wanted.push(mount)
  }
  // Who mounts a /dev of their own wants that one whole: nothing of ours below it.
  const standard = defaults(request).filter(
    ({ destination }) => !asked.has(destination) && !(asked.has("/dev") && destination.startsWith("/dev/")),
  )
  // These need no shifting: the engine writes them, and gives them to the container's root.
  const own = OWN_FILES.map((name): Mount => {
    const options = ["bind", ...(request.readOnly ? ["ro"] : []), "rprivate"]
    return { destination: `/etc/${name}`, type: "bind", source: `${directory}/${name}`, options }
  }).filter(({ destination }) => !asked.has(destination))
  const all = [...standard.map(shifted), ...own, ...wanted.map(shifted)]
  // Stable: what is equally deep stays in order.
  return all.sort((a, b) => depth(a.destination) - depth(b.destination))
}
