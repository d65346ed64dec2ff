import { expect, test } from "bun:test"
import { linkUp } from "../formats/netlink/route.ts"
import { firewall, publish } from "./firewall.ts"
import { bridge, cable, interfaces } from "./network.ts"
import { printable, slot, spell } from "./spell.ts"
import { spellNetlink } from "./spell-netlink.ts"
import { type Call, OPS, type Step } from "./step.ts"

const said = (call: Call, gives?: string): string => spell(call, gives).join("\n")

test("a mount looks as in every book", () => {
  expect(
    said({ op: "new-mount", type: "proc", source: "proc", options: [], attributes: 0x2 | 0x4 | 0x8, target: "/proc" }),
  ).toBe(`mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC)`)
  expect(
    said({ op: "new-mount", type: "tmpfs", options: ["mode=755", "size=64k"], attributes: 2, target: "/dev" }),
  ).toBe(`mount("tmpfs", "/dev", "tmpfs", MS_NOSUID, "mode=755,size=64k")`)
  expect(said({ op: "new-mount", type: "tmpfs", options: [], attributes: 2 }, "dev")).toBe(
    `$dev = fsmount("tmpfs", MOUNT_ATTR_NOSUID)`,
  )
})

test("what is known only later stands there by name", () => {
  expect(said({ op: "map-ids", kind: 0, text: "0 100000 65536" })).toBe(`write("/proc/$pid/uid_map", "0 100000 65536")`)
  expect(
    said(
      { op: "clone-mount", source: "/l", recursive: 0, userns: "userns", set: 0, clear: 0, propagation: 1 << 18 },
      "layers",
    ),
  ).toBe(`$layers = open_tree("/l", OPEN_TREE_CLONE)
mount_setattr($layers, {set MOUNT_ATTR_IDMAP, MS_PRIVATE, ids of $userns})`)
  expect(slot("volume 2")).toBe(`\${volume 2}`)
})

test("the overlay, its layers below a mount that was made before", () => {
  expect(
    said(
      {
        op: "overlay",
        layers: "layers",
        lower: ["app", "base"],
        upper: "/c/upper",
        work: "/c/work",
        options: [],
        target: "/c/root",
      },
      "root",
    ),
  ).toBe(`mount("overlay", "/c/root", "overlay", 0, "lowerdir=$layers/app:$layers/base,upperdir=/c/upper,workdir=/c/work")
$root = open_tree("/c/root", OPEN_TREE_CLONE)`)
})

test("the clone and its flags", () => {
  expect(
    said({ op: "clone", flags: 0x10000000 | 0x20000000 | 0x20000, cgroup: "cgroup", join: [], kinds: [] }, "child"),
  ).toBe(
    "$child = clone3({flags: CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNS|CLONE_PIDFD|CLONE_INTO_CGROUP, cgroup: $cgroup})",
  )
  expect(said({ op: "clone", flags: 0, join: ["container"], kinds: [0x40000000] }, "child")).toBe(
    "setns($container, CLONE_NEWNET)\n$child = clone3({flags: CLONE_PIDFD})",
  )
})

test("numbers with names", () => {
  expect(said({ op: "rlimit", resource: 7, soft: 1024, hard: 2n ** 64n - 1n })).toBe(
    "prlimit(RLIMIT_NOFILE, {1024, RLIM_INFINITY})",
  )
  expect(said({ op: "make-node", at: "dev", name: "null", mode: 0o20666, major: 1, minor: 3, uid: 0, gid: 5 })).toBe(
    `mknodat($dev, "null", S_IFCHR|0666, makedev(1, 3))\nfchownat($dev, "null", 0, 5)`,
  )
  expect(said({ op: "open", path: "/c", flags: 0o10000000 }, "cgroup")).toBe(`$cgroup = open("/c", O_PATH|O_CLOEXEC)`)
  expect(said({ op: "open", path: "/c", flags: 0 }, "c")).toBe(`$c = open("/c", O_RDONLY|O_CLOEXEC)`)
  expect(said({ op: "signal", process: "child", signal: 9 })).toBe("pidfd_send_signal($child, SIGKILL)")
  expect(said({ op: "umask", mask: 0o22 })).toBe("umask(0022)")
  expect(said({ op: "io-priority", priority: (2 << 13) | 4 })).toBe(
    "ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_CLASS_BE 4)",
  )
  expect(
    said({
      op: "scheduler",
      policy: 3,
      flags: 0,
      nice: 2n ** 64n - 5n,
      priority: 0,
      runtime: 0,
      deadline: 0,
      period: 0,
    }),
  ).toBe("sched_setattr(0, {SCHED_BATCH, nice: -5})")
})

test("a flag that has no name here is still shown", () => {
  expect(said({ op: "unshare", flags: 0x2000000 | 0x1000 })).toBe("unshare(CLONE_NEWCGROUP|0x1000)")
})

