/**
 * Digests: the name of some bytes that nobody can give to others. `sha256:` or `sha512:`, and hexadecimal digits.
 * @see https://github.com/opencontainers/image-spec descriptor.md
 */

import type { Hash } from "node:crypto"

/** A hash of the kind that a digest is of. Loaded when needed: it would cost every start 2 ms. */
export const hashFor = (digest = "sha256:"): Hash =>
  process.getBuiltinModule("node:crypto").createHash(digest.slice(0, digest.indexOf(":")))

/** The digest of some bytes, of the same kind as another. */
export const digestOf = (bytes: Uint8Array, like = "sha256:"): string =>
  `${like.slice(0, like.indexOf(":"))}:${hashFor(like).update(bytes).digest("hex")}`
