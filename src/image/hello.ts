/**
 * The image `hello`: built in, so that the first container of a machine needs no network.
 *
 *     the command holds a program of a few KiB ──▶ a layer of one file, a manifest, the name hello:latest
 *
 * It becomes an image like any other, by the digests of its bytes: the next `run hello` finds it in the store, `save` and `push` take it away.
 *
 * Read on: native/hello/hello.c, the program; stacks.ts.
 */

import { readFileSync } from "node:fs"
import type { TarEntry } from "../formats/tar/entry.ts"
import { tarEnd, tarHeader, tarPadding } from "../formats/tar/write.ts"
import type { Descriptor } from "../model/image.ts"
import { HELLO } from "../model/reference.ts"
import { LAYER_TYPE, putBlob } from "./layout.ts"
import { layerDirectory, placeLayer, type UnpackingStore } from "./place.ts"
import { putImage } from "./stacks.ts"

/** The same bytes give the same image, whenever it is made. */
const CREATED = "2026-11-24T00:00:00Z"

const FILE: Omit<TarEntry, "path" | "size" | "mode"> = {
  type: "file",
  link: "",
  uid: 0,
  gid: 0,
  seconds: Date.parse(CREATED) / 1000,
  nanoseconds: 0,
  major: 0,
  minor: 0,
  xattrs: new Map(),
}

/**
 * Puts the built-in image into the store.
 * @param program a file: the program.
 * @param architecture as Go calls it: amd64, arm64.
 */
export async function importHello(store: UnpackingStore, program: string, architecture: string): Promise<Descriptor> {
  const bytes = readFileSync(program)
  const entry = { ...FILE, path: "hello", size: bytes.length, mode: 0o755 }
  const tar = Buffer.concat([tarHeader(entry), bytes, tarPadding(bytes.length), tarEnd()])
  const blob = putBlob(store, LAYER_TYPE, tar)
  const layer = await placeLayer(store, [tar], { diffId: blob.digest })
  const by = "minicontainer build of native/hello"
  return putImage(
    store,
    {
      created: CREATED,
      architecture,
      os: "linux",
      config: { Cmd: ["/hello"] },
      rootfs: { type: "layers", diff_ids: [blob.digest] },
      history: [{ created: CREATED, created_by: by }],
    },
    [{ blob, directory: layerDirectory(layer.diffId), size: layer.bytes }],
    HELLO,
  )
}
