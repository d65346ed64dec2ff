/**
 * Firewall: one nf_tables table of our own, which makes the host a router for containers and publishes their ports.
 *
 *     from outside ──▶ prerouting: dnat @published? ──▶ forward: to a bridge? only what is known or published ──▶ container
 *     container ─────▶ forward ──▶ postrouting: from a container, and out? masquerade ──▶ the world, as the host
 *     host itself ───▶ output: dnat @published? ──▶ postrouting
 *
 * The rules are fixed, and know no container: what differs lies in sets and maps (networks, ports), which are changed without touching a rule, so a
 * thousand ports cost as much as one. Whoever starts first makes the table, in one transaction; to all others EEXIST says that it is there. It
 * stands beside the tables of others and touches none. It cannot overrule them: a packet must be accepted by every chain of its hook.
 *
 * Read on: network.ts; formats/nftables/batch.ts. nft(8); Linux Documentation/networking/ip-sysctl.rst, route_localnet.
 */

import { addressBytes, addressNumber, sizeOf, subnetOf } from "../base/ip.ts"
import {
  addChain,
  addElements,
  addRule,
  addSet,
  batch,
  concatenated,
  createTable,
  deleteElements,
  type Element,
  ifname,
  NETLINK_NETFILTER,
} from "../formats/nftables/batch.ts"
import * as x from "../formats/nftables/expressions.ts"
import type { Attachment, PublishedPort } from "../model/placement.ts"
import type { Step } from "./step.ts"

const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const
const NFPROTO_IPV4 = new Uint8Array([2])
/** Registers of 4 bytes; see expressions.ts. */
const [R0, R1, R2] = [8, 9, 10]
const SECOND_NAME = 12

const ipv4 = [x.meta("nfproto", 1), x.cmp("==", 1, NFPROTO_IPV4)]
const source = (register: number) => x.payload("network", 12, 4, register)
const destination = (register: number) => x.payload("network", 16, 4, register)
const port = (register: number) => x.payload("transport", 2, 2, register)
const loopback = (offset: number) => [x.payload("network", offset, 1, 1), x.cmp("==", 1, new Uint8Array([127]))]
const comes = [x.meta("iifname", 1), x.lookup("bridges", 1)]
const goes = [x.meta("oifname", 1), x.lookup("bridges", 1)]
const leaves = [x.meta("oifname", 1), x.lookup("bridges", 1, { not: true })]
const toThisHost = [x.fibDestinationType(1), x.cmp("==", 1, x.RTN_LOCAL), x.verdict("jump", "publish")]
const flags = (key: "state" | "status", bits: Uint8Array) => [
  x.ct(key, 1),
  x.mask(1, bits),
  x.cmp("!=", 1, new Uint8Array(4)),
]

/** The rules as nft(8) would print them, each with its program. */
const RULES: readonly (readonly [chain: string, nft: string, program: readonly x.Expression[]])[] = [
  [
    "publish",
    "dnat ip to ip daddr . meta l4proto . th dport map @published",
    [...ipv4, destination(R0), x.meta("l4proto", R1), port(R2), x.lookup("published", R0, { to: R0 }), x.dnat(R0, R1)],
  ],
  [
    "publish",
    "dnat ip to meta l4proto . th dport map @published_any",
    [...ipv4, x.meta("l4proto", R0), port(R1), x.lookup("published_any", R0, { to: R0 }), x.dnat(R0, R1)],
  ],
  ["prerouting", "fib daddr type local jump publish", [...ipv4, ...toThisHost]],
  ["output", "fib daddr type local jump publish", [...ipv4, ...toThisHost]],
  // What route_localnet would open: a container could reach what listens on the host's 127.0.0.1.
  ["early", "iifname @bridges ip daddr 127.0.0.0/8 drop", [...ipv4, ...comes, ...loopback(16), x.verdict("drop")]],
  [
    "postrouting",
    "ip saddr @subnets oifname != @bridges masquerade",
    [...ipv4, source(1), x.lookup("subnets", 1), ...leaves, x.masquerade()],
  ],
  [
    "postrouting",
    "oifname @bridges ip saddr 127.0.0.0/8 masquerade",
    [...ipv4, ...goes, ...loopback(12), x.masquerade()],
  ],
  // A container that calls a published port of its own network: the answer must come back by the host.
  [
    "postrouting",
    "oifname @bridges ip saddr @subnets ct status dnat masquerade",
    [...ipv4, ...goes, source(1), x.lookup("subnets", 1), ...flags("status", x.CT_DNAT), x.masquerade()],
  ],
  [
    "forward",
    "iifname . oifname @inside accept",
    [x.meta("iifname", R0), x.meta("oifname", SECOND_NAME), x.lookup("inside", R0), x.verdict("accept")],
  ],
  ["forward", "iifname @internal drop", [x.meta("iifname", 1), x.lookup("internal", 1), x.verdict("drop")]],
  ["forward", "oifname @internal drop", [x.meta("oifname", 1), x.lookup("internal", 1), x.verdict("drop")]],
  [
    "forward",
    "oifname @bridges ct state established,related accept",
    [...goes, ...flags("state", x.CT_KNOWN), x.verdict("accept")],
  ],
  ["forward", "oifname @bridges ct status dnat accept", [...goes, ...flags("status", x.CT_DNAT), x.verdict("accept")]],
  ["forward", "oifname @bridges drop", [...goes, x.verdict("drop")]],
]

