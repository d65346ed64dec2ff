/**
 * Images, as documents: what a reference leads to.
 *
 *     index ──one for each platform──▶ manifest ──▶ config    how to run it; the diff ids of its layers
 *                                         └──────▶ layers    archives, oldest first
 *
 * Every arrow is a descriptor: media type, digest, size. Who follows one holds what came against it, so nothing has to be
 * trusted but the first digest. Docker's older types (schema 2) have the same fields under other names.
 * Read on: image-guards.ts, which turns bytes into these; platform.ts, which arrow of an index to follow.
 * @see https://github.com/opencontainers/image-spec manifest.md, image-index.md, config.md
 */

export interface Descriptor {
  readonly mediaType: string
  /** sha256 or sha512, in its one form. */
  readonly digest: string
  /** Bytes. */
  readonly size: number
  /** Where else the bytes are: foreign layers, which a registry may refuse to keep. Hostile addresses. */
  readonly urls?: readonly string[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly platform?: Platform
}

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}

export interface Manifest {
  readonly schemaVersion: 2
  readonly mediaType?: string
  readonly config: Descriptor
  /** Oldest first. */
  readonly layers: readonly Descriptor[]
  readonly annotations?: Readonly<Record<string, string>>
}

export interface Index {
  readonly schemaVersion: 2
  readonly mediaType?: string
  readonly manifests: readonly Descriptor[]
  readonly annotations?: Readonly<Record<string, string>>
}

/** How an image wants to be run. Names of the specification; absent and empty mean the same. */
export interface RunConfig {
  readonly User?: string
  readonly ExposedPorts?: Readonly<Record<string, Readonly<Record<string, never>>>>
  readonly Env?: readonly string[]
  readonly Entrypoint?: readonly string[]
  readonly Cmd?: readonly string[]
  readonly Volumes?: Readonly<Record<string, Readonly<Record<string, never>>>>
  readonly WorkingDir?: string
  readonly Labels?: Readonly<Record<string, string>>
  readonly StopSignal?: string
  readonly Shell?: readonly string[]
  readonly OnBuild?: readonly string[]
  readonly Healthcheck?: Healthcheck
}
export interface Healthcheck {
  /** `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`. */
  readonly Test?: readonly string[]
  /** Nanoseconds, as the three below. */
  readonly Interval?: number
  readonly Timeout?: number
  readonly StartPeriod?: number
  readonly StartInterval?: number
  readonly Retries?: number
}

export interface History {
  readonly created?: string
  readonly created_by?: string
  readonly author?: string
  readonly comment?: string
  /** It made no layer. */
  readonly empty_layer?: boolean
}

export interface ImageConfig extends Platform {
  /** RFC 3339. */
  readonly created?: string
  readonly author?: string
  readonly config?: RunConfig
  /** The digests of the layers' archives, uncompressed, oldest first. */
  readonly rootfs: { readonly type: "layers"; readonly diff_ids: readonly string[] }
  readonly history?: readonly History[]
}

export const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
export const OCI_INDEX = "application/vnd.oci.image.index.v1+json"
export const OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
export const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
export const DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
export const DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
const DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1"

export const isIndexType = (mediaType: string): boolean => mediaType === OCI_INDEX || mediaType === DOCKER_INDEX
export const isManifestType = (mediaType: string): boolean =>
  mediaType === OCI_MANIFEST || mediaType === DOCKER_MANIFEST
/** The form before 2016, whose layers are not named by what is in them. */
export const isSchema1Type = (mediaType: string): boolean => mediaType.startsWith(DOCKER_SCHEMA1)

export interface LayerFormat {
  readonly compression: "none" | "gzip" | "zstd"
  /** A registry need not have it: it lies at the descriptor's urls. */
  readonly foreign: boolean
}
const LAYERS: Readonly<Record<string, LayerFormat>> = {
  "application/vnd.oci.image.layer.v1.tar": { compression: "none", foreign: false },
  "application/vnd.oci.image.layer.v1.tar+gzip": { compression: "gzip", foreign: false },
  "application/vnd.oci.image.layer.v1.tar+zstd": { compression: "zstd", foreign: false },
  "application/vnd.oci.image.layer.nondistributable.v1.tar": { compression: "none", foreign: true },
  "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": { compression: "gzip", foreign: true },
  "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd": { compression: "zstd", foreign: true },
  "application/vnd.docker.image.rootfs.diff.tar": { compression: "none", foreign: false },
  "application/vnd.docker.image.rootfs.diff.tar.gzip": { compression: "gzip", foreign: false },
  "application/vnd.docker.image.rootfs.diff.tar.zstd": { compression: "zstd", foreign: false },
  "application/vnd.docker.image.rootfs.foreign.diff.tar": { compression: "none", foreign: true },
  "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip": { compression: "gzip", foreign: true },
}
/** What a layer's media type says of its bytes; undefined for one that no root file system is made of. */
export const layerFormat = (mediaType: string): LayerFormat | undefined =>
  Object.hasOwn(LAYERS, mediaType) ? LAYERS[mediaType] : undefined
