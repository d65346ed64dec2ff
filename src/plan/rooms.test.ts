import { expect, test } from "bun:test"
import type { Config } from "../model/oci.ts"
import type { Placement } from "../model/placement.ts"
import { claims, removal } from "./claims.ts"
import { explain } from "./explain.ts"
import { makeGate, waitAtGate } from "./gate.ts"
import { hooks } from "./hooks.ts"
import { hostId, mapIds, mapText } from "./idmap.ts"
import { join } from "./join.ts"
import { laterNamespaces, leaveTime, namespaces, timeNamespace } from "./namespaces.ts"
import { interfaces } from "./network.ts"
import { type Overlay, overlay, overlayDirectories, rootFileSystem } from "./overlay.ts"
import { cpuList, exec, limits, manners, place } from "./process.ts"
import { maskSource, protect } from "./protection.ts"
import { clocks, names, sysctls } from "./settings.ts"
import { consoleSocket, openTerminal, session } from "./terminal.ts"

const stack = (given: Partial<Overlay>): string =>
  explain(
    overlay({
      store: "/l",
      layers: ["base"],
      writable: "/c/1",
      staging: "/c/1",
      uid: 1000,
      gid: 1000,
      shifted: true,
      ...given,
    }),
  )

test("the newest layer is searched first", () => {
  expect(stack({ layers: ["base", "libs", "app"] })).toMatchInlineSnapshot(`
    "
    parent show /l with the container's ids             ($userns) → $layers
    parent put that view at /c/1/lower                  ($layers)
    parent stack 3 layers and a writable directory      ($layers: app, libs, base) → $root"
  `)
})
test("a layer that the image repeats is mounted once, where it was last", () => {
  expect(stack({ layers: ["empty", "base", "empty"] })).toContain("$layers: empty, base")
})
test("a root directory alone is one layer", () => {
  const alone = { store: undefined, layers: ["/rootfs"] }
  expect(stack(alone)).toMatchInlineSnapshot(`
    "
    parent show /rootfs with the container's ids        ($userns) → $layers
    parent put that view at /c/1/lower                  ($layers)
    parent stack /rootfs and a writable directory       (/c/1/lower) → $root"
  `)
  expect(stack({ ...alone, shifted: false })).toMatchInlineSnapshot(`
    "
    host   stack /rootfs and a writable directory       (/rootfs) → $root"
  `)
})
test("layers that lie apart are shifted one by one", () => {
  const apart = { store: undefined, layers: ["/a", "/b"] }
  expect(stack(apart)).toMatchInlineSnapshot(`
    "
    parent show /b with the container's ids             ($userns) → $layer0
    parent put that view at /c/1/lower-0                ($layer0)
    parent show /a with the container's ids             ($userns) → $layer1
    parent put that view at /c/1/lower-1                ($layer1)
    parent stack 2 layers and a writable directory      (/c/1/lower-0, /c/1/lower-1) → $root"
  `)
  const made = overlayDirectories({ ...apart, writable: "/c/1", staging: "/c/1", uid: 1, gid: 1, shifted: true })
  expect(made.map((step) => (step.op === "mkdir" ? step.path : step.op))).toEqual([
    "/c/1/upper",
    "/c/1/work",
    "/c/1/root",
    "/c/1/lower-0",
    "/c/1/lower-1",
  ])
})
test("an OCI bundle's root is used as it is", () => {
  const { host, parent } = rootFileSystem(
    { kind: "directory", path: "/bundle/rootfs" },
    { staging: "/c/1", uid: 0, gid: 0, shifted: false },
  )
  expect(explain([...host, ...parent])).toMatchInlineSnapshot(`
    "
    host   clone the mount of /bundle/rootfs            → $root"
  `)
  expect(host[0]).toMatchObject({ propagation: 1 << 18 })
  const listening = { staging: "/c/1", uid: 0, gid: 0, shifted: false, listens: true }
  expect(rootFileSystem({ kind: "directory", path: "/r" }, listening).host[0]).toMatchObject({ propagation: 1 << 19 })
})