/** The whole table, in one transaction. */
const wholeTable = (table: string): Uint8Array =>
  batch([
    createTable(table),
    addSet(table, "bridges", 1, { key: ["ifname"] }),
    addSet(table, "inside", 2, { key: ["ifname", "ifname"] }),
    addSet(table, "subnets", 3, { key: ["ipv4_addr"], interval: true }),
    addSet(table, "published", 4, {
      key: ["ipv4_addr", "inet_proto", "inet_service"],
      value: ["ipv4_addr", "inet_service"],
    }),
    addSet(table, "published_any", 5, { key: ["inet_proto", "inet_service"], value: ["ipv4_addr", "inet_service"] }),
    addSet(table, "internal", 6, { key: ["ifname"] }),
    addChain(table, "publish"),
    addChain(table, "prerouting", { type: "nat", hook: "prerouting", priority: -100 }),
    addChain(table, "output", { type: "nat", hook: "output", priority: -100 }),
    addChain(table, "postrouting", { type: "nat", hook: "postrouting", priority: 100 }),
    addChain(table, "early", { type: "filter", hook: "prerouting", priority: -300 }),
    addChain(table, "forward", { type: "filter", hook: "forward", priority: 0 }),
    ...RULES.map(([chain, , program]) => addRule(table, chain, program)),
  ])

const netlink = { phase: "host", op: "netlink", protocol: NETLINK_NETFILTER, fds: [], offsets: [] } as const

/** What stands in the sets for one network. */
function entries(
  table: string,
  { bridge, subnet, internal }: Pick<Attachment, "bridge" | "subnet" | "internal">,
  change: typeof addElements,
): readonly Uint8Array[] {
  const own = ifname(bridge.name)
  const range = subnetOf(subnet) ?? { base: 0, prefix: 32 }
  return [
    change(table, "bridges", [{ key: own }]),
    change(table, "inside", [{ key: concatenated([own, own]) }]),
    internal
      ? change(table, "internal", [{ key: own }])
      : change(table, "subnets", [
          { key: addressBytes(range.base) },
          { key: addressBytes(range.base + sizeOf(range)), end: true },
        ]),
  ]
}

/** Phase host: the table and this network in it. Both may be there, and stay. */
export function firewall(attachment: Attachment): readonly Step[] {
  const { table, bridge, subnet, network } = attachment
  return [
    {
      ...netlink,
      messages: wholeTable(table),
      ok: ["EEXIST"],
      does: `make the nf_tables table inet ${table}`,
      why: "it translates addresses between the containers and the world, and keeps networks apart; it stays, and is mostly there",
    },
    {
      ...netlink,
      messages: batch(entries(table, attachment, addElements)),
      ok: ["EEXIST"],
      does: `enter the network ${network} (${bridge.name}, ${subnet}) into the table ${table}`,
      why: "its containers are seen as the host outside, and reached from there only at published ports",
    },
  ]
}

/** For `do`, when the network is removed: each set by itself, since one may have been emptied by somebody. */
export const leaveTable = (
  table: string,
  network: Pick<Attachment, "bridge" | "subnet" | "internal">,
): readonly Step[] =>
  entries(table, network, deleteElements).map((entry) => ({
    ...netlink,
    messages: batch([entry]),
    ok: ["ENOENT"],
    does: `take ${network.bridge.name} out of the table ${table}`,
    why: "its network was removed",
  }))

const big = (number: number): Uint8Array => new Uint8Array([number >>> 8, number & 255])
const address = (text: string): Uint8Array => addressBytes(addressNumber(text) ?? 0)

function element(to: string, { protocol, hostAddress, hostPort, containerPort }: PublishedPort): Element {
  const at = [new Uint8Array([PROTOCOLS[protocol]]), big(hostPort)]
  return {
    key: concatenated(hostAddress === undefined ? at : [address(hostAddress), ...at]),
    value: concatenated([address(to), big(containerPort)]),
  }
}

/** The map of a port, and what stands in it, as the kernel is told to add it or to remove it. */
function mapped({ table, address: to, ports }: Attachment, change: typeof addElements): readonly Uint8Array[] {
  const of = (map: string, wanted: (port: PublishedPort) => boolean) => {
    const list = ports.filter(wanted).map((port) => element(to, port))
    return list.length > 0 ? [change(table, map, list)] : []
  }
  return [
    ...of("published", ({ hostAddress }) => hostAddress !== undefined),
    ...of("published_any", ({ hostAddress }) => hostAddress === undefined),
  ]
}

/** Phase host: the container's ports, as elements of the maps. */
export function publish(attachment: Attachment): readonly Step[] {
  const { ports, table } = attachment
  if (ports.length === 0) return []
  const names = ports.map(({ hostPort, protocol }) => `${hostPort}/${protocol}`)
  const said = names.length > 4 ? `${names.length} ports` : names.join(", ")
  return [
    ...ports.map(
      ({ protocol, hostAddress = "0.0.0.0", hostPort }): Step => ({
        phase: "host",
        op: "hold-port",
        protocol: PROTOCOLS[protocol],
        address: address(hostAddress),
        port: hostPort,
        does: `hold port ${hostPort}/${protocol}${hostAddress === "0.0.0.0" ? "" : ` of ${hostAddress}`}`,
        why: "bound and not listening: the map leads its packets away, and no other program, nor container, can take it; it is free when the monitor ends",
      }),
    ),
    {
      ...netlink,
      messages: batch(mapped(attachment, addElements)),
      does: `lead ${said} of the host to ${attachment.address}`,
      why: `an element of a map of the table ${table}: the rules are there already, and find it`,
      undo: {
        op: "netlink",
        protocol: NETLINK_NETFILTER,
        messages: batch(mapped(attachment, deleteElements)),
        fds: [],
        offsets: [],
        does: `no longer lead ${said} of the host to ${attachment.address}`,
      },
    },
  ]
}
