/**
 * `save`: images as one archive, which is both of the forms that there are.
 *
 *     oci-layout  index.json     an OCI layout: skopeo, podman, Docker from 25 on
 *     manifest.json              what Docker and podman have read since ever: the same files under other words
 *     blobs/sha256/…             each once, however many images have it
 *
 * Read on: load.ts. OCI image-spec image-layout.md; Docker image specification v1.3, "Combined Image JSON + Filesystem Changeset Format".
 */

import { closeSync, openSync, readSync, statSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import type { TarEntry } from "../formats/tar/entry.ts"
import { tarEnd, tarHeader, tarPadding } from "../formats/tar/write.ts"
import { readManifest } from "../image/documents.ts"
import { needImage } from "../image/find.ts"
import { blobPath, hexOf, NAME, readIndex } from "../image/layout.ts"
import { type Descriptor, OCI_INDEX } from "../model/image.ts"
import { familiar, parseReference } from "../model/reference.ts"
import type { World } from "./world.ts"

const PIECE = 1 << 20
/** containerd's and Docker's word for the whole name. */
export const WHOLE_NAME = "io.containerd.image.name"
const PLAIN: Omit<TarEntry, "path" | "size"> = {
  type: "file",
  link: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  seconds: 0,
  nanoseconds: 0,
  major: 0,
  minor: 0,
  xattrs: new Map(),
}

/** @throws {EngineError} `IMAGE_NOT_FOUND`, `AMBIGUOUS_ID`, before the first byte. */
export async function* save(world: World, words: readonly string[]): AsyncGenerator<Uint8Array> {
  const store = { root: world.roots.state }
  const entries = readIndex(store)
  const chosen = words.map((word) => {
    const { entry, name } = needImage(entries, word)
    return { entry, name, manifest: readManifest(store, entry.digest) }
  })
  const blobs = new Set(
    chosen.flatMap(({ entry, manifest }) => [
      entry.digest,
      manifest.config.digest,
      ...manifest.layers.map(({ digest }) => digest),
    ]),
  )
  for (const digest of blobs) {
    const path = blobPath(store, digest)
    const size = statSync(path, { throwIfNoEntry: false })?.size
    if (size === undefined)
      throw new EngineError("INVALID_IMAGE", `cannot save the image: its blob ${digest} is not in the store`)
    yield tarHeader({ ...PLAIN, path: `blobs/sha256/${hexOf(digest)}`, size })
    yield* pieces(path, size)
    yield tarPadding(size)
  }
  const path = (digest: string): string => `blobs/sha256/${hexOf(digest)}`
  const index = {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: chosen.map(({ entry, name }): Descriptor => {
      const { [NAME]: _, ...annotations } = entry.annotations ?? {}
      return {
        ...entry,
        annotations: { ...annotations, ...(name !== undefined && { [NAME]: name, [WHOLE_NAME]: name }) },
      }
    }),
  }
  const archive = [...Map.groupBy(chosen, ({ entry }) => entry.digest).values()].map((same) => ({
    Config: path(same[0]!.manifest.config.digest),
    RepoTags: same.flatMap(({ name }) => (name === undefined ? [] : [familiar(parseReference(name))])),
    Layers: same[0]!.manifest.layers.map(({ digest }) => path(digest)),
  }))
  yield* file("index.json", JSON.stringify(index))
  yield* file("manifest.json", JSON.stringify(archive))
  yield* file("oci-layout", `{"imageLayoutVersion":"1.0.0"}`)
  yield tarEnd()
}

function* file(path: string, text: string): Generator<Uint8Array> {
  const bytes = new TextEncoder().encode(text)
  yield tarHeader({ ...PLAIN, path, size: bytes.length })
  yield bytes
  yield tarPadding(bytes.length)
}

/** A blob never changes, so its size holds. */
function* pieces(path: string, size: number): Generator<Uint8Array> {
  const fd = openSync(path, "r")
  try {
    for (let left = size; left > 0; ) {
      const piece = new Uint8Array(Math.min(PIECE, left))
      const length = readSync(fd, piece)
      if (length === 0) throw new EngineError("INVALID_IMAGE", `cannot read ${path}: it ends too early`)
      yield piece.subarray(0, length)
      left -= length
    }
  } finally {
    closeSync(fd)
  }
}
