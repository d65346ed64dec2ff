import { expect, test } from "bun:test"
import { HOST } from "../../test/fixtures/server.ts"
import type { EngineError } from "../base/errors.ts"
import type { MountRequest, Request } from "../model/request.ts"
import { mounts } from "./mounts.ts"

const made = (request: Partial<Request>, ownIds = false, kernel = HOST.kernel) =>
  mounts({ rootfs: "/srv/rootfs", args: ["sh"], ...request }, { ...HOST, kernel }, "/c/1", ownIds).map(
    ({ destination, type, source, options }) => `${destination} ${type} ${source} ${options?.join(",")}`,
  )
const at = (request: Partial<Request>, destination: string, ownIds = false, kernel = HOST.kernel) =>
  made(request, ownIds, kernel).find((line) => line.startsWith(`${destination} `))
const bind = (source: string, target: string, more: Partial<MountRequest & { kind: "bind" }> = {}): MountRequest => ({
  kind: "bind",
  source,
  target,
  ...more,
})
const tmpfs = (target: string, more: Partial<MountRequest & { kind: "tmpfs" }> = {}): MountRequest => ({
  kind: "tmpfs",
  target,
  ...more,
})

test("what every container sees", () => {
  expect(made({}).join("\n")).toBe(`/proc proc proc nosuid,noexec,nodev
/dev tmpfs tmpfs nosuid,strictatime,mode=755,size=65536k
/sys sysfs sysfs nosuid,noexec,nodev,ro
/dev/pts devpts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5
/dev/mqueue mqueue mqueue nosuid,noexec,nodev
/dev/shm tmpfs shm nosuid,noexec,nodev,mode=1777,size=67108864
/etc/hosts bind /c/1/hosts bind,rprivate
/etc/hostname bind /c/1/hostname bind,rprivate
/etc/resolv.conf bind /c/1/resolv.conf bind,rprivate
/sys/fs/cgroup cgroup cgroup nosuid,noexec,nodev,ro`)
})
test("parents come first", () => {
  const targets = ["/a/b/c", "/a", "/x/y", "/a/b", "/dev/shm/deep"]
  const order = made({ mounts: targets.map((target) => tmpfs(target)) }).map((line) => line.split(" ")[0])
  expect(order).toEqual([
    "/proc",
    "/dev",
    "/sys",
    "/a",
    "/dev/pts",
    "/dev/mqueue",
    "/dev/shm",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/x/y",
    "/a/b",
    "/sys/fs/cgroup",
    "/a/b/c",
    "/dev/shm/deep",
  ])
})

const check = (name: string, request: Partial<Request>, destination: string, expected: string | undefined) =>
  test(name, () => expect(at(request, destination)).toBe(expected))
check("shm size", { shmBytes: 1024 }, "/dev/shm", "/dev/shm tmpfs shm nosuid,noexec,nodev,mode=1777,size=1024")
check(
  "shm of size 0 is the default",
  { shmBytes: 0 },
  "/dev/shm",
  "/dev/shm tmpfs shm nosuid,noexec,nodev,mode=1777,size=67108864",
)
check("no shm", { ipc: "none" }, "/dev/shm", undefined)
check("the host's shm", { ipc: "host" }, "/dev/shm", "/dev/shm bind /dev/shm rbind,rprivate")
check(
  "a read-only root has read-only files of its own",
  { readOnly: true },
  "/etc/hosts",
  "/etc/hosts bind /c/1/hosts bind,ro,rprivate",
)
check("privileged: /sys", { privileged: true }, "/sys", "/sys sysfs sysfs nosuid,noexec,nodev,rw")
check(
  "privileged: cgroups",
  { privileged: true },
  "/sys/fs/cgroup",
  "/sys/fs/cgroup cgroup cgroup nosuid,noexec,nodev,rw",
)

