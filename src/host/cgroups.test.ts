import { expect, test } from "bun:test"
import { cgroupsFrom, unifiedGroup } from "./cgroups.ts"
import { parseMountinfo } from "./mountinfo.ts"

/** What is found on a host with these texts. `files`: what can be read besides. `namespace`: not the machine's own. */
const found = (
  mountinfo: string,
  self: string,
  files: Record<string, string> = {},
  { root = true, namespace = 4026531835 } = {},
) =>
  cgroupsFrom({
    mounts: parseMountinfo(mountinfo),
    self,
    namespace: `cgroup:[${namespace}]`,
    root,
    read: (path) => files[path],
  })
const INSIDE = { namespace: 4026532500 }

const V2 =
  "35 24 0:30 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot"
const SESSION = "0::/user.slice/user-1000.slice/session-3.scope\n"

test("v2 with systemd: one tree, and its root is ours", () => {
  expect(found(V2, SESSION, { "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io memory pids\n" })).toEqual({
    mode: "v2",
    unified: "/sys/fs/cgroup",
    controllers: {
      cpuset: "/sys/fs/cgroup",
      cpu: "/sys/fs/cgroup",
      io: "/sys/fs/cgroup",
      memory: "/sys/fs/cgroup",
      pids: "/sys/fs/cgroup",
    },
    base: { "/sys/fs/cgroup": "/" },
    own: { "/sys/fs/cgroup": "/user.slice/user-1000.slice/session-3.scope" },
  })
})

test("v2 without root: what was delegated to our own group", () => {
  const group = "/user.slice/user-1000.slice/session-3.scope"
  const { mode, base, controllers } = found(
    V2,
    SESSION,
    { [`/sys/fs/cgroup${group}/cgroup.controllers`]: "memory pids" },
    { root: false },
  )
  expect({ mode, base, names: Object.keys(controllers) }).toEqual({
    mode: "v2",
    base: { "/sys/fs/cgroup": group },
    names: ["memory", "pids"],
  })
})

test("v2 beside a lone v1 net_cls, as some VPN clients mount it, is still v2", () => {
  const lone = `${V2}\n60 35 0:50 / /sys/fs/cgroup/net_cls rw - cgroup net_cls rw,net_cls`
  expect(found(lone, SESSION, { "/sys/fs/cgroup/cgroup.controllers": "cpu memory pids" }).mode).toBe("v2")
})

const HYBRID = `30 23 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd
36 30 0:32 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:16 - cgroup cgroup rw,cpu,cpuacct
37 30 0:33 / /sys/fs/cgroup/cpuset rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,cpuset,clone_children
38 30 0:34 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:18 - cgroup cgroup rw,memory`
const HYBRID_SELF = `6:memory:/user.slice
5:cpuset:/
4:cpu,cpuacct:/user.slice
1:name=systemd:/user.slice/session-1.scope
0::/user.slice/session-1.scope
`

test("hybrid counts as v1; two controllers can share a tree; the v2 tree is known by its name", () => {
  const files = {
    "/sys/fs/cgroup/unified/cgroup.controllers": "",
    "/sys/fs/cgroup/cpuset/cpuset.cpus": "0-3\n",
    "/sys/fs/cgroup/cpuset/cpuset.mems": "0\n",
  }
  const { own, base, ...cgroups } = found(HYBRID, HYBRID_SELF, files)
  expect(cgroups).toEqual({
    mode: "v1",
    unified: "/sys/fs/cgroup/unified",
    controllers: {
      "name=systemd": "/sys/fs/cgroup/systemd",
      cpu: "/sys/fs/cgroup/cpu,cpuacct",
      cpuacct: "/sys/fs/cgroup/cpu,cpuacct",
      cpuset: "/sys/fs/cgroup/cpuset",
      memory: "/sys/fs/cgroup/memory",
    },
    cpuset: { cpus: "0-3", mems: "0" },
  })
  expect(new Set(Object.values(base))).toEqual(new Set(["/"]))
  expect(own?.["/sys/fs/cgroup/cpu,cpuacct"]).toBe("/user.slice")
})

