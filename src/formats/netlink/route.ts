/**
 * rtnetlink: how interfaces, addresses and routes are made, as messages to the kernel.
 *
 *     ifinfomsg  u8 family  u8 0  u16 device type  i32 index  u32 flags  u32 which flags change
 *     ifaddrmsg  u8 family  u8 prefix  u8 flags  u8 scope  u32 index
 *     rtmsg      u8 family  u8 destination prefix  u8 source prefix  u8 tos  u8 table  u8 protocol  u8 scope  u8 type  u32 flags
 *
 * Interfaces have a name and a number, and most messages want the number. The kernel would choose one; but it takes ours if it is free,
 * so everything can be written down before anything exists.
 *
 * @see Linux include/uapi/linux/{rtnetlink,if_link,if_addr,veth}.h, man-pages rtnetlink(7)
 */

import {
  attribute,
  joined,
  message,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  nested,
  text,
  u32,
} from "./message.ts"

export const NETLINK_ROUTE = 0
const [RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_NEWROUTE] = [16, 17, 20, 24]
const IFF_UP = 0x1
const [AF_INET, AF_INET6] = [2, 10]
const IFLA = { address: 1, ifname: 3, mtu: 4, master: 10, linkinfo: 18, netNsFd: 28 } as const
const INFO = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const
const VETH_INFO_PEER = 1
const IFLA_BRPORT_MODE = 4
const IFA = { address: 1, local: 2 } as const
const IFA_F_NODAD = 0x02
const RTA_GATEWAY = 5
const [RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST] = [254, 4, 0, 1]

const DO = NLM_F_REQUEST | NLM_F_ACK
const MAKE = DO | NLM_F_CREATE | NLM_F_EXCL

/** ifinfomsg. Only the flag IFF_UP is ever changed. */
function ifinfo(index: number, up: boolean): Uint8Array {
  const bytes = new Uint8Array(16)
  const view = new DataView(bytes.buffer)
  view.setInt32(4, index, true)
  if (up) {
    view.setUint32(8, IFF_UP, true)
    view.setUint32(12, IFF_UP, true)
  }
  return bytes
}

/** The message that sets an interface up: what `ip link set dev LINK up` sends. @param index the interface's number; 1 is `lo` in every namespace. */
export const linkUp = (index: number): Uint8Array => message(RTM_NEWLINK, DO, ifinfo(index, true), [])

/** `ip link add NAME index INDEX mtu MTU address MAC type bridge`, and up at once. EEXIST: the name is taken; EBUSY (before 6.6: EEXIST): the number is. */
export const addBridge = (name: string, index: number, mtu: number, mac: Uint8Array): Uint8Array =>
  message(RTM_NEWLINK, MAKE, ifinfo(index, true), [
    attribute(IFLA.ifname, text(name)),
    attribute(IFLA.mtu, u32(mtu)),
    attribute(IFLA.address, mac),
    nested(IFLA.linkinfo, [attribute(INFO.kind, text("bridge"))]),
  ])

export interface Veth {
  readonly name: string
  /** The bridge's number. */
  readonly master: number
  readonly mtu: number
  /** The end that goes into another network namespace. `mac`: 6 bytes. */
  readonly peer: { readonly name: string; readonly index: number; readonly mac: Uint8Array }
}

/**
 * A pair: one end on a bridge and up, the other at once in another namespace.
 * `ip link add NAME mtu MTU master BRIDGE type veth peer name PEER index INDEX address MAC netns FD`
 * @returns the message, and where in it the fd of that namespace must be written as u32.
 */
export function addVeth({ name, master, mtu, peer }: Veth): { readonly bytes: Uint8Array; readonly fdAt: number } {
  const bytes = message(RTM_NEWLINK, MAKE, ifinfo(0, true), [
    attribute(IFLA.ifname, text(name)),
    attribute(IFLA.mtu, u32(mtu)),
    attribute(IFLA.master, u32(master)),
    nested(IFLA.linkinfo, [
      attribute(INFO.kind, text("veth")),
      nested(INFO.data, [
        nested(VETH_INFO_PEER, [
          ifinfo(peer.index, false),
          attribute(IFLA.ifname, text(peer.name)),
          attribute(IFLA.mtu, u32(mtu)),
          attribute(IFLA.address, peer.mac),
          attribute(IFLA.netNsFd, u32(0)),
        ]),
      ]),
    ]),
  ])
  return { bytes, fdAt: bytes.length - 4 }
}

/** A bridge sends a frame back where it came from: a container reaches its own published port. `bridge link set dev NAME hairpin on` */
export const hairpin = (name: string): Uint8Array =>
  message(RTM_NEWLINK, DO, ifinfo(0, false), [
    attribute(IFLA.ifname, text(name)),
    nested(IFLA.linkinfo, [
      attribute(INFO.slaveKind, text("bridge")),
      nested(INFO.slaveData, [attribute(IFLA_BRPORT_MODE, new Uint8Array([1]))]),
    ]),
  ])

/** `ip link delete NAME`. ENODEV: there is none. */
export const deleteLink = (name: string): Uint8Array =>
  message(RTM_DELLINK, DO, ifinfo(0, false), [attribute(IFLA.ifname, text(name))])

/** `ip address add ADDRESS/PREFIX dev INDEX`. EEXIST: it has it. @param address 4 or 16 bytes; IPv6: usable at once, without a search for a duplicate. */
export function addAddress(index: number, address: Uint8Array, prefix: number): Uint8Array {
  const v6 = address.length === 16
  const struct = joined([new Uint8Array([v6 ? AF_INET6 : AF_INET, prefix, v6 ? IFA_F_NODAD : 0, 0]), u32(index)])
  return message(RTM_NEWADDR, MAKE, struct, [attribute(IFA.local, address), attribute(IFA.address, address)])
}

/** `ip route add default via GATEWAY`: the interface is the one on whose network the gateway lies. */
export function addDefaultRoute(gateway: Uint8Array): Uint8Array {
  const family = gateway.length === 16 ? AF_INET6 : AF_INET
  const struct = [family, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0, 0, 0, 0]
  return message(RTM_NEWROUTE, MAKE, new Uint8Array(struct), [attribute(RTA_GATEWAY, gateway)])
}
