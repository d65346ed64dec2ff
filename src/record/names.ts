/**
 * Names: how a person calls a container, instead of by its 64 digits.
 *
 * A container without a name gets two words, as with other engines: an adjective and the surname of somebody who did science.
 * If the words are taken a few times, a digit makes them rare.
 *
 * Read on: names-table.ts, leases.ts.
 */

import { existsSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { listRecords } from "./containers.ts"
import { ownerOf } from "./leases.ts"
import { ADJECTIVES, SURNAMES } from "./names-table.ts"
import { containerDirectory, nameLink, type Store } from "./store.ts"

/** @param attempt 0 for the first; from 4 on the name ends in a digit, then two … */
export function randomName(random: (n: number) => Uint8Array, attempt: number): string {
  const bytes = random(6)
  const number = (at: number): number => bytes[at]! * 256 + bytes[at + 1]!
  const words = `${ADJECTIVES[number(0) % ADJECTIVES.length]}_${SURNAMES[number(2) % SURNAMES.length]}`
  return attempt < 4 ? words : `${words}${number(4) % 10 ** Math.min(attempt - 3, 4)}`
}

const ID = /^[0-9a-f]{64}$/

/**
 * The id of the container that a person means: a name, a whole id, or the first digits of one id.
 * @throws {EngineError} `CONTAINER_NOT_FOUND`, `AMBIGUOUS_ID`; `INVALID_VALUE` for what is no text.
 */
export function resolveContainer(store: Store, given: string): string {
  if (typeof given !== "string")
    throw new EngineError("INVALID_VALUE", "cannot find a container: its name or id is not a text")
  // As `inspect` prints it: Docker's names begin with a slash.
  const reference = given.replace(/^\//, "")
  const missing = (): EngineError =>
    new EngineError(
      "CONTAINER_NOT_FOUND",
      `cannot find container "${given}": no container has this name or id`,
      "ps --all shows all of them",
    )
  if (!/^[\w.-]+$/.test(reference) || reference.startsWith(".")) throw missing()
  const exists = (id: string): boolean => existsSync(`${containerDirectory(store, id)}/container.json`)
  if (ID.test(reference) && exists(reference)) return reference
  const owner = ownerOf(nameLink(store, reference))
  if (owner && exists(owner)) return owner
  const matches = listRecords(store).ids.filter((id) => id.startsWith(reference) && exists(id))
  if (matches.length > 1)
    throw new EngineError(
      "AMBIGUOUS_ID",
      `cannot tell which container "${reference}" is: ${matches.length} ids begin with it (${matches
        .slice(0, 3)
        .map((id) => id.slice(0, 12))
        .join(", ")}${matches.length > 3 ? " …" : ""})`,
      "give more digits, or the name",
    )
  const [only] = matches
  if (only === undefined) throw missing()
  return only
}
