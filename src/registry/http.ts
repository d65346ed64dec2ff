/**
 * One exchange over HTTP/1.1: a question, an answer, and every way in which the other side can keep us waiting.
 *
 *     connect ──▶ send ──▶ headers ──▶ body
 *     connectMs   idleMs   headersMs   idleMs between two pieces, and leastRate over all the time that we waited
 *
 * Time counts only while we wait for the peer: whoever reads a body slowly is not the registry's fault. No body is held: it comes in
 * pieces, and a caller that stops reading closes the connection. Connections are kept for the next question to the same peer.
 *
 * Read on: client.ts, redirects and second tries; proxy.ts.
 * @see RFC 9110, RFC 9112
 */

import type { ClientRequest, Agent as HttpAgent, IncomingMessage, RequestOptions } from "node:http"
import type { Socket } from "node:net"
import { EngineError } from "../base/errors.ts"

export interface Limits {
  readonly connectMs: number
  /** From the end of the question to the first line of the answer: a registry may have to hash what it was sent. */
  readonly headersMs: number
  /** Between two pieces. */
  readonly idleMs: number
  /** Bytes a second, over every `rateMs` of waiting. */
  readonly leastRate: number
  readonly rateMs: number
  readonly redirects: number
  /** Of one question, the first included. */
  readonly tries: number
  /** The first pause between two tries; each further one is twice as long. */
  readonly pauseMs: number
  /** The longest that a registry's Retry-After is followed. */
  readonly longestPauseMs: number
}
export const LIMITS: Limits = {
  connectMs: 15_000,
  headersMs: 60_000,
  idleMs: 60_000,
  leastRate: 512,
  rateMs: 30_000,
  redirects: 10,
  tries: 5,
  pauseMs: 250,
  longestPauseMs: 60_000,
}

/** How a host is spoken to. */
export interface Peer {
  /** PEM texts, besides the authorities that the system trusts. */
  readonly authorities?: readonly string[]
  readonly certificate?: string
  readonly key?: string
  /** Whoever answers is believed. */
  readonly unverified?: boolean
  /** `http://[user:password@]host:port`. */
  readonly proxy?: URL
}

export interface Ask {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "PATCH"
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>
}

export interface Answer {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  /** What was asked in the end, after redirects. */
  readonly url: URL
  /** Can be read once. @throws {EngineError} `REGISTRY_UNREACHABLE`, `REGISTRY_FAILED` */
  body(): AsyncGenerator<Uint8Array>
  /** Lets go of it unread. */
  discard(): void
}

export const headerOf = ({ headers }: Pick<Answer, "headers">, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === "string" ? value : value?.join(", ")
}

export interface Transport {
  exchange(ask: Ask, peer: Peer): Promise<Answer>
  /** Ends the connections that are kept. */
  close(): void
}

const SLOW = Symbol("too slow")

export function makeTransport(limits: Limits): Transport {
  const { Agent, request } = process.getBuiltinModule("node:http")
  const https = process.getBuiltinModule("node:https")
  const agents = new Map<string, HttpAgent>()
  const keep = { keepAlive: true, maxFreeSockets: 8 }

  /** One for each way to speak to a host. A certificate that one host may use is never shown to another. */
  function agentFor(url: URL, peer: Peer): HttpAgent {
    const secure = url.protocol === "https:"
    const id = JSON.stringify([secure, url.host, peer])
    const known = agents.get(id)
    if (known) return known
    const agent = secure ? new https.Agent({ ...keep, ...tlsOf(peer) }) : new Agent(keep)
    if (secure && peer.proxy) {
      const tunnel = (options: RequestOptions, done: (error: Error | null, socket?: Socket) => void): undefined => {
        connectThrough(peer.proxy!, url, limits).then(
          (socket) => {
            const tls = process.getBuiltinModule("node:tls")
            const servername = isAddress(url.hostname) ? {} : { servername: url.hostname }
            done(null, tls.connect({ ...tlsOf(peer), ...servername, socket }))
          },
          (error: Error) => done(error),
        )
        void options
      }
      Object.assign(agent, { createConnection: tunnel })
    }
    agents.set(id, agent)
    return agent
  }

  return {
    async exchange(ask, peer) {
      const { url, method, body } = ask
      const secure = url.protocol === "https:"
      // A plain question goes to the proxy itself, with the whole address.
      const via = secure ? undefined : peer.proxy
      const target = via ?? url
      const headers: Record<string, string> = { ...ask.headers, host: url.host }
      if (via) Object.assign(headers, proxyAuthorization(via))
      if (body instanceof Uint8Array) headers["content-length"] = String(body.length)
      const options: RequestOptions = {
        agent: agentFor(url, peer),
        method,
        headers,
        hostname: bare(target.hostname),
        port: target.port || (target.protocol === "https:" ? 443 : 80),
        path: via ? url.href : `${url.pathname}${url.search}`,
      }
      const asked = secure ? https.request(options) : request(options)
      const answer = await answered(asked, ask, limits)
      return {
        status: answer.statusCode ?? 0,
        headers: answer.headers,
        url,
        body: () => pieces(answer, url, limits),
        discard: () => void answer.destroy(),
      }
    },
    close: () => {
      for (const agent of agents.values()) agent.destroy()
    },
  }
}

