/**
 * Layers in their place: each lies unpacked once, however many images have it.
 *
 *     layers/DIFFID/tree ◀── unpack.ts ◀── bytes                   only if it is not there
 *
 * Read on: unpack.ts, stacks.ts.
 */

import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from "node:fs"
import { blobPath, draftBlob, type ImageStore, LAYER_TYPE } from "./layout.ts"
import type { Placed } from "./stacks.ts"
import { isLayerThere, type LayerIndex, layerName, readLayer, unpackLayer } from "./unpack.ts"

/** A store, and who unpacks into it. */
export interface UnpackingStore extends ImageStore {
  /** Path of the executor. */
  readonly executor: string
}

/** Below the state root: what overlayfs gets of a layer. */
export const layerDirectory = (diffId: string): string => `layers/${layerName(diffId)}/tree`

/**
 * Unpacks a layer if it is not there.
 * @param chunks its blob, compressed or not.
 * @throws {EngineError} `LAYER_REFUSED`, `DIGEST_MISMATCH`; nothing is left then.
 */
export async function placeLayer(
  store: UnpackingStore,
  chunks: AsyncIterable<Uint8Array> | readonly Uint8Array[],
  expected: { readonly diffId?: string; readonly digest?: string; readonly size?: number },
): Promise<LayerIndex> {
  const at = { layers: `${store.root}/layers`, executor: store.executor }
  if (expected.diffId !== undefined && isLayerThere(at, expected.diffId)) return readLayer(at, expected.diffId)
  return unpackLayer(at, { stream: stream(chunks), ...expected })
}

async function* stream(chunks: AsyncIterable<Uint8Array> | readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks
}

/**
 * Keeps a layer: its bytes as a blob, its files unpacked, both in one pass.
 *
 *     bytes ──┬──▶ blobs/.new-… ── digest right ──▶ blobs/sha256/DIGEST
 *             └──▶ unpack.ts ─────────────────────▶ layers/DIFFID
 *
 * @throws {EngineError} as `placeLayer`; nothing is left then.
 */
export async function keepLayer(
  store: UnpackingStore,
  chunks: AsyncIterable<Uint8Array>,
  expected: { readonly diffId?: string; readonly digest?: string; readonly size?: number } = {},
): Promise<Placed & { readonly diffId: string }> {
  const draft = draftBlob(store)
  const fd = openSync(draft, "wx", 0o600)
  let first: Uint8Array | undefined
  async function* kept(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      first ??= chunk.slice(0, 4)
      for (let at = 0; at < chunk.length; ) at += writeSync(fd, chunk, at)
      yield chunk
    }
  }
  try {
    const at = { layers: `${store.root}/layers`, executor: store.executor }
    const { digest, size, diffId, bytes } = await unpackLayer(at, { stream: kept(), ...expected })
    fsyncSync(fd)
    renameSync(draft, blobPath(store, digest))
    const blob = { mediaType: layerType(first ?? new Uint8Array()), digest, size }
    return { blob, directory: layerDirectory(diffId), size: bytes, diffId }
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
}

/** By its first bytes: gzip (RFC 1952), zstd (RFC 8878), else a plain archive. */
const layerType = ([a, b, c, d]: Uint8Array): string =>
  a === 0x1f && b === 0x8b
    ? `${LAYER_TYPE}+gzip`
    : a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd
      ? `${LAYER_TYPE}+zstd`
      : LAYER_TYPE
