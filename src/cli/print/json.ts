/**
 * JSON for people and programs: what JSON.stringify cannot say is said in JSON's own words.
 *
 * Bytes become base64 (RFC 4648), big integers become numbers, or strings where a double would change them.
 */

/** @param indent spaces; Docker's documents have 4. Absent: one line. */
export function json(value: unknown, indent?: number): string {
  return JSON.stringify(value, speakable, indent)
}

function speakable(this: unknown, key: string, value: unknown): unknown {
  // Buffer has a toJSON of its own, which has run already: look at what was there before.
  const raw = (this as Record<string, unknown>)[key]
  if (raw instanceof Uint8Array) return Buffer.from(raw).toString("base64")
  if (raw instanceof Map) return Object.fromEntries(raw)
  if (typeof value !== "bigint") return value
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
}
