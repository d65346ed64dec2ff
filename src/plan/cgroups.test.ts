import { expect, test } from "bun:test"
import type { Cgroups } from "../model/host.ts"
import type { Resources } from "../model/oci.ts"
import { cgroups, joinCgroup } from "./cgroups.ts"
import { cpuMax, cpuWeight, ioWeight } from "./cgroups-files.ts"
import { explain } from "./explain.ts"

const MOUNT = "/sys/fs/cgroup"
const V2: Cgroups = {
  mode: "v2",
  unified: MOUNT,
  controllers: { memory: MOUNT, cpu: MOUNT, io: MOUNT, pids: MOUNT, cpuset: MOUNT },
  base: { [MOUNT]: "/" },
}
const make = (resources: Resources, host: Partial<Cgroups> = {}, kernel: readonly [number, number] = [6, 1]) =>
  cgroups({
    resources,
    path: "/minicontainer/c1",
    monitors: "/minicontainer/monitors",
    host: { kernel, cgroups: { ...V2, ...host } },
  })
/** What is written to which file of the container's group. */
const written = (resources: Resources, host: Partial<Cgroups> = {}, kernel?: readonly [number, number]) =>
  make(resources, host, kernel).steps.flatMap((step) =>
    step.op === "write" && !step.path.endsWith("subtree_control")
      ? [`${step.path.slice(step.path.lastIndexOf("/") + 1)} = ${step.text}`]
      : [],
  )

test("without limits a group is still made: its use is counted, and the child is born in it", () => {
  const { steps, warnings, slot, groups, monitors, attachesInChild } = make({})
  expect(explain(steps)).toBe(`
host   pass memory, cpu, io, pids on to the groups below /sys/fs/cgroup
host   make the cgroup /minicontainer
host   pass memory, cpu, io, pids on to the groups below /sys/fs/cgroup/minicontainer
host   make the cgroup /minicontainer/c1
host   open the cgroup /minicontainer/c1            → $cgroup
exit   keep memory.events
exit   keep cpu.stat`)
  expect({ warnings, slot, attachesInChild }).toEqual({ warnings: [], slot: "cgroup", attachesInChild: false })
  expect(groups.unified).toBe("/sys/fs/cgroup/minicontainer/c1")
  expect(monitors).toBe("/sys/fs/cgroup/minicontainer/monitors")
})

test("only the container's own group is taken back; the shared one may be there already", () => {
  const made = make({}).steps.filter(({ op }) => op === "mkdir")
  expect(made.map(({ ok, undo }) => ({ ok, undo: undo?.does }))).toEqual([
    { ok: ["EEXIST"], undo: undefined },
    { ok: undefined, undo: "remove the cgroup /minicontainer/c1" },
  ])
})

test("controllers that a limit needs must be passed on; those that are merely useful may fail", () => {
  const passed = make({ cpu: { cpus: "0" } }).steps.flatMap((step) =>
    step.op === "write" && step.path === `${MOUNT}/cgroup.subtree_control`
      ? [`${step.text}, must ${step.must ?? true}`]
      : [],
  )
  expect(passed).toEqual(["+cpuset, must true", "+memory +cpu +io +pids, must false"])
})

test("below a delegated group everything lies below that", () => {
  const { groups, steps } = make({}, { base: { [MOUNT]: "/user.slice/me" } })
  expect(groups.unified).toBe("/sys/fs/cgroup/user.slice/me/minicontainer/c1")
  expect(steps[0]).toMatchObject({ path: "/sys/fs/cgroup/user.slice/me/cgroup.subtree_control" })
})

