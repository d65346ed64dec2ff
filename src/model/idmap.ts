/**
 * Which file systems can be seen through an idmapped mount: a view in which every owner is shifted.
 *
 *     on disk        the view, shifted by 0x40000000     inside the container's user namespace
 *     uid 1000   →   uid 0x400003e8                  →   uid 1000
 *
 * Each file system had to be converted by its maintainers (FS_ALLOW_IDMAP), so the answer depends on the type and the
 * kernel. A container's user namespace needs more than that: overlay must accept idmapped layers, which it does from 5.19.
 * @see mount_setattr(2), "ID-mapped mounts"; Linux fs/namespace.c, can_idmap_mount()
 */

import type { PathFacts } from "./host.ts"

type Kernel = readonly [major: number, minor: number]

/**
 * From which kernel on a file system allows it, by the name in /proc/self/mountinfo. What is not here does not (overlay,
 * proc, sysfs, devtmpfs, cgroup, nfs, 9p), or not always: fuse and virtiofs leave it to their server.
 */
const SINCE: Readonly<Record<string, Kernel>> = {
  ext4: [5, 12],
  vfat: [5, 12],
  msdos: [5, 12],
  xfs: [5, 12],
  btrfs: [5, 15],
  ntfs3: [5, 15],
  f2fs: [5, 18],
  erofs: [5, 19],
  squashfs: [6, 2],
  tmpfs: [6, 3],
  ceph: [6, 7],
}

/** The first kernel whose overlay takes idmapped layers: older ones cannot give a container its own user namespace. */
export const OVERLAY_IDMAP: Kernel = [5, 19]

const atLeast = (kernel: Kernel, least: Kernel): boolean =>
  kernel[0] > least[0] || (kernel[0] === least[0] && kernel[1] >= least[1])

/** Whether a mount of this file system type can be idmapped on this kernel. An unknown type cannot. */
export function canIdmap(filesystem: string, kernel: Kernel): boolean {
  const since = Object.hasOwn(SINCE, filesystem) ? SINCE[filesystem] : undefined
  return since !== undefined && atLeast(kernel, since)
}

/** Whether what lies at a path can be shown with other ids: its file system can, and its mount does not do so already. */
export const canShift = ({ filesystem, idmap }: Pick<PathFacts, "filesystem" | "idmap">, kernel: Kernel): boolean =>
  idmap !== false && canIdmap(filesystem, kernel)

/** Whether this kernel can show image layers with a container's own ids. */
export const canShiftLayers = (kernel: Kernel): boolean => atLeast(kernel, OVERLAY_IDMAP)
