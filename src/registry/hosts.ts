/**
 * Hosts: where the registry of a name is, and how it is spoken to.
 *
 *     docker.io       https://registry-1.docker.io
 *     anything else   https://HOST, with the certificates of certs.d/HOST
 *     localhost, 127.0.0.0/8, ::1, and whatever --insecure-registry names: any certificate will do, and if nobody there speaks TLS, no TLS
 *
 *     /etc/docker/certs.d/HOST[:PORT]/     *.crt  authorities, besides the system's
 *     /etc/containers/certs.d/…            *.cert with *.key of the same name: who we are
 *
 * Read on: proxy.ts; registry.ts. docker(1), --insecure-registry; containers-certs.d(5).
 */

import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import { HUB } from "../model/reference.ts"
import type { Peer } from "./http.ts"
import { type Environment, isOwn, proxyFor } from "./proxy.ts"

export interface HostOptions {
  readonly env: Environment
  /** Hosts, with their port if they have one, or ranges like 10.0.0.0/8. */
  readonly insecure?: readonly string[]
  /** The directories certs.d; later ones count more. */
  readonly certificates?: readonly string[]
}
const CERTIFICATES = ["/etc/docker/certs.d", "/etc/containers/certs.d"]

const HUB_HOST = "registry-1.docker.io"

/** The host that is asked for the images of a name's host. */
export const askedHost = (host: string): string => (host === HUB ? HUB_HOST : host)

export function isInsecure(host: string, { insecure = [] }: HostOptions): boolean {
  return insecure.includes(host) || isOwn(new URL(`https://${askedHost(host)}`).hostname)
}

/** @throws {EngineError} `INVALID_VALUE` for a file of certs.d that cannot be used. */
export function peerOf(url: URL, options: HostOptions): Peer {
  const proxy = proxyFor(url, options.env)
  if (url.protocol === "http:") return { ...(proxy && { proxy }) }
  const authorities: string[] = []
  let pair: { readonly certificate: string; readonly key: string } | undefined
  for (const base of options.certificates ?? CERTIFICATES) {
    const directory = join(base, url.host)
    if (!existsSync(directory)) continue
    const names = readdirSync(directory).sort()
    for (const name of names) {
      if (name.endsWith(".crt")) authorities.push(read(join(directory, name)))
      else if (name.endsWith(".cert")) {
        const key = `${name.slice(0, -".cert".length)}.key`
        if (!names.includes(key)) throw unusable(join(directory, name), `${key} is not beside it`)
        pair = { certificate: read(join(directory, name)), key: read(join(directory, key)) }
      }
    }
  }
  return {
    ...(authorities.length > 0 && { authorities }),
    ...pair,
    ...(isInsecure(url.host, options) && { unverified: true }),
    ...(proxy && { proxy }),
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    throw unusable(path, (error as NodeJS.ErrnoException).code ?? String(error))
  }
}
const unusable = (path: string, cause: string): EngineError =>
  new EngineError("INVALID_VALUE", `cannot use the certificate ${path}: ${cause}`)
