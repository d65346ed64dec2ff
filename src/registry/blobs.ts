/**
 * Blobs: the bytes that descriptors name, down and up.
 *
 *     down   GET, Range: bytes=FROM-   206 from there on; 200: the server knows no ranges, and what we have is skipped;
 *                                      416: there is nothing behind FROM
 *     up     HEAD ── there ──▶ done
 *            POST uploads/?mount=…&from=… ── 201 ──▶ done, without a byte
 *                 └ 202, Location ──▶ PATCH, PATCH … ──▶ PUT ?digest=…
 *
 * Read on: registry.ts, who promises what to whom.
 */

import type { Hash } from "node:crypto"
import { EngineError } from "../base/errors.ts"
import type { Descriptor } from "../model/image.ts"
import { familiar, type Reference } from "../model/reference.ts"
import { send } from "./client.ts"
import { hashFor } from "./digest.ts"
import { type Answer, failed, headerOf } from "./http.ts"
import { refusal, type Session, wrongDigest } from "./refusals.ts"

export interface FetchOptions {
  /** How many bytes of it the caller has. */
  readonly from?: number
  /** Has seen those bytes, and will see the others. Absent with `from` above 0: the caller proves the digest itself. */
  readonly hash?: Hash
}

export interface PushOptions {
  /** A repository of the same registry that has it, perhaps. */
  readonly mountFrom?: string
  /** Sent in pieces of so many bytes, each acknowledged; absent: in one. */
  readonly chunkBytes?: number
}

/** As Registry.fetchBlob. */
export async function* fetchBlob(
  session: Session,
  reference: Reference,
  descriptor: Descriptor,
  { from = 0, hash: seen }: FetchOptions,
): AsyncGenerator<Uint8Array> {
  const { digest, size } = descriptor
  const hash = seen ?? (from === 0 ? hashFor(digest) : undefined)
  const what = `${digest.slice(0, 19)} of ${familiar(reference)}`
  let at = from
  let failures = 0
  while (at < size) {
    const before = at
    try {
      const answer = await ask(session, reference, descriptor, at)
      for await (const piece of rest(answer, at)) {
        at += piece.length
        if (at > size)
          throw new EngineError(
            "DIGEST_MISMATCH",
            `cannot use ${what}: ${answer.url.host} sends more than its ${size} bytes`,
          )
        hash?.update(piece)
        // The last piece is handed out below, once all is proved.
        if (at < size) yield piece
        else if (hash && `${digest.slice(0, 6)}:${hash.copy().digest("hex")}` !== digest)
          throw wrongDigest(what, answer.url, digest, `${digest.slice(0, 6)}:${hash.digest("hex")}`)
        else yield piece
      }
      if (at < size && at === before) throw failed(answer.url, `it ends ${what} after ${at} of ${size} bytes`)
    } catch (error) {
      // Broken off after some bytes: taken up again from there. Without any, it was tried often enough.
      const broken = error instanceof EngineError && error.code === "REGISTRY_UNREACHABLE" && at > before
      if (!broken || ++failures >= session.means.limits.tries) throw error
    }
  }
  if (size === 0 && hash && from === 0 && `${digest.slice(0, 6)}:${hash.digest("hex")}` !== digest)
    throw new EngineError("DIGEST_MISMATCH", `cannot use ${what}: it is empty, and its digest is not that of nothing`)
}

async function ask(
  session: Session,
  reference: Reference,
  { digest, size, urls }: Descriptor,
  at: number,
): Promise<Answer> {
  const headers: Record<string, string> = {
    "accept-encoding": "identity",
    ...(at > 0 && { range: `bytes=${at}-${size - 1}` }),
  }
  const answer = await session.ask(reference, "GET", `blobs/${digest}`, "pull", { headers })
  if (answer.status === 200 || answer.status === 206) return answer
  if (answer.status === 416) {
    answer.discard()
    throw failed(answer.url, `it has no more of ${digest.slice(0, 19)} than ${at} bytes, and there should be ${size}`)
  }
  if (answer.status !== 404 || !urls) throw await refusal(answer, reference)
  answer.discard()
  // A foreign layer. Strangers get no credentials, and what they send is proved like everything else.
  for (const url of urls.slice(0, 10).flatMap((one) => URL.parse(one) ?? [])) {
    if (url.protocol !== "https:") continue
    const there = await send(session.means, { method: "GET", url, headers })
    if (there.status === 200 || there.status === 206) return there
    there.discard()
  }
  throw await refusal({ ...answer, body: nothing }, reference)
}
async function* nothing(): AsyncGenerator<Uint8Array> {}