test("memory: the file for swap holds swap alone", () => {
  expect(written({ memory: { limit: 512 << 20, swap: 768 << 20, reservation: 256 << 20 } })).toEqual([
    "memory.max = 536870912",
    "memory.low = 268435456",
    "memory.swap.max = 268435456",
  ])
  expect(written({ memory: { limit: 512 << 20, swap: -1 } })).toEqual([
    "memory.max = 536870912",
    "memory.swap.max = max",
  ])
  expect(written({ memory: { limit: 512 << 20, swap: 512 << 20 } })).toContain("memory.swap.max = 0")
  expect(written({ memory: { limit: -1 } })).toEqual(["memory.max = max", "memory.swap.max = max"])
})

test("cpu: shares become a weight, quota and period one text", () => {
  expect(written({ cpu: { shares: 512, quota: 150_000, burst: 1000 } })).toEqual([
    "cpu.weight = 59",
    "cpu.max = 150000 100000",
    "cpu.max.burst = 1000",
  ])
  expect(written({ cpu: { period: 50_000 } })).toEqual(["cpu.max = max 50000"])
  expect(written({ cpu: { cpus: "0-1", mems: "0" } })).toEqual(["cpuset.cpus = 0-1", "cpuset.mems = 0"])
})

test("a group that only runs on idle CPUs has no weight: the kernel would refuse it", () => {
  expect(written({ cpu: { idle: 1, shares: 512 } })).toEqual(["cpu.idle = 1"])
  expect(written({ cpu: { idle: 0, shares: 512 } })).toEqual(["cpu.weight = 59", "cpu.idle = 0"])
})

test.each([
  [2, 1],
  [3, 2],
  [512, 59],
  [1024, 100],
  [2000, 170],
  [262_144, 10_000],
])("%i shares weigh %i, as with runc and crun", (shares, weight) => {
  expect(cpuWeight(shares)).toBe(weight)
})

test("the texts of cpu.max and io.weight", () => {
  expect([cpuMax(150_000, undefined), cpuMax(-1, 20_000), cpuMax(50_000, 20_000)]).toEqual([
    "150000 100000",
    "max 20000",
    "50000 20000",
  ])
  expect([10, 100, 500, 1000].map(ioWeight)).toEqual([1, 910, 4950, 10_000])
})

test("disks: the throttles of one disk are one write", () => {
  expect(
    written({
      blockIO: {
        weight: 500,
        throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1_048_576 }],
        throttleWriteIOPSDevice: [
          { major: 8, minor: 0, rate: 100 },
          { major: 8, minor: 16, rate: 0 },
        ],
      },
    }),
  ).toEqual([
    "io.bfq.weight = 500",
    "io.weight = 4950",
    "io.max = 8:0 rbps=1048576 wiops=100",
    "io.max = 8:16 wiops=max",
  ])
})

test("pids: zero and -1 are no limit, and that is what a new group has", () => {
  expect(written({ pids: { limit: 100 } })).toEqual(["pids.max = 100"])
  expect(written({ pids: { limit: -1 } })).toEqual([])
  expect(written({ pids: { limit: 0 } })).toEqual([])
})

test("huge pages and RDMA", () => {
  const more = { controllers: { ...V2.controllers, hugetlb: MOUNT, rdma: MOUNT } }
  expect(
    written({ hugepageLimits: [{ pageSize: "2MB", limit: 4_194_304 }], rdma: { mlx5_0: { hcaHandles: 2 } } }, more),
  ).toEqual([
    "hugetlb.2MB.max = 4194304",
    "hugetlb.2MB.rsvd.max = 4194304",
    "rdma.max = mlx5_0 hca_handle=2 hca_object=max",
  ])
})

test("a file that not every kernel has is missed with a warning, not with an error", () => {
  const lenient = make({ memory: { limit: 1 << 30, swap: 1 << 30 }, blockIO: { weight: 10 } }).steps.flatMap((step) =>
    step.op === "write" && step.path.includes("/c1/")
      ? [[step.path.split("/").at(-1), step.must ?? true, step.ok ?? []]]
      : [],
  )
  expect(lenient).toEqual([
    ["memory.max", true, []],
    ["memory.swap.max", false, []],
    ["io.bfq.weight", true, ["ENOENT"]],
    ["io.weight", false, []],
  ])
})

