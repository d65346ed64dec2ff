/**
 * `import`: an image of one layer, from an archive of files.
 *
 *     tar, tar.gz, tar.zst ──▶ layer ─┐
 *     --change ──▶ config ────────────┴──▶ image
 *
 * Read on: image/place.ts; spec/image-changes.ts.
 */

import { EngineError } from "../base/errors.ts"
import { idOf } from "../image/find.ts"
import { keepLayer } from "../image/place.ts"
import { putImage } from "../image/stacks.ts"
import { parsePlatform } from "../model/platform.ts"
import { canonical, parseReference } from "../model/reference.ts"
import { timeOf } from "../record/time.ts"
import { withChanges } from "../spec/image-changes.ts"
import { ARCHITECTURES } from "./image.ts"
import type { ImportOptions } from "./types.ts"
import type { World } from "./world.ts"

/** @returns the image's id. */
export async function importImage(
  world: World,
  archive: AsyncIterable<Uint8Array>,
  { name, changes = [], message, platform }: ImportOptions = {},
): Promise<string> {
  const config = withChanges({}, changes)
  const reference = name === undefined ? undefined : parseReference(name)
  if (reference?.digest !== undefined)
    throw new EngineError("INVALID_REFERENCE", `cannot name an image ${name}: a digest cannot be given, only had`)
  const target =
    platform === undefined
      ? { os: "linux", architecture: ARCHITECTURES[process.arch] ?? process.arch }
      : parsePlatform(platform)
  const store = { ...world.store(), executor: world.executor() }
  const { diffId, ...layer } = await keepLayer(store, archive)
  const created = timeOf(world.now())
  const entry = await putImage(
    store,
    {
      created,
      ...target,
      config,
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created, created_by: "minicontainer import", comment: message ?? "Imported from an archive" }],
    },
    [layer],
    reference && canonical(reference),
  )
  return idOf(entry)
}
