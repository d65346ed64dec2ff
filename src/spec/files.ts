/**
 * A container's own files: /etc/hosts, /etc/hostname, /etc/resolv.conf.
 *
 * What stands in an image's copies of them was true where the image was built. So the engine writes three small files into
 * the container's directory and binds them over whatever the root file system has:
 *
 *     DIRECTORY/hosts         →  /etc/hosts          localhost, the container's own name, --add-host
 *     DIRECTORY/hostname      →  /etc/hostname
 *     DIRECTORY/resolv.conf   →  /etc/resolv.conf    the host's name servers, or --dns
 *
 * @see hosts(5), resolv.conf(5)
 */

import { EngineError } from "../base/errors.ts"
import type { Request } from "../model/request.ts"

/** The files' names below the container's directory; each is bound to /etc/NAME. */
export const OWN_FILES = ["hosts", "hostname", "resolv.conf"] as const
export type OwnFile = (typeof OWN_FILES)[number]

/** The host's own texts; absent if it has no such file. */
export interface HostFiles {
  readonly resolvConf?: string
  readonly hosts?: string
}

const LOCALHOST = ["127.0.0.1\tlocalhost"]
const LOCALHOST6 = [
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
]

export const isIPv4 = (text: string): boolean => {
  const parts = text.split(".")
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)
}
/** Also with an IPv4 address at the end, and with a zone (`fe80::1%eth0`), which resolv.conf takes. */
export const isIPv6 = (text: string): boolean => {
  const [address = "", zone] = text.split("%", 2)
  if (zone === "" || (zone !== undefined && !/^[\w.-]{1,32}$/.test(zone))) return false
  const halves = address.split("::")
  if (halves.length > 2) return false
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")))
  const all = groups.flat()
  const last = all.at(-1) ?? ""
  const v4 = last.includes(".")
  if (v4 && !isIPv4(last)) return false
  const sixteens = v4 ? all.slice(0, -1) : all
  if (!sixteens.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return false
  const count = sixteens.length + (v4 ? 2 : 0)
  return halves.length === 2 ? count < 8 : count === 8
}
const isLoopback = (address: string): boolean => address.startsWith("127.") || /^(0*:)*:?0*1$/.test(address)

interface Names {
  readonly hostname: string
  readonly domainname?: string
  /** The container's own on its network, if it has one. */
  readonly address?: string | undefined
  /** The host, as its network reaches it: what `host-gateway` stands for. */
  readonly gateway?: string | undefined
}

function hosts(request: Request, files: HostFiles, names: Names, ipv6: boolean): string {
  const added = (request.addHosts ?? []).map(({ name, address: given }) => {
    const address = given === "host-gateway" ? (names.gateway ?? given) : given
    const refuse = (cause: string, hint?: string) =>
      new EngineError("INVALID_VALUE", `cannot add the host ${name}: ${cause}`, hint)
    if (!/^[^\s#]{1,253}$/.test(name)) throw refuse("it is not a host name")
    if (address === "host-gateway") throw refuse("without a network there is no gateway", "give an address")
    if (!isIPv4(address) && !isIPv6(address)) throw refuse(`${address} is not an IP address`)
    return `${address}\t${name}`
  })
  // On the host's network the host's names are as true as on the host.
  const base =
    request.network === "host" ? (files.hosts ?? "").split("\n").filter((line) => line.trim() !== "") : undefined
  // Without an address, the name is on the loopback: a program that looks itself up (sudo does) shall not wait for a time-out.
  const own = names.domainname ? `${names.hostname}.${names.domainname} ${names.hostname}` : names.hostname
  const lines = base ?? [...LOCALHOST, ...(ipv6 ? LOCALHOST6 : []), `${names.address ?? "127.0.1.1"}\t${own}`]
  return `${[...lines, ...added].join("\n")}\n`
}

function resolvConf(request: Request, files: HostFiles): string {
  const ofHost = (files.resolvConf ?? "").split("\n").map((line) => line.trim())
  const keyword = (word: string): readonly string[] => ofHost.filter((line) => new RegExp(`^${word}\\s`).test(line))
  const refuse = (what: string, value: string, cause: string) =>
    new EngineError("INVALID_VALUE", `cannot use the ${what} "${value}": ${cause}`)
  for (const server of request.dns ?? [])
    if (!isIPv4(server) && !isIPv6(server)) throw refuse("name server", server, "it is not an IP address")
  for (const domain of request.dnsSearch ?? [])
    if (!/^(\.|[^\s.][^\s]{0,252})$/.test(domain)) throw refuse("search domain", domain, "it is not a domain name")
  for (const option of request.dnsOptions ?? [])
    if (!/^\S+$/.test(option)) throw refuse("resolver option", option, "it is not one word")

  // A server on the host's loopback is another machine's from inside; only on the host's own network it can be reached.
  const reachable = keyword("nameserver").filter(
    (line) => request.network === "host" || !isLoopback(line.split(/\s+/)[1] ?? ""),
  )
  const servers = request.dns?.length ? request.dns.map((server) => `nameserver ${server}`) : reachable
  // `.` means: no search list at all.
  const domains = (request.dnsSearch ?? []).filter((domain) => domain !== ".")
  const search = request.dnsSearch?.length
    ? domains.length > 0
      ? [`search ${domains.join(" ")}`]
      : []
    : [...keyword("search"), ...keyword("domain")]
  const options = request.dnsOptions?.length ? [`options ${request.dnsOptions.join(" ")}`] : keyword("options")
  return [...servers, ...search, ...options].map((line) => `${line}\n`).join("")
}

/**
 * The texts of a container's own files.
 * @throws {EngineError} `INVALID_VALUE` for an address or a name that is none.
 */
export function ownFiles(
  request: Request,
  files: HostFiles,
  names: Names,
  ipv6: boolean,
): Readonly<Record<OwnFile, string>> {
  return {
    hosts: hosts(request, files, names, ipv6),
    hostname: `${names.hostname}\n`,
    "resolv.conf": resolvConf(request, files),
  }
}
