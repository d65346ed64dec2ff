/**
 * The files of cgroup v1: every limit of `linux.resources` as the kernel spells it there, in the order in which it takes them.
 *
 * config.json has version 1's own words and numbers, so nothing is converted. Unlimited is -1. A limit of memory and swap
 * together (`memsw`) can never be below the one of memory alone, so memory comes first.
 *
 * Read on: cgroups-files.ts, the same for version 2. Linux Documentation/admin-guide/cgroup-v1/.
 */

import { binarySize } from "../base/units.ts"
import type { Host } from "../model/host.ts"
import type { Resources, Throttle } from "../model/oci.ts"
import { given, isUnlimited, positive, type Row } from "./cgroups-limits.ts"

export function limits(resources: Resources, kernel: Host["kernel"]): readonly Row[] {
  const { memory = {}, cpu = {}, pids, blockIO = {}, hugepageLimits = [], network, rdma = {} } = resources
  const lacks = (asked: string, because: string): Row => ({ asked, because })
  const max = (value: number): string => (isUnlimited(value) ? "-1" : String(value))
  const size = (bytes: number): string => (isUnlimited(bytes) ? "unlimited" : binarySize(bytes))
  const since = (major: number, minor: number): boolean =>
    kernel[0] > major || (kernel[0] === major && kernel[1] >= minor)
  // As in version 2: a limit of the sum that nobody wrote must not hold back a limit of memory that was taken away.
  const swap = memory.swap || (memory.limit === -1 ? -1 : undefined)

  return [
    ...given(memory.limit || undefined, (limit) => [
      {
        controller: "memory",
        file: "memory.limit_in_bytes",
        text: String(limit),
        asked: "--memory",
        does: `limit memory to ${size(limit)}`,
        why: "beyond it the kernel takes pages back, and kills if there are none to take",
      },
    ]),
    ...given(swap, (sum) => [
      {
        controller: "memory",
        file: "memory.memsw.limit_in_bytes",
        text: String(sum),
        asked: "--memory-swap",
        does: `limit memory and swap together to ${size(sum)}`,
        why: "what does not fit into memory may go to disk, up to here",
        absent: "warn",
      },
    ]),
    ...given(memory.reservation || undefined, (low) => [
      {
        controller: "memory",
        file: "memory.soft_limit_in_bytes",
        text: String(low),
        asked: "--memory-reservation",
        does: `shrink it to ${size(low)} first when memory is short`,
        why: "a group above its soft limit gives pages back before others do",
      },
    ]),
    ...given(memory.swappiness, (swappiness) => [
      {
        controller: "memory",
        file: "memory.swappiness",
        text: String(swappiness),
        asked: "--memory-swappiness",
        does: `set swappiness to ${swappiness}`,
        why: "it says how soon the kernel swaps pages instead of dropping cached files",
        absent: "warn",
      },
    ]),
    ...given(memory.disableOOMKiller || undefined, () => [
      {
        controller: "memory",
        file: "memory.oom_control",
        text: "1",
        asked: "--oom-kill-disable",
        does: "let it wait instead of killing when memory runs out",
        why: "the config prefers a container that hangs to one that is gone",
      },
    ]),
    ...given(positive(memory.kernel), (kernelBytes) => [
      since(5, 16)
        ? lacks("memory.kernel", "Linux 5.16 removed it")
        : {
            controller: "memory",
            file: "memory.kmem.limit_in_bytes",
            text: String(kernelBytes),
            asked: "memory.kernel",
            does: `limit kernel memory to ${size(kernelBytes)}`,
            why: "the config bounds it apart",
          },
    ]),
    ...given(positive(memory.kernelTCP), (bytes) => [
      {
        controller: "memory",
        file: "memory.kmem.tcp.limit_in_bytes",
        text: String(bytes),
        asked: "memory.kernelTCP",
        does: `limit network buffers to ${size(bytes)}`,
        why: "the config bounds them apart",
      },
    ]),
    ...(memory.useHierarchy === false
      ? [lacks("memory.useHierarchy", "groups count for those above them, always")]
      : []),

    // The kernel refuses shares for a group that only runs when the CPUs are idle.
    ...given(cpu.idle === 1 ? undefined : cpu.shares || undefined, (shares) => [
      {
        controller: "cpu",
        file: "cpu.shares",
        text: String(shares),
        asked: "--cpu-shares",
        does: `give it ${shares} shares of CPU time`,
        why: "when CPUs are short, each group gets them by its shares; 1024 is everybody's",
      },
    ]),
    ...given(cpu.period || undefined, (period) => [
      {
        controller: "cpu",
        file: "cpu.cfs_period_us",
        text: String(period),
        asked: "--cpu-period",
        does: `count CPU time in periods of ${period} µs`,
        why: "the quota is per period, so the period comes first",
      },
    ]),
    ...given((cpu.quota ?? 0) > 0 ? cpu.quota : undefined, (quota) => [
      {
        controller: "cpu",
        file: "cpu.cfs_quota_us",
        text: String(quota),
        asked: "--cpus",
        does: `limit CPU time to ${quota} µs in every ${cpu.period || 100_000} µs`,
        why: "when that is used up, its threads wait for the next period",
      },
    ]),
    ...given(cpu.burst || undefined, (burst) => [
      since(5, 14)
        ? {
            controller: "cpu",
            file: "cpu.cfs_burst_us",
            text: String(burst),
            asked: "cpu.burst",
            does: `let it save up ${burst} µs of CPU time`,
            why: "what it did not use in one period it may use in a later one",
          }
        : lacks("cpu.burst", "it needs Linux 5.14"),
    ]),
    ...given(cpu.idle, (value) => [
      since(5, 15)
        ? {
            controller: "cpu",
            file: "cpu.idle",
            text: String(value),
            asked: "cpu.idle",
            does: value ? "run only on CPUs that would be idle" : "compete for CPUs",
            why: "the config says how much it matters",
          }
        : lacks("cpu.idle", "it needs Linux 5.15"),
    ]),
    ...given(cpu.realtimePeriod || undefined, (period) => [
      {
        controller: "cpu",
        file: "cpu.rt_period_us",
        text: String(period),
        asked: "--cpu-rt-period",
        does: `count real-time CPU time in periods of ${period} µs`,
        why: "the budget is per period, so the period comes first",
        absent: "warn",
      },
    ]),
    ...given(cpu.realtimeRuntime || undefined, (runtime) => [
      {
        controller: "cpu",
        file: "cpu.rt_runtime_us",
        text: String(runtime),
        asked: "--cpu-rt-runtime",
        does: `allow ${runtime} µs of real-time CPU time`,
        why: "without a budget a group may have no real-time threads",
        absent: "warn",
      },
    ]),
    ...given(cpu.cpus || undefined, (cpus) => [
      {
        controller: "cpuset",
        file: "cpuset.cpus",
        text: cpus,
        asked: "--cpuset-cpus",
        does: `run on the CPUs ${cpus}`,
        why: "others stay free of it",
      },
    ]),
    ...given(cpu.mems || undefined, (mems) => [
      {
        controller: "cpuset",
        file: "cpuset.mems",
        text: mems,
        asked: "--cpuset-mems",
        does: `take memory from the nodes ${mems}`,
        why: "memory near its CPUs is faster",
      },
    ]),

    ...given((pids?.limit ?? 0) > 0 ? pids?.limit : undefined, (limit) => [
      {
        controller: "pids",
        file: "pids.max",
        text: String(limit),
        asked: "--pids-limit",
        does: `limit processes and threads to ${limit}`,
        why: "a fork bomb inside ends inside",
      },
    ]),

    // Since Linux 5.0 BFQ alone knows weights.
    ...given(blockIO.weight || undefined, (weight) => [
      {
        controller: "blkio",
        file: "blkio.bfq.weight",
        text: String(weight),
        asked: "--blkio-weight",
        does: `weigh its disk time with ${weight} of 100`,
        why: "when a disk is busy, each group gets it by its weight; 100 is everybody's",
        absent: "warn",
      },
    ]),
    ...given(blockIO.leafWeight || undefined, () => [lacks("blockIO.leafWeight", "Linux 5.0 removed it")]),
    ...(blockIO.weightDevice ?? []).flatMap(({ major, minor, weight, leafWeight }): readonly Row[] => [
      ...given(weight || undefined, (value) => [
        {
          controller: "blkio",
          file: "blkio.bfq.weight_device",
          text: `${major}:${minor} ${value}`,
          asked: "--blkio-weight-device",
          does: `weigh its time on disk ${major}:${minor} with ${value}`,
          why: "when that disk is busy, each group gets it by its weight",
          absent: "warn" as const,
        },
      ]),
      ...given(leafWeight || undefined, () => [lacks("blockIO.weightDevice.leafWeight", "Linux 5.0 removed it")]),
    ]),
    ...throttle(blockIO.throttleReadBpsDevice, "read_bps", "reading", "bytes"),
    ...throttle(blockIO.throttleWriteBpsDevice, "write_bps", "writing", "bytes"),
    ...throttle(blockIO.throttleReadIOPSDevice, "read_iops", "reading", "requests"),
    ...throttle(blockIO.throttleWriteIOPSDevice, "write_iops", "writing", "requests"),

    ...hugepageLimits.flatMap(({ pageSize, limit }): readonly Row[] => [
      {
        controller: "hugetlb",
        file: `hugetlb.${pageSize}.limit_in_bytes`,
        text: max(limit),
        asked: "hugepageLimits",
        does: `limit huge pages of ${pageSize} to ${size(limit)}`,
        why: "they are few, and nobody can take them back",
      },
      {
        controller: "hugetlb",
        file: `hugetlb.${pageSize}.rsvd.limit_in_bytes`,
        text: max(limit),
        asked: "hugepageLimits",
        does: `limit reserved huge pages of ${pageSize} to ${size(limit)}`,
        why: "a reservation beyond the limit is refused; later, it would be SIGBUS",
        absent: "skip",
      },
    ]),
    ...given(network?.classID || undefined, (classId) => [
      {
        controller: "net_cls",
        file: "net_cls.classid",
        text: String(classId),
        asked: "network.classID",
        does: `mark its packets with class ${classId}`,
        why: "the host's traffic control tells them apart by it",
      },
    ]),
    ...(network?.priorities ?? []).map(
      ({ name, priority }): Row => ({
        controller: "net_prio",
        file: "net_prio.ifpriomap",
        text: `${name} ${priority}`,
        asked: "network.priorities",
        does: `send through ${name} with priority ${priority}`,
        why: "the config ranks its packets",
      }),
    ),
    ...Object.entries(rdma).map(([device, { hcaHandles, hcaObjects }]): Row => {
      const text = `${device} hca_handle=${hcaHandles ?? "max"} hca_object=${hcaObjects ?? "max"}`
      return {
        controller: "rdma",
        file: "rdma.max",
        text,
        asked: "rdma",
        does: `limit RDMA: ${text}`,
        why: "the adapter has few handles for everybody",
      }
    }),
  ]
}

function throttle(devices: readonly Throttle[] = [], file: string, what: string, unit: string): readonly Row[] {
  return devices.map(({ major, minor, rate: asked = 0 }) => {
    const rate = isUnlimited(asked) ? 0 : asked
    return {
      controller: "blkio",
      file: `blkio.throttle.${file}_device`,
      text: `${major}:${minor} ${rate}`,
      asked: `--device-${file.replace("_", "-")}`,
      does: rate
        ? `limit ${what} disk ${major}:${minor} to ${rate} ${unit} a second`
        : `take the limit from ${what} disk ${major}:${minor}`,
      why: "requests beyond it wait",
    }
  })
}
