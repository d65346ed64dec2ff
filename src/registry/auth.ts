/**
 * Proof of who asks: Basic, or a token from whom the registry names.
 *
 *     GET /v2/…  ──▶ 401, WWW-Authenticate: Bearer realm, service, scope
 *     GET realm?service=…&scope=repository:x:pull   Basic user:password, if there is one     ──▶ { token, expires_in }
 *     GET /v2/…  Authorization: Bearer token ──▶ 200
 *
 * A token is kept for its scope until shortly before it expires. A second 401 is final: there is nobody to ask any more. Passwords go
 * to a token server only by the same protection as to the registry itself: never in clear if that one speaks TLS.
 *
 * Read on: challenge.ts, credentials.ts. https://distribution.github.io/distribution/spec/auth/
 */

import { EngineError } from "../base/errors.ts"
import { readJson } from "../model/image-guards.ts"
import { mismatch, record, text, whole } from "../model/shape.ts"
import { parseChallenges } from "./challenge.ts"
import { type Means, readAll, send } from "./client.ts"
import type { Credentials } from "./credentials.ts"
import { type Answer, type Ask, failed, headerOf } from "./http.ts"

const CLIENT = "minicontainer"
const MOST_ANSWER = 256 * 1024
/** What the protocol says of a token that does not tell. */
const USUAL_SECONDS = 60
/** So much earlier a token counts as expired: questions take time. */
const EARLY_MS = 5_000

const TOKEN = record({
  token: text,
  access_token: text,
  expires_in: whole(0, Number.MAX_SAFE_INTEGER),
  refresh_token: text,
})

export interface Auth {
  /** Asks with whatever proof the registry wants. @throws {EngineError} `REGISTRY_DENIED` if none will do. */
  ask(ask: Ask, scope: string): Promise<Answer>
}

/** @param find looks for credentials; called once, when a registry first asks for them. */
export function makeAuth(means: Means, host: string, find: () => Promise<Credentials | undefined>): Auth {
  const kept = new Map<string, { readonly header: string; readonly untilMs: number }>()
  let found: Promise<Credentials | undefined> | undefined
  const credentials = (): Promise<Credentials | undefined> => {
    found ??= find()
    return found
  }
  return {
    async ask(ask, scope) {
      const before = kept.get(scope)
      const valid = before && before.untilMs > means.now() ? before.header : undefined
      const first = await send(means, { ...ask, headers: { ...ask.headers, ...(valid && { authorization: valid }) } })
      if (first.status !== 401) return first
      first.discard()
      const header = headerOf(first, "www-authenticate") ?? ""
      // From another host, a 401 has nothing to do with us: a store behind the registry has refused its own link.
      if (first.url.host !== ask.url.host)
        throw denied(first, host, scope, "the place that it redirects to answers 401")
      if (ask.body !== undefined && !(ask.body instanceof Uint8Array))
        throw denied(first, host, scope, "it forgot who we are in mid-upload", "push again")
      const proof = await proved(header, ask.url, scope)
      kept.set(scope, proof)
      const second = await send(means, { ...ask, headers: { ...ask.headers, authorization: proof.header } })
      if (second.status !== 401) return second
      kept.delete(scope)
      second.discard()
      throw denied(
        second,
        host,
        scope,
        (await credentials()) ? "it does not take our credentials" : "it wants to know who asks",
      )
    },
  }

  async function proved(header: string, url: URL, scope: string) {
    const challenges = parseChallenges(header)
    const bearer = challenges.find(({ scheme, parameters }) => scheme === "bearer" && parameters.realm)
    if (bearer) return token(bearer.parameters, url, scope)
    const basic = challenges.some(({ scheme }) => scheme === "basic")
    const known = await credentials()
    if (basic && known?.kind === "password") return { header: basicOf(known), untilMs: Number.POSITIVE_INFINITY }
    if (basic) throw deniedAt(url, host, "it wants to know who asks")
    throw failed(url, "it answers 401, and does not say what it wants (no Basic or Bearer challenge)")
  }

  async function token(
    { realm = "", service, scope: theirs }: Readonly<Record<string, string>>,
    url: URL,
    scope: string,
  ) {
    const server = URL.parse(realm)
    if (!server || (server.protocol !== "https:" && server.protocol !== "http:"))
      throw failed(url, "the token server that it names is no address of the web")
    if (server.protocol === "http:" && url.protocol === "https:")
      throw failed(url, `it sends us to the token server ${server.host} without encryption`)
    const known = await credentials()
    const wanted = scope || theirs || ""
    const answer = await send(means, known?.kind === "token" ? posted(server, known.token) : got(server, known))
    if (answer.status === 401 || answer.status === 403) {
      answer.discard()
      throw denied(
        answer,
        host,
        scope,
        known
          ? `the token server ${server.host} does not take our credentials`
          : `the token server ${server.host} wants to know who asks`,
      )
    }
    if (answer.status !== 200) {
      answer.discard()
      throw failed(url, `its token server ${server.host} answers ${answer.status}`)
    }
    const document = readJson(
      await readAll(answer, MOST_ANSWER, "the token"),
      `the token of ${server.host}`,
      MOST_ANSWER,
    )
    const wrong = mismatch(TOKEN, document)
    const { token, access_token, expires_in } = document as Readonly<{
      token?: string
      access_token?: string
      expires_in?: number
    }>
    const value = token || access_token
    if (wrong || !value || !/^[\x21-\x7e]+$/.test(value))
      throw failed(
        url,
        `its token server ${server.host} answers without a token that could be sent${wrong ? `: ${wrong}` : ""}`,
      )
    const seconds = Math.max(expires_in ?? USUAL_SECONDS, USUAL_SECONDS)
    return { header: `Bearer ${value}`, untilMs: means.now() + seconds * 1000 - EARLY_MS }

    function got(to: URL, who: Exclude<Credentials, { kind: "token" }> | undefined): Ask {
      const asked = new URL(to)
      if (service) asked.searchParams.set("service", service)
      for (const one of wanted.split(" ").filter(Boolean)) asked.searchParams.append("scope", one)
      if (who) asked.searchParams.set("account", who.user)
      return { method: "GET", url: asked, headers: who ? { authorization: basicOf(who) } : {} }
    }
    function posted(to: URL, refresh: string): Ask {
      const fields = new URLSearchParams({ grant_type: "refresh_token", client_id: CLIENT, refresh_token: refresh })
      if (service) fields.set("service", service)
      if (wanted) fields.set("scope", wanted)
      return {
        method: "POST",
        url: to,
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: Buffer.from(fields.toString()),
      }
    }
  }
}

const basicOf = ({ user, password }: { readonly user: string; readonly password: string }): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`

const denied = (answer: Answer, host: string, scope: string, cause: string, hint?: string): EngineError =>
  deniedAt(answer.url, host, `${cause}${scope ? ` (${scope})` : ""}`, hint)

export const deniedAt = (
  url: URL,
  host: string,
  cause: string,
  hint = `minicontainer login ${host}, or see whether the name is right`,
) => new EngineError("REGISTRY_DENIED", `cannot use the registry at ${url.host}: ${cause}`, hint)
