/**
 * Namespaces: new ones, the host's, and those of others; user namespaces with every kind of map; clocks and settings. Needs root.
 */

import { afterAll, describe, expect, test } from "bun:test"
import { spawn, spawnSync } from "node:child_process"
import { readFileSync, readlinkSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import type { IdMapping, Linux, Namespace, NamespaceType } from "../../src/model/oci.ts"
import { execPlan } from "../../src/plan/plan.ts"
import { encode } from "../../src/plan/wire.ts"
import { startOf } from "../../src/record/alive.ts"
import { EXECUTOR, FIRST_ID, host, newBundle, owned, plain, rest, withMounts } from "./bundle.ts"

const bundle = newBundle()
afterAll(() => bundle[Symbol.dispose]())
const { sees, fails, refuses } = bundle

const list = plain().linux?.namespaces ?? []
const without = (...types: NamespaceType[]): Namespace[] => list.filter(({ type }) => !types.includes(type))
const id = (name: string, pid: number | "self" = "self"): string => readlinkSync(`/proc/${pid}/ns/${name}`)

/** A process in namespaces of its own. The letters are unshare(1)'s; with a map, root of its user namespace. */
function held(
  letters: string,
  map?: string,
): Disposable & { readonly of: (name: string) => string; readonly pid: number } {
  const process = spawn("unshare", [...letters].map((letter) => `-${letter}`).concat(["--", "sleep", "1000"]), {
    stdio: "ignore",
  })
  const { pid = 0 } = process
  const kinds: Readonly<Record<string, string>> = {
    U: "user",
    n: "net",
    u: "uts",
    i: "ipc",
    T: "time_for_children",
  }
  for (const letter of letters) while (kinds[letter] && id(kinds[letter], pid) === id(kinds[letter])) rest(2)
  while (!readFileSync(`/proc/${pid}/comm`, "utf8").startsWith(letters.includes("f") ? "unshare" : "sleep")) rest(2)
  if (map !== undefined) for (const file of ["uid_map", "gid_map"]) writeFileSync(`/proc/${pid}/${file}`, map)
  const child = (): number => Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim())
  if (letters.includes("f")) while (!child()) rest(2)
  const target = letters.includes("f") ? child() : pid
  return {
    pid: target,
    of: (name) => `/proc/${target}/ns/${name}`,
    [Symbol.dispose]() {
      if (target !== pid) globalThis.process.kill(target, "SIGKILL")
      process.kill("SIGKILL")
    },
  }
}

describe("new, or the host's", () => {
  test("each kind that the config names is another than the host's, and every other is the host's", () => {
    const kinds = ["mnt", "net", "uts", "pid", "ipc", "cgroup", "user", "time"]
    const look = `for kind in ${kinds.join(" ")}; do readlink /proc/self/ns/$kind; done`
    const shared = (linux: Partial<Linux>): string =>
      sees0({ linux }, look)
        .map((name) =>
          name === id(kinds.find((kind) => name.startsWith(`${kind}:`)) ?? "") ? name.split(":")[0] : "own",
        )
        .join(" ")
    expect(shared({ namespaces: without() })).toBe("own own own own own cgroup user time")
    expect(shared({ namespaces: [{ type: "mount" }] })).toBe("own net uts pid ipc cgroup user time")
    using _owner = bundle.ownedBy(FIRST_ID)
    expect(shared({ ...owned(), namespaces: [...list, { type: "user" }, { type: "cgroup" }, { type: "time" }] })).toBe(
      "own own own own own own own own",
    )
  })
  /** Namespaces have other numbers each time. */
  const sees0 = (change: Parameters<typeof plain>[0], script: string): string[] => {
    const { failed, stdout, stderr, warnings } = bundle.live(plain({ hostname: "", ...change }, script))
    expect({ failed, stderr, warnings }).toEqual({ failed: undefined, stderr: "", warnings: [] })
    return stdout.split("\n").filter(Boolean)
  }
  test("a host name, and a domain name", () => {
    expect(sees({ hostname: "box", domainname: "example.org" }, "hostname; cat /proc/sys/kernel/domainname")).toBe(
      "box\nexample.org\n",
    )
    expect(sees({ hostname: "", linux: { namespaces: without("uts") } }, "hostname")).toBe(`${hostname()}\n`)
    expect(refuses({ linux: { namespaces: without("uts") } })).toContain(
      "cannot set the host name: the container shares the host's",
    )
  })
  test("a container that shares the host's processes leaves none of its own", () =>
    expect(
      sees({ linux: { namespaces: without("pid") } }, "sleep 1000 >/dev/null 2>&1 & [ $$ != 1 ] && echo many"),
    ).toBe("many\n"))
  test("an own network has the loopback interface, and it is up", () => {
    expect(
      sees(
        {},
        "ls /sys/class/net; ifconfig lo | grep -o 'inet addr:[0-9.]*'; ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1 || :",
      ),
    ).toBe("lo\ninet addr:127.0.0.1\n")
  })
})

