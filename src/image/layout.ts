/**
 * The image store: an OCI image layout, so that other tools read it as it is.
 *
 *     STATE/images/
 *       oci-layout               {"imageLayoutVersion":"1.0.0"}
 *       index.json               names → manifests: the only file here that changes
 *       blobs/sha256/HEX         manifests, configurations, layers: each is named by what it holds, so it never changes
 *       stacks/HEX.json          ours: what a container of the manifest HEX needs, in one file (stacks.ts)
 *     STATE/layers/…             the layers, unpacked
 *
 *     skopeo inspect oci:STATE/images:docker.io/library/alpine:latest
 *
 * A blob is written beside its place, and renamed into it when its digest has been proved: what lies in blobs/ can be trusted. index.json changes
 * under a lock and by rename, so whoever reads it needs none; while bytes move nobody holds it.
 *
 * Read on: stacks.ts, find.ts. OCI image-spec image-layout.md, image-index.md.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { type Descriptor, OCI_INDEX } from "../model/image.ts"
import { form, list, map, mismatch, record, text, whole } from "../model/shape.ts"

/** What the store needs of the state root; a Store of record/ is one. */
export interface ImageStore {
  /** The state root; absolute. */
  readonly root: string
  readonly lock: <T>(name: string, work: () => T | Promise<T>) => Promise<T>
}

/** The full name of an image in the index, as every tool writes it there. */
export const NAME = "org.opencontainers.image.ref.name"
/** Ours: the digest of the configuration, by which people know an image. */
export const ID = "io.minicontainer.image.id"
/** Ours: when the image was made, as its configuration says. */
export const CREATED = "org.opencontainers.image.created"

export const LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"

export const imagesDirectory = ({ root }: Pick<ImageStore, "root">): string => `${root}/images`
/** The 64 digits of a digest. */
export const hexOf = (digest: string): string => digest.slice("sha256:".length)
export const blobPath = (store: Pick<ImageStore, "root">, digest: string): string =>
  `${imagesDirectory(store)}/blobs/sha256/${hexOf(digest)}`

/** The hash is loaded when it is needed: it would cost every start 2 ms. */
export const sha256 = () => process.getBuiltinModule("node:crypto").createHash("sha256")
export const digestOf = (bytes: string | Uint8Array): string => `sha256:${sha256().update(bytes).digest("hex")}`

const digest = form(/^sha256:[0-9a-f]{64}$/, "a digest like sha256: and 64 digits")
const DESCRIPTOR = record(
  { mediaType: text, digest, size: whole(0, Number.MAX_SAFE_INTEGER), annotations: map(text) },
  ["mediaType", "digest", "size"],
)
const INDEX = record({ manifests: list(DESCRIPTOR) }, ["manifests"])
/** A hundred thousand names. */
const MOST_INDEX = 64 << 20

/**
 * Every name and manifest of the store, as index.json has them. No lock.
 * @throws {EngineError} `STATE_UNUSABLE` if the file is broken: it is never guessed at, and never written over.
 */
export function readIndex(store: Pick<ImageStore, "root">): readonly Descriptor[] {
  const path = `${imagesDirectory(store)}/index.json`
  if (!existsSync(path)) return []
  const refuse = (cause: string) =>
    new EngineError(
      "STATE_UNUSABLE",
      `cannot read ${path}: ${cause}`,
      "put a copy of it back, or remove the directory with all images",
    )
  if (statSync(path).size > MOST_INDEX) throw refuse(`it is larger than ${MOST_INDEX >> 20} MiB`)
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, "utf8"))
  } catch {
    throw refuse("it is not JSON")
  }
  const wrong = mismatch(INDEX, value)
  if (wrong) throw refuse(wrong)
  return (value as { readonly manifests: readonly Descriptor[] }).manifests
}

/**
 * Changes the index: `change` gets the entries as they are now, and nobody else changes them meanwhile.
 * @param change may do more that must not happen beside another change; what it throws, this throws, and nothing has changed.
 */
export async function changeIndex(
  store: ImageStore,
  change: (entries: readonly Descriptor[]) => readonly Descriptor[],
): Promise<void> {
  makeLayout(store)
  await store.lock("images", () => {
    const manifests = change(readIndex(store))
    writeWhole(
      `${imagesDirectory(store)}/index.json`,
      `${JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests })}\n`,
    )
  })
}

