/**
 * Which image a person means.
 *
 *     alpine               docker.io/library/alpine:latest      a name
 *     alpine@sha256:1f…    the manifest with this digest        a digest
 *     sha256:8d1e…, 8d1e   the first digits of an id            what `images` prints
 *
 * A name comes before an id, as in Docker: `cafe` may be both.
 *
 * Read on: model/reference.ts; layout.ts.
 */

import { EngineError } from "../base/errors.ts"
import type { Descriptor } from "../model/image.ts"
import { canonical, parseReference, type Reference } from "../model/reference.ts"
import { hexOf, ID, NAME } from "./layout.ts"

export const idOf = (entry: Descriptor): string => entry.annotations?.[ID] ?? entry.digest

/** An image of the store: one id, under all its names. */
export interface Found {
  /** The entry that was meant; without a name if it was found by its id. */
  readonly entry: Descriptor
  /** Canonical, if it was found by it. */
  readonly name?: string
}

/**
 * @returns undefined if there is none.
 * @throws {EngineError} `AMBIGUOUS_ID`; `INVALID_REFERENCE` for a word that can be neither.
 */
export function findImage(entries: readonly Descriptor[], word: string): Found | undefined {
  const isId = /^(sha256:)?[0-9a-f]{1,64}$/.test(word)
  let reference: Reference | undefined
  try {
    reference = parseReference(word)
  } catch (error) {
    if (!isId) throw error
  }
  if (reference) {
    const { digest, ...named } = reference
    const name = named.tag === undefined ? undefined : canonical(named)
    const entry = entries.find(
      (entry) =>
        (name === undefined || entry.annotations?.[NAME] === name) && (digest === undefined || entry.digest === digest),
    )
    if (entry) return { entry, ...(name !== undefined && { name }) }
  }
  if (!isId) return undefined
  const digits = word.replace("sha256:", "")
  const found = entries.filter((entry) => hexOf(idOf(entry)).startsWith(digits))
  const ids = new Set(found.map(idOf))
  if (ids.size > 1)
    throw new EngineError(
      "AMBIGUOUS_ID",
      `cannot tell which image is meant by "${word}": ${ids.size} ids begin so`,
      "give more digits",
    )
  return found[0] && { entry: found[0] }
}

/** @throws {EngineError} `IMAGE_NOT_FOUND` */
export function needImage(entries: readonly Descriptor[], word: string): Found {
  const found = findImage(entries, word)
  if (found) return found
  throw imageNotFound(word)
}

export const imageNotFound = (word: string): EngineError =>
  new EngineError("IMAGE_NOT_FOUND", `cannot find image "${word}": it is not on this machine`, "images lists what is")
