/**
 * Routes: where this machine sends what, as /proc says it: which ranges of addresses are spoken for, and by which interface the world is reached.
 *
 *     /proc/net/route     Iface Destination Gateway Flags RefCnt Use Metric Mask MTU …     numbers in hexadecimal, bytes reversed
 *
 * Looked at only by a container that gets a network. @see Linux net/ipv4/fib_trie.c, fib_route_seq_show
 */

import { readFileSync } from "node:fs"
import type { Subnet } from "../base/ip.ts"

export interface Routes {
  /** Ranges that lead somewhere, but the one that is everything. */
  readonly ranges: readonly Subnet[]
  /** Bytes of the greatest packet on the way out. */
  readonly mtu: number
}

/** What there is where nothing else is said: Ethernet's. */
const MTU = 1500

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

const reversed = (hexadecimal: string): number =>
  Number.parseInt((hexadecimal.match(/../g) ?? []).reverse().join("") || "0", 16)
const bits = (mask: number): number => [...mask.toString(2)].filter((bit) => bit === "1").length

export function readRoutes(): Routes {
  const rows = textOf("/proc/net/route")
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((row) => row.length >= 8)
  const out = rows.find(([, destination, , , , , , mask]) => destination === "00000000" && mask === "00000000")?.[0]
  const mtu = out === undefined ? Number.NaN : Number.parseInt(textOf(`/sys/class/net/${out}/mtu`), 10)
  return {
    ranges: rows
      .map(([, destination = "", , , , , , mask = ""]) => ({
        base: reversed(destination),
        prefix: bits(reversed(mask)),
      }))
      .filter(({ prefix }) => prefix > 0),
    mtu: mtu >= 68 ? mtu : MTU,
  }
}

/** Whether this host passes packets on between its interfaces. */
export const forwards = (): boolean => textOf("/proc/sys/net/ipv4/ip_forward").trim() !== "0"

/** Ports that some socket of this host has, whatever its address. */
export const portsOfHost = (protocol: "tcp" | "udp" | "sctp"): ReadonlySet<number> =>
  new Set(
    [`/proc/net/${protocol}`, `/proc/net/${protocol}6`].flatMap((path) =>
      textOf(path)
        .split("\n")
        .flatMap((line) => {
          const port = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) /.exec(line)?.[1]
          return port === undefined ? [] : [Number.parseInt(port, 16)]
        }),
    ),
  )
