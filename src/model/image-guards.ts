/**
 * The guard for images: any bytes, into a document or into an error that names the field.
 *
 *     bytes ── size ── UTF-8 ── depth ──▶ JSON.parse ── no key twice ── no nulls ──▶ shape ──▶ Manifest | Index | ImageConfig
 *
 * Two readers that understand one document differently are a hole: what one has checked, the other does not run. So a key that
 * stands twice, a document that is an index and a manifest at once, and a media type that says otherwise are refused
 * (CVE-2021-41190). Go writes empty lists as null; so a null is the same as nothing.
 *
 * Read on: image.ts, the same fields as types; shape.ts, the walker.
 */

import { EngineError } from "../base/errors.ts"
import { nestsDeeper } from "./guards.ts"
import {
  type ImageConfig,
  type Index,
  isIndexType,
  isManifestType,
  isSchema1Type,
  layerFormat,
  type Manifest,
} from "./image.ts"
import { flag, form, list, map, mismatch, record, type Shape, shown, text, whole, word } from "./shape.ts"

/** Bytes of a manifest or an index: what registries take themselves. */
export const MOST_MANIFEST = 4 * 1024 * 1024
/** Bytes of a configuration: the longest are all history. */
export const MOST_CONFIG = 8 * 1024 * 1024
/** What overlayfs can stack (OVL_MAX_STACK). */
export const MOST_LAYERS = 500
const MOST_MANIFESTS = 10_000
const MOST_DEPTH = 64
/** runc and Docker take no id above, and a user namespace of ours has 65,536. */
const MOST_ID = 2 ** 31 - 1

const digest = form(/^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/, "a digest of sha256 or sha512")
const size = whole(0, Number.MAX_SAFE_INTEGER)
const texts = list(text)
const platform = record({ os: text, architecture: text, variant: text }, ["os", "architecture"])
const descriptor = record({ mediaType: text, digest, size, urls: texts, annotations: map(text), platform }, [
  "mediaType",
  "digest",
  "size",
])
const common = { schemaVersion: whole(2, 2), mediaType: text, annotations: map(text) }
const MANIFEST: Shape = record({ ...common, config: descriptor, layers: list(descriptor) }, [
  "schemaVersion",
  "config",
  "layers",
])
const INDEX: Shape = record({ ...common, manifests: list(descriptor) }, ["schemaVersion", "manifests"])

const nanoseconds = whole(0, 2 ** 63, "0 to 9223372036854775807")

const RUN_CONFIG = record({
  User: text,
  ExposedPorts: map(record({})),
  Env: texts,
  Entrypoint: texts,
  Cmd: texts,
  Volumes: map(record({})),
  WorkingDir: text,
  Labels: map(text),
  StopSignal: text,
  Shell: texts,
  OnBuild: texts,
  Healthcheck: record({
    Test: texts,
    Interval: nanoseconds,
    Timeout: nanoseconds,
    StartPeriod: nanoseconds,
    StartInterval: nanoseconds,
    Retries: whole(0, Number.MAX_SAFE_INTEGER),
  }),
})
const CONFIG: Shape = record(
  {
    created: text,
    author: text,
    os: text,
    architecture: text,
    variant: text,
    config: RUN_CONFIG,
    rootfs: record({ type: word("layers"), diff_ids: list(digest) }, ["type", "diff_ids"]),
    history: list(record({ created: text, created_by: text, author: text, comment: text, empty_layer: flag })),
  },
  ["os", "architecture", "rootfs"],
)

const refuse = (what: string, cause: string): EngineError =>
  new EngineError("INVALID_IMAGE", `cannot read ${what}: ${cause}`)

/**
 * JSON from outside as a value without nulls.
 * @throws {EngineError} `INVALID_IMAGE`.
 */
export function readJson(bytes: Uint8Array, what: string, most: number): unknown {
  if (bytes.length > most) throw refuse(what, `it has ${bytes.length} bytes, and ${most} are the most`)
  try {
    const json = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
    if (nestsDeeper(json, MOST_DEPTH)) throw refuse(what, `it nests deeper than ${MOST_DEPTH} levels`)
    const value: unknown = JSON.parse(json)
    const twice = repeatedKey(json)
    if (twice !== undefined) throw refuse(what, `the key ${shown(twice)} stands twice in one object`)
    return withoutNulls(value)
  } catch (cause) {
    if (cause instanceof EngineError) throw cause
    const why = cause instanceof SyntaxError ? "it is not JSON" : "it is not UTF-8"
    throw new EngineError("INVALID_IMAGE", `cannot read ${what}: ${why}`, undefined, { cause })
  }
}