test("a limit that this host cannot keep is told, once", () => {
  expect(
    make({ memory: { limit: 1 << 30, reservation: 1 << 20 }, pids: { limit: 5 } }, { controllers: { pids: MOUNT } })
      .warnings,
  ).toEqual([
    "--memory is not enforced: this host has no memory controller",
    "--memory-reservation is not enforced: this host has no memory controller",
  ])
  expect(make({ memory: { swappiness: 10, disableOOMKiller: true, kernel: -1, kernelTCP: -1 } }).warnings).toEqual([
    "--memory-swappiness is not enforced: cgroup v2 has no swappiness",
    "--oom-kill-disable is not enforced: cgroup v2 cannot switch the killer off",
  ])
})

const refused: readonly (readonly [Resources, string])[] = [
  [{ network: { classID: 1 } }, "network.classID: cgroup v2 has no net_cls controller"],
  [
    { network: { priorities: [{ name: "a", priority: 1 }] } },
    "network.priorities: cgroup v2 has no net_prio controller",
  ],
  [{ memory: { kernel: 5 } }, "memory.kernel: cgroup v2 counts kernel memory as memory"],
  [{ memory: { kernelTCP: 5 } }, "memory.kernelTCP: cgroup v2 counts network buffers as memory"],
  [{ memory: { useHierarchy: false } }, "memory.useHierarchy: groups count for those above them, always"],
  [{ cpu: { burst: 1000 } }, "cpu.burst: it needs Linux 5.14"],
  [{ cpu: { idle: 1 } }, "cpu.idle: it needs Linux 5.15"],
  [{ blockIO: { leafWeight: 10 } }, "blockIO.leafWeight: Linux 5.0 removed it"],
  [
    { blockIO: { weightDevice: [{ major: 8, minor: 0, leafWeight: 10 }] } },
    "blockIO.weightDevice.leafWeight: Linux 5.0 removed it",
  ],
  [{ hugepageLimits: [{ pageSize: "2MB", limit: 0 }] }, "hugepageLimits: this host has no hugetlb controller"],
  [{ rdma: { mlx5_0: { hcaHandles: 1 } } }, "rdma: this host has no rdma controller"],
]
for (const [resources, why] of refused)
  test(`what no flag of Docker's stands for is refused: ${why}`, () => {
    expect(() => make(resources, { controllers: { memory: MOUNT } }, [5, 10])).toThrow(
      `cannot enforce linux.resources.${why}`,
    )
    expect(() => make(resources, { mode: "none", controllers: {} }, [5, 10])).toThrow("has no cgroup of its own")
  })

test("what JSON cannot hold is no limit", () => {
  const all = 2 ** 64
  expect(
    written(
      {
        hugepageLimits: [{ pageSize: "2MB", limit: all }],
        blockIO: {
          throttleReadBpsDevice: [{ major: 8, minor: 0, rate: all }],
          throttleWriteIOPSDevice: [{ major: 8, minor: 0 }],
        },
      },
      { controllers: { io: MOUNT, hugetlb: MOUNT } },
    ),
  ).toEqual(["io.max = 8:0 rbps=max wiops=max", "hugetlb.2MB.max = max", "hugetlb.2MB.rsvd.max = max"])
})

