/**
 * The files of cgroup v2: every limit of `linux.resources` as the kernel spells it there.
 *
 *     limit       memory.max  cpu.max  pids.max  io.max       an absolute bound
 *     protection  memory.low                                  what is left to it when others want more
 *     weight      cpu.weight  io.weight                       a share, when there is not enough
 *
 * config.json was written for version 1, so some numbers are converted on the way.
 *
 * Read on: cgroups-v1-files.ts, the same for version 1. Linux Documentation/admin-guide/cgroup-v2.rst.
 */

import { binarySize } from "../base/units.ts"
import type { Host } from "../model/host.ts"
import type { Resources, Throttle } from "../model/oci.ts"
import { given, isUnlimited, positive, type Row } from "./cgroups-limits.ts"

/** Every limit as cgroup v2 spells it. */
export function limits(resources: Resources, kernel: Host["kernel"]): readonly Row[] {
  const { memory = {}, cpu = {}, pids, blockIO = {}, hugepageLimits = [], network, rdma = {}, unified = {} } = resources
  const lacks = (asked: string, because: string): Row => ({ asked, because })
  const max = (value: number): string => (isUnlimited(value) ? "max" : String(value))
  const size = (bytes: number): string => (isUnlimited(bytes) ? "unlimited" : binarySize(bytes))
  const since = (major: number, minor: number): boolean =>
    kernel[0] > major || (kernel[0] === major && kernel[1] >= minor)
  const idle = cpu.idle === 1

  return [
    ...given(memory.limit || undefined, (limit) => [
      {
        controller: "memory",
        file: "memory.max",
        text: max(limit),
        asked: "--memory",
        does: `limit memory to ${size(limit)}`,
        why: "beyond it the kernel takes pages back, and kills if there are none to take",
      },
    ]),
    ...given(memory.reservation || undefined, (low) => [
      {
        controller: "memory",
        file: "memory.low",
        text: max(low),
        asked: "--memory-reservation",
        does: `reserve ${size(low)} of memory`,
        why: "when memory is short, the kernel takes it from others first",
      },
    ]),
    // The file holds swap alone; config.json means the sum.
    ...given(swapMax(memory.limit, memory.swap), (swap) => [
      {
        controller: "memory",
        file: "memory.swap.max",
        text: max(swap),
        asked: "--memory-swap",
        does: `limit swap to ${size(swap)}`,
        why: "what does not fit into memory may go to disk, up to here",
        absent: "warn",
      },
    ]),
    ...given(memory.swappiness, () => [lacks("--memory-swappiness", "cgroup v2 has no swappiness")]),
    ...given(memory.disableOOMKiller || undefined, () => [
      lacks("--oom-kill-disable", "cgroup v2 cannot switch the killer off"),
    ]),
    ...given(positive(memory.kernel), () => [lacks("memory.kernel", "cgroup v2 counts kernel memory as memory")]),
    ...given(positive(memory.kernelTCP), () => [
      lacks("memory.kernelTCP", "cgroup v2 counts network buffers as memory"),
    ]),
    ...(memory.useHierarchy === false
      ? [lacks("memory.useHierarchy", "groups count for those above them, always")]
      : []),

    // The kernel refuses a weight for a group that only runs when the CPUs are idle.
    ...given(idle ? undefined : cpu.shares || undefined, (shares) => [
      {
        controller: "cpu",
        file: "cpu.weight",
        text: String(cpuWeight(shares)),
        asked: "--cpu-shares",
        does: `weigh its CPU time with ${cpuWeight(shares)} of 100`,
        why: "when CPUs are short, each group gets them by its weight; 100 is everybody's",
      },
    ]),
    ...given(cpu.quota || cpu.period ? cpuMax(cpu.quota, cpu.period) : undefined, (text) => [
      {
        controller: "cpu",
        file: "cpu.max",
        text,
        asked: "--cpus",
        does: `limit CPU time to ${text.replace(" ", " µs in every ")} µs`,
        why: "when that is used up, its threads wait for the next period",
      },
    ]),
    ...given(cpu.burst || undefined, (burst) => [
      since(5, 14)
        ? {
            controller: "cpu",
            file: "cpu.max.burst",
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
    ...given(cpu.realtimeRuntime || cpu.realtimePeriod || undefined, () => [
      lacks("--cpu-rt-runtime", "cgroup v2 has no real-time groups"),
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

    // Zero and -1 are no limit, and that is what a new group has.
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

    ...given(blockIO.weight || undefined, (weight) => [
      {
        controller: "io",
        file: "io.bfq.weight",
        text: String(weight),
        asked: "--blkio-weight",
        does: `weigh its disk time with ${weight}, as BFQ does`,
        why: "the file is there only if a disk uses BFQ",
        absent: "skip",
      },
      {
        controller: "io",
        file: "io.weight",
        text: String(ioWeight(weight)),
        asked: "--blkio-weight",
        does: `weigh its disk time with ${ioWeight(weight)} of 100`,
        why: "when a disk is busy, each group gets it by its weight; 100 is everybody's",
        absent: "warn",
      },
    ]),
    ...given(blockIO.leafWeight || undefined, () => [lacks("blockIO.leafWeight", "Linux 5.0 removed it")]),
    ...(blockIO.weightDevice ?? []).flatMap(({ major, minor, weight, leafWeight }): readonly Row[] => [
      ...given(weight || undefined, (value) => [
        {
          controller: "io",
          file: "io.bfq.weight",
          text: `${major}:${minor} ${value}`,
          asked: "--blkio-weight-device",
          does: `weigh its time on disk ${major}:${minor} with ${value}, as BFQ does`,
          why: "when that disk is busy, each group gets it by its weight",
          absent: "warn" as const,
        },
      ]),
      ...given(leafWeight || undefined, () => [lacks("blockIO.weightDevice.leafWeight", "Linux 5.0 removed it")]),
    ]),
    ...ioMax(blockIO),

    ...hugepageLimits.flatMap(({ pageSize, limit }): readonly Row[] => [
      {
        controller: "hugetlb",
        file: `hugetlb.${pageSize}.max`,
        text: max(limit),
        asked: "hugepageLimits",
        does: `limit huge pages of ${pageSize} to ${size(limit)}`,
        why: "they are few, and nobody can take them back",
      },
      {
        controller: "hugetlb",
        file: `hugetlb.${pageSize}.rsvd.max`,
        text: max(limit),
        asked: "hugepageLimits",
        does: `limit reserved huge pages of ${pageSize} to ${size(limit)}`,
        why: "a reservation beyond the limit is refused; later, it would be SIGBUS",
        absent: "skip",
      },
    ]),
    ...given(network?.classID || undefined, () => [lacks("network.classID", "cgroup v2 has no net_cls controller")]),
    ...given(network?.priorities?.length || undefined, () => [
      lacks("network.priorities", "cgroup v2 has no net_prio controller"),
    ]),
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
    ...Object.entries(unified).map(
      ([file, text]): Row => ({
        controller: file.split(".")[0] ?? "",
        file,
        text,
        asked: `unified "${file}"`,
        does: `set ${file} to ${text}`,
        why: "the config says it in cgroup v2's own words",
      }),
    ),
  ]
}

/**
 * The number for `memory.swap.max`: what may go to swap alone.
 * @param limit bytes of memory, as in config.json: -1 is unlimited.
 * @param swap bytes of memory and swap together, at least `limit` (checked); -1 is unlimited; 0 or undefined: not asked.
 * @returns bytes; -1: unlimited; undefined: nothing to write.
 */
function swapMax(limit: number | undefined, swap: number | undefined): number | undefined {
  // On v1 the limit of the sum must go when the limit of memory goes, and configs written for it rely on that.
  if (!swap) return limit === -1 ? -1 : undefined
  return swap < 0 ? -1 : swap - (limit ?? 0)
}

/**
 * The text for `cpu.max`: `cpuMax(150000, undefined)` is `"150000 100000"`, one and a half CPUs.
 * @param quota CPU time in every period, in microseconds; 0, -1 or undefined is unlimited.
 * @param period in microseconds; 0 or undefined is the kernel's 100 ms.
 * @see Linux Documentation/admin-guide/cgroup-v2.rst, "CPU Interface Files"
 */
export function cpuMax(quota: number | undefined, period: number | undefined): string {
  return `${quota !== undefined && quota > 0 ? quota : "max"} ${period || 100_000}`
}

/**
 * The number for `cpu.weight` (1 … 10000, default 100) that stands for v1 shares (2 … 262144, default 1024).
 *
 * A curve through both ends and both defaults, the one that runc (since 1.3.2) and crun (since 1.23) use; the straight line of
 * before gave a container of 1024 shares the weight 39, less than half of what everything else on the host has.
 * @see https://github.com/opencontainers/runc/issues/4896
 */
export function cpuWeight(shares: number): number {
  if (shares <= 2) return 1
  if (shares >= 262_144) return 10_000
  const log = Math.log2(shares)
  return Math.ceil(10 ** ((log * log + 125 * log) / 612 - 7 / 34))
}

/** The number for `io.weight` (1 … 10000) that stands for a v1 weight (10 … 1000): a straight line, as in runc and crun. */
export function ioWeight(weight: number): number {
  return Math.floor(1 + ((weight - 10) * 9999) / 990)
}

/** The throttles, one row for each device: `8:0 rbps=1048576 wiops=100`. A rate of 0 takes a limit away. */
function ioMax(blockIO: NonNullable<Resources["blockIO"]>): readonly Row[] {
  const kinds: readonly (readonly [key: string, throttles: readonly Throttle[] | undefined])[] = [
    ["rbps", blockIO.throttleReadBpsDevice],
    ["wbps", blockIO.throttleWriteBpsDevice],
    ["riops", blockIO.throttleReadIOPSDevice],
    ["wiops", blockIO.throttleWriteIOPSDevice],
  ]
  const devices = new Map<string, string[]>()
  for (const [key, throttles = []] of kinds)
    for (const { major, minor, rate = 0 } of throttles) {
      const device = `${major}:${minor}`
      devices.set(device, [...(devices.get(device) ?? []), `${key}=${rate && !isUnlimited(rate) ? rate : "max"}`])
    }
  return [...devices].map(([device, rates]) => ({
    controller: "io",
    file: "io.max",
    text: `${device} ${rates.join(" ")}`,
    asked: "--device-read-bps",
    does: `limit its use of disk ${device} to ${rates.join(" ")}`,
    why: "requests beyond it wait",
  }))
}
