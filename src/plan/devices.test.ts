import { expect, test } from "bun:test"
import type { Device } from "../model/oci.ts"
import { defaultDevices } from "../spec/devices.ts"
import { type Devices, deviceTree } from "./devices.ts"
import { explain } from "./explain.ts"

const ids = { hostUid: (uid: number) => 100000 + uid, hostGid: (gid: number) => 100000 + gid }
const tree = (given: Partial<Devices> = {}) => {
  const { host, child } = deviceTree({
    devices: [],
    ...ids,
    mounted: true,
    options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
    ...given,
  })
  return explain([...host, ...child])
}
const device = (path: string, given: Partial<Device> = {}): Device => ({
  type: "c",
  path,
  major: 10,
  minor: 229,
  ...given,
})

test("a /dev in memory, made by host root, owned by the container's", () => {
  expect(tree()).toMatchInlineSnapshot(`
    "
    host   make an empty /dev in memory                 (mode=755, size=65536k) → $dev
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
    host   link /dev/core to /proc/kcore                ($dev)"
  `)
  const { host } = deviceTree({ devices: [], ...ids, mounted: true, options: ["nosuid", "ro"] })
  expect(host[0]).toMatchObject({ op: "new-mount", type: "tmpfs", attributes: 2, gives: "dev" })
  expect(host.find(({ does }) => does === "make /dev/null (c 1:3)")).toMatchObject({
    op: "make-node",
    at: "dev",
    name: "null",
    mode: 0o020666,
    major: 1,
    minor: 3,
    uid: 100000,
    gid: 100000,
  })
})

test("devices of the config come in addition, with their own owners and the directories that they need", () => {
  const devices = [
    ...defaultDevices,
    device("/dev/snd/by-id/usb", { fileMode: 0o660, gid: 29 }),
    device("/dev/sda", { type: "b", major: 8, minor: 0 }),
    device("/dev/pipe", { type: "p" }),
  ]
  const { host, child } = deviceTree({
    devices,
    hostUid: (uid) => 100000 + uid,
    // A map with a gap.
    hostGid: (gid) => (gid === 29 ? 500 : 200000 + gid),
    mounted: true,
    options: [],
  })
  expect(host.filter(({ op }) => op === "make-dir").map(({ does }) => does)).toEqual([
    "give /dev to the container's root",
    "make the directory /dev/pts",
    "make the directory /dev/shm",
    "make the directory /dev/mqueue",
    "make the directory /dev/snd",
    "make the directory /dev/snd/by-id",
  ])
  expect(host.find((step) => step.op === "make-node" && step.name === "snd/by-id/usb")).toMatchObject({
    mode: 0o020660,
    uid: 100000,
    gid: 500,
  })
  expect(
    host
      .filter(({ op }) => op === "make-node")
      .map(({ does }) => does)
      .slice(-2),
  ).toEqual(["make /dev/sda (b 8:0)", "make /dev/pipe (a pipe)"])
  expect(child).toEqual([])
})

test("a node of the config takes the place of a standard one, and of a link, but for ptmx", () => {
  const { host } = deviceTree({
    devices: [
      device("/dev/null", { major: 1, minor: 3, fileMode: 0o600 }),
      device("/dev/ptmx", { major: 5, minor: 2 }),
      device("/dev/core"),
    ],
    ...ids,
    mounted: true,
    options: [],
  })
  expect(
    host
      .filter((step) => step.op === "make-node" && step.name === "null")
      .map((step) => step.op === "make-node" && step.mode),
  ).toEqual([0o020600])
  const named = (name: string) => host.filter((step) => "name" in step && step.name === name).map(({ op }) => op)
  expect([named("ptmx"), named("core")]).toEqual([["make-link"], ["make-node"]])
})

test("a device elsewhere is a clone of one node", () => {
  expect(
    tree({ devices: [device("/srv/fuse"), device("/dev/shm/x")] })
      .split("\n")
      .slice(-13)
      .join("\n"),
  ).toMatchInlineSnapshot(`
    "host   link /dev/core to /proc/kcore                ($dev)
    host   make an empty directory in memory            (mode=711) → $nodes
    host   make /srv/fuse (c 10:229)                    ($nodes)
    host   make /dev/shm/x (c 10:229)                   ($nodes)
    child  make sure /dev exists
    child  attach the nodes over /dev, for a moment     ($nodes)
    child  clone the mount of the node for /srv/fuse    ($nodes) → $device0
    child  clone the mount of the node for /dev/shm/x   ($nodes) → $device1
    child  take the nodes off /dev again
    child  make sure /srv/fuse exists
    child  attach it at /srv/fuse                       ($device0)
    child  make sure /dev/shm/x exists
    child  attach it at /dev/shm/x                      ($device1)"
  `)
})

test("where the config has no /dev of its own, every node is placed in what there is", () => {
  const { host, child } = deviceTree({ devices: [], ...ids, mounted: false, options: [] })
  expect(host.map(({ op }) => op).join(" ")).toBe(
    "new-mount make-node make-node make-node make-node make-node make-node",
  )
  expect(child.filter(({ op }) => op === "mount-point").map((step) => step.op === "mount-point" && step.path)).toEqual([
    "/dev",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
  ])
  expect(child.filter(({ op }) => op === "open" || op === "make-link").map(({ does }) => does)).toEqual([
    "open /dev",
    "link /dev/fd to /proc/self/fd",
    "link /dev/stdin to /proc/self/fd/0",
    "link /dev/stdout to /proc/self/fd/1",
    "link /dev/stderr to /proc/self/fd/2",
    "link /dev/ptmx to pts/ptmx",
    "link /dev/core to /proc/kcore",
  ])
})

test("what is no device is refused", () => {
  const refuse = (given: Device) => () => tree({ devices: [given] })
  expect(refuse(device("fuse"))).toThrow("cannot make the device fuse: a device's path is absolute")
  expect(refuse({ type: "b", path: "/dev/sda", major: 8 })).toThrow(
    "cannot make the device /dev/sda: it has no minor number",
  )
  expect(refuse(device("/dev/x", { type: "x" as "c" }))).toThrow(
    'cannot make the device /dev/x: its type "x" is none of c, b, u, p',
  )
})
