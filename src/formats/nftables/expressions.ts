/**
 * nf_tables expressions: a rule is a small program over registers, and each of these is one instruction.
 *
 *     payload meta fib ct   load something of the packet into a register
 *     bitwise cmp lookup    compare; a miss ends the rule
 *     immediate             a value, or a verdict
 *     nat masq              change where the packet goes, or whom it is from
 *
 * Registers: 1 to 4 are of 16 bytes; the same memory as sixteen of 4 bytes is 8 to 23. What is loaded one after another into these
 * is a key of several parts: each part begins at a multiple of 4 bytes.
 *
 * Read on: batch.ts. Linux include/uapi/linux/netfilter/nf_tables.h.
 */

import { attribute, be32, joined, nested, text } from "../netlink/message.ts"

export type Expression = Uint8Array

const NFTA_EXPR = { name: 1, data: 2 } as const
const expression = (name: string, data: readonly Uint8Array[]): Expression =>
  joined([attribute(NFTA_EXPR.name, text(name)), nested(NFTA_EXPR.data, data)])

/** A value as an attribute: NFTA_DATA_VALUE. */
export const value = (type: number, bytes: Uint8Array): Uint8Array => nested(type, [attribute(1, bytes)])

const META = { iifname: 6, oifname: 7, nfproto: 15, l4proto: 16 } as const
const BASE = { network: 1, transport: 2 } as const
const VERDICT = { drop: 0, accept: 1, jump: -3 } as const

export const meta = (key: keyof typeof META, register: number): Expression =>
  expression("meta", [attribute(2, be32(META[key])), attribute(1, be32(register))])

export const payload = (base: keyof typeof BASE, offset: number, length: number, register: number): Expression =>
  expression("payload", [
    attribute(1, be32(register)),
    attribute(2, be32(BASE[base])),
    attribute(3, be32(offset)),
    attribute(4, be32(length)),
  ])

/** The kind of the destination address by the routing table: RTN_LOCAL is 2, one of this host's own. */
export const fibDestinationType = (register: number): Expression =>
  expression("fib", [attribute(1, be32(register)), attribute(2, be32(3)), attribute(3, be32(2))])
export const RTN_LOCAL = new Uint8Array([2, 0, 0, 0])

const CT = { state: 0, status: 2 } as const
/** Loads flags of the connection, in the machine's order. */
export const ct = (key: keyof typeof CT, register: number): Expression =>
  expression("ct", [attribute(2, be32(CT[key])), attribute(1, be32(register))])
/** ESTABLISHED and RELATED of `ct state`; IPS_DST_NAT of `ct status`. */
export const CT_KNOWN = new Uint8Array([6, 0, 0, 0])
export const CT_DNAT = new Uint8Array([32, 0, 0, 0])

/** register = register & mask */
export const mask = (register: number, bits: Uint8Array): Expression =>
  expression("bitwise", [
    attribute(1, be32(register)),
    attribute(2, be32(register)),
    attribute(3, be32(bits.length)),
    value(4, bits),
    value(5, new Uint8Array(bits.length)),
  ])

export const cmp = (operator: "==" | "!=", register: number, bytes: Uint8Array): Expression =>
  expression("cmp", [attribute(1, be32(register)), attribute(2, be32(operator === "==" ? 0 : 1)), value(3, bytes)])

/** In a set; with `to`, in a map, whose value goes there. `not`: the rule goes on if it is not in it. */
export const lookup = (set: string, from: number, { to, not }: { to?: number; not?: true } = {}): Expression =>
  expression("lookup", [
    attribute(1, text(set)),
    attribute(2, be32(from)),
    ...(to === undefined ? [] : [attribute(3, be32(to))]),
    ...(not ? [attribute(5, be32(1))] : []),
  ])

/** @param chain where `jump` goes. */
export const verdict = (word: keyof typeof VERDICT, chain?: string): Expression =>
  expression("immediate", [
    attribute(1, be32(0)),
    nested(2, [
      nested(2, [attribute(1, be32(VERDICT[word])), ...(chain === undefined ? [] : [attribute(2, text(chain))])]),
    ]),
  ])

/** `dnat ip to`: an IPv4 address and a port, from two registers. */
export const dnat = (address: number, port: number): Expression =>
  expression("nat", [
    attribute(1, be32(1)),
    attribute(2, be32(2)),
    attribute(3, be32(address)),
    attribute(5, be32(port)),
  ])

export const masquerade = (): Expression => expression("masq", [])
