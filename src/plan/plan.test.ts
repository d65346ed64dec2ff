import { expect, test } from "bun:test"
import type { Host } from "../model/host.ts"
import type { Config } from "../model/oci.ts"
import type { Placement } from "../model/placement.ts"
import { violations } from "./check.ts"
import { explain } from "./explain.ts"
import { containerPlan, execPlan, undoOf } from "./plan.ts"
import type { Plan } from "./step.ts"
import { encode } from "./wire.ts"

const v2: Host["cgroups"] = {
  mode: "v2",
  unified: "/cg",
  controllers: { cpu: "/cg", memory: "/cg", pids: "/cg", io: "/cg" },
  base: { "/cg": "/" },
  own: { "/cg": "/" },
}
const v1: Host["cgroups"] = {
  mode: "v1",
  controllers: { memory: "/cg/memory", cpu: "/cg/cpu,cpuacct", cpuacct: "/cg/cpu,cpuacct", devices: "/cg/devices" },
  base: { "/cg/memory": "/", "/cg/cpu,cpuacct": "/", "/cg/devices": "/" },
  own: {},
}
const host: Host = {
  arch: "x86_64",
  kernel: [6, 1],
  kernelRelease: "6.1.0",
  hostname: "h",
  bootId: "boot",
  uid: 0,
  capabilities: (1n << 41n) - 1n,
  cpus: 2,
  memory: 1 << 30,
  cgroups: v2,
  userNamespaces: true,
  hardLimits: {},
  lsm: { apparmor: false, selinux: false },
  ipv6: true,
  seccomp: true,
  paths: { "/rootfs": { kind: "directory", filesystem: "ext4", mode: 0o755, uid: 0, gid: 0, locked: 0 } },
}
const config: Config = {
  ociVersion: "1.2.0",
  process: {
    user: { uid: 0, gid: 0 },
    cwd: "/",
    args: ["sh"],
    env: ["PATH=/bin"],
    capabilities: { bounding: ["CAP_CHOWN"], permitted: ["CAP_CHOWN"], effective: ["CAP_CHOWN"] },
  },
  root: { path: "/rootfs" },
  hostname: "box",
  mounts: [
    { destination: "/proc", type: "proc", source: "proc" },
    { destination: "/dev", type: "tmpfs", source: "tmpfs" },
  ],
  linux: {
    namespaces: [
      { type: "pid" },
      { type: "mount" },
      { type: "uts" },
      { type: "ipc" },
      { type: "network" },
      { type: "cgroup" },
      { type: "user" },
    ],
    uidMappings: [{ containerID: 0, hostID: 1000000, size: 65536 }],
    gidMappings: [{ containerID: 0, hostID: 1000000, size: 65536 }],
    maskedPaths: ["/proc/kcore"],
    readonlyPaths: ["/proc/sys"],
    resources: { memory: { limit: 67108864 } },
  },
}
const placement: Placement = {
  id: "c1",
  name: "box",
  directory: "/s/containers/c1",
  runDirectory: "/r/c1",
  leases: ["/s/names/box"],
  rootfs: { kind: "overlay", layers: ["/rootfs"], writable: "/s/containers/c1" },
  cgroup: { path: "/minicontainer/c1", monitors: "/minicontainer/monitors" },
  stay: "monitor",
  init: false,
  remove: true,
  log: { path: "/s/containers/c1/log", maxBytes: 1000, maxFiles: 3 },
  stdio: 6,
  detachKeys: [16, 17],
  gate: false,
  ownFiles: [],
}
const change = (process: Partial<Config["process"]>, linux: Partial<Config["linux"]> = {}): Config =>
  ({ ...config, process: { ...config.process, ...process }, linux: { ...config.linux, ...linux } }) as Config

