/**
 * Netlink: how a program asks the kernel's network for something. A message is a header, a struct of its kind, and attributes.
 *
 *     nlmsghdr     u32 length  u16 type  u16 flags  u32 sequence  u32 port
 *     the type's own struct: ifinfomsg, ifaddrmsg, rtmsg, nfgenmsg …
 *     attribute    u16 length  u16 type  content, padded to 4      attributes may lie in an attribute (NLA_F_NESTED)
 *
 * Numbers are in the machine's own order, which on all we run on is little-endian; nf_tables wants its own in network order.
 * With NLM_F_ACK the kernel answers a message with an errno, 0 for done.
 *
 * Read on: route.ts, ../nftables/batch.ts. Linux include/uapi/linux/netlink.h, man-pages netlink(7).
 */

export const NLM_F_REQUEST = 0x01
export const NLM_F_ACK = 0x04
export const NLM_F_EXCL = 0x200
export const NLM_F_CREATE = 0x400
const NLA_F_NESTED = 0x8000

/** Bytes one after another. */
export function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

const padded = (length: number): number => (length + 3) & ~3

/** @param content at most 65,531 bytes. */
export function attribute(type: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(padded(4 + content.length))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, 4 + content.length, true)
  view.setUint16(2, type, true)
  bytes.set(content, 4)
  return bytes
}

export const nested = (type: number, content: readonly Uint8Array[]): Uint8Array =>
  attribute(type | NLA_F_NESTED, joined(content))

/** NUL at the end. ASCII: names of interfaces, tables, chains. */
export const text = (value: string): Uint8Array => new Uint8Array([...value].map((c) => c.charCodeAt(0)).concat(0))

export function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

/** In network order. A negative one is its two's complement. */
export function be32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value >>> 0)
  return bytes
}

/** A whole message; its sequence number is 1, since the executor reads all answers of a step before the next. */
export function message(
  type: number,
  flags: number,
  struct: Uint8Array,
  attributes: readonly Uint8Array[],
): Uint8Array {
  const head = new Uint8Array(16)
  const body = joined([struct, ...attributes])
  const view = new DataView(head.buffer)
  view.setUint32(0, 16 + body.length, true)
  view.setUint16(4, type, true)
  view.setUint16(6, flags, true)
  view.setUint32(8, 1, true)
  return joined([head, body])
}
