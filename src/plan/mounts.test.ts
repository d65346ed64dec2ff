import { expect, test } from "bun:test"
import type { Host, PathFacts } from "../model/host.ts"
import type { IdMapping, Mount, NamespaceType } from "../model/oci.ts"
import { explain } from "./explain.ts"
import { finishRoot, leaveOldRoot, mounts, shareRoot } from "./mounts.ts"

const directory = (filesystem: string, more: Partial<PathFacts> = {}): PathFacts => ({
  kind: "directory",
  filesystem,
  mode: 0o755,
  uid: 0,
  gid: 0,
  locked: 0,
  ...more,
})
const host: Host = {
  arch: "x86_64",
  kernel: [6, 1],
  kernelRelease: "6.1.0",
  hostname: "h",
  bootId: "b",
  uid: 0,
  capabilities: 0n,
  cpus: 2,
  memory: 1 << 30,
  cgroups: { mode: "v2", unified: "/sys/fs/cgroup", controllers: {}, base: {} },
  userNamespaces: true,
  hardLimits: {},
  lsm: { apparmor: false, selinux: false },
  ipv6: true,
  seccomp: true,
  paths: {
    "/data": directory("ext4"),
    "/file": directory("ext4", { kind: "file" }),
    "/merged": directory("overlay"),
    "/mixed": directory("ext4", {
      submounts: [
        { ...directory("ext4"), path: "/mixed/b" },
        { ...directory("proc"), path: "/mixed/a" },
      ] as never,
    }),
    "/gone": directory("ext4", { kind: "missing" }),
  },
}
const MAP: readonly IdMapping[] = [{ containerID: 0, hostID: 100000, size: 65536 }]
const all = new Set<NamespaceType>(["pid", "network", "mount", "ipc", "uts", "user", "cgroup"])
const place = (
  mount: Mount,
  without: readonly NamespaceType[] = [],
  mode: "v1" | "v2" | "none" = "v2",
  joined: readonly NamespaceType[] = [],
) =>
  mounts({
    mounts: [mount],
    host: { ...host, cgroups: { ...host.cgroups, mode } },
    bundle: "/bundle",
    namespace: (type) => (joined.includes(type) ? "joined" : all.has(type) && !without.includes(type) ? "own" : "host"),
    uids: MAP,
    gids: MAP,
    devices: true,
    ttyGroup: true,
    ownFiles: ["/own/hosts"],
    volumes: [],
    hierarchies: [
      { name: "memory", options: ["memory"] },
      { name: "cpu,cpuacct", options: ["cpu", "cpuacct"] },
    ],
  })
const said = (...args: Parameters<typeof place>): string => {
  const { parent, child, warnings } = place(...args)
  return explain([...parent, ...child]) + warnings.map((line) => `\nwarning: ${line}`).join("")
}
const bind = (source: string, ...options: string[]): Mount => ({
  destination: "/v",
  type: "bind",
  source,
  options: ["rbind", "ridmap", ...options],
})

