/**
 * What a registry may do to whoever asks it, a row each: it ends in a sentence, or in the right bytes.
 */

import { afterEach, describe, expect, test } from "bun:test"
import { parseReference } from "../../src/model/reference.ts"
import type { Limits } from "../../src/registry/http.ts"
import { openRegistry, type Registry } from "../../src/registry/registry.ts"
import { CONFIG, digestOf, LAYER, LAYER_DESCRIPTOR, MANIFEST, newRogue, type Rogue, serve } from "./rogue.ts"

type Wrong = NonNullable<Parameters<typeof newRogue>[0]>

const QUICK: Partial<Limits> = {
  connectMs: 500,
  headersMs: 300,
  idleMs: 300,
  rateMs: 200,
  pauseMs: 1,
  tries: 4,
  longestPauseMs: 2000,
}
const AMD64 = { os: "linux", architecture: "amd64" }
const open: Registry[] = []
afterEach(() => {
  for (const registry of open.splice(0)) registry.close()
})
function client(more: Partial<Parameters<typeof openRegistry>[0]> = {}): Registry {
  const registry = openRegistry({
    env: {},
    certificates: [],
    limits: QUICK,
    now: () => Date.now(),
    random: () => 0.5,
    ...more,
  })
  open.push(registry)
  return registry
}
const nameAt = ({ host }: Pick<Rogue, "host">) => parseReference(`${host}/x:1`)

async function pull(rogue: Rogue, more: Parameters<typeof client>[0] = {}, from = 0): Promise<Buffer> {
  const registry = client(more)
  const resolved = await registry.resolve(nameAt(rogue), AMD64)
  expect(resolved.digest).toBe(digestOf(MANIFEST))
  expect(Buffer.from(await registry.fetchSmall(nameAt(rogue), resolved.manifest.config))).toEqual(Buffer.from(CONFIG))
  return Buffer.concat(await Array.fromAsync(registry.fetchBlob(nameAt(rogue), LAYER_DESCRIPTOR, { from })))
}
const layerPath = LAYER_DESCRIPTOR.digest

const good = (name: string, wrong: Wrong, look: (rogue: Rogue) => void = () => {}, from = 0) =>
  test(`${name}: the right bytes come all the same`, async () => {
    using rogue = await newRogue(wrong)
    expect((await pull(rogue, {}, from)).equals(Buffer.from(LAYER.subarray(from)))).toBe(true)
    look(rogue)
  })
const bad = (name: string, wrong: Wrong, code: string, cause: string, more: Parameters<typeof client>[0] = {}) =>
  test(`${name}: ${code}, ${cause}`, async () => {
    using rogue = await newRogue(wrong)
    const error = await pull(rogue, more).then(
      () => ({ code: "none", message: "it came" }),
      (told) => told as { code: string; message: string },
    )
    expect(error.message).toContain(cause)
    expect(error.code).toBe(code)
  })

describe("what may be mended", () => {
  good("nothing wrong", {})
  good("500 twice, then fine", { manifests: (q, a, seen) => (seen < 2 ? void a.writeHead(500).end() : serve(q, a)) })
  good("429 with seconds", {
    manifests: (q, a, seen) => (seen < 1 ? void a.writeHead(429, { "retry-after": "0" }).end() : serve(q, a)),
  })
  good("429 with a date that has passed", {
    manifests: (q, a, seen) =>
      seen < 1 ? void a.writeHead(429, { "retry-after": new Date(0).toUTCString() }).end() : serve(q, a),
  })
  good("a redirect", {
    manifests: (q, a, seen) =>
      seen < 1 ? void a.writeHead(307, { location: "/v2/x/manifests/1?again" }).end() : serve(q, a),
  })
  good("resumed in the middle", {}, (rogue) => expect(rogue.asked.at(-1)).toEndWith("bytes=1000-299999"), 1000)
  good("resumed, but it knows no ranges", { [layerPath]: (_, a) => void a.end(LAYER) }, undefined, 1000)
  good(
    "it drops the connection in mid-blob",
    {
      [layerPath]: (q, a, seen) => {
        if (seen > 0) return serve(q, a)
        a.writeHead(200, { "content-length": LAYER.length })
        a.write(LAYER.subarray(0, 100_000), () => a.destroy())
      },
    },
    (rogue) => expect(rogue.asked.at(-1)).toMatch(/bytes=[1-9]\d*-299999$/),
  )
  good("it drops the connection in mid-blob, and knows no ranges", {
    [layerPath]: (_, a, seen) => {
      a.writeHead(200, { "content-length": LAYER.length })
      if (seen > 0) a.end(LAYER)
      else a.write(LAYER.subarray(0, 100_000), () => a.destroy())
    },
  })
})

