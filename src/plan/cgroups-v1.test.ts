import { expect, test } from "bun:test"
import type { Cgroups } from "../model/host.ts"
import type { Resources } from "../model/oci.ts"
import type { CgroupsRequest } from "./cgroups-limits.ts"
import { cgroupsV1, joinCgroupsV1 } from "./cgroups-v1.ts"
import { explain } from "./explain.ts"

const at = (name: string): string => `/sys/fs/cgroup/${name}`
/** As Debian's systemd mounted them: two controllers may share a tree. */
const controllers = {
  memory: at("memory"),
  cpu: at("cpu,cpuacct"),
  cpuacct: at("cpu,cpuacct"),
  cpuset: at("cpuset"),
  pids: at("pids"),
  net_cls: at("net_cls"),
  "name=systemd": at("systemd"),
}
const AT_ROOT = Object.fromEntries(Object.values(controllers).map((mount) => [mount, "/"]))
const make = (resources: Resources, given: Partial<CgroupsRequest> = {}, host: Partial<Cgroups> = {}) =>
  cgroupsV1({
    resources,
    path: "/minicontainer/c1",
    monitors: "/minicontainer/monitors",
    ...given,
    host: { kernel: [6, 18], cgroups: { mode: "v1", controllers, base: {}, own: AT_ROOT, ...host } },
  })
const written = (resources: Resources, host: Partial<Cgroups> = {}) =>
  make(resources, {}, host).steps.flatMap((step) =>
    step.op === "write"
      ? [`${step.path.replace("/sys/fs/cgroup/", "").replace("/minicontainer/c1", "")} = ${step.text}`]
      : [],
  )

test("a group in every tree, made by the executor, entered by the child", () => {
  expect(explain(make({}).steps)).toBe(`
host   make the memory cgroup /minicontainer
host   make the memory cgroup /minicontainer/c1
host   make the cpu,cpuacct cgroup /minicontainer
host   make the cpu,cpuacct cgroup /minicontainer/c1
host   make the cpuset cgroup /minicontainer
host   fill in cpuset.cpus of /minicontainer
host   fill in cpuset.mems of /minicontainer
host   make the cpuset cgroup /minicontainer/c1
host   fill in cpuset.cpus of /minicontainer/c1
host   fill in cpuset.mems of /minicontainer/c1
host   make the pids cgroup /minicontainer
host   make the pids cgroup /minicontainer/c1
child  enter the memory cgroup /minicontainer/c1
child  enter the cpu,cpuacct cgroup /minicontainer/c1
child  enter the cpuset cgroup /minicontainer/c1
child  enter the pids cgroup /minicontainer/c1
exit   keep memory.oom_control
exit   keep cpuacct.usage`)
  expect(make({}).groups).toEqual({
    memory: "/sys/fs/cgroup/memory/minicontainer/c1",
    cpu: "/sys/fs/cgroup/cpu,cpuacct/minicontainer/c1",
    cpuacct: "/sys/fs/cgroup/cpu,cpuacct/minicontainer/c1",
    cpuset: "/sys/fs/cgroup/cpuset/minicontainer/c1",
    pids: "/sys/fs/cgroup/pids/minicontainer/c1",
  })
  expect(make({}).attachesInChild).toBe(true)
})

test("the child moves itself by `tasks`, which does not wait", () => {
  const paths = make({}).steps.flatMap((step) => (step.op === "attach-self" ? [step.path] : []))
  expect(paths[0]).toBe("/sys/fs/cgroup/memory/minicontainer/c1/tasks")
  expect(make({}).steps.filter(({ op }) => op === "attach-cgroup")).toEqual([])
})

test("a tree that nobody asked for is left alone; one that was asked for gets a group", () => {
  expect(make({}).groups.net_cls).toBeUndefined()
  expect(make({ network: { classID: 7 } }).groups.net_cls).toBe("/sys/fs/cgroup/net_cls/minicontainer/c1")
})

test("the monitor leaves the caller's groups before the clone, where the caller has any", () => {
  const { steps } = make({}, {}, { own: { ...AT_ROOT, [at("systemd")]: "/user.slice/session-3.scope" } })
  expect(explain(steps.slice(0, 4))).toBe(`
host   make the name=systemd cgroup /minicontainer
host   make the name=systemd cgroup /minicontainer/monitors
host   enter the name=systemd cgroup /minicontainer/monitors
host   make the memory cgroup /minicontainer`)
  const memory = make({}, {}, { own: { ...AT_ROOT, [at("memory")]: "/user.slice" } }).steps
  expect(explain(memory.slice(0, 4))).toBe(`
host   make the memory cgroup /minicontainer
host   make the memory cgroup /minicontainer/monitors
host   enter the memory cgroup /minicontainer/monitors
host   make the memory cgroup /minicontainer/c1`)
  const everywhere = cgroupsV1({
    resources: {},
    path: "/minicontainer/c1",
    monitors: "/minicontainer/monitors",
    host: { kernel: [6, 18], cgroups: { mode: "v1", controllers, base: {} } },
  }).steps
  const entered = everywhere.filter(({ op, phase }) => op === "attach-self" && phase === "host")
  expect(entered.length).toBe(6)
  expect(entered.every(({ must }) => must === false)).toBe(true)
  expect(
    make({}, { monitors: undefined }).steps.filter(({ op, phase }) => op === "attach-self" && phase === "host"),
  ).toEqual([])
})