describe("of others", () => {
  test("network, ipc, uts", () => {
    using other = held("nui")
    spawnSync("nsenter", [`--uts=${other.of("uts")}`, "hostname", "elsewhere"])
    const joined = [
      { type: "network", path: other.of("net") },
      { type: "ipc", path: other.of("ipc") },
      { type: "uts", path: other.of("uts") },
    ] as const
    const look = "hostname; for kind in net ipc uts; do readlink /proc/self/ns/$kind; done; ls /sys/class/net"
    const same = `${id("net", other.pid)}\n${id("ipc", other.pid)}\n${id("uts", other.pid)}\nlo\n`
    const namespaces = [...without("network", "ipc", "uts"), ...joined]
    expect(sees({ hostname: "", linux: { namespaces } }, look)).toBe(`elsewhere\n${same}`)
    // A name for a namespace that is another's too: so says the specification.
    expect(sees({ hostname: "renamed", linux: { namespaces } }, look)).toBe(`renamed\n${same}`)
  })
  test("processes", () => {
    using other = held("pf")
    const namespaces = [...without("pid"), { type: "pid", path: other.of("pid") } as const]
    expect(sees({ linux: { namespaces } }, "cat /proc/1/comm; [ $$ != 1 ] && echo later")).toBe("sleep\nlater\n")
  })
  test("a user namespace, and all that it owns", () => {
    using other = held("Unuipf", `0 ${FIRST_ID} 65536\n`)
    using _owner = bundle.ownedBy(FIRST_ID)
    const kinds = { user: "user", network: "net", uts: "uts", ipc: "ipc", pid: "pid" } as const
    const joined = Object.entries(kinds).map(([type, name]) => ({ type: type as NamespaceType, path: other.of(name) }))
    const namespaces = [...without("network", "uts", "ipc", "pid"), ...joined]
    const look =
      "id -u; cat /proc/1/comm; ls /sys/class/net; readlink /proc/self/ns/user; echo x >/dev/null; touch /made && rm /made && cat /proc/self/uid_map | tr -s ' '"
    const seen = `0\nsleep\nlo\n${id("user", other.pid)}\n 0 ${FIRST_ID} 65536\n`
    expect(sees({ hostname: "", linux: { namespaces } }, look)).toBe(seen)
    // With the map in the config, files of the host can be seen through it.
    const source = bundle.machine.directory("joined-volume")
    writeFileSync(`${source}/file`, "")
    const volume = { destination: "/v", type: "bind", source, options: ["bind", "idmap"] }
    const { uidMappings = [], gidMappings = [] } = owned()
    expect(
      sees(
        { ...withMounts(volume), hostname: "", linux: { namespaces, uidMappings, gidMappings } },
        "ls -ln /v/file | awk '{print $3}'",
      ),
    ).toBe("0\n")
  })
  test("of the wrong kind, missing, or relative", () => {
    using other = held("n")
    const network = (path: string) => ({
      linux: { namespaces: [...without("network"), { type: "network", path } as const] },
    })
    expect(fails(network(other.of("uts")))).toMatch(
      /^cannot clone a process .*, in the existing network: .* \(EINVAL\)$/,
    )
    expect(fails(network("/nowhere/net"))).toBe(
      "cannot open the network namespace at /nowhere/net: no such file or directory (ENOENT)",
    )
    expect(refuses(network("netns/a"))).toContain("linux.namespaces[4] has a path that is not absolute")
  })
  test("that a user namespace of one's own has no power over show nothing there", () => {
    using other = held("n")
    const linux = {
      ...owned(),
      namespaces: [...without("network"), { type: "user" }, { type: "network", path: other.of("net") }] as const,
    }
    expect(refuses({ linux })).toContain("cannot mount sysfs on /sys: it shows a network namespace that was joined")
    using _owner = bundle.ownedBy(FIRST_ID)
    const mounts = (plain().mounts ?? []).filter(({ destination }) => !destination.startsWith("/sys"))
    const { failed, stdout } = bundle.live(plain({ linux, mounts }, "readlink /proc/self/ns/net"))
    expect({ failed, stdout }).toEqual({ failed: undefined, stdout: `${id("net", other.pid)}\n` })
  })
})

