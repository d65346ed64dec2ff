/**
 * Resources: every limit of `linux.resources`, read from inside where programs read it, on whichever kind of cgroup this host has; devices
 * that may be used, and what this host cannot keep. Needs root.
 */

import { afterAll, describe, expect, test } from "bun:test"
import { existsSync, readFileSync } from "node:fs"
import type { Resources } from "../../src/model/oci.ts"
import { host, newBundle, plain, v1 } from "./bundle.ts"

const bundle = newBundle()
afterAll(() => bundle[Symbol.dispose]())
const { fails, refuses } = bundle

const has = (controller: string): boolean => host.cgroups.controllers[controller] !== undefined
const since = (major: number, minor: number): boolean =>
  host.kernel[0] > major || (host.kernel[0] === major && host.kernel[1] >= minor)
/** Some disk: "8:0". */
const [, disk = "0:0"] = (
  /^ +(\d+) +(\d+) +\d+ (?:[sv]d[a-z]|nvme\d+n\d+)$/m.exec(readFileSync("/proc/partitions", "utf8")) ?? []
)
  .slice(1, 3)
  .join(":")
  .match(/(.+)/) ?? ["", "0:0"]
const [major, minor] = disk.split(":").map(Number) as [number, number]

const change = (resources: Resources) => ({
  linux: { resources, namespaces: [...(plain().linux?.namespaces ?? []), { type: "cgroup" } as const] },
})
/** A file of the container's own group, as the container finds it. */
const file = (controller: string, name: string): string => {
  const mount = host.cgroups.controllers[controller] ?? ""
  return v1 ? `/sys/fs/cgroup/${mount.slice(mount.lastIndexOf("/") + 1)}/${name}` : `/sys/fs/cgroup/${name}`
}
/** What the files hold after a container got these limits, and what it was warned of. */
function limited(resources: Resources, ...files: readonly (readonly [controller: string, name: string])[]): string {
  const script = files.map((each) => `cat ${file(...each)}`).join("; ")
  const { stdout, stderr, failed, warnings } = bundle.live(plain(change(resources), script))
  expect({ stderr, failed, warnings }).toEqual({ stderr: "", failed: undefined, warnings: [] })
  return stdout.trim().replaceAll(/\s+/g, " ")
}

const MIB = 1 << 20
describe("on version 1", () => {
  test.skipIf(!v1)("memory", () => {
    expect(
      limited(
        {
          memory: {
            limit: 64 * MIB,
            reservation: 32 * MIB,
            swappiness: 10,
            disableOOMKiller: true,
            kernelTCP: MIB,
            useHierarchy: true,
            checkBeforeUpdate: true,
          },
        },
        ["memory", "memory.limit_in_bytes"],
        ["memory", "memory.soft_limit_in_bytes"],
        ["memory", "memory.swappiness"],
        ["memory", "memory.kmem.tcp.limit_in_bytes"],
        ["memory", "memory.oom_control"],
      ),
    ).toStartWith("67108864 33554432 10 1048576 oom_kill_disable 1 ")
  })
  test.skipIf(!v1)("CPU time, CPUs, memory nodes, processes", () => {
    expect(
      limited(
        {
          cpu: { shares: 512, quota: 50_000, period: 100_000, burst: 10_000, cpus: "0", mems: "0" },
          pids: { limit: 77 },
        },
        ["cpu", "cpu.shares"],
        ["cpu", "cpu.cfs_quota_us"],
        ["cpu", "cpu.cfs_period_us"],
        ["cpu", "cpu.cfs_burst_us"],
        ["cpuset", "cpuset.cpus"],
        ["cpuset", "cpuset.mems"],
        ["pids", "pids.max"],
      ),
    ).toBe("512 50000 100000 10000 0 0 77")
    expect(
      limited(
        { cpu: { idle: 1, shares: 512, quota: -1 }, pids: { limit: -1 } },
        ["cpu", "cpu.idle"],
        ["pids", "pids.max"],
      ),
    ).toBe("1 max")
  })
  test.skipIf(!v1 || disk === "0:0")("disks", () => {
    const one = (rate: number) => [{ major, minor, rate }]
    expect(
      limited(
        {
          blockIO: {
            throttleReadBpsDevice: one(MIB),
            throttleWriteBpsDevice: one(2 * MIB),
            throttleReadIOPSDevice: one(100),
            throttleWriteIOPSDevice: one(200),
          },
        },
        ...["read_bps", "write_bps", "read_iops", "write_iops"].map(
          (name) => ["blkio", `blkio.throttle.${name}_device`] as const,
        ),
      ),
    ).toBe(`${disk} 1048576 ${disk} 2097152 ${disk} 100 ${disk} 200`)
  })
  test.skipIf(!v1)("what is version 2's", () =>
    expect(refuses(change({ unified: { "memory.high": "1" } }))).toBe(
      "UNSUPPORTED cannot write memory.high: this host has cgroup v1, and resources.unified is for cgroup v2",
    ),
  )
})