const other = (bytes: Uint8Array): Uint8Array => bytes.map((byte, at) => (at === 5 ? byte ^ 1 : byte))

describe("what may not", () => {
  bad("it hangs before an answer", { manifests: () => {} }, "REGISTRY_FAILED", "it did not answer within 0.3 s")
  bad(
    "it hangs in mid-blob",
    { [layerPath]: (_, a) => void a.writeHead(200).write("x") },
    "REGISTRY_FAILED",
    "nothing more came within 0.3 s",
  )
  bad(
    "one byte at a time",
    {
      [layerPath]: (_, a) => {
        a.writeHead(200)
        const timer = setInterval(() => a.write("x"), 20)
        a.on("close", () => clearInterval(timer))
      },
    },
    "REGISTRY_FAILED",
    "it sends less than 512 bytes a second",
  )
  bad(
    "another digest than asked for",
    { [layerPath]: (_, a) => void a.end(other(LAYER)) },
    "DIGEST_MISMATCH",
    "sent bytes whose digest is sha256:",
  )
  bad(
    "another digest than it says",
    { manifests: (_, a) => void a.writeHead(200, { "docker-content-digest": digestOf(CONFIG) }).end(MANIFEST) },
    "DIGEST_MISMATCH",
    "the manifest of 127.0.0.1:",
  )
  bad(
    "a blob that is too long",
    { [layerPath]: (_, a) => void a.end(Buffer.concat([LAYER, LAYER])) },
    "DIGEST_MISMATCH",
    "sends more than its 300000 bytes",
  )
  bad(
    "a blob that always ends early",
    { [layerPath]: (_, a) => void a.end(new Uint8Array()) },
    "REGISTRY_FAILED",
    "after 0 of 300000 bytes",
  )
  bad(
    "a Content-Length that is a lie",
    {
      [layerPath]: (_, a) => {
        a.writeHead(200, { "content-length": LAYER.length })
        a.write(new Uint8Array(0))
        a.flushHeaders()
        a.destroy()
      },
    },
    "REGISTRY_UNREACHABLE",
    "it broke off",
  )
  bad(
    "a manifest of 100 MB, announced",
    { manifests: (_, a) => void a.writeHead(200, { "content-length": 100_000_000 }).write("x") },
    "REGISTRY_FAILED",
    "has more than 4194304 bytes",
  )
  bad(
    "a manifest without end",
    {
      manifests: (_, a) => {
        const more = (): void => {
          while (a.write(Buffer.alloc(65536, 32)));
          a.once("drain", more)
        }
        more()
      },
    },
    "REGISTRY_FAILED",
    "has more than 4194304 bytes",
  )
  bad(
    "a manifest that is a page for people",
    { manifests: (_, a) => void a.writeHead(200, { "content-type": "text/html" }).end("<html>") },
    "INVALID_IMAGE",
    "it is not JSON",
  )
  bad(
    "401 for ever, Basic",
    { manifests: (_, a) => void a.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end() },
    "REGISTRY_DENIED",
    "it wants to know who asks",
  )
  bad(
    "401 for ever, with credentials",
    { manifests: (_, a) => void a.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end() },
    "REGISTRY_DENIED",
    "it does not take our credentials",
    {
      credentials: { kind: "password", user: "u", password: "p" },
    },
  )
  bad(
    "401 without a challenge",
    { manifests: (_, a) => void a.writeHead(401).end() },
    "REGISTRY_FAILED",
    "does not say what it wants",
  )
  bad(
    "a token server without encryption would be told to https only, so to http it may",
    { manifests: (_, a) => void a.writeHead(401, { "www-authenticate": 'Bearer realm="ftp://x"' }).end() },
    "REGISTRY_FAILED",
    "no address of the web",
  )
  bad(
    "redirects for ever",
    { manifests: (_, a) => void a.writeHead(302, { location: "/v2/x/manifests/1" }).end() },
    "REGISTRY_FAILED",
    "it redirects more than 10 times",
  )
  bad(
    "a redirect to a file",
    { manifests: (_, a) => void a.writeHead(302, { location: "file:///etc/passwd" }).end() },
    "REGISTRY_FAILED",
    "no address of the web",
  )
  bad(
    "429 for a day",
    { manifests: (_, a) => void a.writeHead(429, { "retry-after": "86400" }).end() },
    "REGISTRY_FAILED",
    "it has been asked too often, and wants to be left alone for 86400 s",
  )
  bad(
    "503 for ever",
    { manifests: (_, a) => void a.writeHead(503).end() },
    "REGISTRY_FAILED",
    "it answers 503 to a pull of",
  )
  bad(
    "no such image",
    {
      manifests: (_, a) =>
        void a.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'),
    },
    "IMAGE_NOT_FOUND",
    "has no such image: manifest unknown",
  )
  bad(
    "headers without end",
    { manifests: (_, a) => void a.writeHead(200, { "x-long": "x".repeat(100_000) }).end() },
    "REGISTRY_UNREACHABLE",
    "cannot reach the registry at",
  )
  test("nobody there", async () => {
    const gone = await newRogue()
    gone[Symbol.dispose]()
    await expect(client().resolve(nameAt(gone), AMD64)).rejects.toThrow(
      /^cannot reach the registry at 127\.0\.0\.1:\d+: nobody listens there$/,
    )
  })
})

