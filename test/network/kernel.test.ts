/** The steps of plan/network.ts and plan/firewall.ts, carried out by the executor, and read back by ip(8) and nft(8). */

import { beforeAll, expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import type { Attachment } from "../../src/model/placement.ts"
import { firewall, publish } from "../../src/plan/firewall.ts"
import { bridge, cable, interfaces } from "../../src/plan/network.ts"
import type { Step } from "../../src/plan/step.ts"
import { encode } from "../../src/plan/wire.ts"
import { build, clone, EXECUTOR, exec, frame, NEW, newRoom } from "../kernel/native.ts"
import { newPlace, type Place } from "./place.ts"

beforeAll(build)

const attachment = (more: Partial<Attachment> = {}): Attachment => ({
  network: "default",
  bridge: { name: "minicontainer0", index: 1_000_007 },
  table: "minicontainer",
  subnet: "10.88.0.0/16",
  gateway: "10.88.0.1",
  address: "10.88.0.5",
  mtu: 1400,
  veth: "mc4f1e4f1e",
  startsForwarding: true,
  ports: [],
  ...more,
})
const host = (given: Attachment): readonly Step[] => [...bridge(given), ...firewall(given), ...publish(given)]

function did(place: Place, steps: readonly Step[]): void {
  const wire = encode({ frame: frame({ report: 1 }), steps, warnings: [] })
  const { stdout, stderr } = place.try("host", [EXECUTOR, "do"], wire)
  expect(stdout + stderr).toBe("")
}

test("what is made is what ip and nft show", () => {
  using place = newPlace()
  const given = attachment({
    ports: [
      { protocol: "tcp", hostPort: 8080, containerPort: 80 },
      { protocol: "udp", hostAddress: "203.0.113.1", hostPort: 53, containerPort: 5353 },
    ],
  })
  did(place, host(given))
  const [link] = JSON.parse(place.in("host", "ip", "-d", "-j", "address", "show", "minicontainer0"))
  expect({ index: link.ifindex, kind: link.linkinfo.info_kind, mtu: link.mtu, up: link.flags.includes("UP") }).toEqual({
    index: 1_000_007,
    kind: "bridge",
    mtu: 1400,
    up: true,
  })
  expect(link.addr_info.find(({ family }: { family: string }) => family === "inet")).toMatchObject({
    local: "10.88.0.1",
    prefixlen: 16,
  })
  expect(place.in("host", "sysctl", "-n", "net.ipv4.ip_forward", "net.ipv4.conf.minicontainer0.route_localnet")).toBe(
    "1\n1\n",
  )
  expect(place.in("host", "nft", "list", "table", "inet", "minicontainer")).toMatchInlineSnapshot(`
    "table inet minicontainer {
    	set bridges {
    		type ifname
    		elements = { "minicontainer0" }
    	}

    	set inside {
    		type ifname . ifname
    		elements = { "minicontainer0" . "minicontainer0" }
    	}

    	set subnets {
    		type ipv4_addr
    		flags interval
    		elements = { 10.88.0.0/16 }
    	}

    	map published {
    		type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service
    		elements = { 203.0.113.1 . udp . 53 : 10.88.0.5 . 5353 }
    	}

    	map published_any {
    		type inet_proto . inet_service : ipv4_addr . inet_service
    		elements = { tcp . 8080 : 10.88.0.5 . 80 }
    	}

    	set internal {
    		type ifname
    	}

    	chain publish {
    		dnat ip to ip daddr . meta l4proto . th dport map @published
    		meta nfproto ipv4 dnat ip to meta l4proto . th dport map @published_any
    	}

    	chain prerouting {
    		type nat hook prerouting priority dstnat; policy accept;
    		meta nfproto ipv4 fib daddr type local jump publish
    	}

    	chain output {
    		type nat hook output priority -100; policy accept;
    		meta nfproto ipv4 fib daddr type local jump publish
    	}

    	chain postrouting {
    		type nat hook postrouting priority srcnat; policy accept;
    		ip saddr @subnets oifname != @bridges masquerade
    		oifname @bridges ip saddr 127.0.0.0/8 masquerade
    		oifname @bridges ip saddr @subnets ct status dnat masquerade
    	}

    	chain early {
    		type filter hook prerouting priority raw; policy accept;
    		iifname @bridges ip daddr 127.0.0.0/8 drop
    	}

    	chain forward {
    		type filter hook forward priority filter; policy accept;
    		iifname . oifname @inside accept
    		iifname @internal drop
    		oifname @internal drop
    		oifname @bridges ct state established,related accept
    		oifname @bridges ct status dnat accept
    		oifname @bridges drop
    	}
    }
    "
  `)

  did(
    place,
    publish(given).flatMap(({ undo }) => (undo ? [{ ...undo, phase: "host", why: "a test" } as Step] : [])),
  )
  expect(place.in("host", "nft", "list", "map", "inet", "minicontainer", "published_any")).not.toContain("elements")
})

test("everything can be asked for again, by as many as like", () => {
  using place = newPlace()
  did(place, host(attachment()))
  const rules = (): string => place.in("host", "nft", "list", "table", "inet", "minicontainer")
  const once = rules()
  for (let times = 0; times < 3; times++) did(place, host(attachment()))
  expect(rules()).toBe(once)
})

const LOOK =
  "ip -j address show eth0; ip -j route; ip -j link show lo; busybox ping -c1 -W2 203.0.113.9 >/dev/null && echo reached"

test("a container is on its network before its first instruction, and leaves nothing of it", () => {
  using place = newPlace()
  using room = newRoom()
  const given = attachment()
  const steps = [
    ...host(given),
    clone(NEW.pid | NEW.network),
    ...cable(given),
    interfaces(given),
    exec("sh", "-c", `exec >${room.path("seen")}; ${LOOK}; mv ${room.path("seen")} ${room.path("done")}`),
  ]
  writeFileSync(room.path("wire"), encode({ frame: frame({ report: 1 }), steps, warnings: [] }))
  const { stdout, stderr } = place.try("host", [EXECUTOR, "run", room.path("wire")])
  expect(stderr).toBe("")
  expect(stdout).toMatch(/^started \d+\n$/)
  const deadline = performance.now() + 5000
  // Without a monitor nobody waits for the program.
  while (!existsSync(room.path("done")) && performance.now() < deadline) Bun.sleepSync(10)
  const [eth0, routes, lo, reached] = readFileSync(room.path("done"), "utf8").split("\n")
  expect(JSON.parse(eth0!)[0]).toMatchObject({ ifindex: 2, mtu: 1400, address: "02:42:0a:58:00:05", operstate: "UP" })
  expect(JSON.parse(eth0!)[0].addr_info[0]).toMatchObject({ local: "10.88.0.5", prefixlen: 16 })
  expect(JSON.parse(routes!)[0]).toMatchObject({ dst: "default", gateway: "10.88.0.1", dev: "eth0" })
  expect(JSON.parse(lo!)[0].flags).toContain("UP")
  expect(reached).toBe("reached")
  while (place.in("host", "ip", "link").includes(given.veth) && performance.now() < deadline) Bun.sleepSync(10)
  expect(place.in("host", "ip", "link")).not.toContain(given.veth)
})
