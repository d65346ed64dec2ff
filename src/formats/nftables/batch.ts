/**
 * nf_tables: the kernel's packet filter, changed by batches of messages: all of a batch, or nothing of it.
 *
 *     BATCH_BEGIN   table   sets and maps   chains   rules   elements   BATCH_END
 *
 * A chain of a hook sees packets pass there; sets and maps are looked up by rules, and changed without touching a rule. What is added
 * with NLM_F_EXCL must not be there yet; without it, an element that is there already is no error, but a rule is added once more.
 *
 * Read on: expressions.ts; plan/firewall.ts. Linux include/uapi/linux/netfilter/nf_tables.h, nft(8).
 */

import {
  attribute,
  be32,
  joined,
  message,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REQUEST,
  nested,
  text,
} from "../netlink/message.ts"
import { type Expression, value } from "./expressions.ts"

export const NETLINK_NETFILTER = 12
const NFNL_SUBSYS_NFTABLES = 10
const [NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END] = [16, 17]
const NFT_MSG = {
  newTable: 0,
  delTable: 2,
  newChain: 3,
  newRule: 6,
  newSet: 9,
  newElement: 12,
  delElement: 14,
} as const
const NFPROTO_INET = 1
const [NLM_F_APPEND, NFT_SET_INTERVAL, NFT_SET_MAP, NFT_SET_ELEM_INTERVAL_END] = [0x800, 4, 8, 1]

/** nfgenmsg: family, version 0, and a number in network order: for a batch, the subsystem. */
const generic = (family: number, number: number): Uint8Array => new Uint8Array([family, 0, 0, number])

export const batch = (messages: readonly Uint8Array[]): Uint8Array =>
  joined([
    message(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, generic(0, NFNL_SUBSYS_NFTABLES), []),
    ...messages,
    message(NFNL_MSG_BATCH_END, NLM_F_REQUEST, generic(0, NFNL_SUBSYS_NFTABLES), []),
  ])

const nft = (type: keyof typeof NFT_MSG, flags: number, attributes: readonly Uint8Array[]): Uint8Array =>
  message(
    (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG[type],
    NLM_F_REQUEST | NLM_F_ACK | flags,
    generic(NFPROTO_INET, 0),
    attributes,
  )

/** `create table inet NAME`. EEXIST: it is there. */
export const createTable = (name: string): Uint8Array =>
  nft("newTable", NLM_F_CREATE | NLM_F_EXCL, [attribute(1, text(name))])

const HOOK = { prerouting: 0, forward: 2, output: 3, postrouting: 4 } as const
/** @param on absent: a chain for jumps. `priority`: the lower, the earlier. */
export const addChain = (
  table: string,
  name: string,
  on?: { readonly type: "nat" | "filter"; readonly hook: keyof typeof HOOK; readonly priority: number },
): Uint8Array =>
  nft("newChain", NLM_F_CREATE, [
    attribute(1, text(table)),
    attribute(3, text(name)),
    ...(on
      ? [nested(4, [attribute(1, be32(HOOK[on.hook])), attribute(2, be32(on.priority))]), attribute(7, text(on.type))]
      : []),
  ])

export const addRule = (table: string, chain: string, expressions: readonly Expression[]): Uint8Array =>
  nft("newRule", NLM_F_CREATE | NLM_F_APPEND, [
    attribute(1, text(table)),
    attribute(2, text(chain)),
    nested(
      4,
      expressions.map((one) => attribute(0x8001, one)),
    ),
  ])

/** What keys and values are made of: the numbers are nft's own, for its listings; the kernel wants only the length. `bytes` is padded to 4. */
const TYPES = {
  ipv4_addr: [7, 4],
  ipv6_addr: [8, 16],
  inet_proto: [12, 1],
  inet_service: [13, 2],
  ifname: [41, 16],
} as const
export type Part = keyof typeof TYPES

const wide = (parts: readonly Part[]): number => parts.reduce((sum, part) => sum + ((TYPES[part][1] + 3) & ~3), 0)
const bytesOf = (parts: readonly Part[]): number => (parts.length === 1 ? TYPES[parts[0]!][1] : wide(parts))
const typeOf = (parts: readonly Part[]): number => parts.reduce((type, part) => (type << 6) | TYPES[part][0], 0)
/** NFTNL_UDATA_SET_KEYBYTEORDER 1: the machine's. Without it nft shows names of interfaces backwards. */
const KEY_ORDER = new Uint8Array([0, 4, 1, 0, 0, 0])

export interface SetOf {
  readonly key: readonly Part[]
  /** Makes it a map. */
  readonly value?: readonly Part[]
  readonly interval?: true
}

/** @param number not used by another set of the batch. */
export const addSet = (table: string, name: string, number: number, { key, value: to, interval }: SetOf): Uint8Array =>
  nft("newSet", NLM_F_CREATE, [
    attribute(1, text(table)),
    attribute(2, text(name)),
    attribute(3, be32((to ? NFT_SET_MAP : 0) | (interval ? NFT_SET_INTERVAL : 0))),
    attribute(4, be32(typeOf(key))),
    attribute(5, be32(bytesOf(key))),
    ...(to ? [attribute(6, be32(typeOf(to))), attribute(7, be32(wide(to)))] : []),
    attribute(10, be32(number)),
    ...(key.includes("ifname") ? [attribute(13, KEY_ORDER)] : []),
  ])

/** A key, and for a map its value, as bytes; `end` is the first key behind an interval. */
export interface Element {
  readonly key: Uint8Array
  readonly value?: Uint8Array
  readonly end?: true
}

const elements = (table: string, set: string, list: readonly Element[]): readonly Uint8Array[] => [
  attribute(1, text(table)),
  attribute(2, text(set)),
  nested(
    3,
    list.map((one, at) =>
      nested(at + 1, [
        value(1, one.key),
        ...(one.value ? [value(2, one.value)] : []),
        ...(one.end ? [attribute(3, be32(NFT_SET_ELEM_INTERVAL_END))] : []),
      ]),
    ),
  ),
]

/** What is there already is no error if its value is the same, else EEXIST. ENOENT: no such table or set. */
export const addElements = (table: string, set: string, list: readonly Element[]): Uint8Array =>
  nft("newElement", NLM_F_CREATE, elements(table, set, list))
/** ENOENT: one of them is not there, and then none of the batch goes. */
export const deleteElements = (table: string, set: string, list: readonly Element[]): Uint8Array =>
  nft("delElement", 0, elements(table, set, list))

/** Bytes of a key or value of several parts: each padded to 4. */
export const concatenated = (parts: readonly Uint8Array[]): Uint8Array =>
  joined(parts.map((part) => joined([part, new Uint8Array(-part.length & 3)])))

/** The name of an interface, in 16 bytes. */
export function ifname(name: string): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes.set(text(name))
  return bytes
}
