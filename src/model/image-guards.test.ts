import { expect, test } from "bun:test"
import { DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from "./image.ts"
import { MOST_MANIFEST, readImageConfig, readManifest, repeatedKey } from "./image-guards.ts"

const SHA = `sha256:${"a".repeat(64)}`
const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value))
const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar+gzip", digest: SHA, size: 1 }
const manifest = { schemaVersion: 2, config: { mediaType: OCI_CONFIG, digest: SHA, size: 2 }, layers: [layer] }
const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [SHA] } }

test("a manifest, an index and a configuration are read", () => {
  expect(readManifest(bytes(manifest))).toEqual({ kind: "manifest", manifest } as ReturnType<typeof readManifest>)
  const index = { schemaVersion: 2, manifests: [{ mediaType: OCI_MANIFEST, digest: SHA, size: 3 }] }
  expect(readManifest(bytes(index), OCI_INDEX).kind).toBe("index")
  expect(readImageConfig(bytes({ ...config, config: { Cmd: null, Env: ["A=b"] } }), 1).config).toEqual({ Env: ["A=b"] })
})

const no = (name: string, value: unknown, cause: string, type?: string) =>
  test(`a manifest with ${name} is refused`, () => expect(() => readManifest(bytes(value), type)).toThrow(cause))
no("10,000 brackets", "[".repeat(10_000), "it nests deeper than 64 levels")
no("10,000 levels behind a key", `{"a":${"[".repeat(10_000)}${"]".repeat(10_000)}}`, "it nests deeper than 64 levels")
no("100 MB", " ".repeat(MOST_MANIFEST + 1), "it has 4194305 bytes, and 4194304 are the most")
no("no JSON", "<html>", "it is not JSON")
no("a list", [], "the document is not an object")
no("a null", "null", "the document is not an object")
no("a key twice", `{"schemaVersion":2,"layers":[],"l\\u0061yers":[]}`, 'the key "layers" stands twice in one object')
no("both forms", { ...manifest, manifests: [] }, "it is an index, and has config besides")
no(
  "both forms, as a manifest",
  { ...manifest, manifests: [] },
  "it is a manifest, and has manifests besides",
  OCI_MANIFEST,
)
no("another type than it came with", { ...manifest, mediaType: DOCKER_MANIFEST }, "it came as", OCI_MANIFEST)
no("a size below zero", { ...manifest, layers: [{ ...layer, size: -1 }] }, "layers[0].size is not a whole number")
no("a size of 2^60", { ...manifest, layers: [{ ...layer, size: 2 ** 60 }] }, "layers[0].size is not a whole number")
no(
  "a digest that is a path",
  { ...manifest, layers: [{ ...layer, digest: "sha256:../../x" }] },
  'layers[0].digest is "sha256:../../x", not',
)
no("a layer that is no object", { ...manifest, layers: [null] }, "layers[0] is not an object")
no("501 layers", { ...manifest, layers: Array.from({ length: 501 }, () => layer) }, "it has more than 500 layers")
no(
  "a layer of no root file system",
  { ...manifest, layers: [{ ...layer, mediaType: "text/plain" }] },
  'layers[0] is "text/plain", which',
)
no("schema 1", { schemaVersion: 1, fsLayers: [] }, "it has the form of before 2016 (schema 1)")
no("schema 1 by its type", "{}", "(schema 1)", "application/vnd.docker.distribution.manifest.v1+prettyjws")
test("what is not UTF-8 is refused", () =>
  expect(() => readManifest(new Uint8Array([0x22, 0xff, 0x22]))).toThrow("it is not UTF-8"))

const bad = (name: string, value: object, cause: string, layers?: number) =>
  test(`a configuration with ${name} is refused`, () =>
    expect(() => readImageConfig(bytes({ ...config, ...value }), layers)).toThrow(cause))
bad("a user of 2^32", { config: { User: "4294967296" } }, 'config.User is "4294967296", and no id is above 2147483647')
bad("a group of 2^32", { config: { User: "web:4294967296" } }, "no id is above")
bad("a user that is a number", { config: { User: 0 } }, "config.User is not a text")
bad("a command that is a text", { config: { Cmd: "sh" } }, "config.Cmd is not a list")
bad("a null in a command", { config: { Cmd: ["a", null] } }, "config.Cmd[1] is not a text")
bad("a NUL in the environment", { config: { Env: ["A=\0"] } }, "config.Env[0] holds a NUL byte")
bad("labels that are a list", { config: { Labels: [] } }, "config.Labels is not an object")
bad(
  "a port that is a number",
  { config: { ExposedPorts: { "80/tcp": 1 } } },
  'config.ExposedPorts["80/tcp"] is not an object',
)
bad("no diff ids", { rootfs: { type: "layers" } }, "rootfs.diff_ids is missing")
bad("too few diff ids", {}, "rootfs.diff_ids has 1 entries, and the manifest 2 layers", 2)

test("a repeated key is found in any object, and only there", () => {
  expect(repeatedKey('{"a":{"x":1},"b":{"x":1},"c":["a","a"]}')).toBeUndefined()
  expect(repeatedKey('{"a":[{"x":1,"y":{"x":"}"},"x" : 2}]}')).toBe("x")
})