test("a host without cgroups: nothing but one warning, which says what that means and why", () => {
  const none = { mode: "none", controllers: {}, why: "/sys/fs/cgroup is read-only" } as const
  expect(make({ memory: { limit: 1 << 30 }, pids: { limit: 5 } }, none)).toEqual({
    steps: [],
    warnings: [
      "the container has no cgroup of its own, because /sys/fs/cgroup is read-only: --memory and --pids-limit are not enforced",
    ],
    attachesInChild: false,
    groups: {},
  })
  const devices = [{ allow: false, access: "rwm" }]
  const lost = (resources: Resources, ownIds: boolean) =>
    cgroups({ resources, path: "/c", ownIds, host: { kernel: [6, 1], cgroups: { ...V2, ...none } } }).warnings.map(
      (line) => line.replace(/.*: /, ""),
    )
  expect(lost({}, true)).toEqual(["nothing counts or limits what it uses"])
  expect(lost({ devices }, true)).toEqual(["nothing counts or limits what it uses"])
  expect(lost({ devices }, false)).toEqual(["device rules are not enforced"])
  expect(lost({ devices, pids: { limit: 5 } }, true)).toEqual(["--pids-limit is not enforced"])
  expect(lost({ devices, pids: { limit: 5 } }, false)).toEqual(["--pids-limit and device rules are not enforced"])
})

test("inside a container the top is no root: its processes, ours too, make way before it passes anything on", () => {
  const { steps } = make({ memory: { limit: 1 << 30 } }, { nested: true })
  expect(explain(steps.slice(0, 3))).toBe(`
host   move the processes of /sys/fs/cgroup to its group /init
host   pass memory on to the groups below /sys/fs/cgroup
host   pass cpu, io, pids on to the groups below /sys/fs/cgroup`)
  const delegated = make({}, { nested: true, base: { [MOUNT]: "/me" } })
  expect(delegated.steps[0]).toMatchObject({ from: "/sys/fs/cgroup/me", to: "/sys/fs/cgroup/me/init" })
})

test("where nothing can be passed on nobody needs to move", () => {
  expect(make({}, { nested: true, controllers: {} }).steps.map(({ op }) => op)).not.toContain("move-processes")
})

test("unified: written as it is, but its controller must be there", () => {
  expect(written({ unified: { "memory.high": "1000000", "cgroup.max.depth": "3" } })).toEqual([
    "memory.high = 1000000",
    "cgroup.max.depth = 3",
  ])
  expect(() => make({ unified: { "misc.max": "x 1" } })).toThrow(
    "cannot write misc.max: this host has no misc controller",
  )
  expect(() => make({ unified: { "../memory.max": "1" } })).toThrow(
    'cannot limit "../memory.max": a key of unified is the name of a file of a cgroup',
  )
})

test.each<[Resources, string]>([
  [{ memory: { swap: 100 } }, "cannot limit memory and swap to 100: there is no limit for memory alone"],
  [
    { memory: { limit: 200, swap: 100 } },
    "cannot limit memory and swap to 100: it is less than the limit of 200 for memory alone",
  ],
  [{ memory: { swappiness: 101 } }, "cannot limit swappiness to 101: it ranges from 0 to 100"],
  [{ cpu: { quota: 999 } }, "cannot limit CPU time to 999 µs: the kernel's least quota is 1000 µs"],
  [{ cpu: { period: 2_000_000 } }, "cannot limit CPU time per 2000000 µs: a period lasts from 1000 to 1000000 µs"],
  [
    { cpu: { quota: 1000, burst: 2000 } },
    "cannot limit CPU bursts to 2000 µs: they may not exceed the quota of 1000 µs",
  ],
  [{ cpu: { cpus: "0;1" } }, 'cannot limit the container to the CPUs or memory nodes "0;1": a list looks like 0-2,5'],
  [
    { hugepageLimits: [{ pageSize: "../x", limit: 1 }] },
    'cannot limit huge pages of "../x": a page size looks like 2MB',
  ],
])("a contradiction is an error with a name: %j", (resources, message) => {
  expect(() => make(resources)).toThrow(message)
})

test("one more process is born in the same group, its monitor among the monitors", () => {
  const joined = joinCgroup({
    path: "/minicontainer/c1",
    monitors: "/minicontainer/monitors",
    host: { kernel: [6, 1], cgroups: V2 },
  })
  expect(explain(joined.steps)).toBe(`
host   open the cgroup /minicontainer/c1            → $cgroup`)
  expect(joined.monitors).toBe("/sys/fs/cgroup/minicontainer/monitors")
})
