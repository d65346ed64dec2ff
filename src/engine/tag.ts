/**
 * `tag`: one more name for an image. Nothing moves but a line of index.json.
 *
 * Read on: image/layout.ts, withName.
 */

import { EngineError } from "../base/errors.ts"
import { needImage } from "../image/find.ts"
import { changeIndex, readIndex, withName } from "../image/layout.ts"
import { canonical, parseReference } from "../model/reference.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `IMAGE_NOT_FOUND`, `INVALID_REFERENCE`. */
export async function tag(world: World, image: string, name: string): Promise<void> {
  const { digest, ...named } = parseReference(name)
  if (digest !== undefined)
    throw new EngineError("INVALID_REFERENCE", `cannot name an image ${name}: a digest cannot be given, only had`)
  const store = world.store()
  // A word that means nothing makes no layout.
  needImage(readIndex(store), image)
  await changeIndex(store, (entries) => withName(entries, needImage(entries, image).entry, canonical(named)))
}