/** The entries without those of this name; what had it before keeps its place without a name, so that it can be found and pruned. */
export function withoutName(entries: readonly Descriptor[], name: string): readonly Descriptor[] {
  const others = entries.filter((entry) => entry.annotations?.[NAME] !== name)
  const lost = entries.filter(
    (entry) => entry.annotations?.[NAME] === name && !others.some((other) => other.digest === entry.digest),
  )
  return [...others, ...lost.map(nameless)]
}

export function nameless(entry: Descriptor): Descriptor {
  const { [NAME]: _, ...annotations } = entry.annotations ?? {}
  return { ...entry, annotations }
}

/** The entries with this name for this manifest: it is taken from whatever had it. */
export function withName(
  entries: readonly Descriptor[],
  entry: Descriptor,
  name: string | undefined,
): readonly Descriptor[] {
  const others = (name === undefined ? entries : withoutName(entries, name)).filter(
    (other) => other.digest !== entry.digest || other.annotations?.[NAME] !== undefined,
  )
  if (name === undefined)
    return others.some(({ digest }) => digest === entry.digest) ? others : [...others, nameless(entry)]
  return [...others, { ...entry, annotations: { ...entry.annotations, [NAME]: name } }]
}

function makeLayout(store: Pick<ImageStore, "root">): void {
  const directory = imagesDirectory(store)
  if (existsSync(`${directory}/oci-layout`)) return
  for (const path of [`${directory}/blobs/sha256`, `${directory}/stacks`, `${store.root}/layers`])
    mkdirSync(path, { recursive: true, mode: 0o700 })
  writeWhole(`${directory}/oci-layout`, `{"imageLayoutVersion":"1.0.0"}\n`)
}

/**
 * Keeps bytes as a blob.
 * @returns its descriptor without a media type's meaning checked. Two that write one blob at once write the same.
 */
export function putBlob(store: Pick<ImageStore, "root">, mediaType: string, bytes: string | Uint8Array): Descriptor {
  makeLayout(store)
  const data = typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes
  const digest = digestOf(data)
  const path = blobPath(store, digest)
  if (!existsSync(path)) writeWhole(path, data)
  return { mediaType, digest, size: data.length }
}

/** A manifest or configuration is read whole, so it has an end. */
const MOST_DOCUMENT = 8 << 20

/**
 * The bytes of a small blob, proved against its digest: what lies on a disk may have changed.
 * @throws {EngineError} `INVALID_IMAGE`
 */
export function readBlob(store: Pick<ImageStore, "root">, digest: string): Buffer {
  const path = blobPath(store, digest)
  const refuse = (cause: string) => new EngineError("INVALID_IMAGE", `cannot read the blob ${digest}: ${cause}`)
  if (!existsSync(path)) throw refuse("it is not in the store")
  if (statSync(path).size > MOST_DOCUMENT) throw refuse(`it is larger than ${MOST_DOCUMENT >> 20} MiB`)
  const bytes = readFileSync(path)
  if (digestOf(bytes) !== digest) throw refuse("its bytes have another digest: it is damaged")
  return bytes
}

/** Who writes: the pid and its start time, field 22 of proc(5)'s stat, so that a later process with the same pid is another. */
export const writerMark = (): string =>
  `${process.pid}-${readFileSync("/proc/self/stat", "latin1").split(") ").at(-1)!.split(" ")[19]}`

let written = 0
/** Where a blob is written whose digest is not known yet. */
export function draftBlob(store: Pick<ImageStore, "root">): string {
  makeLayout(store)
  return `${imagesDirectory(store)}/blobs/.new-${writerMark()}-${written++}`
}
/** Whoever reads sees the old bytes or the new ones; after a crash of the machine, too. */
export function writeWhole(path: string, bytes: string | Uint8Array): void {
  const fresh = `${path}.${process.pid}.${written++}.new`
  try {
    writeFileSync(fresh, bytes, { mode: 0o600, flush: true })
    renameSync(fresh, path)
  } catch (error) {
    rmSync(fresh, { force: true })
    throw new EngineError(
      "STATE_UNUSABLE",
      `cannot write ${path}: ${(error as NodeJS.ErrnoException).code}`,
      undefined,
      {
        cause: error,
      },
    )
  }
}
