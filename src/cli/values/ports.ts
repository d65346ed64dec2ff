/**
 * Published ports: `[ADDRESS:][PORT]:PORT[/PROTOCOL]`, and ranges of equal length on both sides.
 *
 *     8080:80    80    127.0.0.1:8080:80/tcp    53:53/udp    9000-9003:8000-8003
 */

import type { PublishedPort } from "../../model/placement.ts"
import { BadValue } from "../flags.ts"
import { ipAddress } from "./names.ts"

const MOST = 1 << 16

function range(text: string): { readonly first: number; readonly last: number } {
  const [, from = "", to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  const [first, last] = [Number(from), Number(to)]
  if (from === "" || first < 1 || last > 65535 || first > last)
    throw new BadValue(
      `"${text}" is no port and no range of ports`,
      "a port is a number from 1 to 65535; a range is 8000-8010",
    )
  return { first, last }
}

/** A host port that is left out is 0: one that is free is chosen. */
export function published(text: string): readonly PublishedPort[] {
  const [, ports = "", word = "tcp"] = /^([^/]*)(?:\/(.*))?$/.exec(text) ?? []
  const protocol = word.toLowerCase()
  if (protocol !== "tcp" && protocol !== "udp" && protocol !== "sctp")
    throw new BadValue(`there is no protocol "${word}"`, "it takes tcp, udp or sctp")
  const bracketed = /^\[(.*)\]:(.*)$/.exec(ports)
  if (bracketed) throw new BadValue("ports of IPv6 addresses are not published", undefined, "UNSUPPORTED")
  const parts = ports.split(":")
  if (parts.length > 3) throw new BadValue("not of the form [ADDRESS:][PORT]:PORT[/PROTOCOL]", "for example 8080:80")
  const [inside = "", outside = "", address = ""] = parts.toReversed()
  const to = range(inside)
  const from = outside === "" ? undefined : range(outside)
  const count = to.last - to.first + 1
  if (from && from.last - from.first + 1 !== count) throw new BadValue("the two ranges have not the same length")
  const hostAddress = address === "" || address === "0.0.0.0" ? undefined : ipAddress(address)
  if (hostAddress?.includes(":"))
    throw new BadValue("ports of IPv6 addresses are not published", undefined, "UNSUPPORTED")
  return Array.from({ length: Math.min(count, MOST) }, (_, at) => ({
    protocol,
    ...(hostAddress !== undefined && { hostAddress }),
    hostPort: from ? from.first + at : 0,
    containerPort: to.first + at,
  }))
}

/** `none`, `host`, or a network's name. */
export function networkName(text: string): string {
  if (text === "default") return "bridge"
  if (text.startsWith("container:"))
    throw new BadValue("joining another container's namespace is not built yet", undefined, "UNSUPPORTED")
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text)) return text
  throw new BadValue("it is no name of a network", "none, host, bridge")
}
