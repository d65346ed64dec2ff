/**
 * Leftovers of images: what a process was writing into the store when it was killed. Each is named after its writer.
 *
 *     images/.load-PID-START-…        an archive that was being taken apart
 *     images/blobs/.new-PID-START-…   a blob whose digest was not known yet
 *     layers/.new-PID-START-…         a layer that was half unpacked, or half removed
 *
 * Nothing of the store leads to them, so nobody misses them.
 *
 * Read on: image/layout.ts; image/unpack.ts.
 */

import { existsSync, lstatSync, readdirSync } from "node:fs"
import { doSteps, planOf } from "../../executor/do.ts"
import { isAlive } from "../../record/alive.ts"
import { discard } from "../../record/store.ts"
import { removeTree } from "../reconcile.ts"
import type { World } from "../world.ts"
import type { Class } from "./types.ts"

export const images: Readonly<Record<string, Class>> = {
  "image drafts": {
    about: "a blob, a layer or an archive whose reader was killed",
    find: (world) =>
      ["images", "images/blobs", "layers"]
        .flatMap((directory) => draftsIn(`${world.roots.state}/${directory}`))
        .map((path) => ({ what: path, fix: () => remove(world, path) })),
  },
}

function draftsIn(directory: string): readonly string[] {
  return (existsSync(directory) ? readdirSync(directory) : []).flatMap((name) => {
    const [, pid, start] = /^\.(?:new|load)-(\d+)-(\d+)-/.exec(name) ?? []
    const isLeft = pid !== undefined && !isAlive({ pid: Number(pid), start: Number(start) })
    return isLeft ? [`${directory}/${name}`] : []
  })
}

/** By the executor: what an archive has unpacked, nobody follows by path. */
async function remove(world: World, path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFile()) discard(path)
  else await doSteps(world.executor(), planOf([removeTree(path)]))
}
