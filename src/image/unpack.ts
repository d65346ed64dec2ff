/**
 * Unpack: a layer, from the bytes of its blob to a directory, in one pass.
 *
 *     blob ─▶ sha256 ─▶ inflate ─▶ sha256 (the diff id) ─▶ tar ─▶ layer-ops ─▶ executor apply ─▶ layers/.new-…/tree
 *                                                                                      one rename ─▶ layers/DIFFID
 *
 *     layers/DIFFID/tree          what overlayfs gets
 *                   index.json    LayerIndex
 *                   passwd group  of etc/, if the layer has them: users are looked up without opening an image
 *
 * Nothing is seen of a layer before both checksums are right. Of two that unpack the same layer one wins, and the other throws its own
 * away; what a killed one has left is named after it, and goes with `sweepLayers`.
 *
 * Read on: layer-ops.ts; formats/tar/read.ts; plan/unpack.ts. OCI image-spec layer.md.
 */

import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { createGunzip, createZstdDecompress } from "node:zlib"
import { EngineError } from "../base/errors.ts"
import { doSteps, planOf } from "../executor/do.ts"
import { errnoWords } from "../executor/errno.ts"
import { ApplyRefused, startApply } from "../executor/files.ts"
import { TarError } from "../formats/tar/entry.ts"
import { TarReader } from "../formats/tar/read.ts"
import type { Step } from "../plan/step.ts"
import { MOST_CONTENT } from "../plan/unpack.ts"
import { type LayerFacts, LayerOps, shownName } from "./layer-ops.ts"

export interface LayerIndex extends LayerFacts {
  readonly version: 1
  /** `sha256:` and 64 digits: of the archive, and of the blob that it came in. */
  readonly diffId: string
  readonly digest: string
  /** Bytes of the blob, and of the files in the layer. */
  readonly size: number
  readonly bytes: number
  readonly entries: number
}

export interface LayerStore {
  /** `STATE/layers`, made if it is missing. */
  readonly layers: string
  readonly executor: string
}

export interface LayerSource {
  readonly stream: AsyncIterable<Uint8Array>
  /** What the manifest says; absent: any. `sha256:…`. */
  readonly digest?: string
  readonly size?: number
  /** What the config says; absent: any. */
  readonly diffId?: string
  readonly limits?: Partial<UnpackLimits>
  /** Bytes of the blob that have been read. */
  readonly onProgress?: (bytes: number) => void
}

export interface UnpackLimits {
  /** Bytes of one layer's archive. */
  readonly bytes: number
  readonly entries: number
  /** How many times larger than its blob an archive may be, beyond its first GiB. */
  readonly ratio: number
}
export const UNPACK_LIMITS: UnpackLimits = { bytes: 64 * 2 ** 30, entries: 1_000_000, ratio: 250 }

/** Not imported: only who unpacks pays for it. */
const sha256 = () => process.getBuiltinModule("node:crypto").createHash("sha256")

const INFLATE_CHUNK = 1 << 20
const GIB = 2 ** 30
const ACCOUNTS: ReadonlyMap<string, string> = new Map([
  ["etc/passwd", "passwd"],
  ["etc/group", "group"],
])
const MOST_ACCOUNTS = 1 << 20
/** O_PATH, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC. */
const DIRECTORY = 0o10000000 | 0o200000 | 0o400000 | 0o2000000

/** The directory of a layer: `DIFFID` without its `sha256:`. */
export const layerName = (diffId: string): string => diffId.replace(/^sha256:/, "")
export const isLayerThere = ({ layers }: Pick<LayerStore, "layers">, diffId: string): boolean =>
  existsSync(`${layers}/${layerName(diffId)}/index.json`)
export const readLayer = ({ layers }: Pick<LayerStore, "layers">, diffId: string): LayerIndex =>
  JSON.parse(readFileSync(`${layers}/${layerName(diffId)}/index.json`, "utf8"))

