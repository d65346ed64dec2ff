/**
 * A registry's client: what other rooms ask of it.
 *
 *     resolve     reference, platform ──▶ manifest, and the descriptors of all that belongs to it
 *     fetchBlob   descriptor ──▶ bytes, from any offset on, proved at the end
 *     pushBlob    is it there? mount it from another repository? else upload it
 *     pushManifest, tags, login
 *
 * Nothing is believed that is not proved: whatever has a digest is held against it, whatever has a size may not be longer or shorter.
 * Two questions may be asked at once; how many is the caller's choice.
 *
 * Read on: auth.ts, client.ts, http.ts, hosts.ts; blobs.ts, uploads.
 * @see https://github.com/opencontainers/distribution-spec spec.md
 */

import { EngineError } from "../base/errors.ts"
import {
  type Descriptor,
  DOCKER_INDEX,
  DOCKER_MANIFEST,
  type Index,
  type Manifest,
  OCI_INDEX,
  OCI_MANIFEST,
  type Platform,
} from "../model/image.ts"
import { MOST_CONFIG, MOST_MANIFEST, readJson, readManifest } from "../model/image-guards.ts"
import { choosePlatform, platformText } from "../model/platform.ts"
import { canonical, familiar, isDigest, type Reference } from "../model/reference.ts"
import { list, mismatch, record, text } from "../model/shape.ts"
import { type Auth, deniedAt, makeAuth } from "./auth.ts"
import { type FetchOptions, fetchBlob, type PushOptions, pushBlob } from "./blobs.ts"
import { type Means, readAll, send } from "./client.ts"
import { type Credentials, findCredentials } from "./credentials.ts"
import { digestOf } from "./digest.ts"
import { askedHost, type HostOptions, isInsecure, peerOf } from "./hosts.ts"
import { failed, headerOf, LIMITS, type Limits, makeTransport } from "./http.ts"
import { refusal, type Session, wrongDigest } from "./refusals.ts"

export interface RegistryOptions extends HostOptions {
  now(): number
  /** From 0 up to 1. */
  random(): number
  readonly limits?: Partial<Limits>
  /** Instead of what the files know. */
  readonly credentials?: Credentials
}

/** A document as it came: its bytes are what its digest is of. */
export interface Document {
  readonly digest: string
  readonly mediaType: string
  readonly bytes: Uint8Array
}

export interface Resolved extends Document {
  readonly manifest: Manifest
  /** What led to the manifest, outermost first; empty if the reference names the manifest itself. */
  readonly indexes: readonly Document[]
}

export interface Registry {
  /**
   * The manifest that a reference means for a platform.
   * @throws {EngineError} `IMAGE_NOT_FOUND`, also if there is none for the platform; `INVALID_IMAGE`, `UNSUPPORTED`, `DIGEST_MISMATCH`, `REGISTRY_…`.
   */
  resolve(reference: Reference, platform: Platform): Promise<Resolved>
  /** What a reference names, whatever its platform: a manifest or an index. */
  fetchManifest(reference: Reference): Promise<Document>
  /** A small blob as a whole: a configuration. @throws {EngineError} `DIGEST_MISMATCH` */
  fetchSmall(reference: Reference, descriptor: Descriptor, most?: number): Promise<Uint8Array>
  /**
   * The bytes of a blob from an offset on; a connection that breaks is taken up again where it broke.
   * The last piece comes only after the digest has been proved, if `from` is 0 or `hash` knows what is before it.
   */
  fetchBlob(reference: Reference, descriptor: Descriptor, options?: FetchOptions): AsyncGenerator<Uint8Array>
  /** @param open the bytes, from the start; called once for each try. */
  pushBlob(
    reference: Reference,
    descriptor: Descriptor,
    open: () => AsyncIterable<Uint8Array>,
    options?: PushOptions,
  ): Promise<"exists" | "mounted" | "pushed">
  /** @returns the digest. All blobs that it names must be there. */
  pushManifest(reference: Reference, bytes: Uint8Array, mediaType: string): Promise<string>
  tags(reference: Reference): Promise<readonly string[]>
  /** Whether a host takes these credentials. @throws {EngineError} `REGISTRY_DENIED` if not. */
  login(host: string, credentials: Credentials): Promise<void>
  /** Ends the connections that are kept. */
  close(): void
}

