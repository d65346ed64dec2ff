/**
 * `export`: all of a container's files as one archive, without what is mounted over them.
 *
 * What it says is what `import` takes, Docker's too: names relative to the root, ids as the container knows them, hard links as such.
 *
 * Read on: files.ts; plan/view.ts.
 */

import { planOf } from "../executor/do.ts"
import { readFiles } from "../executor/files.ts"
import { WALK } from "../plan/unpack.ts"
import { viewRoot } from "../plan/view.ts"
import { archiveOf, EVERYTHING, idsOf, viewed } from "./files.ts"
import type { World } from "./world.ts"

export async function* exportFiles(world: World, container: string): AsyncGenerator<Uint8Array> {
  const view = await viewed(world, container, "export")
  const flags = WALK.content | WALK.xattrs | WALK.xattrsFirst
  const ops = readFiles(world.executor(), planOf(viewRoot(view, { alone: true })), [
    { op: "walk", path: "/", flags, ...EVERYTHING },
  ])
  yield* archiveOf(ops, {
    name: (path) => (path === "." ? undefined : path),
    inside: idsOf(view).inside,
    verb: `export ${view.name}`,
  })
}
