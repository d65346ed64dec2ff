/**
 * Sparse files: only what is not a hole stands in the archive, and a map says where it belongs.
 *
 *     map  (0, 4096) (1048576, 512)        stored  4608 bytes        size  2097152
 *
 * GNU tar has written that map in four ways: in the header and blocks after it (type `S`), as repeated PAX records (0.0), as one PAX
 * record (0.1), and as decimal lines before the content (1.0).
 *
 * Read on: read.ts. GNU tar manual, "Storing Sparse Files".
 */

import { binary } from "./entry.ts"
import type { Records } from "./pax.ts"

/** A piece of content: where it belongs, and how long it is. */
export type Piece = readonly [offset: number, length: number]

/** More pieces than any file system would keep for a file that is not made to annoy. */
export const MOST_PIECES = 100_000

/** @throws {RangeError} with the cause, if the pieces do not follow each other, do not fit, or are not what is stored. */
export function checkPieces(pieces: readonly Piece[], size: number, stored: number): void {
  if (pieces.length > MOST_PIECES) throw new RangeError(`a sparse file has more than ${MOST_PIECES} pieces`)
  let end = 0
  let sum = 0
  for (const [offset, length] of pieces) {
    if (
      !Number.isSafeInteger(offset) ||
      !Number.isSafeInteger(length) ||
      length < 0 ||
      offset < end ||
      offset + length > size
    )
      throw new RangeError("the pieces of a sparse file do not fit into it")
    end = offset + length
    sum += length
  }
  if (sum !== stored) throw new RangeError(`the pieces of a sparse file have ${sum} bytes, and ${stored} are there`)
}

/** Versions 0.0 and 0.1; undefined if there is no map among the records. @throws {RangeError} */
export function mapOfRecords(records: Records, all: ReadonlyMap<string, string>): Piece[] | undefined {
  const list = all.get("GNU.sparse.map")
  if (list !== undefined) return pairs(list === "" ? [] : list.split(",").map(whole))
  if (!all.has("GNU.sparse.numblocks") && !all.has("GNU.sparse.size")) return undefined
  return pairs(
    records
      .filter(([key]) => key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes")
      .map(([, value]) => whole(value)),
  )
}

function pairs(numbers: readonly number[]): Piece[] {
  if (numbers.length % 2 !== 0) throw new RangeError("a sparse map ends in the middle of a piece")
  return Array.from({ length: numbers.length / 2 }, (_, i): Piece => [numbers[2 * i]!, numbers[2 * i + 1]!])
}

/** @throws {RangeError} */
export function whole(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new RangeError("a sparse map holds what is no number")
  return Number(text)
}

/** Version 1.0: lines before the content, padded to whole blocks. Is pushed block by block until it has the map. */
export class MapLines {
  #numbers: number[] = []
  #rest = ""
  #wanted: number | undefined

  /** True when this block was the last of the map. @throws {RangeError} */
  push(block: Uint8Array): boolean {
    const lines = (this.#rest + binary(block)).split("\n")
    this.#rest = lines.pop() ?? ""
    for (const line of lines) {
      if (this.#wanted === undefined) {
        this.#wanted = 2 * whole(line)
        if (this.#wanted > 2 * MOST_PIECES) throw new RangeError(`a sparse file has more than ${MOST_PIECES} pieces`)
      } else if (this.#numbers.length < this.#wanted) this.#numbers.push(whole(line))
      if (this.#numbers.length === this.#wanted) return true
    }
    if (this.#rest.length > 20) throw new RangeError("a sparse map holds what is no number")
    return false
  }
  get pieces(): Piece[] {
    return pairs(this.#numbers)
  }
}
