/**
 * The documents of an image: its manifest and its configuration, read from blobs that strangers wrote.
 *
 *     entry ──digest──▶ manifest ──digest──▶ configuration
 *                          └──▶ layers, one for each diff id
 *
 * Each is proved by its digest, bounded, and held against its shape before anything of it is believed.
 *
 * Read on: layout.ts, readBlob; model/image-guards.ts.
 */

import { EngineError } from "../base/errors.ts"
import type { ImageConfig, Manifest } from "../model/image.ts"
import { readManifest as guardManifest, readImageConfig } from "../model/image-guards.ts"
import { type ImageStore, readBlob } from "./layout.ts"

/** @throws {EngineError} `INVALID_IMAGE` */
export function readManifest(store: Pick<ImageStore, "root">, digest: string): Manifest {
  const document = guardManifest(readBlob(store, digest), undefined, `the manifest ${digest}`)
  if (document.kind === "manifest") return document.manifest
  throw new EngineError("INVALID_IMAGE", `cannot use the manifest ${digest}: it is an index of several`)
}

/** @throws {EngineError} `INVALID_IMAGE` */
export const readConfiguration = (store: Pick<ImageStore, "root">, { config, layers }: Manifest): ImageConfig =>
  readImageConfig(readBlob(store, config.digest), layers.length, `the configuration ${config.digest}`)
