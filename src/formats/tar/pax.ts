/**
 * PAX records: what an entry says in words of any length.
 *
 *     "30 mtime=1350244992.023960108\n"      length (of all of it), a space, a key, `=`, a value, a newline
 *
 * Values are bytes: an xattr (`SCHILY.xattr.NAME`) may hold any, newlines and zeros too, so only the length says where one ends.
 * libarchive writes xattrs a second time, in base64 (`LIBARCHIVE.xattr.NAME`), with the name in URL form.
 *
 * Read on: read.ts, write.ts. pax(1), "pax Extended Header"; star(4); libarchive tar(5).
 */

import { binary, unbinary } from "./entry.ts"

/** In their order: GNU's sparse maps repeat keys. Both binary. */
export type Records = readonly (readonly [key: string, value: string])[]

/** @throws {RangeError} with the cause alone. */
export function parseRecords(bytes: Uint8Array): Records {
  const records: (readonly [string, string])[] = []
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const digits = space < 0 || space - at > 10 ? "" : binary(bytes.subarray(at, space))
    const length = /^\d+$/.test(digits) ? Number(digits) : 0
    const end = at + length
    if (length < digits.length + 3 || end > bytes.length || bytes[end - 1] !== 0x0a)
      throw new RangeError("a PAX record has a wrong length")
    const equals = bytes.indexOf(0x3d, space)
    if (equals < 0 || equals >= end || equals === space + 1) throw new RangeError("a PAX record has no key")
    records.push([binary(bytes.subarray(space + 1, equals)), binary(bytes.subarray(equals + 1, end - 1))])
    at = end
  }
  return records
}

/** `12.5` → 12 s and 500,000,000 ns. Negative times count down: -0.25 is -1 s and 750,000,000 ns. Undefined if it is no time. */
export function parseTime(text: string): { readonly seconds: number; readonly nanoseconds: number } | undefined {
  const [, sign, whole, fraction = ""] = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text) ?? []
  if (whole === undefined) return undefined
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, "0"))
  const seconds = Number(whole)
  if (!sign) return { seconds, nanoseconds }
  return nanoseconds === 0
    ? { seconds: -seconds || 0, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds }
}

const XATTR = "SCHILY.xattr."
const XATTR_BASE64 = "LIBARCHIVE.xattr."

/** The xattrs among the records; the later of two counts, and a plain one more than one in base64. */
export function xattrsOf(records: ReadonlyMap<string, string>): ReadonlyMap<string, Uint8Array> {
  const xattrs = new Map<string, Uint8Array>()
  for (const [key, value] of records) {
    if (!key.startsWith(XATTR_BASE64)) continue
    const bytes = base64(value)
    if (bytes) xattrs.set(unescaped(key.slice(XATTR_BASE64.length)), bytes)
  }
  for (const [key, value] of records) if (key.startsWith(XATTR)) xattrs.set(key.slice(XATTR.length), unbinary(value))
  return xattrs
}

const unescaped = (name: string): string =>
  name.replaceAll(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)))

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

function base64(text: string): Uint8Array | undefined {
  const digits = text.replace(/=+$/, "")
  const bytes = new Uint8Array((digits.length * 3) >> 2)
  let bits = 0
  let at = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = DIGITS.indexOf(digits[i]!)
    if (digit < 0) return undefined
    bits = ((bits << 6) | digit) & 0xff_ffff
    if (i % 4 !== 0) bytes[at++] = bits >> (6 - 2 * (i % 4))
  }
  return bytes
}

/** One record, with its own length counted in. */
export function record(key: string, value: string): string {
  const rest = key.length + value.length + 3
  let length = rest + String(rest).length
  if (String(length).length > String(rest).length) length = rest + String(length).length
  return `${length} ${key}=${value}\n`
}

export const xattrRecord = (name: string, value: Uint8Array): string => record(`${XATTR}${name}`, binary(value))