/** The first key that stands twice in one object; one pass over JSON that is known to be well formed. */
export function repeatedKey(json: string): string | undefined {
  // A list has no keys; an object has the set of those seen.
  const open: (Set<string> | undefined)[] = []
  for (const [token] of json.matchAll(/[{}[\]]|"(?:[^"\\]|\\.)*"(\s*:)?/g)) {
    if (token === "{") open.push(new Set())
    else if (token === "[") open.push(undefined)
    else if (token === "}" || token === "]") open.pop()
    else if (token.endsWith(":")) {
      const key = JSON.parse(token.slice(0, -1)) as string
      const seen = open.at(-1)
      if (seen?.has(key)) return key
      seen?.add(key)
    }
  }
  return undefined
}

/** Depth is bounded before. A null in a list stays, and is refused by its shape. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => (item === null ? [] : [[key, withoutNulls(item)]])),
  )
}

export type ManifestDocument =
  | { readonly kind: "manifest"; readonly manifest: Manifest }
  | { readonly kind: "index"; readonly index: Index }

/**
 * A manifest or an index.
 * @param mediaType what brought it here called it: a Content-Type, or the descriptor that led here; absent: only the document says.
 * @param what it is called in errors: "the manifest of alpine:latest".
 * @throws {EngineError} `INVALID_IMAGE`; `UNSUPPORTED` for schema 1 and for what is no image.
 */
export function readManifest(bytes: Uint8Array, mediaType?: string, what = "the manifest"): ManifestDocument {
  const value = readJson(bytes, what, MOST_MANIFEST)
  const wrong = mismatch(record({ mediaType: text, schemaVersion: whole(0, 99) }), value)
  if (wrong) throw refuse(what, wrong)
  const said = value as Readonly<Record<string, unknown>> & { readonly mediaType?: string }
  for (const type of [mediaType, said.mediaType])
    if ((type !== undefined && isSchema1Type(type)) || said.schemaVersion === 1)
      throw new EngineError(
        "UNSUPPORTED",
        `cannot read ${what}: it has the form of before 2016 (schema 1), which nothing proves right`,
        "pull it once with an old engine and push it again",
      )
  const known = [mediaType, said.mediaType].filter(
    (type) => type !== undefined && (isIndexType(type) || isManifestType(type)),
  )
  if (known.length === 2 && known[0] !== known[1])
    throw refuse(what, `it came as ${known[0]}, and says that it is ${known[1]}`)
  if (said.mediaType !== undefined && !isIndexType(said.mediaType) && !isManifestType(said.mediaType))
    throw new EngineError("UNSUPPORTED", `cannot read ${what}: it is ${shown(said.mediaType)}, no image`)
  const isIndex = known[0] === undefined ? "manifests" in said : isIndexType(known[0])
  const strange = isIndex ? ["config", "layers"] : ["manifests"]
  // `fsLayers` is schema 1's word: the third document that one could be.
  for (const name of [...strange, "fsLayers"])
    if (name in said) throw refuse(what, `it is ${isIndex ? "an index" : "a manifest"}, and has ${name} besides`)
  const misshapen = mismatch(isIndex ? INDEX : MANIFEST, value)
  if (misshapen) throw refuse(what, misshapen)
  if (isIndex) {
    const index = value as Index
    if (index.manifests.length > MOST_MANIFESTS) throw refuse(what, `it has more than ${MOST_MANIFESTS} manifests`)
    return { kind: "index", index }
  }
  const manifest = value as Manifest
  if (manifest.layers.length > MOST_LAYERS) throw refuse(what, `it has more than ${MOST_LAYERS} layers`)
  for (const [at, layer] of manifest.layers.entries())
    if (layerFormat(layer.mediaType) === undefined)
      throw new EngineError(
        "UNSUPPORTED",
        `cannot use ${what}: layers[${at}] is ${shown(layer.mediaType)}, which is no part of a root file system`,
      )
  return { kind: "manifest", manifest }
}

/**
 * An image's configuration.
 * @param layers how many layers its manifest has; each must have its diff id.
 * @throws {EngineError} `INVALID_IMAGE`.
 */
export function readImageConfig(bytes: Uint8Array, layers?: number, what = "the image's configuration"): ImageConfig {
  const value = readJson(bytes, what, MOST_CONFIG)
  const wrong = mismatch(CONFIG, value)
  if (wrong) throw refuse(what, wrong)
  const config = value as ImageConfig
  const { length } = config.rootfs.diff_ids
  if (layers !== undefined && layers !== length)
    throw refuse(what, `rootfs.diff_ids has ${length} entries, and the manifest ${layers} layers`)
  for (const part of (config.config?.User ?? "").split(":"))
    if (/^\d+$/.test(part) && Number(part) > MOST_ID)
      throw refuse(what, `config.User is ${shown(config.config!.User!)}, and no id is above ${MOST_ID}`)
  for (const [at, pair] of (config.config?.Env ?? []).entries())
    if (pair.indexOf("=") === 0) throw refuse(what, `config.Env[${at}] has no name before the =`)
  return config
}
