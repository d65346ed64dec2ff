/**
 * References: what people call an image, and which image that is.
 *
 *     localhost:5000/team/app:1.2@sha256:9f86…
 *     ──────┬─────── ───┬──── ─┬─ ─────┬──────
 *     host (registry)   │      tag     digest: the very bytes of a manifest; it wins over the tag
 *                       repository
 *
 *     alpine            docker.io/library/alpine:latest       familiar → canonical
 *     team/app          docker.io/team/app:latest             no dot, no colon, not localhost: not a host
 *     localhost/app     localhost/app:latest
 *
 * The rules are Docker's, for short names too: `alpine` means Docker Hub, whatever aliases podman may know on this machine.
 * Read on: image.ts, what a reference leads to; registry/hosts.ts, where its host is.
 * @see https://github.com/distribution/reference, the grammar
 */

import { EngineError } from "../base/errors.ts"
import { shown } from "./shape.ts"

export interface Reference {
  /** A name or an address, and perhaps a port: `docker.io`, `localhost:5000`, `[::1]:5000`. As it was written. */
  readonly host: string
  /** Without the host: `library/alpine`. */
  readonly repository: string
  /** Absent only if there is a digest. */
  readonly tag?: string
  /** `sha256:` or `sha512:` and hexadecimal digits. */
  readonly digest?: string
}

export const HUB = "docker.io"
export const HELLO = `${HUB}/library/hello:latest`
const HUB_NAMES = [HUB, "index.docker.io"]
const LIBRARY = "library/"
const LATEST = "latest"

/** A host of 255, a repository of 255, a tag of 128 and a digest of 135 characters, and what stands between them. */
const MOST_CHARACTERS = 780
const MOST_HOST = 255
const MOST_REPOSITORY = 255

const LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
const HOST = new RegExp(`^(?:${LABEL}(?:\\.${LABEL})*|\\[[0-9A-Fa-f:]+\\])(?::([0-9]{1,5}))?$`)
const REPOSITORY = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/
const TAG = /^\w[\w.-]{0,127}$/
const ID = /^[0-9a-f]{64}$/

/** Digits of each digest that an image may be named by. */
const DIGITS: Readonly<Record<string, number>> = { sha256: 64, sha512: 128 }

/** Whether a text is a digest in its only form: `sha256:` and 64 digits, or `sha512:` and 128, in lower case. */
export function isDigest(text: string): boolean {
  const at = text.indexOf(":")
  const digits = text.slice(at + 1)
  return digits.length === DIGITS[text.slice(0, Math.max(at, 0))] && /^[0-9a-f]+$/.test(digits)
}

const refuse = (text: string, cause: string, hint?: string): EngineError =>
  new EngineError("INVALID_REFERENCE", `cannot read the image name ${shown(text)}: ${cause}`, hint)

/**
 * What a person means by a name. Without tag and digest it is `latest`.
 * @throws {EngineError} `INVALID_REFERENCE`, saying which part is wrong.
 */
export function parseReference(text: string): Reference {
  const no = (cause: string, hint?: string): EngineError => refuse(text, cause, hint)
  if (text === "") throw no("it is empty")
  if (text.length > MOST_CHARACTERS) throw no(`it is longer than ${MOST_CHARACTERS} characters`)
  if (text.includes("://")) throw no("it is a URL", `leave ${shown(text.slice(0, text.indexOf("://") + 3))} out`)
  if (ID.test(text)) throw no("64 hexadecimal digits are an id, and could not be told from one")

  const [named = "", digest, ...more] = text.split("@")
  if (more.length > 0) throw no("it has more than one @")
  if (digest !== undefined && !isDigest(digest))
    throw no(`${shown(digest)} is no digest`, "a digest is sha256: and 64 digits, or sha512: and 128, in lower case")

  const { host, rest } = splitHost(named)
  // The host's own colon is gone, so the first that is left begins the tag.
  const colon = rest.indexOf(":")
  const path = colon < 0 ? rest : rest.slice(0, colon)
  const tag = colon < 0 ? undefined : rest.slice(colon + 1)
  const port = HOST.exec(host)
  if (!port || host.length > MOST_HOST) throw no(`${shown(host)} is no host`)
  if (port[1] !== undefined && !(Number(port[1]) >= 1 && Number(port[1]) <= 65535))
    throw no(`${port[1]} is no port`, "a port is a number from 1 to 65535")
  if (path === "") throw no("it has no repository", host === HUB ? undefined : `write ${host}/NAME`)
  if (path !== path.toLowerCase()) throw no(`the repository ${shown(path)} is not in lower case`)
  const repository = host === HUB && !path.includes("/") ? `${LIBRARY}${path}` : path
  if (repository.length > MOST_REPOSITORY) throw no(`the repository is longer than ${MOST_REPOSITORY} characters`)
  if (!REPOSITORY.test(repository))
    throw no(
      `${shown(path)} is no repository`,
      "it is words of a-z and 0-9, joined by one of . _ __ - and, into a path, by /",
    )
  if (tag !== undefined && !TAG.test(tag))
    throw no(`${shown(tag)} is no tag`, "a tag is up to 128 of A-Z a-z 0-9 _ . -, and does not begin with . or -")
  const chosen = tag ?? (digest === undefined ? LATEST : undefined)
  return { host, repository, ...(chosen !== undefined && { tag: chosen }), ...(digest !== undefined && { digest }) }
}

/**
 * What stands before the first slash is a host if it could not be a part of Docker Hub's names: it has a dot or a colon, is
 * `localhost`, or has an upper-case letter, which a repository cannot have.
 */
function splitHost(named: string): { readonly host: string; readonly rest: string } {
  const slash = named.indexOf("/")
  const first = slash < 0 ? "" : named.slice(0, slash)
  const isHost = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase()
  if (!isHost) return { host: HUB, rest: named }
  return { host: HUB_NAMES.includes(first) ? HUB : first, rest: named.slice(slash + 1) }
}

/** `docker.io/library/alpine`: the name without tag and digest. */
export const repositoryName = ({ host, repository }: Reference): string => `${host}/${repository}`

/** The whole name: `docker.io/library/alpine:latest`. parseReference reads it back as the same reference. */
export const canonical = (reference: Reference): string => `${repositoryName(reference)}${suffix(reference)}`

/** The shortest name that means the same: `alpine:latest`. */
export const familiar = (reference: Reference): string => `${familiarName(reference)}${suffix(reference)}`

/** The same without tag and digest: `alpine`, `team/app`, `localhost:5000/app`: the column REPOSITORY of `images`. */
export function familiarName(reference: Reference): string {
  const { host, repository } = reference
  if (host !== HUB) return repositoryName(reference)
  const short = repository.startsWith(LIBRARY) ? repository.slice(LIBRARY.length) : repository
  // `library/x/y` is a path of its own, and `localhost/x` on Docker Hub would be read as a host.
  if (short.includes("/") && short !== repository) return repository
  return splitHost(short).host === HUB && !ID.test(short) ? short : repositoryName(reference)
}

const suffix = ({ tag, digest }: Reference): string =>
  `${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`