describe("a user namespace", () => {
  const mapped = (...map: IdMapping[]): { readonly linux: Partial<Linux> } => ({
    linux: { ...owned(), uidMappings: map, gidMappings: map },
  })
  const maps = "for map in uid_map gid_map; do tr -s ' ' </proc/self/$map; done"
  test("ids in a row, and with gaps", () => {
    using _owner = bundle.ownedBy(FIRST_ID)
    expect(sees({ linux: owned() }, maps)).toBe(` 0 ${FIRST_ID} 65536\n`.repeat(2))
    const gaps = mapped(
      { containerID: 0, hostID: FIRST_ID, size: 10 },
      { containerID: 1000, hostID: FIRST_ID + 500, size: 5 },
      { containerID: 5, hostID: FIRST_ID + 9000, size: 0 },
    )
    expect(fails(gaps)).toMatch(/^cannot map the user ids .*: the ids overlap, or are not valid \(EINVAL\)$/)
    const good = mapped(
      { containerID: 0, hostID: FIRST_ID, size: 10 },
      { containerID: 1000, hostID: FIRST_ID + 500, size: 5 },
    )
    const devices = [{ path: "/dev/mine", type: "c", major: 1, minor: 3, uid: 1002, gid: 7 }] as const
    const change = {
      linux: { ...good.linux, devices },
      process: { user: { uid: 1001, gid: 1002, additionalGids: [9] } },
      mounts: (plain().mounts ?? []).map((mount) => ({
        ...mount,
        ...(mount.options && { options: mount.options.filter((o) => o !== "gid=5") }),
      })),
    }
    expect(sees(change, `${maps}; id -u; id -G; ls -ln /dev/mine | awk '{print $3, $4}'`)).toBe(
      ` 0 ${FIRST_ID} 10\n 1000 ${FIRST_ID + 500} 5\n`.repeat(2).concat("1001\n1002 9\n1002 7\n"),
    )
    const user = (uid: number, gid: number, more: number[] = []) =>
      refuses({ ...good, process: { user: { uid, gid, additionalGids: more } } })
    expect(user(10, 0)).toContain("cannot use uid 10: the container's user namespace has only 0–9, 1000–1004")
    expect(user(0, 1005)).toContain("cannot use gid 1005")
    expect(user(0, 0, [11])).toContain("cannot use gid 11")
  })
  test("capabilities count inside, and nowhere else", () => {
    using _owner = bundle.ownedBy(FIRST_ID)
    const all = ["CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_NET_ADMIN"]
    const capabilities = { bounding: all, permitted: all, effective: all }
    expect(
      sees(
        { linux: owned(), process: { capabilities } },
        "mount -t tmpfs x /tmp && echo mounted; mknod /dev/sda b 8 0 2>/dev/null || echo no; ifconfig lo down && echo down",
      ),
    ).toBe("mounted\nno\ndown\n")
  })
  test("a mapping without a namespace, a namespace without a mapping, an id that is not there", () => {
    const { uidMappings = [], gidMappings = [] } = owned()
    expect(refuses({ linux: { uidMappings, gidMappings } })).toContain(
      "linux.uidMappings maps ids, and the container has no user namespace",
    )
    expect(refuses({ linux: { ...owned(), gidMappings: [] } })).toContain("linux.gidMappings is empty")
    expect(refuses(mapped({ containerID: 1, hostID: FIRST_ID, size: 5 }))).toContain("cannot use uid 0")
  })
  test("a root that its own root may not enter is an error of its own", () => {
    // What the host's root owns, nobody of the container can change.
    expect(fails({ ...withMounts({ destination: "/new/place", type: "tmpfs" }), linux: owned() })).toBe(
      "cannot make sure /new/place exists: permission denied (EACCES)",
    )
  })
})

