/**
 * What a row of the table of leftovers is.
 *
 * Read on: leftovers.ts, the table.
 */

import type { World } from "../world.ts"

/** One thing that is left over. */
export interface Leftover {
  /** A path, a name: what a person would look for. */
  readonly what: string
  /** Takes it away; what is gone already is no error. @throws {EngineError} */
  readonly fix: () => Promise<void> | void
}

export interface Class {
  /** What it is, and how it comes about, in a line for people. */
  readonly about: string
  /** Looks only. */
  readonly find: (world: World) => readonly Leftover[]
}
