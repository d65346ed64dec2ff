/**
 * A stack: everything that a container of an image needs, in one file, so that a start reads two and not ten.
 *
 *     index.json ── name ──▶ manifest ──▶ configuration, layers         what others see
 *                               │
 *                               └──▶ stacks/HEX.json                    the same, ready: id, config, layers
 *
 * It is written when all layers are in place, before the name is in the index; and it is the first thing that goes when the image goes. So whoever has
 * written down that it uses the layers, and then still finds the stack, has them: who frees layers looks at the records only after the stack is gone.
 *
 * Read on: find.ts; engine/rmi.ts, the other side of the agreement.
 */

import { existsSync, readFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { type Descriptor, type ImageConfig, OCI_CONFIG, OCI_MANIFEST, type RunConfig } from "../model/image.ts"
import { readImageConfig } from "../model/image-guards.ts"
import {
  CREATED,
  changeIndex,
  digestOf,
  hexOf,
  ID,
  type ImageStore,
  imagesDirectory,
  putBlob,
  withName,
  writeWhole,
} from "./layout.ts"

export interface Stack {
  readonly version: 1
  /** The configuration's digest: what people call the image's id. */
  readonly id: string
  /** The manifest's digest. */
  readonly manifest: string
  readonly config: RunConfig
  /** Below the state root, oldest first: `layers/HEX/tree`. */
  readonly layers: readonly string[]
  /** Bytes of the files in the layers. */
  readonly size: number
}

export const stackPath = (store: Pick<ImageStore, "root">, manifest: string): string =>
  `${imagesDirectory(store)}/stacks/${hexOf(manifest)}.json`

/** undefined if the image is not ready to run, or is going. */
export function readStack(store: Pick<ImageStore, "root">, manifest: string): Stack | undefined {
  const path = stackPath(store, manifest)
  if (!existsSync(path)) return undefined
  try {
    const stack = JSON.parse(readFileSync(path, "utf8")) as Stack
    return stack.version === 1 ? stack : undefined
  } catch {
    return undefined
  }
}

/** A layer that lies unpacked at `directory` below the state root, and as a blob. */
export interface Placed {
  readonly blob: Descriptor
  readonly directory: string
  readonly size: number
}

/** A manifest and its configuration, as bytes: their digests are names, so they are kept as they came. */
export interface Documents {
  readonly manifest: Uint8Array
  readonly manifestType: string
  readonly config: Uint8Array
  readonly configType: string
}

/** A configuration with layers, as the documents that we write. */
export function documentsOf(config: Uint8Array, layers: readonly Placed[]): Documents {
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, digest: digestOf(config), size: config.length },
    layers: layers.map(({ blob }) => blob),
  }
  const bytes = new TextEncoder().encode(JSON.stringify(manifest))
  return { manifest: bytes, manifestType: OCI_MANIFEST, config, configType: OCI_CONFIG }
}

/** Makes an image of a configuration and layers that are in place. @throws {EngineError} as `putDocuments`. */
export const putImage = (
  store: ImageStore,
  configuration: ImageConfig,
  layers: readonly Placed[],
  name?: string,
): Promise<Descriptor> =>
  putDocuments(store, documentsOf(new TextEncoder().encode(JSON.stringify(configuration)), layers), layers, name)

/**
 * Makes an image of its documents and layers that are in place, and gives it a name.
 * @param name canonical; absent: it has none.
 * @returns its entry in the index.
 * @throws {EngineError} `INVALID_IMAGE`; `STATE_UNUSABLE` if a layer went away meanwhile.
 */
export async function putDocuments(
  store: ImageStore,
  documents: Documents,
  layers: readonly Placed[],
  name?: string,
): Promise<Descriptor> {
  const configuration = readImageConfig(documents.config, layers.length)
  const { architecture, os, variant, created } = configuration
  const put = () => ({
    config: putBlob(store, documents.configType, documents.config),
    manifest: putBlob(store, documents.manifestType, documents.manifest),
  })
  const { config, manifest } = put()
  const entry: Descriptor = {
    ...manifest,
    annotations: { [ID]: config.digest, ...(created && { [CREATED]: created }) },
    platform: { architecture, os, ...(variant && { variant }) },
  }
  const stack: Stack = {
    version: 1,
    id: config.digest,
    manifest: manifest.digest,
    config: configuration.config ?? {},
    layers: layers.map(({ directory }) => directory),
    size: layers.reduce((sum, { size }) => sum + size, 0),
  }
  await changeIndex(store, (entries) => {
    // Whoever freed an image with the same layers did it under this lock; what is here now stays.
    const gone = layers.find(
      ({ directory, blob }) =>
        !existsSync(`${store.root}/${directory}`) ||
        !existsSync(`${imagesDirectory(store)}/blobs/sha256/${hexOf(blob.digest)}`),
    )
    if (gone)
      throw new EngineError(
        "STATE_UNUSABLE",
        `cannot keep the image: its layer ${gone.blob.digest} was removed meanwhile`,
        "try again",
      )
    // Both may have been an image's that was removed while we wrote.
    put()
    writeWhole(stackPath(store, manifest.digest), JSON.stringify(stack))
    return withName(entries, entry, name)
  })
  return entry
}
