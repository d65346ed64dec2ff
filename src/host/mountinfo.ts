/**
 * /proc/self/mountinfo: every mount that this process can see, and how they hang together.
 *
 *     36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 - ext3 /dev/root rw,errors=continue
 *     │  │  │    │     │     │          │          │    │         └ options of the file system
 *     │  │  │    │     │     │          │          │    └ source          (one file system, many mounts)
 *     │  │  │    │     │     │          │          └ type
 *     │  │  │    │     │     │          └ peer groups, any number of words up to the dash
 *     │  │  │    │     │     └ options of this mount
 *     │  │  │    │     └ where it is: its mount point
 *     │  │  │    └ what it shows: a directory of that file system, `/` for all of it
 *     │  └──┴ parent mount, device
 *     └ mount id: the same number as `mnt_id` in /proc/self/fdinfo/N
 *
 * Mounts are a tree, not a set of prefixes: a later mount on `/a` hides one on `/a/b` that stays in the list. So which
 * mount holds a path is asked of the kernel, by the mount id of an open file, and only then looked up here.
 *
 * Read on: paths.ts, cgroups.ts. proc_pid_mountinfo(5).
 */

export interface MountInfo {
  readonly id: number
  readonly parent: number
  readonly root: string
  readonly point: string
  readonly options: readonly string[]
  readonly type: string
  readonly source: string
  readonly superOptions: readonly string[]
}

/** The kernel writes space, tab, newline and backslash as `\040`, `\011`, `\012` and `\134`. */
const plain = (text: string): string =>
  text.includes("\\")
    ? text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
    : text

/** Every line that has the form above, in the kernel's order: a mount comes after the one it lies on. */
export function parseMountinfo(text: string): readonly MountInfo[] {
  const mounts: MountInfo[] = []
  for (const line of text.split("\n")) {
    const words = line.split(" ")
    const dash = words.indexOf("-", 6)
    const [id, parent, , root, point, options] = words
    if (dash < 0 || options === undefined) continue
    mounts.push({
      id: Number(id),
      parent: Number(parent),
      root: plain(root!),
      point: plain(point!),
      options: options.split(","),
      type: words[dash + 1] ?? "",
      source: plain(words[dash + 2] ?? ""),
      superOptions: (words[dash + 3] ?? "").split(","),
    })
  }
  return mounts
}

const isBelow = (path: string, directory: string): boolean =>
  directory === "/" ? path.startsWith("/") && path !== "/" : path.startsWith(`${directory}/`)

/**
 * The mounts that a recursive bind of `path` takes along: those below it that hang, directly or not, on the mount that holds it.
 * @param holder id of that mount; what is hidden below another mount is not its child, and is not listed.
 */
export function submountsOf(mounts: readonly MountInfo[], holder: number, path: string): readonly MountInfo[] {
  const taken = new Set<number>()
  // Parents come first in the list, so one pass sees a mount's parent before the mount.
  for (const { id, parent, point } of mounts)
    if (id !== holder && (taken.has(parent) || (parent === holder && isBelow(point, path)))) taken.add(id)
  return mounts.filter(({ id }) => taken.has(id))
}

/** MOUNT_ATTR_* of Linux include/uapi/linux/mount.h, for the options of a mount that a user namespace may not take off. */
const ATTRIBUTES: Readonly<Record<string, number>> = {
  ro: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  noatime: 0x10,
  nodiratime: 0x80,
}
const STRICTATIME = 0x20

/** The MOUNT_ATTR_* bits of a mount; its access times too: `relatime` is 0, no word at all is strictatime. */
export function attributesOf({ options }: Pick<MountInfo, "options">): number {
  let bits = options.includes("relatime") || options.includes("noatime") ? 0 : STRICTATIME
  for (const option of options) bits |= ATTRIBUTES[option] ?? 0
  return bits
}