check("a volume", { mounts: [bind("/srv/data", "/data")] }, "/data", "/data bind /srv/data rbind,rprivate")
check(
  "a target is cleaned",
  { mounts: [bind("/srv/data", "/a/../data/")] },
  "/data",
  "/data bind /srv/data rbind,rprivate",
)
check(
  "read-only, with all below it",
  { mounts: [bind("/srv/data", "/data", { readOnly: true })] },
  "/data",
  "/data bind /srv/data rbind,rro,rprivate",
)
check(
  "read-only, without what is below it",
  { mounts: [bind("/srv/data", "/data", { readOnly: true, recursive: false })] },
  "/data",
  "/data bind /srv/data bind,ro,rprivate",
)
check(
  "propagation",
  { mounts: [bind("/srv/data", "/data", { propagation: "rshared" })] },
  "/data",
  "/data bind /srv/data rbind,rshared",
)
check(
  "a volume takes the place of a default",
  { mounts: [bind("/srv/file", "/etc/hosts")] },
  "/etc/hosts",
  "/etc/hosts bind /srv/file rbind,rprivate",
)
test("an old kernel makes only the top read-only", () => {
  expect(at({ mounts: [bind("/srv/data", "/data", { readOnly: true })] }, "/data", false, [5, 10])).toBe(
    "/data bind /srv/data rbind,ro,rprivate",
  )
})
test("with ids of its own, what comes from the host is seen with them", () => {
  const given: Partial<Request> = {
    ipc: "host",
    mounts: [bind("/srv/data", "/data"), bind("/srv/file", "/file", { recursive: false }), tmpfs("/t")],
  }
  expect(["/data", "/file", "/dev/shm", "/t", "/etc/hosts"].map((destination) => at(given, destination, true))).toEqual(
    [
      "/data bind /srv/data rbind,rprivate,ridmap",
      "/file bind /srv/file bind,rprivate,idmap",
      "/dev/shm bind /dev/shm rbind,rprivate,ridmap",
      "/t tmpfs tmpfs noexec,nosuid,nodev",
      "/etc/hosts bind /c/1/hosts bind,rprivate",
    ],
  )
})
test("who mounts /dev gets nothing of ours below it", () => {
  expect(made({ mounts: [bind("/srv/data", "/dev")] }).filter((line) => line.startsWith("/dev"))).toEqual([
    "/dev bind /srv/data rbind,rprivate",
  ])
})

check("tmpfs", { mounts: [tmpfs("/t")] }, "/t", "/t tmpfs tmpfs noexec,nosuid,nodev")
check(
  "tmpfs, size and mode",
  { mounts: [tmpfs("/t", { sizeBytes: 4096, mode: 0o1777 })] },
  "/t",
  "/t tmpfs tmpfs noexec,nosuid,nodev,size=4096,mode=1777",
)
check(
  "tmpfs, options of mount(8)",
  { mounts: [tmpfs("/t", { options: ["ro", "exec", "size=10%", "uid=33", "size=64m"] })] },
  "/t",
  "/t tmpfs tmpfs nosuid,nodev,ro,exec,uid=33,size=64m",
)

const refused = (given: readonly MountRequest[], message: string) =>
  test(message, () => {
    try {
      made({ mounts: given })
    } catch (error) {
      const { code, message: said, hint } = error as EngineError
      return expect(`${code} ${said}${hint ? ` (${hint})` : ""}`).toBe(message)
    }
    throw new Error("it was accepted")
  })
refused(
  [bind("/srv/missing", "/data")],
  "SOURCE_UNUSABLE cannot mount /srv/missing on /data: the source does not exist (mkdir -p /srv/missing)",
)
refused(
  [bind("data", "/data")],
  `SOURCE_UNUSABLE cannot mount data on /data: the source is not an absolute path ("$PWD/data" names it from here)`,
)
refused(
  [bind("./data", "/data")],
  `SOURCE_UNUSABLE cannot mount ./data on /data: the source is not an absolute path ("$PWD/data" names it from here)`,
)
refused([bind("/srv/data", "data")], "INVALID_VALUE cannot mount /srv/data on data: the target is not an absolute path")
refused([bind("/srv/data", "/")], "INVALID_VALUE cannot mount /srv/data on /: the target is the root itself")
refused(
  [bind("/srv/data", "/proc/")],
  "INVALID_VALUE cannot mount /srv/data on /proc/: it would hide the container's own /proc",
)
refused([tmpfs("/proc")], "INVALID_VALUE cannot mount tmpfs on /proc: it would hide the container's own /proc")
refused([tmpfs("/a/..")], "INVALID_VALUE cannot mount tmpfs on /a/..: the target is the root itself")
refused(
  [bind("/srv/data", "/data"), bind("/srv/file", "/x/../data/")],
  "INVALID_VALUE cannot mount /srv/file on /x/../data/: /srv/data is mounted there already",
)
refused(
  [tmpfs("/data"), bind("/srv/data", "/data")],
  "INVALID_VALUE cannot mount /srv/data on /data: a tmpfs is mounted there already",
)
refused(
  [bind("/srv/data", "/data", { propagation: "public" })],
  "INVALID_VALUE cannot mount /srv/data on /data: the propagation public is none of private, rprivate, slave, rslave, shared, rshared",
)
refused([tmpfs("/t", { options: ["fast"] })], "INVALID_VALUE cannot mount tmpfs on /t: there is no option fast")
refused([tmpfs("/t", { options: ["size=1 m"] })], "INVALID_VALUE cannot mount tmpfs on /t: there is no option size=1 m")
refused([tmpfs("/t", { sizeBytes: -1 })], "INVALID_VALUE cannot mount tmpfs on /t: -1 is not a number of bytes")
refused([tmpfs("/t", { mode: 0o10000 })], "INVALID_VALUE cannot mount tmpfs on /t: 4096 is not a file mode")
test("a size of shm that is none", () =>
  expect(() => made({ shmBytes: -1 })).toThrow("cannot make /dev/shm: -1 is not a number of bytes"))
