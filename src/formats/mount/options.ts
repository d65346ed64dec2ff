/**
 * Mount options: the words of `config.json` (and of mount(8)) and what each one asks of the kernel.
 *
 * An option is one of four things: an attribute of this mount (`ro`), how it shares events with its copies (`rslave`),
 * a word for us (`rbind`, `ridmap`), or, when none of these, data for the file system (`size=64m`). `x-…` is a note for other programs.
 * An attribute with `r` in front counts for all mounts below, too.
 * @see OCI runtime-spec config.md "Linux mount options", Linux include/uapi/linux/mount.h
 */

import { EngineError } from "../../base/errors.ts"

/** MOUNT_ATTR_*. */
export const ATTR = {
  rdonly: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  noatime: 0x10,
  strictatime: 0x20,
  atimeMask: 0x70,
  nodiratime: 0x80,
  nosymfollow: 0x200000,
} as const
/** MS_*, as mount_setattr(2) takes them for propagation. */
export const PROPAGATION = { unbindable: 1 << 17, private: 1 << 18, slave: 1 << 19, shared: 1 << 20 } as const

type Change = { readonly set?: number; readonly clear?: number }
const ATTRIBUTES: Readonly<Record<string, Change>> = own({
  ro: { set: ATTR.rdonly },
  rw: { clear: ATTR.rdonly },
  nosuid: { set: ATTR.nosuid },
  suid: { clear: ATTR.nosuid },
  nodev: { set: ATTR.nodev },
  dev: { clear: ATTR.nodev },
  noexec: { set: ATTR.noexec },
  exec: { clear: ATTR.noexec },
  noatime: { set: ATTR.noatime, clear: ATTR.atimeMask },
  atime: { clear: ATTR.atimeMask },
  relatime: { clear: ATTR.atimeMask },
  norelatime: { clear: ATTR.atimeMask },
  strictatime: { set: ATTR.strictatime, clear: ATTR.atimeMask },
  nostrictatime: { clear: ATTR.atimeMask },
  nodiratime: { set: ATTR.nodiratime },
  diratime: { clear: ATTR.nodiratime },
  nosymfollow: { set: ATTR.nosymfollow },
  symfollow: { clear: ATTR.nosymfollow },
})
/** Known to mount(8), and nothing to do for a mount of ours. */
const IGNORED = new Set([
  "defaults",
  "async",
  "nomand",
  "noiversion",
  "nolazytime",
  "loud",
  "silent",
  "auto",
  "noauto",
  "user",
  "nouser",
  "_netdev",
  "nofail",
])
/** In the specification, and not here: each with what to do instead. */
const REFUSED: Readonly<Record<string, string>> = own({
  remount: "give the options to the first mount of this place",
  tmpcopyup: "copy the files in the image, or use a volume",
  mand: "Linux 5.15 removed mandatory locks",
  iversion: "mount the source with it on the host",
})

/** A table that has its rows and nothing else: an option may be called `constructor`. */
function own<T>(rows: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.assign(Object.create(null) as object, rows)
}

export interface Options {
  readonly bind: boolean
  readonly recursive: boolean
  /** MOUNT_ATTR_* to set and to clear on this mount … */
  readonly set: number
  readonly clear: number
  /** … and on it and all below it. */
  readonly recursiveSet: number
  readonly recursiveClear: number
  /** MS_* with whether it counts for all below; 0: as the caller thinks right. */
  readonly propagation: number
  readonly recursivePropagation: boolean
  /** Through the container's ids: this mount, or all below it too. */
  readonly idmap: false | "one" | "all"
  /** What the file system itself is told, for everybody who has it mounted: `size=64m`, `sync`. @see Linux fs/fs_context.c */
  readonly data: readonly string[]
}

/** @throws {EngineError} `UNSUPPORTED` for an option that we know and cannot do. */
export function readOptions(options: readonly string[], destination: string): Options {
  let [bind, recursive, set, clear, recursiveSet, recursiveClear, propagation] = [false, false, 0, 0, 0, 0, 0]
  let recursivePropagation = false
  let idmap: Options["idmap"] = false
  const data: string[] = []
  for (const option of options) {
    const refusal = REFUSED[option]
    if (refusal)
      throw new EngineError(
        "UNSUPPORTED",
        `cannot mount on ${destination}: the option ${option} is not supported`,
        refusal,
      )
    const plain = option.replace(/^r/, "")
    const here = ATTRIBUTES[option]
    const below = here ? undefined : ATTRIBUTES[plain]
    if (here) {
      // The later of two opposite words counts.
      clear = (clear & ~(here.set ?? 0)) | (here.clear ?? 0)
      set = (set & ~(here.clear ?? 0)) | (here.set ?? 0)
    } else if (option === "bind" || option === "rbind") {
      bind = true
      recursive = option === "rbind"
    } else if (option === "idmap" || option === "ridmap") idmap = option === "idmap" ? "one" : "all"
    else if (Object.hasOwn(PROPAGATION, plain)) {
      propagation = PROPAGATION[plain as keyof typeof PROPAGATION]
      recursivePropagation = option !== plain
    } else if (below && option.startsWith("r")) {
      recursiveClear = (recursiveClear & ~(below.set ?? 0)) | (below.clear ?? 0)
      recursiveSet = (recursiveSet & ~(below.clear ?? 0)) | (below.set ?? 0)
    } else if (!IGNORED.has(option) && !option.startsWith("x-")) data.push(option)
  }
  return { bind, recursive, set, clear, recursiveSet, recursiveClear, propagation, recursivePropagation, idmap, data }
}
