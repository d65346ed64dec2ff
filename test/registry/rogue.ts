/**
 * A registry that misbehaves on order: one image, served by the rules but for one row.
 *
 *     using rogue = await newRogue({ blob: "drops" })
 *     rogue.host   →   "127.0.0.1:41234"
 */

import { createHash } from "node:crypto"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

export const digestOf = (bytes: Uint8Array): string => `sha256:${createHash("sha256").update(bytes).digest("hex")}`

export const LAYER: Uint8Array = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 7919) & 255)
export const CONFIG: Uint8Array = Buffer.from(
  JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [digestOf(LAYER)] } }),
)
export const LAYER_DESCRIPTOR = {
  mediaType: "application/vnd.oci.image.layer.v1.tar",
  digest: digestOf(LAYER),
  size: LAYER.length,
}
const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
export const MANIFEST: Uint8Array = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digestOf(CONFIG), size: CONFIG.length },
    layers: [LAYER_DESCRIPTOR],
  }),
)

type Handler = (asked: IncomingMessage, answer: ServerResponse, seen: number) => void

export interface Rogue extends Disposable {
  readonly host: string
  /** Method, path and what else matters of each question but the first one of all, which asks for the protocol. */
  readonly asked: readonly string[]
}

/** @param wrong takes over the questions whose path has this word. `seen`: how often it was asked before. */
export async function newRogue(wrong: Readonly<Record<string, Handler>> = {}): Promise<Rogue> {
  const asked: string[] = []
  const seen: Record<string, number> = {}
  const server = createServer((question, answer) => {
    const { url = "", method } = question
    answer.on("error", () => {})
    if (url === "/v2/" && !("/v2/" in wrong)) return void answer.end("{}")
    const { authorization, range } = question.headers
    asked.push([method, url, authorization, range].filter(Boolean).join(" "))
    for (const [word, handler] of Object.entries(wrong)) {
      if (!url.includes(word)) continue
      seen[word] = (seen[word] ?? -1) + 1
      return handler(question, answer, seen[word])
    }
    serve(question, answer)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    [Symbol.dispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}

/** By the rules, ranges included. */
export function serve(question: IncomingMessage, answer: ServerResponse): void {
  const { url = "" } = question
  if (url.includes("/manifests/")) {
    answer.writeHead(200, { "content-type": MANIFEST_TYPE, "docker-content-digest": digestOf(MANIFEST) })
    return void answer.end(MANIFEST)
  }
  const blob = [LAYER, CONFIG].find((bytes) => url.endsWith(digestOf(bytes)))
  if (!blob) return void answer.writeHead(404).end('{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown"}]}')
  const from = /^bytes=(\d+)-/.exec(question.headers.range ?? "")?.[1]
  if (from === undefined) return void answer.writeHead(200, { "content-length": blob.length }).end(blob)
  const rest = blob.subarray(Number(from))
  answer.writeHead(206, {
    "content-range": `bytes ${from}-${blob.length - 1}/${blob.length}`,
    "content-length": rest.length,
  })
  answer.end(rest)
}