const ACCEPT = [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST].join(", ")
/** Indexes within indexes. */
const MOST_INDEXES = 4
const MOST_PAGES = 1000
const MOST_PAGE = 4 * 1024 * 1024

export function openRegistry(options: RegistryOptions): Registry {
  const limits = { ...LIMITS, ...options.limits }
  const transport = makeTransport(limits)
  const means: Means = {
    transport,
    limits,
    peer: (url) => peerOf(url, options),
    now: options.now,
    random: options.random,
  }
  const bases = new Map<string, Promise<URL>>()
  const auths = new Map<string, Auth>()

  /** Where a host's API begins. Which protocol an insecure one speaks is tried once. */
  function base(host: string): Promise<URL> {
    let known = bases.get(host)
    if (!known) {
      known = findBase(host)
      bases.set(host, known)
      // A host that could not be reached once may be there later.
      known.catch(() => bases.delete(host))
    }
    return known
  }
  async function findBase(host: string): Promise<URL> {
    const url = new URL(`https://${askedHost(host)}/v2/`)
    if (!isInsecure(host, options)) return url
    try {
      const answer = await transport.exchange({ method: "GET", url, headers: {} }, means.peer(url))
      answer.discard()
      return url
    } catch (error) {
      if (!speaksNoTls(error)) throw error
      return new URL(`http://${askedHost(host)}/v2/`)
    }
  }
  function auth(host: string, repository: string): Auth {
    const name = `${host}/${repository}`
    const known = auths.get(name)
    if (known) return known
    const find = async () => options.credentials ?? (await findCredentials(host, repository, options.env))
    const made = makeAuth(means, host, find)
    auths.set(name, made)
    return made
  }
  const session: Session = {
    means,
    async ask(reference, method, path, actions, more = {}) {
      const { host, repository } = reference
      const at = await base(host)
      const url = path instanceof URL ? path : new URL(`${repository}/${path}`, at)
      // An upload may go on at another host, which gets no proof of who we are.
      if (url.origin !== at.origin) return send(means, { method, url, headers: {}, ...more })
      return auth(host, repository).ask({ method, url, headers: {}, ...more }, `repository:${repository}:${actions}`)
    },
  }

  async function fetchManifest(reference: Reference): Promise<Document> {
    const name = reference.digest ?? reference.tag!
    const answer = await session.ask(reference, "GET", `manifests/${name}`, "pull", { headers: { accept: ACCEPT } })
    if (answer.status !== 200) throw await refusal(answer, reference)
    const bytes = await readAll(answer, MOST_MANIFEST, `the manifest of ${familiar(reference)}`)
    const said = headerOf(answer, "docker-content-digest")
    for (const digest of [reference.digest, said]) {
      if (digest === undefined || (digest === said && !isDigest(digest))) continue
      const real = digestOf(bytes, digest)
      if (real !== digest) throw wrongDigest(`the manifest of ${familiar(reference)}`, answer.url, digest, real)
    }
    const mediaType = (headerOf(answer, "content-type") ?? "").split(";", 1)[0]!.trim()
    return { digest: reference.digest ?? digestOf(bytes), mediaType, bytes }
  }

  return {
    fetchManifest,
    async resolve(reference, platform) {
      const indexes: Document[] = []
      let at: Reference = reference
      for (;;) {
        const what = `the manifest of ${familiar(at)}`
        const document = await fetchManifest(at)
        const read = readManifest(document.bytes, document.mediaType || undefined, what)
        if (read.kind === "manifest")
          return {
            ...document,
            mediaType: typeOf(document, read.manifest, OCI_MANIFEST),
            manifest: read.manifest,
            indexes,
          }
        indexes.push({ ...document, mediaType: typeOf(document, read.index, OCI_INDEX) })
        if (indexes.length > MOST_INDEXES)
          throw new EngineError(
            "INVALID_IMAGE",
            `cannot read the image ${familiar(reference)}: its indexes lead to more than ${MOST_INDEXES} others`,
          )
        const chosen = choosePlatform(read.index.manifests, platform)
        if (!chosen) throw noPlatform(reference, platform, read.index)
        at = { host: reference.host, repository: reference.repository, digest: chosen.digest }
      }
    },
    fetchBlob: (reference, descriptor, more = {}) => fetchBlob(session, reference, descriptor, more),
    async fetchSmall(reference, descriptor, most = MOST_CONFIG) {
      if (descriptor.size > most)
        throw new EngineError(
          "INVALID_IMAGE",
          `cannot fetch ${descriptor.digest} of ${familiar(reference)}: it has ${descriptor.size} bytes, and ${most} are the most`,
        )
      return Buffer.concat(await Array.fromAsync(fetchBlob(session, reference, descriptor, {})))
    },
    pushBlob: (reference, descriptor, open, more = {}) => pushBlob(session, reference, descriptor, open, more),
    async pushManifest(reference, bytes, mediaType) {
      const digest = digestOf(bytes, reference.digest)
      const more = { headers: { "content-type": mediaType }, body: bytes }
      const answer = await session.ask(reference, "PUT", `manifests/${reference.tag ?? digest}`, "pull,push", more)
      if (answer.status !== 201) throw await refusal(answer, reference, "push")
      answer.discard()
      const said = headerOf(answer, "docker-content-digest")
      if (said !== undefined && isDigest(said) && said !== digestOf(bytes, said))
        throw wrongDigest(canonical(reference), answer.url, digest, said)
      return digest
    },
    async tags(reference) {
      const all: string[] = []
      let path: string | URL = "tags/list"
      for (let page = 0; page < MOST_PAGES; page++) {
        const answer = await session.ask(reference, "GET", path, "pull")
        if (answer.status !== 200) throw await refusal(answer, reference)
        const what = `the list of tags of ${familiar(reference)}`
        const document = readJson(await readAll(answer, MOST_PAGE, what), what, MOST_PAGE)
        const wrong = mismatch(record({ tags: list(text) }), document)
        if (wrong) throw failed(answer.url, `${what} cannot be read: ${wrong}`)
        all.push(...((document as { readonly tags?: readonly string[] }).tags ?? []))
        const next = /<([^>]{1,4096})>\s*;\s*rel="?next"?/.exec(headerOf(answer, "link") ?? "")?.[1]
        if (next === undefined) break
        const url: URL | null = URL.parse(next, answer.url.href)
        if (url?.origin !== answer.url.origin) throw failed(answer.url, "its list of tags goes on at another host")
        path = url
      }
      return all
    },
    async login(host, credentials) {
      const url = await base(host)
      const answer = await makeAuth(means, host, async () => credentials).ask({ method: "GET", url, headers: {} }, "")
      answer.discard()
      if (answer.status === 403)
        throw deniedAt(url, host, "it does not take our credentials", "see whether user and password are right")
      if (answer.status !== 200)
        throw failed(
          url,
          `it answers ${answer.status} to a question that every registry answers`,
          "see whether a registry runs there",
        )
    },
    close: () => transport.close(),
  }
}

const typeOf = (
  { mediaType }: Document,
  { mediaType: own }: { readonly mediaType?: string },
  otherwise: string,
): string => own ?? (ACCEPT.includes(mediaType) && mediaType !== "" ? mediaType : otherwise)

/** What a plain registry answers to a handshake, or nobody at all. */
function speaksNoTls(error: unknown): boolean {
  const { code } = ((error as EngineError).cause ?? {}) as { readonly code?: unknown }
  return typeof code === "string" && /^(ERR_SSL_|EPROTO$|ECONNREFUSED$|ECONNRESET$)/.test(code)
}

function noPlatform(reference: Reference, platform: Platform, { manifests }: Index): EngineError {
  const offered = [
    ...new Set(manifests.flatMap(({ platform: one }) => (one && one.os !== "unknown" ? [platformText(one)] : []))),
  ]
  return new EngineError(
    "IMAGE_NOT_FOUND",
    `cannot find ${familiar(reference)} for ${platformText(platform)}: it is made for ${offered.slice(0, 12).join(", ") || "no platform that it names"}`,
    "choose one with --platform",
  )
}