describe("on version 2", () => {
  const v2 = host.cgroups.mode === "v2"
  test.skipIf(!v2)("memory", () => {
    expect(
      limited(
        { memory: { limit: 64 * MIB, reservation: 32 * MIB, swap: 96 * MIB } },
        ["memory", "memory.max"],
        ["memory", "memory.low"],
      ),
    ).toBe("67108864 33554432")
  })
  test.skipIf(!v2)("CPU time, CPUs, memory nodes, processes", () => {
    expect(
      limited(
        {
          cpu: { shares: 1024, quota: 50_000, period: 100_000, burst: 10_000, cpus: "0", mems: "0" },
          pids: { limit: 77 },
        },
        ["cpu", "cpu.weight"],
        ["cpu", "cpu.max"],
        ["cpu", "cpu.max.burst"],
        ["cpuset", "cpuset.cpus"],
        ["cpuset", "cpuset.mems"],
        ["pids", "pids.max"],
      ),
    ).toBe("100 50000 100000 10000 0 0 77")
    expect(limited({ cpu: { idle: 1, shares: 512 } }, ["cpu", "cpu.idle"])).toBe("1")
  })
  test.skipIf(!v2 || disk === "0:0")("disks", () => {
    const one = (rate: number) => [{ major, minor, rate }]
    expect(
      limited({ blockIO: { throttleReadBpsDevice: one(MIB), throttleWriteIOPSDevice: one(200) } }, ["io", "io.max"]),
    ).toBe(`${disk} rbps=1048576 wbps=max riops=max wiops=200`)
  })
  test.skipIf(!v2)("its own words, and controllers that are not there", () => {
    expect(
      limited(
        { unified: { "memory.high": "33554432", "cgroup.max.depth": "3" } },
        ["memory", "memory.high"],
        ["pids", "cgroup.max.depth"],
      ),
    ).toBe("33554432 3")
    expect(refuses(change({ unified: { "nothing.max": "1" } }))).toBe(
      "HOST_LACKS cannot write nothing.max: this host has no nothing controller",
    )
    expect(fails(change({ unified: { "memory.nothing": "1" } }))).toBe(
      "cannot set memory.nothing to 1: this host's kernel has no such setting (ENOENT)",
    )
  })
})