describe("clocks", () => {
  const time = [...list, { type: "time" }] as const
  const offsets = { boottime: { secs: 1_000_000_000, nanosecs: 5 }, monotonic: { secs: 1000 } }
  const look = "cat /proc/self/timens_offsets | tr -s ' '; cut -c1 /proc/uptime"
  const shown = "monotonic 1000 0\nboottime 1000000000 5\n1\n"
  test("are shifted for the program, whatever else the config has", () => {
    expect(sees({ linux: { namespaces: time, timeOffsets: offsets } }, look)).toBe(shown)
    using _owner = bundle.ownedBy(FIRST_ID)
    expect(sees({ linux: { ...owned(), namespaces: [...time, { type: "user" }], timeOffsets: offsets } }, look)).toBe(
      shown,
    )
    const hooks = { createContainer: [{ path: "/bin/true" }] }
    expect(sees({ hooks, linux: { namespaces: time, timeOffsets: offsets } }, look)).toBe(shown)
  })
  test("and for a program that joins", () => {
    const config = plain(
      { linux: { namespaces: time, timeOffsets: offsets } },
      "until [ -e /tmp/end ]; do usleep 1000; done; rm /tmp/end",
    )
    const { failed } = bundle.live(config, {
      meanwhile(pid, id) {
        const process = { ...config.process!, args: ["sh", "-c", `${look}; touch /tmp/end`] }
        const target = { pid, start: startOf(pid)! }
        const plan = execPlan({ ...config, process }, bundle.placementOf("none", id), host, target)
        writeFileSync(bundle.path("exec"), encode(plan))
        const { stdout, stderr } = spawnSync(EXECUTOR, ["join", bundle.path("exec")], { encoding: "utf8" })
        writeFileSync(`${bundle.rootfs}/tmp/end`, "")
        expect({ stdout, stderr }).toEqual({ stdout: shown, stderr: "" })
      },
    })
    expect(failed).toBeUndefined()
  })
  test("of others", () => {
    using other = held("Tf")
    const namespaces = [...list, { type: "time", path: other.of("time") } as const]
    expect(bundle.live(plain({ linux: { namespaces } }, "readlink /proc/self/ns/time")).stdout).toBe(
      `${id("time", other.pid)}\n`,
    )
  })
})

describe("settings", () => {
  const sysctl = (settings: Record<string, string>, more: Partial<Linux> = {}) => ({
    linux: { sysctl: settings, ...more },
  })
  test("of one's own namespaces, in both spellings", () => {
    const settings = {
      "net.ipv4.ip_forward": "1",
      "net/ipv4/conf/lo/forwarding": "0",
      "kernel.msgmax": "4096",
      "fs.mqueue.msg_max": "20",
      "kernel.domainname": "d",
    }
    expect(
      sees(
        sysctl(settings),
        "cd /proc/sys; cat net/ipv4/ip_forward net/ipv4/conf/lo/forwarding kernel/msgmax fs/mqueue/msg_max kernel/domainname",
      ),
    ).toBe("1\n0\n4096\n20\nd\n")
    using _owner = bundle.ownedBy(FIRST_ID)
    expect(
      sees(
        sysctl({ "net.ipv4.ip_forward": "1", "kernel.shmmni": "100" }, owned()),
        "cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmni",
      ),
    ).toBe("1\n100\n")
  })
  test("of the host are not touched", () => {
    const before = readFileSync("/proc/sys/kernel/msgmax", "utf8")
    expect(refuses(sysctl({ "kernel.msgmax": "4096" }, { namespaces: without("ipc") }))).toContain(
      "the container shares the host's ipc namespace",
    )
    expect(refuses(sysctl({ "vm.swappiness": "1" }))).toContain(
      "cannot set vm.swappiness: it belongs to the whole host",
    )
    expect(readFileSync("/proc/sys/kernel/msgmax", "utf8")).toBe(before)
  })
  test("that this kernel does not have", () =>
    expect(fails(sysctl({ "net.ipv4.no_such_thing": "1" }))).toBe(
      "cannot set net.ipv4.no_such_thing to 1: this host's kernel has no such setting (ENOENT)",
    ))
})
