/**
 * Never silence: no field of a config.json is passed over.
 *
 *     a config with every field ── one of them changed ──▶ another plan, another warning, or an error with a name
 *
 * Which fields there are says the guard that holds a config against the specification: each must be in one of the configs below, or in the
 * table of those that are refused. Those that rightly change nothing are listed, each with its reason. Needs neither root nor a kernel.
 */

import { describe, expect, test } from "bun:test"
import { EngineError } from "../../src/base/errors.ts"
import { CONFIG, readConfig } from "../../src/model/guards.ts"
import type { Host, PathFacts } from "../../src/model/host.ts"
import type { Config } from "../../src/model/oci.ts"
import type { Placement } from "../../src/model/placement.ts"
import type { Shape } from "../../src/model/shape.ts"
import { violations } from "../../src/plan/check.ts"
import { containerPlan } from "../../src/plan/plan.ts"
import { encode } from "../../src/plan/wire.ts"

const directory: PathFacts = { kind: "directory", filesystem: "ext4", mode: 0o755, uid: 0, gid: 0, locked: 0 }
const CONTROLLERS = [
  "memory",
  "cpu",
  "cpuacct",
  "cpuset",
  "pids",
  "devices",
  "blkio",
  "io",
  "hugetlb",
  "net_cls",
  "net_prio",
  "rdma",
]
const hostOf = (mode: "v1" | "v2", kernel: Host["kernel"]): Host => ({
  arch: "x86_64",
  kernel,
  kernelRelease: kernel.join("."),
  hostname: "h",
  bootId: "b",
  uid: 0,
  capabilities: (1n << 41n) - 1n,
  cpus: 2,
  memory: 1 << 30,
  cgroups: {
    mode,
    unified: "/cg/unified",
    controllers: Object.fromEntries(CONTROLLERS.map((name) => [name, mode === "v2" ? "/cg/unified" : `/cg/${name}`])),
    base: {},
  },
  userNamespaces: true,
  hardLimits: {},
  lsm: { apparmor: false, selinux: false },
  ipv6: true,
  seccomp: true,
  paths: { "/src": directory },
})
// Old enough for a limit of kernel memory.
const HOSTS = { v1: hostOf("v1", [5, 15]), v2: hostOf("v2", [6, 1]) } as const

const placement: Placement = {
  id: "c1",
  name: "c1",
  directory: "/s/c1",
  bundle: "/b",
  runDirectory: "/r/c1",
  leases: [],
  rootfs: { kind: "directory", path: "/b/rootfs" },
  cgroup: { path: "/c1" },
  stay: "none",
  init: false,
  remove: true,
  log: { maxBytes: 0, maxFiles: 1 },
  stdio: 0,
  detachKeys: [],
  consoleSocket: "/socket",
  gate: true,
  ownFiles: [],
}

const MAP = [{ containerID: 0, hostID: 100000, size: 65536 }]
const hook = (name: string) => [{ path: `/hooks/${name}`, args: [name], env: ["A=b"], timeout: 5 }]
const throttle = (rate: number) => [{ major: 8, minor: 0, rate }]

