/**
 * CLONE_NEW*: the flags by which `clone3`, `unshare` and `setns` name a kind of namespace.
 * @see Linux include/uapi/linux/sched.h
 */

export const CLONE_NEW = {
  time: 0x80,
  mount: 0x20000,
  cgroup: 0x2000000,
  uts: 0x4000000,
  ipc: 0x8000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
} as const
