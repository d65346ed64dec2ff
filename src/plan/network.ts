/**
 * Network: a namespace of its own is an empty machine: one interface, `lo`, and that one down. A pair of interfaces leads out of it.
 *
 *     container            ┊            host
 *       lo                 ┊
 *       eth0 10.88.0.5 ────┊──── mc4f1e…  ──┐
 *         default route    ┊                ├── bridge minicontainer0 10.88.0.1 ──── (forwarding, NAT) ──── eth0 ──── the world
 *       eth0 10.88.0.6 ────┊──── mc92ab…  ──┘
 *
 * A veth pair is a cable: what goes in at one end comes out at the other. A bridge is a switch. The host is the router between that switch and its
 * other networks. The bridge belongs to the network and stays; whoever starts first makes it, and to all others EEXIST says that it is there. The
 * cable belongs to the container's network namespace: the kernel removes both its ends with it.
 *
 * The loopback interface always has number 1. Setting it up gives it its addresses: the kernel adds 127.0.0.1 and ::1 itself.
 *
 * Read on: firewall.ts; formats/netlink/route.ts. Linux man-pages network_namespaces(7), veth(4), rtnetlink(7).
 */

import { addressBytes, addressNumber, subnetOf } from "../base/ip.ts"
import { joined } from "../formats/netlink/message.ts"
import {
  addAddress,
  addBridge,
  addDefaultRoute,
  addVeth,
  deleteLink,
  hairpin,
  linkUp,
  NETLINK_ROUTE,
} from "../formats/netlink/route.ts"
import type { Attachment } from "../model/placement.ts"
import type { Step } from "./step.ts"

/** The number of eth0 in its own namespace: the first after lo. */
const ETH0 = 2

const bytesOf = (address: string): Uint8Array => addressBytes(addressNumber(address) ?? 0)
const prefixOf = ({ subnet }: Attachment): number => subnetOf(subnet)?.prefix ?? 32

/** What people should know. */
export const forwardingNote = ({ startsForwarding }: Attachment): readonly string[] =>
  startsForwarding
    ? ["this host becomes a router: forwarding of IPv4 packets is switched on (sysctl net.ipv4.ip_forward)"]
    : []

/**
 * A MAC address that follows from the IPv4 address: a neighbour that remembers one is never wrong about the other. The second bit of the first
 * byte says that nobody has assigned it, as Docker's do.
 */
export const macOf = (address: string): Uint8Array => joined([new Uint8Array([0x02, 0x42]), bytesOf(address)])

const netlink = { op: "netlink", protocol: NETLINK_ROUTE, fds: [], offsets: [] } as const

/** Phase host: the switch, its address, and the host as a router. All of it may be there, and stays. */
export function bridge(attachment: Attachment): readonly Step[] {
  const { bridge, gateway, mtu, startsForwarding } = attachment
  return [
    {
      phase: "host",
      ...netlink,
      messages: addBridge(bridge.name, bridge.index, mtu, macOf(gateway)),
      ok: ["EEXIST"],
      does: `make the bridge ${bridge.name}`,
      why: `it is the switch of the network ${attachment.network}; it stays, and is mostly there. Left to itself, a bridge would change its own hardware address with its ports, and containers would send to the old one`,
    },
    {
      phase: "host",
      ...netlink,
      messages: addAddress(bridge.index, bytesOf(gateway), prefixOf(attachment)),
      ok: ["EEXIST"],
      does: `give ${bridge.name} the address ${gateway}`,
      why: "what containers send elsewhere goes to the host first, at this address",
    },
    ...(startsForwarding
      ? [
          {
            phase: "host",
            op: "write",
            path: "/proc/sys/net/ipv4/ip_forward",
            text: "1",
            does: "let the host pass packets on between its interfaces",
            why: "it is the router between the containers and the world; most hosts begin without",
          } as const,
        ]
      : []),
    ...(attachment.ports.length > 0
      ? [
          {
            phase: "host",
            op: "write",
            path: `/proc/sys/net/ipv4/conf/${bridge.name}/route_localnet`,
            text: "1",
            does: `let packets from 127.0.0.1 leave by ${bridge.name}`,
            why: "published ports are reached at localhost too; the chain `early` drops what would come the other way",
          } as const,
        ]
      : []),
  ]
}

/** For `do`, when the network is removed. */
export const removeBridge = (name: string): Step => ({
  phase: "host",
  ...netlink,
  messages: deleteLink(name),
  ok: ["ENODEV"],
  does: `remove the bridge ${name}`,
  why: "its network was removed",
})

/** Phase parent: the cable, while the container's namespace is there and its program is not. */
export function cable({ bridge, veth, address, mtu }: Attachment): readonly Step[] {
  const pair = addVeth({
    name: veth,
    master: bridge.index,
    mtu,
    peer: { name: "eth0", index: ETH0, mac: macOf(address) },
  })
  return [
    {
      phase: "parent",
      op: "open-namespace",
      name: "net",
      gives: "netns",
      does: "open the container's network namespace",
      why: "one end of the cable goes into it",
    },
    {
      phase: "parent",
      ...netlink,
      messages: joined([pair.bytes, hairpin(veth)]),
      fds: ["netns"],
      offsets: [pair.fdAt],
      does: `lay a cable from ${bridge.name} (${veth}) to eth0 of the container`,
      why: "the container's only way out; hairpin: what it sends to a published port of its own comes back by the same way",
      // No undo: the kernel removes both ends with the container's network namespace.
    },
  ]
}

/** Phase child: inside the new network namespace. */
export function interfaces(attachment: Attachment | undefined): Step {
  const step = { phase: "child", ...netlink } as const
  if (!attachment)
    return {
      ...step,
      messages: linkUp(1),
      does: "set the loopback interface up",
      why: "in a new network namespace even localhost is down, and programs rely on it",
    }
  const { address, gateway, internal } = attachment
  return {
    ...step,
    messages: joined([
      linkUp(1),
      addAddress(ETH0, bytesOf(address), prefixOf(attachment)),
      linkUp(ETH0),
      ...(internal ? [] : [addDefaultRoute(bytesOf(gateway))]),
    ]),
    does: `set lo up, and eth0 with the address ${address}${internal ? "" : ` and the route to ${gateway}`}`,
    why: "before the first instruction of the program, so that it never sees a machine without network",
  }
}