test("capabilities by name, in the shorter way", () => {
  expect(said({ op: "bounding", mask: 0b100001n })).toBe("prctl(PR_CAPBSET_DROP, all but CAP_CHOWN|CAP_KILL)")
  expect(said({ op: "bounding", mask: (1n << 41n) - 2n })).toBe("prctl(PR_CAPBSET_DROP, CAP_CHOWN)")
  expect(said({ op: "bounding", mask: 0n })).toBe("prctl(PR_CAPBSET_DROP, all)")
  expect(said({ op: "bounding", mask: (1n << 41n) - 1n })).toBe("prctl(PR_CAPBSET_DROP, none)")
  expect(said({ op: "capabilities", effective: 1n, permitted: 1n, inheritable: 0n })).toBe(
    "capset({effective and permitted: CAP_CHOWN, inheritable: 0})",
  )
  expect(said({ op: "ambient", mask: 0b10n })).toBe(
    "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)\nprctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE)",
  )
})

test("programs of the kernel are told by their length", () => {
  expect(said({ op: "seccomp", program: new Uint8Array(80), flags: 2 })).toBe(
    "seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, 10 instructions)",
  )
  expect(
    said({ op: "device-program", path: "/g", program: new Uint8Array(16) }),
  ).toBe(`bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE, 2 instructions)
bpf(BPF_PROG_ATTACH, "/g", BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI)`)
})

test("text from outside stays inside its quotes", () => {
  expect(said({ op: "hostname", name: 'a"); reboot("' })).toBe(`sethostname("a\\"); reboot(\\"")`)
  expect(said({ op: "write", path: "/x", text: "a\nb\x1b[31m\u202e" })).toBe(`write("/x", "a\\nb\\x1b[31m\\u202e")`)
  expect(printable("\x9b31m")).toBe("\\x9b31m")
})

/** A little-endian message: nlmsghdr, then these bytes. */
function message(type: number, ...parts: readonly (readonly number[])[]): Uint8Array {
  const body = parts.flat()
  const bytes = new Uint8Array(16 + body.length)
  new DataView(bytes.buffer).setUint32(0, bytes.length, true)
  new DataView(bytes.buffer).setUint16(4, type, true)
  bytes.set(body, 16)
  return bytes
}
const u32 = (value: number): number[] => [...new Uint8Array(Uint32Array.of(value).buffer)]
function attribute(type: number, content: readonly number[]): number[] {
  const length = content.length + 4
  return [length & 0xff, length >> 8, type & 0xff, type >> 8, ...content, ...Array<number>(-content.length & 3).fill(0)]
}
const name = (text: string): number[] => [...new TextEncoder().encode(`${text}\0`)]
const ifinfomsg = (index: number, flags = 0, change = 0): number[] => [
  ...u32(0),
  ...u32(index),
  ...u32(flags),
  ...u32(change),
]
const sent = (protocol: number, ...messages: readonly Uint8Array[]): string =>
  said({
    op: "netlink",
    protocol,
    messages: Uint8Array.from(messages.flatMap((one) => [...one])),
    fds: [],
    offsets: [],
  })

test("netlink is spelled as the command that sends the same", () => {
  expect(sent(0, linkUp(1))).toBe("ip link set lo up")
  expect(sent(0, linkUp(7))).toBe("ip link set if7 up")
  const peer = attribute(1, [...ifinfomsg(0), ...attribute(3, name("eth0"))])
  const veth = attribute(18, [...attribute(1, name("veth")), ...attribute(2, peer)])
  expect(
    sent(
      0,
      message(16, ifinfomsg(0), attribute(3, name("mc1234")), veth),
      message(20, [2, 24, 0, 0, ...u32(3)], attribute(2, [10, 0, 0, 2])),
      message(20, [10, 64, 0, 0, ...u32(1)], attribute(1, [0xfd, ...Array<number>(14).fill(0), 1])),
      message(24, [2, 0, 0, 0, ...u32(0), ...u32(0)], attribute(5, [10, 0, 0, 1]), attribute(4, u32(3))),
      message(17, ifinfomsg(0), attribute(3, name("mc1234"))),
      message(36, [1, 2, 3, 4]),
    ),
  ).toBe(`ip link add mc1234 type veth peer name eth0
ip address add 10.0.0.2/24 dev if3
ip address add fd00::1/64 dev lo
ip route add default via 10.0.0.1 dev if3
ip link delete mc1234
send(NETLINK_ROUTE, message 36, 20 bytes)`)
})

test("nf_tables messages are counted; bytes that are no message are, too", () => {
  const nft = (type: number): Uint8Array => message((10 << 8) | type, u32(0))
  expect(sent(12, message(16, u32(0)), nft(0), nft(6), nft(6), message(17, u32(0)))).toBe(
    "nft add table\nnft add rule  (2 times)",
  )
  expect(sent(0, Uint8Array.of(1, 2, 3))).toBe("send(netlink 0, 3 bytes)")
  expect(sent(0, message(16, [1]))).toBe("send(NETLINK_ROUTE, RTM_NEWLINK, 17 bytes)")
})

