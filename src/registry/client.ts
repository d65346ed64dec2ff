/**
 * A question and its second tries: redirects, registries that are busy, connections that break before an answer.
 *
 *     200 … 299, 401, 404, 416 …   the caller's
 *     301 302 303 307 308          followed: without Authorization to another host, never from https to http
 *     429, 500, 502, 503, 504      asked again after a pause: Retry-After, else twice the last one, times 0.5 … 1.5
 *
 * Read on: http.ts, one exchange; registry.ts, who asks.
 */

import type { EngineError } from "../base/errors.ts"
import { type Answer, type Ask, failed, headerOf, type Limits, type Peer, type Transport } from "./http.ts"

/** What a client is given from outside. */
export interface Means {
  readonly transport: Transport
  readonly limits: Limits
  /** How a host is spoken to. */
  peer(url: URL): Peer
  /** Milliseconds since 1970. */
  now(): number
  /** From 0 up to 1. */
  random(): number
}

const REDIRECTS = [301, 302, 303, 307, 308]
const BUSY = [429, 500, 502, 503, 504]

/** Sends it until there is an answer that means something. A body that is a stream is sent once. */
export async function send(means: Means, ask: Ask): Promise<Answer> {
  const { limits } = means
  const repeatable = ask.body === undefined || ask.body instanceof Uint8Array
  let { url } = ask
  const headers: Record<string, string> = { ...ask.headers }
  let redirects = 0
  let failures = 0
  for (;;) {
    let answer: Answer
    try {
      answer = await means.transport.exchange({ ...ask, url, headers }, means.peer(url))
    } catch (error) {
      if (!repeatable || !brokeOff(error) || ++failures >= limits.tries) throw error
      await pause(backOff(means, failures))
      continue
    }
    const { status } = answer
    if (REDIRECTS.includes(status)) {
      answer.discard()
      if (++redirects > limits.redirects) throw failed(ask.url, `it redirects more than ${limits.redirects} times`)
      if (!repeatable || ask.method === "POST")
        throw failed(ask.url, `it redirects a ${ask.method}, which cannot be sent twice`)
      const next = target(answer, url)
      if (next.host !== url.host || next.protocol !== url.protocol) delete headers.authorization
      url = next
    } else if (BUSY.includes(status) && repeatable && ++failures < limits.tries) {
      const wanted = retryAfter(headerOf(answer, "retry-after"), means.now())
      answer.discard()
      if (wanted !== undefined && wanted > limits.longestPauseMs) throw busy(url, status, wanted)
      await pause(wanted ?? backOff(means, failures))
    } else return { ...answer, url }
  }
}

function target(answer: Answer, from: URL): URL {
  const location = headerOf(answer, "location")
  const next = location === undefined || location.length > 8192 ? null : URL.parse(location, from.href)
  if (!next || (next.protocol !== "http:" && next.protocol !== "https:"))
    throw failed(from, `it redirects to ${location === undefined ? "nowhere" : "what is no address of the web"}`)
  if (from.protocol === "https:" && next.protocol === "http:")
    throw failed(from, `it redirects to ${next.host} without encryption`)
  return next
}

/** A connection that broke may have been kept for too long; whatever else went wrong will go wrong again. */
function brokeOff(error: unknown): boolean {
  const { code, message } = ((error as EngineError).cause ?? {}) as {
    readonly code?: string
    readonly message?: string
  }
  return ["ECONNRESET", "EPIPE", "EAI_AGAIN"].includes(code ?? "") || message === "aborted"
}

const backOff = ({ limits, random }: Means, failures: number): number =>
  Math.min(limits.longestPauseMs, limits.pauseMs * 2 ** (failures - 1) * (0.5 + random()))

/** Milliseconds of a Retry-After: seconds, or a date; undefined if it is neither. */
export function retryAfter(text: string | undefined, nowMs: number): number | undefined {
  if (text === undefined) return undefined
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000
  const at = Date.parse(text)
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs)
}

const busy = (url: URL, status: number, ms: number): EngineError =>
  failed(
    url,
    `${status === 429 ? "it has been asked too often" : `it answers ${status}`}, and wants to be left alone for ${Math.ceil(ms / 1000)} s`,
    status === 429 ? "wait; or log in: whoever is known may ask more often" : "wait",
  )

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * The whole body, if it is no larger than `most`.
 * @throws {EngineError} `REGISTRY_FAILED` if it is.
 */
export async function readAll(answer: Answer, most: number, what: string): Promise<Uint8Array> {
  const no = (): EngineError => failed(answer.url, `${what} has more than ${most} bytes`)
  const announced = Number(headerOf(answer, "content-length") ?? 0)
  if (announced > most) {
    answer.discard()
    throw no()
  }
  const read: Uint8Array[] = []
  let bytes = 0
  for await (const piece of answer.body()) {
    bytes += piece.length
    if (bytes > most) throw no()
    read.push(piece)
  }
  return Buffer.concat(read)
}