describe("on either", () => {
  test("what has no limit", () => {
    expect(
      limited({ memory: { limit: -1, swap: -1, kernel: -1, kernelTCP: -1 }, cpu: { quota: -1 }, pids: { limit: 0 } }, [
        "pids",
        "pids.max",
      ]),
    ).toBe("max")
  })
  test("a limit is kept: processes", () => {
    const { stdout } = bundle.live(
      plain(change({ pids: { limit: 3 } }), "sh -c 'sleep 0.1 & sleep 0.1 & sleep 0.1 & wait' 2>&1; echo ended"),
    )
    expect(stdout).toContain("can't fork: Resource temporarily unavailable")
  })
  test("a group that is limited already is a group of its own each time", () => {
    for (const shares of [100, 200]) bundle.live(plain(change({ cpu: { shares } }), "true"))
  })
  test("device rules: what is made, and what may be opened", () => {
    const devices = [
      { path: "/dev/one", type: "c", major: 10, minor: 229, fileMode: 0o666 },
      { path: "/dev/two", type: "c", major: 10, minor: 237, fileMode: 0o666 },
    ] as const
    const lives = (rules: Resources["devices"]): string => {
      const { linux } = change({ ...(rules && { devices: rules }) })
      const { stdout, failed } = bundle.live(
        plain(
          { linux: { ...linux, devices } },
          "for name in one two null; do (head -c 0 /dev/$name) 2>&1 | grep -o 'not permitted' || echo open; done",
        ),
      )
      expect(failed).toBeUndefined()
      return stdout.trim().replaceAll("\n", ", ")
    }
    expect(lives([{ allow: false }])).toBe("not permitted, not permitted, open")
    expect(
      lives([
        { allow: false, access: "rwm" },
        { allow: true, type: "c", major: 10, minor: 229, access: "r" },
      ]),
    ).toBe("open, not permitted, open")
    expect(lives([{ allow: true }, { allow: false, type: "c", major: 10, minor: 229 }])).toStartWith("not permitted, ")
  })
  test("contradictions", () => {
    for (const [resources, says] of [
      [{ memory: { swap: 5 } }, "cannot limit memory and swap to 5: there is no limit for memory alone"],
      [{ memory: { limit: 10, swap: 5 } }, "it is less than the limit of 10 for memory alone"],
      [{ memory: { swappiness: 101 } }, "cannot limit swappiness to 101: it ranges from 0 to 100"],
      [{ cpu: { quota: 10 } }, "cannot limit CPU time to 10 µs: the kernel's least quota is 1000 µs"],
      [{ cpu: { period: 10 } }, "a period lasts from 1000 to 1000000 µs"],
      [{ cpu: { quota: 1000, burst: 2000 } }, "they may not exceed the quota of 1000 µs"],
      [{ devices: [{ allow: true, type: "x" }] }, 'cannot allow a device: the type "x" is none of a, b, c'],
    ] as const)
      expect(refuses(change(resources))).toContain(says)
  })
  test("what the kernel refuses is said with the limit's name", () => {
    expect(fails(change({ cpu: { cpus: "4000" } }))).toMatch(/^cannot run on the CPUs 4000: /)
    if (has("hugetlb"))
      expect(fails(change({ hugepageLimits: [{ pageSize: "3MB", limit: 1 }] }))).toBe(
        "cannot limit huge pages of 3MB to 1B: this host's kernel has no such setting (ENOENT)",
      )
    else
      expect(refuses(change({ hugepageLimits: [{ pageSize: "2MB", limit: 1 }] }))).toBe(
        "UNSUPPORTED cannot enforce linux.resources.hugepageLimits: this host has no hugetlb controller",
      )
  })
  test.skipIf(!has("hugetlb") || !existsSync("/sys/kernel/mm/hugepages/hugepages-2048kB"))("huge pages", () =>
    expect(
      limited({ hugepageLimits: [{ pageSize: "2MB", limit: 4 * MIB }] }, [
        "hugetlb",
        `hugetlb.2MB.${v1 ? "limit_in_bytes" : "max"}`,
      ]),
    ).toBe("4194304"),
  )
  test("what this host cannot keep at all", () => {
    for (const [resources, field] of [
      [{ network: { classID: 1 } }, "network.classID"],
      [{ rdma: { mlx: { hcaHandles: 1 } } }, "rdma"],
      [{ memory: { kernel: 5 } }, "memory.kernel"],
      [{ memory: { useHierarchy: false } }, "memory.useHierarchy"],
      [{ blockIO: { leafWeight: 10 } }, "blockIO.leafWeight"],
    ] as const) {
      if (field === "rdma" && has("rdma")) continue
      if (field === "network.classID" && has("net_cls")) continue
      if (field === "memory.kernel" && v1 && !since(5, 16)) continue
      expect(refuses(change(resources))).toStartWith(`UNSUPPORTED cannot enforce linux.resources.${field}: `)
    }
  })
  test("a container that was given no group is told what is not counted, and runs", () => {
    const { warnings, stdout } = bundle.live(
      plain(change({ memory: { limit: MIB }, pids: { limit: 5 } }), "echo runs"),
      {
        placement: { cgroup: undefined as never },
      },
    )
    expect({ warnings, stdout }).toEqual({
      warnings: [
        "the container has no cgroup of its own, because it was given none: --memory and --pids-limit are not enforced",
      ],
      stdout: "runs\n",
    })
  })
})
