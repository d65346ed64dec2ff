/**
 * Against a real registry, plain, behind a password, and behind TLS; and what we push, another tool reads.
 */

import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { parseReference } from "../../src/model/reference.ts"
import { openRegistry, type Registry, type RegistryOptions } from "../../src/registry/registry.ts"
import { newReal, type Real } from "./real.ts"
import { CONFIG, digestOf, LAYER, LAYER_DESCRIPTOR, MANIFEST } from "./rogue.ts"

let real: Real
let guarded: Real
beforeAll(async () => {
  real = await newReal()
  guarded = await newReal({ user: ["ann", "secret"], tls: true })
}, 60_000)
afterAll(() => {
  real[Symbol.dispose]()
  guarded[Symbol.dispose]()
})

const TYPE = "application/vnd.oci.image.manifest.v1+json"
const CONFIG_DESCRIPTOR = {
  mediaType: "application/vnd.oci.image.config.v1+json",
  digest: digestOf(CONFIG),
  size: CONFIG.length,
}
const AMD64 = { os: "linux", architecture: "amd64" }
const open = (more: Partial<RegistryOptions> = {}): Registry =>
  openRegistry({ env: {}, certificates: [], now: () => Date.now(), random: Math.random, ...more })
async function* bytesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 70_000) yield bytes.subarray(at, at + 70_000)
}

async function pushAll(registry: Registry, name: string, chunkBytes?: number): Promise<readonly string[]> {
  const reference = parseReference(name)
  const outcomes = [
    await registry.pushBlob(
      reference,
      LAYER_DESCRIPTOR,
      () => bytesOf(LAYER),
      chunkBytes === undefined ? {} : { chunkBytes },
    ),
    await registry.pushBlob(reference, CONFIG_DESCRIPTOR, () => bytesOf(CONFIG)),
  ]
  expect(await registry.pushManifest(reference, MANIFEST, TYPE)).toBe(digestOf(MANIFEST))
  return outcomes
}
async function pullAll(registry: Registry, name: string): Promise<void> {
  const reference = parseReference(name)
  const { digest, manifest } = await registry.resolve(reference, AMD64)
  expect(digest).toBe(digestOf(MANIFEST))
  const layer = Buffer.concat(
    await Array.fromAsync(registry.fetchBlob(reference, manifest.layers[0]!, { from: 12_345 })),
  )
  expect(layer.equals(Buffer.from(LAYER.subarray(12_345)))).toBe(true)
}

test("what was pushed comes back; what is there is not sent again; another repository mounts it", async () => {
  const registry = open()
  const name = `${real.host}/a/b:1`
  expect(await pushAll(registry, name)).toEqual(["pushed", "pushed"])
  expect(await pushAll(registry, name)).toEqual(["exists", "exists"])
  await pullAll(registry, name)
  await pullAll(registry, `${real.host}/a/b@${digestOf(MANIFEST)}`)
  const other = parseReference(`${real.host}/c:1`)
  const mounted = await registry.pushBlob(other, LAYER_DESCRIPTOR, () => bytesOf(LAYER), { mountFrom: "a/b" })
  expect(mounted).toBe("mounted")
  expect(await registry.tags(parseReference(name))).toEqual(["1"])
  registry.close()
})

test("an upload in pieces", async () => {
  const registry = open()
  const name = `${real.host}/pieces:1`
  expect(await pushAll(registry, name, 65_536)).toEqual(["pushed", "pushed"])
  await pullAll(registry, name)
  registry.close()
})

test("a blob that is not what its digest says is refused by the registry", async () => {
  const registry = open()
  const wrong = registry.pushBlob(parseReference(`${real.host}/w:1`), LAYER_DESCRIPTOR, () =>
    bytesOf(LAYER.map((byte) => byte ^ 1)),
  )
  await expect(wrong).rejects.toThrow("it answers 400 to a push of")
  registry.close()
})

test("skopeo reads what we push, and we read what skopeo pushes", async () => {
  const registry = open()
  await pushAll(registry, `${real.host}/peer:1`)
  const skopeo = (...args: string[]) => spawnSync("skopeo", args, { encoding: "utf8" })
  const inspected = skopeo("inspect", "--tls-verify=false", `docker://${real.host}/peer:1`)
  expect([inspected.stderr, (JSON.parse(inspected.stdout || "{}") as { Digest?: string }).Digest]).toEqual([
    "",
    digestOf(MANIFEST),
  ])
  const copy = ["copy", "--insecure-policy", "--src-tls-verify=false", "--dest-tls-verify=false"]
  const copied = skopeo(...copy, `docker://${real.host}/peer:1`, `docker://${real.host}/copied:2`)
  expect([copied.status, copied.stderr]).toEqual([0, ""])
  // It has compressed the layer, so the manifest is another; what is in the layer is the same.
  const reference = parseReference(`${real.host}/copied:2`)
  const { manifest } = await registry.resolve(reference, AMD64)
  expect(manifest.config.digest).toBe(digestOf(CONFIG))
  const layer = Buffer.concat(await Array.fromAsync(registry.fetchBlob(reference, manifest.layers[0]!)))
  expect(gunzipSync(layer).equals(Buffer.from(LAYER))).toBe(true)
  registry.close()
})

test("behind a password and TLS of our own authority", async () => {
  const { host, base, certificates } = guarded
  const file = join(base, "config.json")
  writeFileSync(file, JSON.stringify({ auths: { [host]: { auth: Buffer.from("ann:secret").toString("base64") } } }))
  const registry = open({ certificates: [certificates], env: { DOCKER_CONFIG: base } })
  expect(await pushAll(registry, `${host}/x:1`)).toEqual(["pushed", "pushed"])
  await pullAll(registry, `${host}/x:1`)
  await registry.login(host, { kind: "password", user: "ann", password: "secret" })
  await expect(registry.login(host, { kind: "password", user: "ann", password: "wrong" })).rejects.toThrow(
    "it does not take our credentials",
  )
  registry.close()
  const stranger = open({ certificates: [certificates] })
  await expect(pullAll(stranger, `${host}/x:1`)).rejects.toThrow("it wants to know who asks")
  stranger.close()
})