test("from the moment in which files are closed no step needs one, or a path", () => {
  const after = (plan: Plan): readonly string[] => {
    const ops = plan.steps.map(({ op }) => op)
    return ops.slice(ops.indexOf("close-files") + 1, ops.indexOf("exec") + 1)
  }
  const credentials = ["bounding", "set-ids", "capabilities", "ambient"]
  const filtered = change({ noNewPrivileges: false }, { seccomp: { defaultAction: "SCMP_ACT_ALLOW" } })
  expect(after(containerPlan(filtered, { ...placement, init: true }, host))).toEqual([
    "seccomp",
    ...credentials,
    "init",
    "exec",
  ])
  expect(after(execPlan(config, placement, host, { pid: 4711, start: 5 }))).toEqual([...credentials, "exec"])
})

test("where nothing denies devices, a node in the root file system is none", () => {
  const nodes = (changed: Config, at: Host): boolean =>
    containerPlan(changed, placement, at).steps.some(({ does }) => does.startsWith("make the device nodes"))
  const bare: Host = { ...host, cgroups: { ...host.cgroups, mode: "none", controllers: {} } }
  const all = change({}, { resources: { devices: [{ allow: true, access: "rwm" }] } })
  expect([nodes(config, host), nodes(config, bare), nodes(all, bare)]).toEqual([false, true, false])
})

test("a container, from the first step to the last", () => {
  expect(explain(containerPlan(config, placement, host).steps)).toMatchInlineSnapshot(`
    "
    host   find the directory /s/containers/c1
    host   find the lease /s/names/box
    host   find the record /s/containers/c1/container.json
    host   find the run directory /r/c1
    host   pass memory on to the groups below /cg
    host   pass cpu, io, pids on to the groups below /cg
    host   make the cgroup /minicontainer
    host   pass memory on to the groups below /cg/minicontainer
    host   pass cpu, io, pids on to the groups below /cg/minicontainer
    host   make the cgroup /minicontainer/c1
    host   limit memory to 64MiB
    host   open the cgroup /minicontainer/c1            → $cgroup
    host   allow it c *:* m, b *:* m, c 1:3 rwm, c 1:5 rwm, c 1:7 rwm, c 1:8 rwm, c 1:9 rwm, c 5:0 rwm, c 5:2 rwm, c 136:* rwm
    host   make /s/containers/c1/upper
    host   make /s/containers/c1/work
    host   make /s/containers/c1/root
    host   make /s/containers/c1/lower
    host   enter a mount namespace of our own           → \${host mounts}
    host   make an empty /dev in memory                 → $dev
    host   give /dev to the container's root            ($dev)
    host   make the directory /dev/pts                  ($dev)
    host   make the directory /dev/shm                  ($dev)
    host   make the directory /dev/mqueue               ($dev)
    host   make /dev/null (c 1:3)                       ($dev)
    host   make /dev/zero (c 1:5)                       ($dev)
    host   make /dev/full (c 1:7)                       ($dev)
    host   make /dev/random (c 1:8)                     ($dev)
    host   make /dev/urandom (c 1:9)                    ($dev)
    host   make /dev/tty (c 5:0)                        ($dev)
    host   link /dev/fd to /proc/self/fd                ($dev)
    host   link /dev/stdin to /proc/self/fd/0           ($dev)
    host   link /dev/stdout to /proc/self/fd/1          ($dev)
    host   link /dev/stderr to /proc/self/fd/2          ($dev)
    host   link /dev/ptmx to pts/ptmx                   ($dev)
    host   link /dev/core to /proc/kcore                ($dev)
    host   clone the mount of /dev/null                 → $null
    clone  clone a process with its own pid, mount, uts, ipc, network, cgroup, user namespaces ($cgroup) → $child
    parent map the user ids (0–65535 are 1000000–1065535 outside)
    parent map the group ids (0–65535 are 1000000–1065535 outside)
    parent open the child's user namespace              → $userns
    parent show /rootfs with the container's ids        ($userns) → $layers
    parent put that view at /s/containers/c1/lower      ($layers)
    parent stack /rootfs and a writable directory       (/s/containers/c1/lower) → $root
    parent go back to the host's mount namespace        (\${host mounts})
    child  stop telling the host about our mounts
    child  attach the root file system at /proc         ($root)
    child  make it the root of this process
    child  become root of the user namespace
    child  make sure /proc exists
    child  mount proc on /proc
    child  make sure /dev exists
    child  attach the container's own /dev              ($dev)
    child  set the host name to box
    child  set the loopback interface up
    child  clone /proc/sys, read-only                   → \${read-only /proc/sys}
    child  lay the read-only clone on /proc/sys         (\${read-only /proc/sys})
    child  make an empty read-only directory            (size=4k, mode=755) → $empty
    child  hide /proc/kcore                             ($null $empty)
    child  let the host's file tree go
    start  start a new session
    start  set the umask to 0022
    start  join a new session keyring
    start  go to /
    start  close every file but 0, 1 and 2
    start  give up all but CAP_CHOWN for ever
    start  become user 0, group 0
    start  switch on CAP_CHOWN
    start  empty the ambient set
    start  run sh                                       (sh, PATH=/bin, /bin)
    exit   keep memory.events
    exit   keep cpu.stat
    end    remove the record /s/containers/c1/container.json
    end    give back /s/names/box
    end    remove /s/containers/c1"
  `)
})