test("inside docker on v2: mounted read-only, so there are no limits to give", () => {
  expect(found(V2.replace(" rw,nosuid", " ro,nosuid"), "0::/\n", {}, INSIDE)).toEqual({
    mode: "none",
    why: "/sys/fs/cgroup is read-only",
    controllers: {},
    base: {},
    own: {},
  })
})
test("inside privileged docker on v2: its own cgroup namespace looks like a root, and is none", () => {
  const files = { "/sys/fs/cgroup/cgroup.controllers": "cpu memory pids" }
  const { mode, base, nested } = found(V2, "0::/\n", files, INSIDE)
  expect({ mode, base, nested }).toEqual({ mode: "v2", base: { "/sys/fs/cgroup": "/" }, nested: true })
  expect(found(V2, "0::/\n", files).nested).toBeUndefined()
})
test("inside privileged docker on v1, with a cgroup namespace and without", () => {
  const v1 = "50 40 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
  expect(found(v1, "4:memory:/\n", {}, INSIDE)).toMatchObject({ mode: "v1", nested: true })
  expect(found(v1, "4:memory:/\n").nested).toBeUndefined()
  const docker = "50 40 0:33 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
  expect(found(docker, "4:memory:/docker/abc\n")).toMatchObject({ mode: "v1", nested: true })
})
test("inside docker on v1 without a cgroup namespace, and not root: the mount shows our own group already", () => {
  const docker = "50 40 0:33 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
  const base = (self: string) => found(docker, self, {}, { root: false }).base
  expect(base("4:memory:/docker/abc/inner\n")).toEqual({ "/sys/fs/cgroup/memory": "/inner" })
  expect(base("4:memory:/docker/abc\n")).toEqual({ "/sys/fs/cgroup/memory": "/" })
})
test("a cgroup namespace that still sees the mount from outside: nothing there is its own, unless nothing is delegated", () => {
  const files = { "/sys/fs/cgroup/cgroup.controllers": "cpu memory pids" }
  const outside = V2.replace(" / /sys", " /../.. /sys")
  expect(found(outside, "0::/\n", files, INSIDE)).toMatchObject({
    mode: "none",
    why: "/sys/fs/cgroup belongs to another cgroup namespace than ours",
  })
  const undelegated = found(outside.replace("rw,nsdelegate", "rw"), "0::/\n", files, INSIDE)
  expect({ mode: undelegated.mode, nested: undelegated.nested }).toEqual({ mode: "v2", nested: undefined })
})

test("WSL 2: a v2 tree without controllers beside v1 trees directly below /sys/fs/cgroup", () => {
  const wsl = `60 50 0:29 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,mode=755
61 60 0:30 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime - cgroup2 cgroup2 rw,nsdelegate
62 60 0:31 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,memory
63 60 0:32 / /sys/fs/cgroup/pids rw,nosuid,nodev,noexec,relatime - cgroup cgroup rw,pids`
  const { mode, controllers } = found(wsl, "2:pids:/\n1:memory:/\n0::/\n")
  expect({ mode, names: Object.keys(controllers) }).toEqual({ mode: "v1", names: ["memory", "pids"] })
})

test("the v2 group of a process, also beside v1 trees; outside of our namespace it has no name", () => {
  expect(["0::/a/b:c\n", "4:memory:/x\n0::/\n", "4:memory:/x\n", "0::/../other\n"].map(unifiedGroup)).toEqual([
    "/a/b:c",
    "/",
    undefined,
    undefined,
  ])
})

test("no cgroup file system at all", () => {
  expect(found("21 1 8:1 / / rw - ext4 /dev/sda1 rw", "")).toMatchObject({
    mode: "none",
    why: "no cgroup file system is mounted",
  })
})