test("memory before memory and swap: the sum may never be below", () => {
  expect(
    written({
      memory: { limit: 512 << 20, swap: 1 << 30, reservation: 1 << 28, swappiness: 0, disableOOMKiller: true },
    }),
  ).toEqual([
    "memory/memory.limit_in_bytes = 536870912",
    "memory/memory.memsw.limit_in_bytes = 1073741824",
    "memory/memory.soft_limit_in_bytes = 268435456",
    "memory/memory.swappiness = 0",
    "memory/memory.oom_control = 1",
  ])
  expect(written({ memory: { limit: -1 } })).toEqual([
    "memory/memory.limit_in_bytes = -1",
    "memory/memory.memsw.limit_in_bytes = -1",
  ])
  const swap = make({ memory: { limit: 1 << 30, swap: -1 } }).steps.find(
    (step) => step.op === "write" && step.path.includes("memsw"),
  )
  expect(swap?.must).toBe(false)
})

test("cpu, cpuset, pids: version 1's own words", () => {
  expect(
    written({
      cpu: {
        shares: 512,
        quota: 150_000,
        period: 100_000,
        burst: 10,
        realtimePeriod: 20,
        realtimeRuntime: 10,
        cpus: "0-1",
        mems: "0",
      },
      pids: { limit: 9 },
    }),
  ).toEqual([
    "cpu,cpuacct/cpu.shares = 512",
    "cpu,cpuacct/cpu.cfs_period_us = 100000",
    "cpu,cpuacct/cpu.cfs_quota_us = 150000",
    "cpu,cpuacct/cpu.cfs_burst_us = 10",
    "cpu,cpuacct/cpu.rt_period_us = 20",
    "cpu,cpuacct/cpu.rt_runtime_us = 10",
    "cpuset/cpuset.cpus = 0-1",
    "cpuset/cpuset.mems = 0",
    "pids/pids.max = 9",
  ])
})

test("disks, huge pages, network", () => {
  const more = { controllers: { ...controllers, blkio: at("blkio"), hugetlb: at("hugetlb"), net_prio: at("net_prio") } }
  expect(
    written(
      {
        blockIO: {
          weight: 300,
          throttleWriteBpsDevice: [{ major: 8, minor: 0, rate: 1000 }],
          throttleReadIOPSDevice: [{ major: 8, minor: 0 }],
        },
        hugepageLimits: [
          { pageSize: "2MB", limit: 0 },
          { pageSize: "1GB", limit: 2 ** 64 },
        ],
        network: { classID: 1_048_577, priorities: [{ name: "eth0", priority: 5 }] },
      },
      more,
    ),
  ).toEqual([
    "blkio/blkio.bfq.weight = 300",
    "blkio/blkio.throttle.write_bps_device = 8:0 1000",
    "blkio/blkio.throttle.read_iops_device = 8:0 0",
    "hugetlb/hugetlb.2MB.limit_in_bytes = 0",
    "hugetlb/hugetlb.2MB.rsvd.limit_in_bytes = 0",
    "hugetlb/hugetlb.1GB.limit_in_bytes = -1",
    "hugetlb/hugetlb.1GB.rsvd.limit_in_bytes = -1",
    "net_cls/net_cls.classid = 1048577",
    "net_prio/net_prio.ifpriomap = eth0 5",
  ])
})

test("a controller that is not there is told", () => {
  expect(() => make({ memory: { kernel: 5 } })).toThrow(
    "cannot enforce linux.resources.memory.kernel: Linux 5.16 removed it",
  )
  expect(make({ blockIO: { weight: 300 }, memory: { kernel: -1 } }).warnings).toEqual([
    "--blkio-weight is not enforced: this host has no blkio controller",
  ])
})

test("unified is for version 2, and here an error with a name", () => {
  expect(() => make({ unified: { "memory.high": "1" } })).toThrow(
    "cannot write memory.high: this host has cgroup v1, and resources.unified is for cgroup v2",
  )
})

test("hybrid: a container that shares its pids is born in a unified group, where all of it can be killed at once", () => {
  const hybrid = { unified: at("unified") }
  expect(make({}, {}, hybrid)).not.toHaveProperty("slot")
  expect(make({}, {}, hybrid).monitors).toBe("/sys/fs/cgroup/unified/minicontainer/monitors")
  const shared = make({}, { sharesPids: true }, hybrid)
  expect(shared.slot).toBe("cgroup")
  expect(shared.groups.unified).toBe("/sys/fs/cgroup/unified/minicontainer/c1")
  expect(explain(shared.steps.filter((step) => step.op === "open"))).toBe(`
host   open the unified cgroup /minicontainer/c1    → $cgroup`)
})

test("one more process: the monitor enters, clones and leaves", () => {
  const joined = joinCgroupsV1({
    resources: {},
    path: "/minicontainer/c1",
    monitors: "/minicontainer/monitors",
    host: {
      kernel: [6, 18],
      cgroups: { mode: "v1", controllers: { pids: at("pids"), cpuset: at("cpuset") }, base: {} },
    },
  })
  expect(explain(joined.steps)).toBe(`
host   make the cpuset cgroup /minicontainer
host   fill in cpuset.cpus of /minicontainer
host   fill in cpuset.mems of /minicontainer
host   make the cpuset cgroup /minicontainer/monitors
host   fill in cpuset.cpus of /minicontainer/monitors
host   fill in cpuset.mems of /minicontainer/monitors
host   make the pids cgroup /minicontainer
host   make the pids cgroup /minicontainer/monitors
host   enter the cpuset cgroup /minicontainer/c1
host   enter the pids cgroup /minicontainer/c1
parent enter the cpuset cgroup /minicontainer/monitors
parent enter the pids cgroup /minicontainer/monitors`)
})
