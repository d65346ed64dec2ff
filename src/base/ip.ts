/**
 * IPv4 addresses and networks as numbers: `10.88.0.5` is 0x0a580005, `10.88.0.0/16` the 65,536 numbers from 0x0a580000.
 *
 * @see RFC 4632, RFC 1918
 */

export interface Subnet {
  /** The first number of it. */
  readonly base: number
  /** 0 … 32. */
  readonly prefix: number
}

/** Undefined if it is none. */
export function addressNumber(text: string): number | undefined {
  const parts = text.split(".")
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256))
    return undefined
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0)
}

export const addressText = (number: number): string => [24, 16, 8, 0].map((bits) => (number >>> bits) & 255).join(".")
export const addressBytes = (number: number): Uint8Array =>
  new Uint8Array([24, 16, 8, 0].map((bits) => (number >>> bits) & 255))

export const sizeOf = ({ prefix }: Subnet): number => 2 ** (32 - prefix)

/** `10.88.0.0/16`; undefined if it is none, also if there are bits behind the prefix. */
export function subnetOf(text: string): Subnet | undefined {
  const [, address = "", length = ""] = /^([\d.]+)\/(\d{1,2})$/.exec(text) ?? []
  const base = addressNumber(address)
  const prefix = Number(length)
  if (base === undefined || length === "" || prefix > 32 || base % 2 ** (32 - prefix) !== 0) return undefined
  return { base, prefix }
}
export const subnetText = ({ base, prefix }: Subnet): string => `${addressText(base)}/${prefix}`

export const contains = (subnet: Subnet, number: number): boolean =>
  number >= subnet.base && number < subnet.base + sizeOf(subnet)
export const overlap = (a: Subnet, b: Subnet): boolean => contains(a, b.base) || contains(b, a.base)
