/**
 * What lies at a path of the host: its kind, its owner, its file system.
 *
 * A plan decides by these facts how a directory can be shown in a container: not every file system can be seen with other
 * owners, a device node is bound differently than a directory, and flags like nosuid must be kept.
 *
 * `open(2)` with O_PATH opens nothing: no device is started, no FIFO waits; but the fd has a mount id. Only paths of the
 * host are looked at, never one below a container's root, where a hostile link could lead anywhere.
 *
 * Read on: mountinfo.ts. open(2), "O_PATH"; proc_pid_fdinfo(5).
 */

import { closeSync, fstatSync, openSync, readFileSync, realpathSync, type Stats } from "node:fs"
import { dirname } from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import type { PathFacts } from "../model/host.ts"
import { attributesOf, type MountInfo, submountsOf } from "./mountinfo.ts"

/** Linux include/uapi/asm-generic/fcntl.h; the same on x86_64 and aarch64. */
const O_PATH = 0o10000000

/**
 * Looks at one path, following symbolic links.
 *
 * Of a path that does not exist only the file system is told, of the nearest directory above that does.
 * @throws {EngineError} `SOURCE_UNUSABLE` if it cannot be looked at for another reason than being missing.
 */
export function pathFacts(path: string, mounts: readonly MountInfo[]): PathFacts {
  for (let at = path, missing = false; ; at = dirname(at), missing = true) {
    let fd: number
    try {
      fd = openSync(at, O_PATH)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if ((code === "ENOENT" || code === "ENOTDIR") && at !== dirname(at)) continue
      throw new EngineError("SOURCE_UNUSABLE", `cannot look at ${path}: ${reason(error)}`, undefined, { cause: error })
    }
    try {
      const mountId = Number(/^mnt_id:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[1])
      const mount = mounts.find(({ id }) => id === mountId)
      const held = { ...shown(mount), locked: mount ? attributesOf(mount) : 0 }
      if (missing) return { kind: "missing", ...held, mode: 0, uid: 0, gid: 0 }
      const stat = fstatSync(fd)
      const kind = kindOf(stat)
      const real = kind === "directory" ? bare(realpathSync(at)) : ""
      const below = kind === "directory" && mount ? submountsOf(mounts, mountId, real || "/") : []
      return {
        kind,
        ...held,
        // The kernel tells where they really are; a plan needs them below the path that it mentions, which may be a link.
        ...(below.length > 0 && {
          submounts: below.map((one) => ({ path: `${bare(at)}${one.point.slice(real.length)}`, ...shown(one) })),
        }),
        ...((kind === "character" || kind === "block") && { device: device(stat.rdev) }),
        mode: stat.mode & 0o7777,
        uid: stat.uid,
        gid: stat.gid,
      }
    } finally {
      closeSync(fd)
    }
  }
}

/** Without slashes at the end; of `/` nothing is left. */
const bare = (path: string): string => path.replace(/\/+$/, "")

/** A mount that shows other owners than the disk cannot be shifted once more: the kernel says EPERM. */
const shown = (mount: MountInfo | undefined): Pick<PathFacts, "filesystem" | "idmap"> => ({
  filesystem: mount?.type ?? "unknown",
  ...(mount?.options.includes("idmapped") && { idmap: false }),
})

const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  ELOOP: "its symbolic links run in a circle",
  ENAMETOOLONG: "its name is too long",
  EIO: "the disk reports an error",
  ESTALE: "its file system has gone away",
}
function reason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? String(error)
  return REASONS[code] ?? code
}

function kindOf(stat: Stats): PathFacts["kind"] {
  if (stat.isDirectory()) return "directory"
  if (stat.isCharacterDevice()) return "character"
  if (stat.isBlockDevice()) return "block"
  if (stat.isFIFO()) return "fifo"
  return stat.isSocket() ? "socket" : "file"
}

/** A dev_t of 64 bits as glibc splits it: major has bits 8 to 19 and 44 to 63, minor 0 to 7 and 20 to 43. @see makedev(3) */
export function device(rdev: number): readonly [major: number, minor: number] {
  const [high, low] = [Math.floor(rdev / 2 ** 32), rdev % 2 ** 32]
  return [
    ((high & 0xfffff000) >>> 0) | ((low >>> 8) & 0xfff),
    (((high & 0xfff) << 20) | ((low >>> 12) & 0xfff00) | (low & 0xff)) >>> 0,
  ]
}
