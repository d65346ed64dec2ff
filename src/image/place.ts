/**
 * Layers in their place: each lies unpacked once, however many images have it.
 *
 *     layers/DIFFID/tree ◀── unpack.ts ◀── bytes                   only if it is not there
 *
 * Read on: unpack.ts, stacks.ts.
 */

import type { ImageStore } from "./layout.ts"
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
