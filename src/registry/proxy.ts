/**
 * Proxies: through whom a host is reached, as the environment says.
 *
 *     https://…   HTTPS_PROXY, else ALL_PROXY          NO_PROXY: names, suffixes, addresses, CIDR ranges, each perhaps with :port;
 *     http://…    HTTP_PROXY, else ALL_PROXY           `*` for all. This machine itself is never reached through one.
 *
 * Names in lower case count as well, and first, as with curl. The door hands the environment in.
 * @see Go's golang.org/x/net/http/httpproxy, which Docker follows
 */

import { EngineError } from "../base/errors.ts"

export type Environment = Readonly<Record<string, string | undefined>>

/** @throws {EngineError} `INVALID_VALUE` for a proxy that is none. */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  const scheme = url.protocol === "https:" ? "https_proxy" : "http_proxy"
  const value = named(env, scheme) || named(env, "all_proxy")
  if (!value || isOwn(url.hostname) || excluded(url, named(env, "no_proxy") ?? "")) return undefined
  const proxy = URL.parse(value.includes("://") ? value : `http://${value}`)
  if (proxy && (proxy.protocol === "http:" || proxy.protocol === "https:")) return proxy
  throw new EngineError(
    "INVALID_VALUE",
    `cannot use the proxy that ${scheme.toUpperCase()} names: it is no http:// or https:// address`,
  )
}

const named = (env: Environment, name: string): string | undefined => env[name] || env[name.toUpperCase()]

/** localhost, 127.0.0.0/8, ::1. */
export const isOwn = (hostname: string): boolean =>
  hostname === "localhost" || hostname === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(hostname)

function excluded(url: URL, list: string): boolean {
  const host = url.hostname.toLowerCase().replace(/^\[|\]$/g, "")
  const port = url.port || (url.protocol === "https:" ? "443" : "80")
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)
    .some((entry) => {
      if (entry === "*") return true
      const [, bracketed, plain, itsPort] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d+))?$/.exec(entry) ?? []
      if (itsPort !== undefined && itsPort !== port) return false
      const name = (bracketed ?? plain ?? "").replace(/^\*?\./, ".")
      if (name.includes("/")) return inRange(host, name)
      return name.startsWith(".") ? host.endsWith(name) : host === name || host.endsWith(`.${name}`)
    })
}

function inRange(host: string, range: string): boolean {
  const [base = "", bits = ""] = range.split("/")
  const [a, b] = [ipv4(host), ipv4(base)]
  if (a === undefined || b === undefined || !/^\d+$/.test(bits) || Number(bits) > 32) return false
  const size = 2 ** (32 - Number(bits))
  return Math.floor(a / size) === Math.floor(b / size)
}
function ipv4(text: string): number | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0)
}