/** @throws {EngineError} `LAYER_REFUSED`, `DIGEST_MISMATCH`; nothing is left then. */
export async function unpackLayer(store: LayerStore, source: LayerSource): Promise<LayerIndex> {
  const limits = { ...UNPACK_LIMITS, ...source.limits }
  const draft = newDraft(store)
  const accounts = new Map<string, Uint8Array[]>()
  const apply = startApply(store.executor, planOf([openStep(`${draft}/tree`)]))
  let bytes = 0
  let into: Uint8Array[] | undefined
  const ops = new LayerOps((op) => apply.put(op))
  const tar = new TarReader(
    {
      entry(entry) {
        const path = ops.entry(entry)
        bytes += entry.size
        if (bytes > limits.bytes) throw tooLarge(`its files have more than ${limits.bytes} bytes`)
        const name = path !== undefined && entry.size <= MOST_ACCOUNTS ? ACCOUNTS.get(path) : undefined
        into = name === undefined ? undefined : []
        if (name !== undefined) accounts.set(name, into!)
      },
      data(offset, piece) {
        into?.push(piece.slice())
        for (let at = 0; at < piece.length; at += MOST_CONTENT / 2)
          apply.put({ op: "content", offset: offset + at, bytes: piece.subarray(at, at + MOST_CONTENT / 2) })
      },
    },
    { entries: limits.entries },
  )
  try {
    const blob = new Measured(source.stream, source.size, source.onProgress)
    const diff = sha256()
    let archive = 0
    for await (const chunk of inflated(blob.chunks())) {
      diff.update(chunk)
      archive += chunk.length
      if (archive > limits.bytes) throw tooLarge(`it is larger than ${limits.bytes} bytes when it is unpacked`)
      if (archive > GIB && archive > blob.size * limits.ratio)
        throw tooLarge(`it grows to more than ${limits.ratio} times its size when it is unpacked`)
      tar.feed(chunk)
      await apply.drained()
    }
    tar.end()
    ops.flush()
    const { digest, size } = blob
    const diffId = `sha256:${diff.digest("hex")}`
    mismatch("digest", source.digest, digest)
    if (source.size !== undefined && source.size !== size)
      throw new EngineError(
        "DIGEST_MISMATCH",
        `cannot use a layer: it has ${size} bytes, and its manifest says ${source.size}`,
      )
    mismatch("diff id", source.diffId, diffId)
    await apply.finish()
    const index: LayerIndex = { version: 1, diffId, digest, size, bytes, entries: tar.entries, ...ops.facts() }
    for (const [name, pieces] of accounts) writeFileSync(`${draft}/${name}`, Buffer.concat(pieces), { mode: 0o600 })
    writeFileSync(`${draft}/index.json`, `${JSON.stringify(index)}\n`, { mode: 0o600 })
    await settle(store, draft, `${store.layers}/${layerName(diffId)}`)
    return index
  } catch (error) {
    await apply.abandon()
    await removeTree(store, draft)
    throw said(error)
  }
}

/** Takes away what killed processes have left half unpacked. @param alive whether a process is still the one with this start time. */
export async function sweepLayers(
  store: LayerStore,
  alive: (mark: { pid: number; start: number }) => boolean,
): Promise<void> {
  const names = existsSync(store.layers) ? readdirSync(store.layers) : []
  for (const name of names) {
    const [, pid, start] = /^\.new-(\d+)-(\d+)-/.exec(name) ?? []
    if (pid !== undefined && !alive({ pid: Number(pid), start: Number(start) }))
      await removeTree(store, `${store.layers}/${name}`)
  }
}

/** Layers belong to images, and are removed as one: what is seen of it goes first. */
export async function removeLayer(store: LayerStore, diffId: string): Promise<void> {
  const gone = newDraft(store)
  const path = `${store.layers}/${layerName(diffId)}`
  if (existsSync(path)) renameSync(path, `${gone}/layer`)
  await removeTree(store, gone)
}

const openStep = (path: string): Step => ({
  phase: "host",
  op: "open",
  path,
  flags: DIRECTORY,
  gives: "directory",
  does: `open ${path}`,
  why: "what follows happens below it",
})

async function removeTree({ executor }: LayerStore, path: string): Promise<void> {
  await doSteps(
    executor,
    planOf([{ phase: "host", op: "remove-tree", path, does: `remove ${path}`, why: "it is not needed any more" }]),
  )
}