/** What an answer has behind `at`, whether it begins there or at the start. */
async function* rest(answer: Answer, at: number): AsyncGenerator<Uint8Array> {
  let skip = at
  if (answer.status === 206) {
    const start = /^bytes (\d{1,16})-/.exec(headerOf(answer, "content-range") ?? "")?.[1]
    if (start === undefined || Number(start) > at) {
      answer.discard()
      throw failed(
        answer.url,
        `it was asked for bytes from ${at} on, and sends ${start === undefined ? "it does not say which" : `those from ${start} on`}`,
      )
    }
    skip = at - Number(start)
  }
  for await (const piece of answer.body()) {
    const kept = piece.subarray(Math.min(skip, piece.length))
    skip -= piece.length - kept.length
    if (kept.length > 0) yield kept
  }
}

/** As Registry.pushBlob. */
export async function pushBlob(
  session: Session,
  reference: Reference,
  descriptor: Descriptor,
  open: () => AsyncIterable<Uint8Array>,
  { mountFrom, chunkBytes }: PushOptions,
): Promise<"exists" | "mounted" | "pushed"> {
  const { digest, size } = descriptor
  const ask = (
    ...[method, path, more]: [Parameters<Session["ask"]>[1], string | URL, Parameters<Session["ask"]>[4]?]
  ) => session.ask(reference, method, path, "pull,push", more)
  const there = await ask("HEAD", `blobs/${digest}`)
  there.discard()
  if (there.status === 200) return "exists"
  const query = mountFrom === undefined ? "" : `?${new URLSearchParams({ mount: digest, from: mountFrom })}`
  const started = await ask("POST", `blobs/uploads/${query}`, { body: new Uint8Array() })
  if (started.status === 201) {
    started.discard()
    return "mounted"
  }
  if (started.status !== 202) throw await refusal(started, reference, "push")
  let location = locationOf(started)
  const patch = async (body: Uint8Array | AsyncIterable<Uint8Array>, length: number, range?: string): Promise<void> => {
    const headers = {
      "content-type": "application/octet-stream",
      "content-length": String(length),
      ...(range && { "content-range": range }),
    }
    const answer = await ask("PATCH", location, { headers, body })
    if (answer.status !== 202 && answer.status !== 204) throw await refusal(answer, reference, "push")
    location = locationOf(answer)
  }
  if (chunkBytes === undefined) await patch(open(), size)
  else {
    let at = 0
    for await (const chunk of chunks(open(), chunkBytes)) {
      await patch(chunk, chunk.length, `${at}-${at + chunk.length - 1}`)
      at += chunk.length
    }
  }
  location.searchParams.set("digest", digest)
  const ended = await ask("PUT", location, { body: new Uint8Array() })
  if (ended.status !== 201 && ended.status !== 204) throw await refusal(ended, reference, "push")
  ended.discard()
  return "pushed"
}

function locationOf(answer: Answer): URL {
  answer.discard()
  const location = headerOf(answer, "location")
  const url = location === undefined ? null : URL.parse(location, answer.url.href)
  if (!url || (url.protocol !== "https:" && url.protocol !== "http:"))
    throw failed(answer.url, "it does not say where to upload to")
  if (url.protocol === "http:" && answer.url.protocol === "https:")
    throw failed(answer.url, "it wants uploads without encryption")
  return url
}

/** The same bytes in pieces of one size; the last may be shorter. */
async function* chunks(bytes: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = []
  let length = 0
  for await (let piece of bytes) {
    while (length + piece.length >= size) {
      yield Buffer.concat([...held, piece.subarray(0, size - length)])
      piece = piece.subarray(size - length)
      held = []
      length = 0
    }
    held.push(piece)
    length += piece.length
  }
  if (length > 0) yield Buffer.concat(held)
}
