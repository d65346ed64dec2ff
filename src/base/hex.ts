/** Bytes as hexadecimal digits: ids, checksums. */

const DIGITS = "0123456789abcdef"

/** Two digits for each byte. By hand: a start needs one id, and `Buffer` takes 0.2 ms to get ready for its first `toString("hex")`. */
export function hex(bytes: Uint8Array): string {
  let digits = ""
  for (let at = 0; at < bytes.length; at++) digits += DIGITS[bytes[at]! >> 4]! + DIGITS[bytes[at]! & 15]!
  return digits
}
