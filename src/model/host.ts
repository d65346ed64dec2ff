/**
 * What this machine is, as a value: read once by host/, then passed to spec/ and plan/, which look at nothing else.
 */

export interface Host {
  readonly arch: "x86_64" | "aarch64"
  /** `[6, 1]` of "6.1.0-56-cloud-amd64". */
  readonly kernel: readonly [major: number, minor: number]
  readonly kernelRelease: string
  readonly hostname: string
  /** /proc/sys/kernel/random/boot_id: what a pid is worth only together with. */
  readonly bootId: string
  /** Who we are: effective uid, and effective capabilities as a bit mask. */
  readonly uid: number
  readonly capabilities: bigint
  /** Number of CPUs, and bytes of memory. */
  readonly cpus: number
  readonly memory: number
  readonly cgroups: Cgroups
  /** User namespaces can be made (CONFIG_USER_NS, user.max_user_namespaces > 0). */
  readonly userNamespaces: boolean
  /** Our own hard limits, by OCI name (`RLIMIT_NOFILE`): without CAP_SYS_RESOURCE nothing may exceed them. */
  readonly hardLimits: Readonly<Record<string, number>>
  readonly lsm: { readonly apparmor: boolean; readonly selinux: boolean }
  readonly ipv6: boolean
  readonly seccomp: boolean
  /** We are in a user namespace that is not the machine's first: root here is nobody to what belongs to the machine. Absent: we are not. */
  readonly confined?: true
  /** Facts per path that a plan mentions: rootfs, layers, volume sources, devices. Keyed by the path as given in the config. */
  readonly paths: Readonly<Record<string, PathFacts>>
}

export interface Cgroups {
  /**
   * - `v2`: one hierarchy at `unified`.
   * - `v1`: every controller in a v1 hierarchy (also "hybrid", where a v2 hierarchy without controllers exists besides).
   * - `none`: no usable cgroup file system: no limits. `why` says what is in the way.
   */
  readonly mode: "v2" | "v1" | "none"
  /** Mode `none` only: a clause for people, like "/sys/fs/cgroup is read-only". */
  readonly why?: string
  /**
   * What looks like the root of the hierarchies is a group of somebody's: we are in a container, or in a cgroup namespace. It may have limits
   * above ours and hold processes, and what we may do there is not certain. Absent: the root is the machine's.
   */
  readonly nested?: true
  /** Mount point of the v2 hierarchy, also on a hybrid host. */
  readonly unified?: string
  /**
   * v2: the controllers that can be enabled for our groups; the value is always `unified`.
   * v1: controller (`memory`, `cpu`, `cpuacct`, `cpuset`, `devices`, `freezer`, `blkio`, `pids`, `name=systemd` …) → mount point of its hierarchy.
   */
  readonly controllers: Readonly<Record<string, string>>
  /**
   * The group below which ours lie: `/` where the root is ours, else our own (delegated) group's path, per hierarchy mount point.
   */
  readonly base: Readonly<Record<string, string>>
  /** The group this process is in, per hierarchy mount point, as /proc/self/cgroup says. Absent: not known. */
  readonly own?: Readonly<Record<string, string>>
  /** What the groups that exist above ours have, v1 cpuset only: texts of `cpuset.cpus` and `cpuset.mems` of the base. */
  readonly cpuset?: { readonly cpus: string; readonly mems: string }
}

export interface PathFacts {
  readonly kind: "directory" | "file" | "character" | "block" | "fifo" | "socket" | "missing"
  /** As /proc/self/mountinfo spells it: `ext4`, `overlay`, `tmpfs`, `devtmpfs` … of the mount that holds the path. */
  readonly filesystem: string
  /** This very mount cannot be shown with other ids, though its type can: it is so already, or the kernel has refused it. */
  readonly idmap?: false
  /** The mounts below the path, named as that is given (it may be a link), for a recursive bind. Absent: none. */
  readonly submounts?: readonly { readonly path: string; readonly filesystem: string; readonly idmap?: false }[]
  /** Of a device node. */
  readonly device?: readonly [major: number, minor: number]
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Mount flags of the holding mount that a bind in a user namespace must keep: MOUNT_ATTR_* bits. */
  readonly locked: number
}