test("all new namespaces come with the clone; the cgroup's too where the child is born in its group", () => {
  const list = [{ type: "pid" }, { type: "mount" }, { type: "cgroup" }, { type: "user" }] as const
  const [v2] = namespaces(list, { startsInCgroup: true, cgroup: "cgroup" })
  expect(v2).toMatchObject({ op: "clone", flags: 0x20000000 | 0x20000 | 0x2000000 | 0x10000000, cgroup: "cgroup" })
  const [v1] = namespaces(list, { startsInCgroup: false })
  expect(v1).toMatchObject({ flags: 0x20000000 | 0x20000 | 0x10000000 })
  expect(laterNamespaces(list, { startsInCgroup: true })).toEqual([])
  expect(explain(laterNamespaces([...list, { type: "time" }], { startsInCgroup: false }))).toMatchInlineSnapshot(`
    "
    child  make a cgroup namespace"
  `)
})
test("a time namespace is made before the child, who is born in it; we are not", () => {
  const list = [{ type: "time" }] as const
  expect(
    explain([...timeNamespace(list), ...clocks({ timeOffsets: { boottime: { secs: 5 } } }), ...leaveTime(list)]),
  ).toMatchInlineSnapshot(`
    "
    host   remember the host's time namespace           → \${host time}
    host   make a time namespace for the child
    host   shift the clocks boottime
    parent go back to the host's time namespace         (\${host time})"
  `)
  expect([...timeNamespace([{ type: "time", path: "/t" }]), ...leaveTime([])]).toEqual([])
})
test("an existing namespace is opened, then joined", () => {
  expect(
    explain(namespaces([{ type: "network", path: "/run/netns/a" }, { type: "mount" }], { startsInCgroup: true })),
  ).toMatchInlineSnapshot(`
    "
    host   open the network namespace at /run/netns/a   → \${network namespace}
    clone  clone a process with its own mount namespaces, in the existing network (\${network namespace}) → $child"
  `)
})
test("a kind of namespace appears once", () => {
  expect(() => namespaces([{ type: "pid" }, { type: "pid" }], { startsInCgroup: true })).toThrow("names pid twice")
})
test("a program joins by the pidfd of process 1", () => {
  const steps = join(
    { pid: 7, start: 8, namespaces: [{ type: "pid" }, { type: "mount" }, { type: "time" }] },
    { cgroup: "cgroup" },
  )
  expect(explain(steps)).toMatchInlineSnapshot(`
    "
    host   open the container's process 7               → $container
    clone  clone a process inside the container's pid, mount, time ($cgroup $container) → $child"
  `)
  expect(steps[1]).toMatchObject({ kinds: [0x20000000 | 0x20000 | 0x80] })
})

test("ids are found in a map, and missed outside of it", () => {
  const map = [
    { containerID: 0, hostID: 100000, size: 1000 },
    { containerID: 5000, hostID: 7, size: 1 },
  ]
  expect([0, 999, 1000, 5000].map((id) => hostId(map, id))).toEqual([100000, 100999, undefined, 7])
  expect(hostId([], 42)).toBe(42)
  expect(mapText(map)).toBe("0 100000 1000\n5000 7 1\n")
  expect(explain(mapIds(map, map))).toMatchInlineSnapshot(`
    "
    parent map the user ids (0–999 are 100000–100999 outside, 5000–5000 are 7–7 outside)
    parent map the group ids (0–999 are 100000–100999 outside, 5000–5000 are 7–7 outside)
    parent open the child's user namespace              → $userns"
  `)
})