/** Node reads `[::1]` only without its brackets. */
const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, "")
const isAddress = (hostname: string): boolean => /^[\d.]+$|^\[/.test(hostname)

function tlsOf({ authorities, certificate, key, unverified }: Peer) {
  const { rootCertificates } = process.getBuiltinModule("node:tls")
  return {
    ...(authorities && { ca: [...rootCertificates, ...authorities] }),
    ...(certificate !== undefined && { cert: certificate }),
    ...(key !== undefined && { key }),
    ...(unverified && { rejectUnauthorized: false }),
  }
}

function proxyAuthorization({ username, password }: URL): Record<string, string> {
  if (username === "" && password === "") return {}
  const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return { "proxy-authorization": `Basic ${Buffer.from(pair).toString("base64")}` }
}

/** A tunnel through a proxy to a host's TLS. */
function connectThrough(proxy: URL, to: URL, { connectMs }: Limits): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  const secure = proxy.protocol === "https:"
  const { request } = secure ? process.getBuiltinModule("node:https") : process.getBuiltinModule("node:http")
  const path = `${to.hostname}:${to.port || 443}`
  const asked = request({
    method: "CONNECT",
    hostname: bare(proxy.hostname),
    port: proxy.port || (secure ? 443 : 80),
    path,
    agent: false,
    headers: { host: path, ...proxyAuthorization(proxy) },
  })
  const timer = setTimeout(() => asked.destroy(tooSlow(`the proxy ${proxy.host} did not answer`, connectMs)), connectMs)
  asked.on("connect", (answer, socket) => {
    clearTimeout(timer)
    if (answer.statusCode === 200) return resolve(socket)
    socket.destroy()
    reject(failed(to, `the proxy ${proxy.host} answered ${answer.statusCode}`, "see HTTPS_PROXY and NO_PROXY"))
  })
  asked.on("error", (error) => {
    clearTimeout(timer)
    reject(unreachable(to, error, proxy))
  })
  asked.end()
  return promise
}

const tooSlow = (what: string, ms: number): Error =>
  Object.assign(new Error(`${what} within ${ms / 1000} s`), { code: SLOW })

async function answered(asked: ClientRequest, { url, body }: Ask, limits: Limits): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  promise.catch(() => {})
  let timer: NodeJS.Timeout | undefined
  const within = (ms: number, what: string): void => {
    clearTimeout(timer)
    timer = setTimeout(() => asked.destroy(tooSlow(what, ms)), ms)
  }
  asked.on("error", reject)
  asked.on("response", resolve)
  within(limits.connectMs, "no connection was made")
  asked.on("socket", (socket) => {
    const ready = (): void => {
      if (asked.writableFinished || body === undefined) within(limits.headersMs, "it did not answer")
      else within(limits.idleMs, "it took nothing of what was sent")
    }
    if (!socket.connecting && asked.reusedSocket) ready()
    else socket.once(url.protocol === "https:" ? "secureConnect" : "connect", ready)
  })
  asked.on("finish", () => asked.reusedSocket && within(limits.headersMs, "it did not answer"))
  try {
    if (body instanceof Uint8Array) asked.end(body)
    else if (body === undefined) asked.end()
    else await sendAll(asked, body, promise, () => within(limits.idleMs, "it took nothing of what was sent"))
    if (body !== undefined && !(body instanceof Uint8Array)) within(limits.headersMs, "it did not answer")
    return await promise
  } catch (error) {
    asked.destroy()
    throw error instanceof EngineError ? error : unreachable(url, error)
  } finally {
    clearTimeout(timer)
  }
}