/** Every field that is done, on one kind of host or the other. */
const base = {
  ociVersion: "1.2.0",
  process: {
    terminal: true,
    consoleSize: { height: 24, width: 80 },
    user: { uid: 1, gid: 2, umask: 18, additionalGids: [5] },
    args: ["sh"],
    env: ["A=b"],
    cwd: "/w",
    capabilities: {
      bounding: ["CAP_KILL"],
      effective: ["CAP_KILL"],
      inheritable: ["CAP_KILL"],
      permitted: ["CAP_KILL"],
      ambient: ["CAP_KILL"],
    },
    rlimits: [{ type: "RLIMIT_CORE", soft: 1, hard: 2 }],
    noNewPrivileges: false,
    apparmorProfile: "unconfined",
    oomScoreAdj: 1,
    scheduler: {
      policy: "SCHED_DEADLINE",
      nice: 1,
      priority: 1,
      flags: ["SCHED_FLAG_RESET_ON_FORK"],
      runtime: 1,
      deadline: 2,
      period: 3,
    },
    ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 },
    execCPUAffinity: { initial: "0", final: "1" },
  },
  root: { path: "rootfs", readonly: false },
  hostname: "box",
  domainname: "d",
  mounts: [
    {
      destination: "/v",
      type: "bind",
      source: "/src",
      options: ["rbind", "ridmap"],
      uidMappings: MAP,
      gidMappings: MAP,
    },
    { destination: "/t", type: "tmpfs", source: "t", options: ["size=1m"] },
  ],
  hooks: Object.fromEntries(
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"].map((name) => [
      name,
      hook(name),
    ]),
  ),
  annotations: { a: "b" },
  linux: {
    namespaces: [
      { type: "mount" },
      { type: "user" },
      { type: "time" },
      { type: "uts" },
      { type: "pid" },
      { type: "ipc" },
      { type: "network", path: "/run/netns/a" },
    ],
    uidMappings: MAP,
    gidMappings: MAP,
    timeOffsets: { boottime: { secs: 1, nanosecs: 2 }, monotonic: { secs: 3, nanosecs: 4 } },
    devices: [{ type: "c", path: "/dev/fuse", major: 10, minor: 229, fileMode: 420, uid: 3, gid: 4 }],
    cgroupsPath: "/c1",
    rootfsPropagation: "private",
    seccomp: {
      defaultAction: "SCMP_ACT_ERRNO",
      defaultErrnoRet: 1,
      architectures: ["SCMP_ARCH_X86"],
      flags: ["SECCOMP_FILTER_FLAG_LOG"],
      syscalls: [
        {
          names: ["read"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 5,
          args: [{ index: 0, value: 3, valueTwo: 1, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    },
    sysctl: { "kernel.shmmax": "1" },
    maskedPaths: ["/m"],
    readonlyPaths: ["/r"],
    personality: { domain: "LINUX" },
  },
}
const shared = {
  devices: [{ allow: true, type: "c", major: 1, minor: 2, access: "r" }],
  memory: {
    limit: 10_000_000,
    reservation: 5_000_000,
    swap: 20_000_000,
    swappiness: 1,
    disableOOMKiller: true,
    useHierarchy: true,
    checkBeforeUpdate: true,
  },
  cpu: {
    shares: 5000,
    quota: 50_000,
    burst: 1000,
    period: 100_000,
    realtimeRuntime: 1000,
    realtimePeriod: 10_000,
    cpus: "0",
    mems: "0",
    idle: 0,
  },
  pids: { limit: 5 },
  blockIO: {
    weight: 100,
    weightDevice: [{ major: 8, minor: 0, weight: 100 }],
    throttleReadBpsDevice: throttle(1),
    throttleWriteBpsDevice: throttle(2),
    throttleReadIOPSDevice: throttle(3),
    throttleWriteIOPSDevice: throttle(4),
  },
  hugepageLimits: [{ pageSize: "2MB", limit: 4096 }],
}
const FULL = {
  v1: {
    ...base,
    linux: {
      ...base.linux,
      resources: {
        ...shared,
        memory: { ...shared.memory, kernel: 1_000_000, kernelTCP: 1_000_000 },
        network: { classID: 1, priorities: [{ name: "eth0", priority: 1 }] },
      },
    },
  },
  v2: {
    ...base,
    linux: {
      ...base.linux,
      resources: { ...shared, rdma: { mlx5_0: { hcaHandles: 1, hcaObjects: 2 } }, unified: { "memory.high": "1" } },
    },
  },
} as const

/** Changing nothing is right, and why. */
const QUIET: Readonly<Record<string, string>> = {
  "root.path": "the placement says where the root is; it was made of this",
  "linux.cgroupsPath": "the placement says where the groups are; it was made of this",
  "process.execCPUAffinity.initial": "'not applicable to the container's init process'",
  "process.execCPUAffinity.final": "the same",
  "mounts.0.type": "it is a bind: 'the type is a dummy'",
  "linux.resources.memory.checkBeforeUpdate": "a new group uses nothing: there is nothing to check",
}
/** The host does not have it, and a warning says so, whatever the number is. */
const TOLD: Readonly<Record<keyof typeof HOSTS, readonly string[]>> = {
  v1: [],
  v2: ["--memory-swappiness", "--oom-kill-disable", "--cpu-rt-runtime"],
}

/** The fields that a shape has, or that a value gives it: `linux.devices[].path`, `annotations{}`. */
function fields(shape: Shape, path: string): string[] {
  if (shape.kind === "record")
    return Object.entries(shape.fields).flatMap(([name, field]) =>
      fields(field, path === "" ? name : `${path}.${name}`),
    )
  if (shape.kind === "list") return fields(shape.of, `${path}[]`)
  if (shape.kind === "map") return fields(shape.of, `${path}{}`)
  return [path]
}
type Place = {
  readonly field: string
  readonly shape: Shape
  readonly keys: readonly (string | number)[]
  readonly value: unknown
}
function places(shape: Shape, value: unknown, field = "", keys: readonly (string | number)[] = []): Place[] {
  if (value === undefined) return []
  if (shape.kind === "record")
    return Object.entries(shape.fields).flatMap(([name, each]) =>
      places(each, (value as Record<string, unknown>)[name], field === "" ? name : `${field}.${name}`, [...keys, name]),
    )
  if (shape.kind === "list")
    return (value as unknown[]).flatMap((each, index) => places(shape.of, each, `${field}[]`, [...keys, index]))
  if (shape.kind === "map")
    return Object.entries(value as object).flatMap(([key, each]) =>
      places(shape.of, each, `${field}{}`, [...keys, key]),
    )
  return [{ field, shape, keys, value }]
}

/** Another value of the same kind. */
function other({ shape, value }: Place): unknown {
  if (shape.kind === "flag") return !value
  if (shape.kind === "number") return 2 * (value as number) + 1
  if (shape.kind === "word") return shape.among.find((word) => word !== value)
  return `${value}1`
}
function change(config: object, [key, ...rest]: readonly (string | number)[], value: unknown): object {
  const copy = (Array.isArray(config) ? [...config] : { ...config }) as Record<string | number, unknown>
  copy[key!] = rest.length === 0 ? value : change(copy[key!] as object, rest, value)
  return copy
}

/** What a config comes to: the bytes for the executor and the warnings, or the sentence that refuses it. */
function outcome(config: unknown, host: Host): string {
  try {
    const plan = containerPlan(config as Config, placement, host)
    return JSON.stringify([Buffer.from(encode(plan)).toString("base64"), plan.warnings])
  } catch (error) {
    if (error instanceof EngineError) return `${error.code} ${error.message}`
    throw error
  }
}

for (const version of ["v1", "v2"] as const)
  describe(`on cgroup ${version}`, () => {
    const host = HOSTS[version]
    const full = FULL[version]
    const before = outcome(full, host)
    test("a config with every field is valid, and can be planned; what the host does not have is told", () => {
      expect(readConfig(JSON.stringify(full)) as unknown).toEqual(full)
      const plan = containerPlan(full as unknown as Config, placement, host)
      expect(violations(plan)).toEqual([])
      expect(plan.warnings.map((line) => line.split(" ", 1)[0] ?? "")).toEqual([...TOLD[version]])
    })
    for (const place of places(CONFIG, full)) {
      const name = place.keys.join(".")
      const told = version === "v2" && /swappiness|realtime/.test(name)
      const quiet = QUIET[name] ?? (told ? "a warning says so, whatever the number is" : undefined)
      test(`${name}${quiet ? `: ${quiet}` : ""}`, () => {
        const after = outcome(change(full, place.keys, other(place)), host)
        // Not the whole plan, if it fails.
        expect(after === before ? "silence" : "heard").toBe(quiet ? "silence" : "heard")
      })
    }
  })

/** A plain config with this besides. */
const plain = (more: {
  readonly process?: object
  readonly linux?: object
  readonly [section: string]: unknown
}): unknown => ({
  ociVersion: "1.2.0",
  root: { path: "rootfs" },
  ...more,
  process: { user: { uid: 0, gid: 0 }, args: ["sh"], cwd: "/", ...more.process },
  linux: { namespaces: [{ type: "mount" }], ...more.linux },
})
const resources = (given: object) => plain({ linux: { resources: given } })

const REFUSED: readonly (readonly [config: unknown, says: string, host?: keyof typeof HOSTS])[] = [
  [
    plain({ vm: { kernel: { path: "/vmlinuz" } } }),
    "UNSUPPORTED cannot plan the container: vm is not for containers of this kernel",
  ],
  [plain({ windows: { layerFolders: ["C:"] } }), "UNSUPPORTED cannot plan the container: windows is not"],
  [plain({ solaris: { milestone: "m" } }), "UNSUPPORTED cannot plan the container: solaris is not"],
  [plain({ zos: { devices: [] } }), "UNSUPPORTED cannot plan the container: zos is not"],
  [
    plain({ process: { selinuxLabel: "l" } }),
    "UNSUPPORTED cannot plan the container: process.selinuxLabel is not supported",
  ],
  [
    plain({ process: { apparmorProfile: "p" } }),
    "UNSUPPORTED cannot plan the container: process.apparmorProfile is not supported",
  ],
  [plain({ linux: { mountLabel: "l" } }), "UNSUPPORTED cannot plan the container: linux.mountLabel is not supported"],
  [
    plain({
      linux: {
        intelRdt: { closID: "c", schemata: ["s"], l3CacheSchema: "l", memBwSchema: "MB:0=1", enableMonitoring: true },
      },
    }),
    "UNSUPPORTED cannot plan the container: linux.intelRdt is not supported",
  ],
  [
    plain({ linux: { netDevices: { eth0: { name: "e" } } } }),
    "UNSUPPORTED cannot plan the container: linux.netDevices is not supported",
  ],
  [
    plain({ linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/s", listenerMetadata: "m" } } }),
    "UNSUPPORTED cannot plan the container: linux.seccomp.listenerPath is not supported",
  ],
  [
    plain({ linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW", listenerMetadata: "m" } } }),
    "INVALID_CONFIG cannot plan the container: linux.seccomp.listenerMetadata needs linux.seccomp.listenerPath",
  ],
  [
    plain({ linux: { personality: { domain: "LINUX", flags: ["f"] } } }),
    "UNSUPPORTED cannot set linux.personality.flags",
  ],
  [
    plain({ linux: { namespaces: [] } }),
    "UNSUPPORTED cannot plan the container: linux.namespaces has no mount namespace",
  ],
  [
    plain({ linux: { namespaces: [{ type: "mount", path: "/m" }] } }),
    "UNSUPPORTED cannot plan the container: linux.namespaces joins a mount namespace",
  ],
  [resources({ blockIO: { leafWeight: 10 } }), "UNSUPPORTED cannot enforce linux.resources.blockIO.leafWeight"],
  [
    resources({ blockIO: { weightDevice: [{ major: 8, minor: 0, leafWeight: 10 }] } }),
    "UNSUPPORTED cannot enforce linux.resources.blockIO.weightDevice.leafWeight",
  ],
  [resources({ memory: { useHierarchy: false } }), "UNSUPPORTED cannot enforce linux.resources.memory.useHierarchy"],
  [resources({ memory: { kernel: 5 } }), "UNSUPPORTED cannot enforce linux.resources.memory.kernel", "v2"],
  [resources({ memory: { kernelTCP: 5 } }), "UNSUPPORTED cannot enforce linux.resources.memory.kernelTCP", "v2"],
  [resources({ network: { classID: 5 } }), "UNSUPPORTED cannot enforce linux.resources.network.classID", "v2"],
  [
    resources({ network: { priorities: [{ name: "a", priority: 1 }] } }),
    "UNSUPPORTED cannot enforce linux.resources.network.priorities",
    "v2",
  ],
  [
    resources({ unified: { "memory.high": "1" } }),
    "UNSUPPORTED cannot write memory.high: this host has cgroup v1",
    "v1",
  ],
  [
    plain({ process: { scheduler: { policy: "SCHED_FAST" } } }),
    'INVALID_CONFIG cannot prepare the process: process.scheduler.policy is "SCHED_FAST"',
  ],
  [
    plain({ process: { ioPriority: { class: "IOPRIO_CLASS_BE", priority: 8 } } }),
    "INVALID_CONFIG cannot plan the container: process.ioPriority.priority is not from 0 to 7",
  ],
  [
    plain({ process: { rlimits: ["RLIMIT_CPU", "RLIMIT_CPU"].map((type) => ({ type, soft: 1, hard: 1 })) } }),
    "INVALID_CONFIG cannot plan the container: process.rlimits[1] limits what another one limits",
  ],
  [
    plain({ process: { rlimits: [{ type: "RLIMIT_FUN", soft: 1, hard: 1 }] } }),
    'INVALID_CONFIG cannot prepare the process: process.rlimits is "RLIMIT_FUN"',
  ],
  [
    plain({ process: { terminal: true, consoleSize: { height: 70000, width: 1 } } }),
    "INVALID_CONFIG cannot plan the container: process.consoleSize is larger than 65535",
  ],
  [
    plain({ hooks: { poststop: [{ path: "hook" }] } }),
    "INVALID_CONFIG cannot plan the container: hooks.poststop[0] has a path that is not absolute",
  ],
  [
    plain({ linux: { maskedPaths: ["/a", "b"] } }),
    "INVALID_CONFIG cannot plan the container: linux.maskedPaths[1] is not an absolute path",
  ],
  [
    plain({ linux: { timeOffsets: { boottime: { secs: 1 } } } }),
    "INVALID_CONFIG cannot plan the container: linux.timeOffsets shifts clocks",
  ],
  [plain({ hostname: "a" }), "INVALID_CONFIG cannot set the host name: the container shares the host's"],
  [plain({ root: undefined }), "INVALID_CONFIG cannot plan the container: root is missing"],
  [
    plain({
      hostname: "a",
      linux: { namespaces: [{ type: "mount" }, { type: "uts" }], sysctl: { "kernel.hostname": "b" } },
    }),
    'INVALID_CONFIG cannot plan the container: linux.sysctl["kernel.hostname"] contradicts hostname',
  ],
  [
    plain({ linux: { sysctl: { "kernel.core_pattern": "|x" } } }),
    "INVALID_CONFIG cannot set kernel.core_pattern: it belongs to the whole host",
  ],
  [plain({ process: { cwd: "relative" } }), "INVALID_CONFIG cannot enter relative: process.cwd is an absolute path"],
  [plain({ process: { args: [] } }), "INVALID_CONFIG cannot run the container: process.args names no program"],
]
describe("refused", () => {
  for (const [config, says, host = "v2"] of REFUSED)
    test(says, () => expect(outcome(config, HOSTS[host])).toStartWith(says))
})

test("every field of the specification is in one of the configs above, or refused", () => {
  const covered = new Set(
    [FULL.v1, FULL.v2, ...REFUSED.map(([config]) => config)].flatMap((config) =>
      places(CONFIG, config).map(({ field }) => field),
    ),
  )
  expect(fields(CONFIG, "").filter((field) => !covered.has(field))).toEqual([])
})
test("what the specification does not know is ignored, as it demands", () => {
  const { v1 } = HOSTS
  expect(outcome(plain({ future: 1, linux: { future: 1 }, process: { future: 1 } }), v1)).toBe(outcome(plain({}), v1))
})