test("limits that are infinite, and words that nobody knows", () => {
  const process = { user: { uid: 0, gid: 0 }, cwd: "/" }
  expect(limits({ ...process, rlimits: [{ type: "RLIMIT_CORE", soft: 0, hard: -1 }], oomScoreAdj: 5 })).toMatchObject([
    { op: "rlimit", resource: 4, soft: 0n, hard: 0xffffffffffffffffn, does: "limit core to 0, at most unlimited" },
    { op: "write-proc", name: "oom_score_adj", text: "5" },
  ])
  expect(() => limits({ ...process, rlimits: [{ type: "RLIMIT_LUCK", soft: 0, hard: 0 }] })).toThrow(
    'process.rlimits is "RLIMIT_LUCK", which is none of RLIMIT_CPU',
  )
  expect(() => manners(process, { domain: "BSD" })).toThrow('linux.personality.domain is "BSD"')
  expect(manners({ ...process, ioPriority: { class: "IOPRIO_CLASS_BE", priority: 4 } })[0]).toMatchObject({
    op: "io-priority",
    priority: (2 << 13) | 4,
  })
})
test("CPU lists as the kernel writes them", () => {
  expect(cpuList("0-2,5")).toEqual([0, 1, 2, 5])
  for (const wrong of ["a", "3-1", "1-", "0-9999999"]) expect(() => cpuList(wrong)).toThrow("CPU list")
})
test("the last PATH counts, an empty part is the working directory, and without one there is Docker's", () => {
  const process = { user: { uid: 0, gid: 0 }, cwd: "/", args: ["a"] }
  expect(exec({ ...process, env: ["PATH=/a", "PATH=/b::/c"] }, false)).toMatchObject([
    { op: "exec", path: ["/b", ".", "/c"] },
  ])
  expect(exec(process, true)).toMatchObject([
    { op: "init" },
    { op: "exec", path: ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"] },
  ])
  expect(() => exec({ ...process, args: [] }, false)).toThrow("names no program")
  expect(() => place({ ...process, cwd: "relative" }, "id")).toThrow("process.cwd is an absolute path")
})

const config: Config = {
  ociVersion: "1.2.0",
  hostname: "box",
  hooks: { poststop: [{ path: "/bin/hook", args: ["hook", "-x"], timeout: 3 }] },
  annotations: { a: "b" },
  linux: {
    namespaces: [{ type: "uts" }, { type: "network", path: "/run/netns/a" }],
    sysctl: { "net.ipv4.ip_forward": "1", "net/ipv4/conf/eth0.1/forwarding": "0" },
    timeOffsets: { boottime: { secs: 5 } },
  },
}
test("a hook gets the state in two halves, between which the pid goes", () => {
  const [hook] = hooks("poststop", config, { id: "c1", bundle: "/b" })
  expect(hook).toMatchObject({ phase: "end", must: false, timeout: 3, argv: ["hook", "-x"] })
  if (hook?.op !== "hook") throw new Error("no hook")
  expect(JSON.parse(`${hook.before}42${hook.after}`)).toEqual({
    ociVersion: "1.2.0",
    id: "c1",
    status: "stopped",
    pid: 42,
    bundle: "/b",
    annotations: { a: "b" },
  })
})
test("names, sysctls and clocks", () => {
  expect(explain(names(config))).toMatchInlineSnapshot(`
    "
    child  set the host name to box"
  `)
  expect(() => names({ ...config, linux: {} })).toThrow("shares the host's")
  expect(sysctls(config.linux ?? {}).map((step) => (step.op === "write" ? step.path : step.op))).toEqual([
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv4/conf/eth0.1/forwarding",
  ])
  const set = (name: string) => () => sysctls({ ...config.linux, sysctl: { [name]: "1" } })
  for (const name of ["vm.overcommit_memory", "kernel.core_pattern", "kernel/shmmaxi", "fs.file-max"])
    expect(set(name)).toThrow(`cannot set ${name}: it belongs to the whole host, not to a namespace`)
  for (const name of ["net/../kernel/core_pattern", "net..ipv4", "/net/core/somaxconn", "net/./x"])
    expect(set(name)).toThrow(`cannot set ${name}: it is not a name like net.core.somaxconn`)
  expect(set("kernel.shmmax")).toThrow("cannot set kernel.shmmax: the container shares the host's ipc namespace")
  expect(set("user.max_net_namespaces")).toThrow("the container shares the host's user namespace")
  expect(set("kernel.domainname")).not.toThrow()
  expect(clocks(config.linux ?? {})).toMatchObject([{ text: "boottime 5 0\n" }])
})
test("protection: read-only clones first, masks last; nothing for nothing", () => {
  expect(explain([...maskSource(["/proc/kcore"]), ...protect(["/proc/kcore"], ["/proc/sys"])])).toMatchInlineSnapshot(`
    "
    host   clone the mount of /dev/null                 → $null
    child  clone /proc/sys, read-only                   → \${read-only /proc/sys}
    child  lay the read-only clone on /proc/sys         (\${read-only /proc/sys})
    child  make an empty read-only directory            (size=4k, mode=755) → $empty
    child  hide /proc/kcore                             ($null $empty)"
  `)
  expect([...maskSource([]), ...protect([], [])]).toEqual([])
})
test("a terminal, with and without somebody who wants it", () => {
  const terminal = { uid: 0, gid: 0, rows: 0, columns: 0, console: true }
  expect(explain([...openTerminal(terminal), ...session(true)])).toMatchInlineSnapshot(`
    "
    child  open a terminal                              → $terminal
    child  make sure /dev/console exists
    child  clone the mount of the terminal              ($terminal) → $console
    child  attach it at /dev/console                    ($console)
    start  start a new session
    start  make the terminal stdin, stdout, stderr and the controlling terminal ($terminal)"
  `)
  expect(consoleSocket(terminal)).toEqual([])
  expect(consoleSocket({ ...terminal, consoleSocket: "/s" })).toMatchObject([{ op: "connect", path: "/s" }])
})
test("the loopback interface is number 1, set up by one message", () => {
  const loopback = interfaces(undefined)
  expect(loopback.op === "netlink" && [...loopback.messages.slice(0, 6)]).toEqual([32, 0, 0, 0, 16, 0])
})

const placement: Placement = {
  id: "c1",
  name: "box",
  directory: "/s/containers/c1",
  runDirectory: "/r/c1",
  leases: ["/s/names/box"],
  rootfs: { kind: "overlay", layers: ["/rootfs"], writable: "/s/containers/c1" },
  stay: "monitor",
  init: false,
  remove: true,
  log: { maxBytes: 1, maxFiles: 1 },
  stdio: 0,
  detachKeys: [],
  gate: false,
  ownFiles: [],
}
test("what was claimed goes after a failure; the run directory in any case", () => {
  expect(claims(placement).map(({ undo }) => [undo?.op, undo?.when])).toEqual([
    ["remove-tree", "failure"],
    ["unlink", "failure"],
    ["unlink", "failure"],
    ["remove-tree", undefined],
  ])
  expect(explain(removal(placement))).toMatchInlineSnapshot(`
    "
    end    remove the record /s/containers/c1/container.json
    end    give back /s/names/box
    end    remove /s/containers/c1"
  `)
})
test("a gate is made outside and waited at inside", () => {
  expect(explain([...makeGate("/r/c1"), waitAtGate])).toMatchInlineSnapshot(`
    "
    host   make the gate /r/c1/gate
    host   open the gate                                → $gate
    gate   wait for start                               ($gate)"
  `)
})