const variants: Readonly<Record<string, () => ReturnType<typeof containerPlan>>> = {
  "cgroup v2": () => containerPlan(config, placement, host),
  "cgroup v1": () => containerPlan(config, placement, { ...host, cgroups: v1 }),
  "no cgroups": () =>
    containerPlan(config, placement, { ...host, cgroups: { mode: "none", controllers: {}, base: {} } }),
  "the host's user namespace": () =>
    containerPlan(
      change(
        {},
        {
          namespaces: config.linux!.namespaces!.filter(({ type }) => type !== "user"),
          uidMappings: [],
          gidMappings: [],
        },
      ),
      placement,
      host,
    ),
  "a terminal": () => containerPlan(change({ terminal: true }), placement, host),
  "a gate, a bundle, nobody stays": () =>
    containerPlan(
      config,
      { ...placement, gate: true, stay: "none", rootfs: { kind: "directory", path: "/b" }, consoleSocket: "/s" },
      host,
    ),
  "no new privileges, and a filter": () =>
    containerPlan(
      change(
        { noNewPrivileges: true },
        { seccomp: { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"] } },
      ),
      placement,
      host,
    ),
  "namespaces that exist": () =>
    containerPlan(
      change(
        {},
        {
          namespaces: [{ type: "mount" }, { type: "uts" }, { type: "network", path: "/run/netns/a" }, { type: "pid" }],
          uidMappings: [],
          gidMappings: [],
        },
      ),
      placement,
      host,
    ),
  "another program": () => execPlan(config, placement, host, { pid: 5, start: 6 }),
  "another program, v1": () =>
    execPlan(change({ terminal: true }), placement, { ...host, cgroups: v1 }, { pid: 5, start: 6 }),
}
for (const [name, make] of Object.entries(variants))
  test(`a sound plan: ${name}`, () => {
    const plan = make()
    expect(violations(plan)).toEqual([])
    expect(encode(plan)).toEqual(encode(make()))
  })

test("the monitor is process 1 of an outer namespace, unless the container has the host's", () => {
  expect(containerPlan(config, placement, host).frame.outer).toBe(1)
  const shared = change({}, { namespaces: config.linux!.namespaces!.filter(({ type }) => type !== "pid") })
  expect(containerPlan(shared, placement, host).frame.outer).toBe(0)
})

test("a working directory that is missing is made while the root can still be written; exec makes none", () => {
  const made = { ...change({ cwd: "/made" }), root: { path: "/rootfs", readonly: true } }
  const said = containerPlan(made, placement, host).steps.map(({ does }) => does)
  expect(said.filter((does) => / \/made|system read-only$/.test(does))).toEqual([
    "make /made if it is missing",
    "make the root file system read-only",
    "go to /made",
  ])
  const other = execPlan(made, placement, host, { pid: 5, start: 6 })
  expect(other.steps.some(({ op }) => op === "make-directory")).toBe(false)
})

test("a filter is loaded while that is allowed: before the capabilities go, or after new privileges are given up", () => {
  const policy = { seccomp: { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"] } }
  const order = (noNewPrivileges: boolean): string =>
    containerPlan(change({ noNewPrivileges }, policy), placement, host)
      .steps.map(({ op }) => op)
      .filter((op) => ["seccomp", "set-ids", "capabilities", "no-new-privileges", "exec"].includes(op))
      .slice(1)
      .join(" ")
  expect(order(false)).toBe("seccomp set-ids capabilities exec")
  expect(order(true)).toBe("set-ids capabilities no-new-privileges seccomp exec")
})

test("the undo of a failure takes everything back, newest first; at the exit, what remains is what the container leaves", () => {
  const plan = containerPlan(config, placement, host)
  const said = (failed: boolean): string[] => undoOf(plan, { failed }).steps.map(({ does }) => does)
  expect(said(true)).toEqual([
    "remove the cgroup /minicontainer/c1",
    "remove /r/c1",
    "remove /s/containers/c1/container.json",
    "give back /s/names/box",
    "remove /s/containers/c1",
  ])
  expect(said(false)).toEqual([
    "keep memory.events",
    "keep cpu.stat",
    "remove the cgroup /minicontainer/c1",
    "remove /r/c1",
    "remove the record /s/containers/c1/container.json",
    "give back /s/names/box",
    "remove /s/containers/c1",
  ])
})

test("hooks find the root where the bundle says, with all mounts; what hides and what is read-only comes after them", () => {
  const hook = [{ path: "/h" }]
  const hooked = { ...config, hooks: { prestart: hook, createContainer: hook, poststop: hook } }
  const { steps } = containerPlan(hooked, { ...placement, rootfs: { kind: "directory", path: "/b/rootfs" } }, host)
  const told = steps.flatMap(({ phase, does }) =>
    /hook|attach the root|become root|hide|old root|tree go|mount proc/.test(does) ? [`${phase}: ${does}`] : [],
  )
  expect(told).toMatchInlineSnapshot(`
    [
      "child: attach the root file system at /b/rootfs",
      "child: become root of the user namespace",
      "child: mount proc on /proc",
      "outside: run the prestart hook /h",
      "inside: run the createContainer hook /h",
      "inside: hide /proc/kcore",
      "inside: let the host's file tree go",
      "end: run the poststop hook /h",
    ]
  `)
  expect(steps[0]).toMatchObject({ op: "claim", undo: { op: "hook", when: "failure" } })
  expect(violations(containerPlan(hooked, placement, host))).toEqual([])
})

const refused: readonly (readonly [string, Config])[] = [
  ["process is missing", { ...config, process: undefined } as never],
  ["linux.namespaces has no mount namespace", change({}, { namespaces: [], uidMappings: [], gidMappings: [] })],
  ["linux.uidMappings is empty", change({}, { uidMappings: [] })],
  ["process.selinuxLabel is not supported", change({ selinuxLabel: "x" })],
  ["process.apparmorProfile is not supported", change({ apparmorProfile: "docker-default" })],
  ["linux.intelRdt is not supported", change({}, { intelRdt: {} })],
  ["linux.netDevices is not supported", change({}, { netDevices: { eth0: {} } })],
  ["cannot use uid 70000: the container's user namespace has only 0–65535", change({ user: { uid: 70000, gid: 0 } })],
]
for (const [message, wrong] of refused)
  test(message, () => expect(() => containerPlan(wrong, placement, host)).toThrow(message))