function newDraft({ layers }: LayerStore): string {
  const start = readFileSync("/proc/self/stat", "latin1").split(") ").at(-1)!.split(" ")[19]
  const draft = `${layers}/.new-${process.pid}-${start}-${crypto.randomUUID()}`
  mkdirSync(`${draft}/tree`, { recursive: true, mode: 0o755 })
  return draft
}

/** The rename fails if there is one already: a directory that is not empty is never replaced. */
async function settle(store: LayerStore, draft: string, place: string): Promise<void> {
  try {
    renameSync(draft, place)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== "ENOTEMPTY" && code !== "EEXIST") throw error
    await removeTree(store, draft)
  }
}

/** Bytes that go by, counted and summed. */
class Measured {
  size = 0
  readonly #hash = sha256()
  readonly #stream: AsyncIterable<Uint8Array>
  readonly #most: number | undefined
  readonly #tell: ((bytes: number) => void) | undefined
  constructor(stream: AsyncIterable<Uint8Array>, most?: number, tell?: (bytes: number) => void) {
    this.#stream = stream
    this.#most = most
    this.#tell = tell
  }
  async *chunks(): AsyncGenerator<Uint8Array> {
    for await (const chunk of this.#stream) {
      this.size += chunk.length
      if (this.#most !== undefined && this.size > this.#most)
        throw new EngineError(
          "DIGEST_MISMATCH",
          `cannot use a layer: it has more than the ${this.#most} bytes that its manifest says`,
        )
      this.#hash.update(chunk)
      this.#tell?.(this.size)
      yield chunk
    }
  }
  /** Once, at the end. */
  get digest(): string {
    return `sha256:${this.#hash.digest("hex")}`
  }
}

/** By its first bytes, as Docker does: what the media type says is often wrong. */
async function* inflated(source: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  let first: Uint8Array = new Uint8Array()
  while (first.length < 4) {
    const { value, done } = await source.next()
    if (done) break
    first = first.length === 0 ? value : Buffer.concat([first, value])
  }
  const [a, b, c, d] = first
  const inflate =
    a === 0x1f && b === 0x8b
      ? createGunzip({ chunkSize: INFLATE_CHUNK })
      : a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd
        ? createZstdDecompress({ chunkSize: INFLATE_CHUNK })
        : undefined
  if (!inflate) {
    yield first
    yield* source
    return
  }
  const pump = async (): Promise<void> => {
    inflate.write(first)
    for await (const chunk of source) {
      if (inflate.destroyed) return
      if (inflate.write(chunk)) continue
      await new Promise<void>((resolve) => {
        const go = (): void => {
          inflate.off("drain", go)
          inflate.off("close", go)
          resolve()
        }
        inflate.on("drain", go)
        inflate.on("close", go)
      })
    }
    inflate.end()
  }
  pump().catch((error) => inflate.destroy(error))
  yield* inflate as AsyncIterable<Uint8Array>
}

function mismatch(what: string, wanted: string | undefined, found: string): void {
  if (wanted !== undefined && wanted !== found)
    throw new EngineError("DIGEST_MISMATCH", `cannot use a layer: its ${what} is ${found}, and should be ${wanted}`)
}

const tooLarge = (why: string): EngineError =>
  new EngineError("LAYER_REFUSED", `cannot unpack a layer: ${why}`, "if it is to be so large, raise the limit")

/** In the engine's words. */
function said(error: unknown): unknown {
  if (error instanceof EngineError) return error
  if (error instanceof TarError)
    return new EngineError("LAYER_REFUSED", `cannot read a layer: ${error.why} (byte ${error.at})`, undefined, {
      cause: error,
    })
  if (error instanceof ApplyRefused)
    return new EngineError(
      "LAYER_REFUSED",
      `cannot unpack ${shownName(error.refused.path)}: ${errnoWords(error.refused.errno)}`,
      undefined,
      { cause: error },
    )
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (code?.startsWith("Z_") || code?.startsWith("ZSTD_") || code === "ERR_ZLIB_BINDING_CLOSED")
    return new EngineError(
      "LAYER_REFUSED",
      "cannot read a layer: it is damaged or cut short (it does not inflate)",
      undefined,
      {
        cause: error,
      },
    )
  return error
}