test("every op has a spelling that is not empty", () => {
  const sample = {
    number: 1,
    text: "x",
    bytes: new Uint8Array(8),
    fd: "s",
    texts: ["x"],
    numbers: [1],
    fds: ["s"],
  } as const
  for (const [op, row] of Object.entries(OPS)) {
    const args = Object.entries(row.args).map(([key, kind]) => [
      key,
      sample[kind.replace("?", "") as keyof typeof sample],
    ])
    const lines = spell({ op, ...Object.fromEntries(args) } as Call)
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.filter((line) => line.trim() === "" || line.includes("undefined"))).toEqual([])
  }
})

test("a network is spelled as ip and nft would be told", () => {
  const attachment = {
    network: "bridge",
    bridge: { name: "mc0", index: 1000007 },
    table: "minicontainer",
    subnet: "10.88.0.0/16",
    gateway: "10.88.0.1",
    address: "10.88.0.5",
    mtu: 1500,
    veth: "mc4f1e",
    ports: [
      { protocol: "tcp", hostPort: 8080, containerPort: 80 },
      { protocol: "udp", hostAddress: "203.0.113.1", hostPort: 53, containerPort: 5353 },
    ],
  } as const
  const spelled = (steps: readonly Step[]): string =>
    steps.flatMap((step) => (step.op === "netlink" ? spellNetlink(step.protocol, step.messages) : [])).join("\n")
  expect(spelled([...bridge(attachment), ...cable(attachment), interfaces(attachment)])).toMatchInlineSnapshot(`
    "ip link add mc0 type bridge address 02:42:0a:58:00:01 mtu 1500 up
    ip address add 10.88.0.1/16 dev if1000007
    ip link add mc4f1e type veth peer name eth0 address 02:42:0a:58:00:05 netns $netns mtu 1500 master if1000007 up
    ip link set mc4f1e type bridge_slave hairpin on
    ip link set lo up
    ip address add 10.88.0.5/16 dev if2
    ip link set if2 up
    ip route add default via 10.88.0.1"
  `)
  expect(spelled([...firewall(attachment), ...publish(attachment)])).toMatchInlineSnapshot(`
    "nft add table inet minicontainer
    nft add set inet minicontainer bridges
    nft add set inet minicontainer inside
    nft add set inet minicontainer subnets
    nft add set inet minicontainer published
    nft add set inet minicontainer published_any
    nft add set inet minicontainer internal
    nft add chain inet minicontainer publish
    nft add chain inet minicontainer prerouting { type nat hook prerouting priority -100 ; }
    nft add chain inet minicontainer output { type nat hook output priority -100 ; }
    nft add chain inet minicontainer postrouting { type nat hook postrouting priority 100 ; }
    nft add chain inet minicontainer early { type filter hook prerouting priority -300 ; }
    nft add chain inet minicontainer forward { type filter hook forward priority 0 ; }
    nft add rule inet minicontainer publish (meta, cmp, payload, meta, payload, lookup @published, nat)
    nft add rule inet minicontainer publish (meta, cmp, meta, payload, lookup @published_any, nat)
    nft add rule inet minicontainer prerouting (meta, cmp, fib, cmp, immediate)
    nft add rule inet minicontainer output (meta, cmp, fib, cmp, immediate)
    nft add rule inet minicontainer early (meta, cmp, meta, lookup @bridges, payload, cmp, immediate)
    nft add rule inet minicontainer postrouting (meta, cmp, payload, lookup @subnets, meta, lookup @bridges, masq)
    nft add rule inet minicontainer postrouting (meta, cmp, meta, lookup @bridges, payload, cmp, masq)
    nft add rule inet minicontainer postrouting (meta, cmp, meta, lookup @bridges, payload, lookup @subnets, ct, bitwise, cmp, masq)
    nft add rule inet minicontainer forward (meta, meta, lookup @inside, immediate)
    nft add rule inet minicontainer forward (meta, lookup @internal, immediate)  (2 times)
    nft add rule inet minicontainer forward (meta, lookup @bridges, ct, bitwise, cmp, immediate)  (2 times)
    nft add rule inet minicontainer forward (meta, lookup @bridges, immediate)
    nft add element inet minicontainer bridges { "mc0" }
    nft add element inet minicontainer inside { "mc0" . "mc0" }
    nft add element inet minicontainer subnets { 10.88.0.0, 10.89.0.0 (end) }
    nft add element inet minicontainer published { 203.0.113.1 . udp . 53 : 10.88.0.5 . 5353 }
    nft add element inet minicontainer published_any { tcp . 8080 : 10.88.0.5 . 80 }"
  `)
})