/** Sends piece by piece, as fast as the peer takes them; stops if it has answered already. */
async function sendAll(
  asked: ClientRequest,
  body: AsyncIterable<Uint8Array>,
  answer: Promise<unknown>,
  moved: () => void,
): Promise<void> {
  let over = false
  const end = answer.then(
    () => {
      over = true
    },
    () => {
      over = true
    },
  )
  for await (const piece of body) {
    if (over) return
    moved()
    if (!asked.write(piece)) await Promise.race([new Promise((resolve) => asked.once("drain", resolve)), end])
  }
  asked.end()
}

async function* pieces(answer: IncomingMessage, url: URL, limits: Limits): AsyncGenerator<Uint8Array> {
  const from = answer[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  let waitedMs = 0
  let bytes = 0
  try {
    for (;;) {
      const began = performance.now()
      const { idleMs } = limits
      const timer = setTimeout(() => answer.destroy(tooSlow("nothing more came", idleMs)), idleMs)
      const next = await from.next().finally(() => clearTimeout(timer))
      if (next.done) break
      waitedMs += performance.now() - began
      bytes += next.value.length
      if (waitedMs >= limits.rateMs) {
        if (bytes < (limits.leastRate * waitedMs) / 1000)
          throw failed(
            url,
            `it sends less than ${limits.leastRate} bytes a second`,
            "try again later, or another mirror",
          )
        waitedMs = 0
        bytes = 0
      }
      yield next.value
    }
    if (!answer.complete) throw new Error("aborted")
  } catch (error) {
    throw error instanceof EngineError ? error : unreachable(url, error)
  } finally {
    // A body that was read to its end leaves the connection for the next question.
    if (!answer.complete) answer.destroy()
  }
}

export const failed = (url: URL, cause: string, hint?: string): EngineError =>
  new EngineError("REGISTRY_FAILED", `cannot use the registry at ${url.host}: ${cause}`, hint)

const CERTIFICATE_HINT = (url: URL) =>
  `put its authority's certificate into /etc/docker/certs.d/${url.host}/ca.crt, or name it with --insecure-registry ${url.host}`
const NETWORK_HINT = "see whether the name is right, the network is up, and a proxy is needed (HTTPS_PROXY)"

/** What Node and OpenSSL call it: what that means, and what to do. */
const CAUSES: Readonly<Record<string, readonly [cause: string, hint?: (url: URL) => string]>> = {
  ECONNREFUSED: ["nobody listens there", () => "see whether the registry runs, and the port is right"],
  ENOTFOUND: ["no such host", () => NETWORK_HINT],
  EAI_AGAIN: ["the name server does not answer", () => NETWORK_HINT],
  ENETUNREACH: ["there is no way to that network", () => NETWORK_HINT],
  EHOSTUNREACH: ["there is no way to that host", () => NETWORK_HINT],
  ETIMEDOUT: ["it does not answer", () => NETWORK_HINT],
  ECONNRESET: ["it broke off"],
  EPIPE: ["it broke off"],
  HPE_INVALID_CONSTANT: ["it does not speak HTTP"],
  HPE_HEADER_OVERFLOW: ["its headers are larger than 16 KiB"],
  EPROTO: ["it does not speak TLS", (url) => `if it is meant to, name it with --insecure-registry ${url.host}`],
  ERR_SSL_WRONG_VERSION_NUMBER: [
    "it does not speak TLS",
    (url) => `if it is meant to, name it with --insecure-registry ${url.host}`,
  ],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["nobody that we trust has signed its certificate", CERTIFICATE_HINT],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["nobody that we trust has signed its certificate", CERTIFICATE_HINT],
  SELF_SIGNED_CERT_IN_CHAIN: ["nobody that we trust has signed its certificate", CERTIFICATE_HINT],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["it has signed its certificate itself", CERTIFICATE_HINT],
  CERT_HAS_EXPIRED: ["its certificate has expired", CERTIFICATE_HINT],
  ERR_TLS_CERT_ALTNAME_INVALID: ["its certificate is for another name", CERTIFICATE_HINT],
}

/** Any failure on the way, as a sentence. The code of the system stays in `cause`. */
export function unreachable(url: URL, error: unknown, proxy?: URL): EngineError {
  const { code, message } = error as { readonly code?: unknown; readonly message?: string }
  const where = proxy ? `${url.host} through the proxy ${proxy.host}` : url.host
  const row = typeof code === "string" && Object.hasOwn(CAUSES, code) ? CAUSES[code] : undefined
  const cause = row?.[0] ?? (message === "aborted" ? "it broke off" : (message ?? String(error)))
  const kind = code === SLOW ? "REGISTRY_FAILED" : "REGISTRY_UNREACHABLE"
  return new EngineError(kind, `cannot reach the registry at ${where}: ${cause}`, row?.[1]?.(url), { cause: error })
}
