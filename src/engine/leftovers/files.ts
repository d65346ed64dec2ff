/**
 * Leftovers among files: what is written beside its place and was never renamed into it, and what has been replaced.
 *
 *     id.PID  skeleton.PID            of the first command in a new root
 *     bin/SHA.PID                     an executor that was being extracted      bin/SHA: one of a version that is not ours
 *     volumes/.new-…  .gone-…         a volume that was being made, or removed
 *
 * Read on: record/store.ts, executor/locate.ts, record/volumes.ts.
 */

import { existsSync, readdirSync, rmSync } from "node:fs"
import { basename } from "node:path/posix"
import { doSteps, planOf } from "../../executor/do.ts"
import { isAlive, startOf } from "../../record/alive.ts"
import { volumeDrafts } from "../../record/volumes.ts"
import { removeTree } from "../reconcile.ts"
import type { World } from "../world.ts"
import type { Class, Leftover } from "./types.ts"

export const files: Readonly<Record<string, Class>> = {
  "temporary files": {
    about: "a file that was being written by a process that is dead",
    find: (world) => {
      const { state } = world.roots
      const in_ = (directory: string, pattern: RegExp) =>
        namesIn(directory).flatMap((name) => {
          const pid = pattern.exec(name)?.[1]
          return pid !== undefined && startOf(Number(pid)) === undefined ? [own(`${directory}/${name}`)] : []
        })
      return [
        ...in_(state, /^(?:id|skeleton)\.(\d+)$/),
        ...in_(`${state}/bin`, /^[0-9a-f]{64}\.(\d+)/),
        ...listed(`${state}/containers`).flatMap((directory) => in_(directory, /\.(\d+)\.new$/)),
      ]
    },
  },
  "old executors": {
    about: "the executor of another version of this command",
    find: (world) => {
      const directory = `${world.roots.state}/bin`
      const ours = basename(world.executor())
      return namesIn(directory)
        .filter((name) => /^[0-9a-f]{64}$/.test(name) && name !== ours)
        .map((name) => own(`${directory}/${name}`))
    },
  },
  volumes: {
    about: "a volume that was being made, or removed, by a process that is dead",
    find: (world) =>
      volumeDrafts(world.store())
        .filter(({ maker }) => !isAlive(maker))
        .map(({ path }) => tree(world, path)),
  },
}

const namesIn = (directory: string): readonly string[] => (existsSync(directory) ? readdirSync(directory) : [])
const listed = (directory: string): readonly string[] => namesIn(directory).map((name) => `${directory}/${name}`)

/** What we have written ourselves: no container has ever seen it. */
const own = (path: string): Leftover => ({ what: path, fix: () => rmSync(path, { recursive: true, force: true }) })

/** What containers have written to: by fd. */
const tree = (world: World, path: string): Leftover => ({
  what: path,
  fix: async () => void (await doSteps(world.executor(), planOf([removeTree(path)]))),
})
