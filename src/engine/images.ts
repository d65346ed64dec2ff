/**
 * `images`: what is in the store, a row for each name.
 *
 *     index.json ──▶ entries ──▶ name, tag     id, digest, created         no other file is read for these
 *                                stack         size, labels
 *                                records       how many containers
 *
 * Read on: image/layout.ts; cli/commands/images.ts.
 */

import { idOf } from "../image/find.ts"
import { CREATED, NAME, readIndex } from "../image/layout.ts"
import { readStack } from "../image/stacks.ts"
import type { Descriptor } from "../model/image.ts"
import { familiarName, parseReference } from "../model/reference.ts"
import { usersOf } from "./rmi.ts"
import type { ImageSummary } from "./types.ts"
import type { World } from "./world.ts"

/** A name of the index as people write it. What another tool wrote there need not be one of ours. */
export function shownName(entry: Descriptor): Pick<ImageSummary, "repository" | "tag"> {
  const name = entry.annotations?.[NAME]
  if (name === undefined) return {}
  try {
    const reference = parseReference(name)
    return { repository: familiarName(reference), ...(reference.tag !== undefined && { tag: reference.tag }) }
  } catch {
    return { repository: name }
  }
}

export async function images(world: World): Promise<readonly ImageSummary[]> {
  const store = { root: world.roots.state }
  const users = usersOf(world)
  return readIndex(store)
    .map((entry): ImageSummary => {
      const stack = readStack(store, entry.digest)
      const created = entry.annotations?.[CREATED]
      const id = idOf(entry)
      return {
        id,
        digest: entry.digest,
        ...shownName(entry),
        ...(created && { created }),
        size: stack?.size ?? 0,
        labels: stack?.config.Labels ?? {},
        containers: users.filter(({ image }) => image.id === id).length,
      }
    })
    .sort((a, b) => ((a.created ?? "") < (b.created ?? "") ? 1 : -1))
}