describe("tokens", () => {
  const BASIC = { kind: "password", user: "u", password: "p" } as const
  /** A registry that wants the token "good", and a token server that answers so. */
  const guarded = (token: (asked: string, seen: number) => string): Wrong => ({
    "/token": (q, a, seen) => void a.end(token(`${q.method} ${q.url} ${q.headers.authorization ?? "nobody"}`, seen)),
    "/v2/x/": (q, a) => {
      if (q.headers.authorization === "Bearer good") return serve(q, a)
      a.writeHead(401, { "www-authenticate": `Bearer realm="http://${q.headers.host}/token",service="s"` }).end()
    },
  })
  test("one token serves a whole pull, and the password goes to the token server alone", async () => {
    using rogue = await newRogue(guarded(() => '{"token":"good","expires_in":300}'))
    expect((await pull(rogue, { credentials: BASIC })).length).toBe(LAYER.length)
    const basic = rogue.asked.filter((line) => line.includes("Basic"))
    expect(basic).toEqual(["GET /token?service=s&scope=repository%3Ax%3Apull&account=u Basic dTpw"])
  })
  test("a token that has been taken back is asked for anew, once", async () => {
    using rogue = await newRogue(guarded((_, seen) => (seen === 0 ? '{"token":"old"}' : '{"access_token":"good"}')))
    await expect(pull(rogue)).rejects.toThrow("it wants to know who asks (repository:x:pull)")
    expect(rogue.asked.filter((line) => line.includes("/token"))).toHaveLength(1)
  })
  for (const [name, lie, cause] of [
    ["no token", "{}", "answers without a token"],
    ["a token with a line break in it", '{"token":"a\\r\\nX: y"}', "answers without a token"],
    ["a token that is a number", '{"token":1}', "token is not a text"],
    ["no JSON", "<html>", "it is not JSON"],
    ["a token of 1 MB", JSON.stringify({ token: "x".repeat(1_000_000) }), "has more than 262144 bytes"],
  ] as const)
    test(`a token server that answers with ${name} is refused`, async () => {
      using rogue = await newRogue(guarded(() => lie))
      await expect(pull(rogue)).rejects.toThrow(cause)
    })
  test("an identity token is exchanged by POST", async () => {
    using rogue = await newRogue(
      guarded((asked) => (asked.startsWith("POST /token nobody") ? '{"access_token":"good"}' : "{}")),
    )
    expect((await pull(rogue, { credentials: { kind: "token", token: "t" } })).length).toBe(LAYER.length)
  })
  test("another host that a redirect leads to sees no authorization", async () => {
    using store = await newRogue()
    using rogue = await newRogue({
      "/blobs/": (q, a) => void a.writeHead(307, { location: `http://${store.host}${q.url}` }).end(),
      "/v2/x/": (q, a) =>
        q.headers.authorization ? serve(q, a) : void a.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end(),
    })
    expect((await pull(rogue, { credentials: BASIC })).length).toBe(LAYER.length)
    expect(rogue.asked.at(-1)).toContain("Basic dTpw")
    expect(store.asked.length).toBe(2)
    expect(store.asked.join()).not.toContain("Basic")
  })
})
