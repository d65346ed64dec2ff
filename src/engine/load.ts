/**
 * `load`: images from an archive, of either form.
 *
 *     index.json      OCI: manifests are kept as they are, so their digests stay
 *     manifest.json   Docker's older one: the configuration stays (the id is the same), a manifest is made
 *
 * Every digest is proved on the way: of a manifest, of its configuration, of each layer, packed and unpacked.
 *
 * Read on: image/archive.ts; image/place.ts; save.ts.
 */

import { EngineError } from "../base/errors.ts"
import { type Archive, openArchive } from "../image/archive.ts"
import { idOf } from "../image/find.ts"
import { digestOf, NAME } from "../image/layout.ts"
import { keepLayer, type UnpackingStore } from "../image/place.ts"
import { documentsOf, putDocuments } from "../image/stacks.ts"
import type { Descriptor } from "../model/image.ts"
import { readImageConfig, readJson, readManifest } from "../model/image-guards.ts"
import { choosePlatform, platformText } from "../model/platform.ts"
import { canonical, familiar, parseReference } from "../model/reference.ts"
import { form, list, mismatch, record, text } from "../model/shape.ts"
import { ARCHITECTURES } from "./image.ts"
import { WHOLE_NAME } from "./save.ts"
import type { Loaded } from "./types.ts"
import type { World } from "./world.ts"

const MOST_JSON = 8 << 20
const MOST_INDEXES = 4
const member = form(/^[^\0]{1,4095}$/, "a name of a member")
const DOCKER = list(record({ Config: member, RepoTags: list(text), Layers: list(member) }, ["Config", "Layers"]), 1)

/** @throws {EngineError} `INVALID_IMAGE`, `LAYER_REFUSED`, `DIGEST_MISMATCH`: what came before the failure stays. */
export async function load(world: World, source: AsyncIterable<Uint8Array>): Promise<readonly Loaded[]> {
  const store: UnpackingStore = { ...world.store(), executor: world.executor() }
  const archive = await openArchive(store, source)
  try {
    if (archive.has("index.json")) return await loadLayout(store, archive)
    if (archive.has("manifest.json")) return await loadDocker(store, archive)
    throw new EngineError(
      "INVALID_IMAGE",
      "cannot load the archive: it has neither index.json nor manifest.json",
      "an archive of files is taken by import",
    )
  } finally {
    archive.close()
  }
}

const loaded = (entry: Descriptor, name: string | undefined): Loaded => ({
  id: idOf(entry),
  ...(name !== undefined && { name: familiar(parseReference(name)) }),
})

async function loadLayout(store: UnpackingStore, archive: Archive): Promise<readonly Loaded[]> {
  const top = readManifest(archive.document("index.json"), undefined, "index.json")
  if (top.kind !== "index") throw new EngineError("INVALID_IMAGE", "cannot load the archive: index.json is no index")
  const done: Loaded[] = []
  for (const descriptor of top.index.manifests) {
    const { [WHOLE_NAME]: whole, [NAME]: given } = descriptor.annotations ?? {}
    const word = whole ?? given
    const name = word === undefined ? undefined : canonical(parseReference(word))
    const { bytes, mediaType } = leaf(archive, descriptor)
    const read = readManifest(bytes, mediaType)
    if (read.kind !== "manifest")
      throw new EngineError("INVALID_IMAGE", "cannot load the archive: an index leads to itself")
    const { manifest } = read
    const config = proved(archive, manifest.config)
    const { rootfs } = readImageConfig(config, manifest.layers.length)
    const layers = []
    for (const [at, { digest, size }] of manifest.layers.entries()) {
      const expected = { digest, size, ...diffIdAt(rootfs.diff_ids, at) }
      layers.push(await keepLayer(store, archive.stream(memberOf(digest)), expected))
    }
    const documents = { manifest: bytes, manifestType: mediaType, config, configType: manifest.config.mediaType }
    done.push(loaded(await putDocuments(store, documents, layers, name), name))
  }
  return done
}

const memberOf = (digest: string): string => `blobs/${digest.replace(":", "/")}`
const diffIdAt = (ids: readonly string[], at: number) => ({ ...(ids[at] !== undefined && { diffId: ids[at] }) })

/** From a descriptor to a manifest for this machine, over indexes within indexes. */
function leaf(archive: Archive, descriptor: Descriptor): { readonly bytes: Uint8Array; readonly mediaType: string } {
  const wanted = { os: "linux", architecture: ARCHITECTURES[process.arch] ?? process.arch }
  let at = descriptor
  for (let depth = 0; depth <= MOST_INDEXES; depth++) {
    const bytes = proved(archive, at)
    const document = readManifest(bytes, at.mediaType)
    if (document.kind === "manifest") return { bytes, mediaType: at.mediaType }
    // Of several platforms an archive may hold one.
    const there = document.index.manifests.filter(({ digest }) => archive.has(memberOf(digest)))
    const next = choosePlatform(there, wanted)
    if (!next)
      throw new EngineError("IMAGE_NOT_FOUND", `cannot load the archive: it has no image for ${platformText(wanted)}`)
    at = next
  }
  throw new EngineError("INVALID_IMAGE", `cannot load the archive: more than ${MOST_INDEXES} indexes within each other`)
}

function proved(archive: Archive, { digest, size }: Descriptor): Uint8Array {
  const bytes = archive.document(memberOf(digest))
  if (bytes.length !== size || digestOf(bytes) !== digest)
    throw new EngineError("DIGEST_MISMATCH", `cannot load the archive: ${digest} is not what its name says`)
  return bytes
}

async function loadDocker(store: UnpackingStore, archive: Archive): Promise<readonly Loaded[]> {
  const value = readJson(archive.document("manifest.json"), "manifest.json", MOST_JSON)
  const wrong = mismatch(DOCKER, value)
  if (wrong) throw new EngineError("INVALID_IMAGE", `cannot load the archive: in manifest.json, ${wrong}`)
  const images = value as readonly {
    readonly Config: string
    readonly RepoTags?: readonly string[]
    readonly Layers: readonly string[]
  }[]
  const done: Loaded[] = []
  for (const { Config, RepoTags = [], Layers } of images) {
    const config = archive.document(Config)
    const { rootfs } = readImageConfig(config, Layers.length)
    const layers = []
    for (const [at, layer] of Layers.entries())
      layers.push(await keepLayer(store, archive.stream(layer), diffIdAt(rootfs.diff_ids, at)))
    const documents = documentsOf(config, layers)
    for (const name of RepoTags.length > 0 ? RepoTags.map((tag) => canonical(parseReference(tag))) : [undefined])
      done.push(loaded(await putDocuments(store, documents, layers, name), name))
  }
  return done
}