test("a volume is cloned outside, with the container's ids, and placed inside", () => {
  expect(said(bind("/data"))).toMatchInlineSnapshot(`
    "
    parent clone the mount of /data with the container's ids ($userns) → $mount0
    child  make sure /v exists
    child  attach it at /v                              ($mount0)"
  `)
})
test("a volume of one file is placed on a file", () => {
  const [point] = place(bind("/file")).child
  expect(point).toMatchObject({ op: "mount-point", kind: 1 })
  expect(place(bind("/own/hosts")).child[0]).toMatchObject({ kind: 1 })
})
test("a file system that cannot show other ids is bound plainly, with a warning", () => {
  expect(said(bind("/merged"))).toMatchInlineSnapshot(`
    "
    parent clone the mount of /merged                   → $mount0
    child  make sure /v exists
    child  attach it at /v                              ($mount0)
    warning: /merged has files that will show the owner nobody inside: its file system (overlay) cannot be shown with other ids; --userns host avoids it"
  `)
})
test("one mount below that cannot be shifted: each gets a call of its own", () => {
  expect(said(bind("/mixed"))).toMatchInlineSnapshot(`
    "
    parent clone the mount of /mixed with the container's ids ($userns) → $mount0
    parent clone the mount of /mixed/a                  → $mount0_0
    parent clone the mount of /mixed/b with the container's ids ($userns) → $mount0_1
    child  make sure /v exists
    child  attach it at /v                              ($mount0)
    child  attach it at /v/a                            ($mount0_0)
    child  attach it at /v/b                            ($mount0_1)
    warning: /mixed has files that will show the owner nobody inside: its file system (proc) cannot be shown with other ids; --userns host avoids it"
  `)
})
test("without a propagation a clone listens to the host and tells it nothing", () => {
  expect(place(bind("/data")).parent[0]).toMatchObject({ propagation: 1 << 19 })
  expect(place(bind("/data", "rprivate")).parent[0]).toMatchObject({ propagation: 1 << 18 })
  expect(place(bind("/data", "rshared")).parent[0]).toMatchObject({ propagation: 1 << 20 })
})
test("read-only, and the later of two opposite words", () => {
  const one = (...options: string[]): Mount => ({ destination: "/v", type: "bind", source: "/data", options })
  expect(place(one("ro")).parent[0]).toMatchObject({ set: 1, clear: 0 })
  expect(place(one("ro", "rw")).parent[0]).toMatchObject({ set: 0, clear: 1 })
  expect(place(one("rro", "nosuid")).parent[0]).toMatchObject({ set: 3 })
})
test("an option without an r in front is not for the mounts below", () => {
  const { parent, child } = place(bind("/data", "ro", "rnosuid", "rw", "noexec", "private"))
  expect(parent[0]).toMatchObject({ recursive: 1, set: 2, clear: 0, propagation: 1 << 19 })
  expect(child.at(-1)).toMatchObject({
    op: "set-mount",
    target: "/v",
    recursive: 0,
    set: 8,
    clear: 1,
    propagation: 1 << 18,
  })
  expect(said({ ...bind("/mixed"), options: ["rbind", "idmap", "ro"] })).toMatchInlineSnapshot(`
    "
    parent clone the mount of /mixed with the container's ids ($userns) → $mount0
    parent clone the mount of /mixed/a                  → $mount0_0
    parent clone the mount of /mixed/b                  → $mount0_1
    child  make sure /v exists
    child  attach it at /v                              ($mount0)
    child  make /v read-only
    child  attach it at /v/a                            ($mount0_0)
    child  attach it at /v/b                            ($mount0_1)"
  `)
})
test("a volume's own map can only be the container's", () => {
  const mapped = (uidMappings: readonly IdMapping[]): Mount => ({
    ...bind("/data"),
    options: ["bind"],
    uidMappings,
    gidMappings: MAP,
  })
  expect(place(mapped(MAP)).parent[0]).toMatchObject({ userns: "userns" })
  expect(() => place(mapped([{ containerID: 0, hostID: 1, size: 1 }]))).toThrow(
    "cannot mount /data on /v with other ids: they are not those of the container's user namespace",
  )
  expect(() => place({ destination: "/t", type: "tmpfs", options: ["idmap"] })).toThrow(
    "only a bind can be shown with them",
  )
})
test("a relative source is the bundle's", () => {
  expect(place({ ...bind("./files/a"), options: ["bind"] }).parent[0]).toMatchObject({ source: "/bundle/files/a" })
})
test("a namespace that was joined shows its files only to the user namespace that owns it", () => {
  const sys: Mount = { destination: "/sys", type: "sysfs", source: "sysfs" }
  expect(() => place(sys, [], "v2", ["network"])).toThrow("it shows a network namespace that was joined")
  expect(place(sys, [], "v2", ["network", "user"]).child.at(-1)).toMatchObject({ op: "new-mount", type: "sysfs" })
  expect(place(sys, ["user"], "v2", ["network"]).child.at(-1)).toMatchObject({ op: "new-mount", type: "sysfs" })
  expect(place({ ...bind("/data"), options: ["bind", "idmap"] }, [], "v2", ["user"]).parent[0]).toMatchObject({
    userns: "user namespace",
  })
})
test("a file system on the host's files is made outside, where their names mean what they say", () => {
  const overlay: Mount = { destination: "/o", type: "overlay", source: "overlay", options: ["lowerdir=/a:/b", "sync"] }
  expect(said(overlay, ["user"])).toMatchInlineSnapshot(`
    "
    parent make a overlay for /o                        (lowerdir=/a:/b, sync) → $mount0
    child  make sure /o exists
    child  attach it at /o                              ($mount0)"
  `)
  expect(said({ destination: "/d", type: "ext4", source: "/dev/loop0" })).toMatchInlineSnapshot(`
    "
    parent make a ext4 for /d                           → $mount0
    child  make sure /d exists
    child  attach it at /d                              ($mount0)
    warning: /d has files that will show the owner nobody inside: a new ext4 cannot be shown with other ids"
  `)
  expect(() => place({ ...overlay, options: [`lowerdir=/${"x".repeat(250)}`] })).toThrow("has more than 255 bytes")
})
test("a tmpfs becomes read-only when all is in it", () => {
  const ro: Mount = { destination: "/t/", type: "tmpfs", options: ["ro", "shared"] }
  expect(place(ro).child).toMatchObject([
    { op: "mount-point", path: "/t" },
    { attributes: 0 },
    { propagation: 1 << 20 },
  ])
  expect(place(ro).late).toMatchObject([{ op: "set-mount", target: "/t", set: 1 }])
  const dev = place({ destination: "dev/", type: "tmpfs", options: ["ro"] })
  expect([dev.child.at(-1)?.op, dev.late[0]]).toMatchObject(["attach-mount", { target: "/dev", set: 1 }])
})
test("proc of a pid namespace that is the host's is borrowed, if there is a user namespace", () => {
  const proc: Mount = { destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"] }
  expect(said(proc)).toMatchInlineSnapshot(`
    "
    child  make sure /proc exists
    child  mount proc on /proc"
  `)
  expect(said(proc, ["pid"])).toMatchInlineSnapshot(`
    "
    parent clone the host's /proc                       → $mount0
    child  make sure /proc exists
    child  attach it at /proc                           ($mount0)"
  `)
  expect(place(proc, ["pid", "user"]).child.at(-1)).toMatchObject({ op: "new-mount", type: "proc" })
})
test("cgroup v1 is a tmpfs with a directory for each tree", () => {
  const cgroup: Mount = {
    destination: "/sys/fs/cgroup",
    type: "cgroup",
    source: "cgroup",
    options: ["ro", "nosuid", "noexec", "nodev"],
  }
  expect(said(cgroup)).toMatchInlineSnapshot(`
    "
    child  make sure /sys/fs/cgroup exists
    child  mount cgroup2 on /sys/fs/cgroup"
  `)
  expect(said(cgroup, [], "v1")).toMatchInlineSnapshot(`
    "
    child  make sure /sys/fs/cgroup exists
    child  mount tmpfs on /sys/fs/cgroup                (mode=755, size=64k)
    child  make sure /sys/fs/cgroup/memory exists
    child  mount the cgroups of memory on /sys/fs/cgroup/memory (memory)
    child  make sure /sys/fs/cgroup/cpu,cpuacct exists
    child  mount the cgroups of cpu,cpuacct on /sys/fs/cgroup/cpu,cpuacct (cpu, cpuacct)
    child  make /sys/fs/cgroup read-only"
  `)
  expect(said(cgroup, [], "none")).toBe("")
})
test("a relative destination is below /", () => {
  expect(place({ destination: "v", type: "tmpfs" }).child.at(-1)).toMatchObject({ op: "new-mount", target: "/v" })
})
test("what cannot be mounted is said before anything is done", () => {
  expect(() => place(bind("/gone"))).toThrow("cannot mount /gone on /v: no such file or directory")
  expect(() => place({ destination: "/v", type: "tmpfs", options: ["tmpcopyup"] })).toThrow(
    "tmpcopyup is not supported",
  )
  expect(() => place(bind("/data"), ["user"])).toThrow("the container has no user namespace")
  expect(() => place(bind("/data", "sync"))).toThrow("cannot mount /data on /v: a bind has no option sync")
  expect(() => place({ destination: "/v" })).toThrow(
    "cannot mount on /v: the mount has neither a type nor the option bind",
  )
  for (const option of ["remount", "mand", "iversion"])
    expect(() => place({ destination: "/v", type: "tmpfs", options: [option] })).toThrow(`${option} is not supported`)
  expect(place({ destination: "/v", type: "tmpfs", options: ["constructor", "x-note"] }).child.at(-1)).toMatchObject({
    options: ["constructor"],
  })
})
test("the root is made read-only when all is in place, and shared when the old one is gone", () => {
  const config = { ociVersion: "1.2.0", root: { path: "/", readonly: true }, linux: { rootfsPropagation: "rshared" } }
  expect(explain([...finishRoot(config, false), leaveOldRoot, ...shareRoot(config)])).toMatchInlineSnapshot(`
    "
    child  make the root file system read-only
    child  let the host's file tree go
    child  make the root file system rshared"
  `)
  expect(shareRoot(config)).toMatchObject([{ recursive: 1, propagation: 1 << 20 }])
  expect(() => shareRoot({ ociVersion: "1.2.0", linux: { rootfsPropagation: "loud" } })).toThrow(
    "one of shared, slave, private, unbindable",
  )
})
