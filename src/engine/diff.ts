/**
 * `diff`: what a container has changed, from its upper directory.
 *
 *     in upper                           below             told
 *     etc/x                              not there         A /etc/x
 *     etc/x                              there             C /etc/x
 *     etc/x, a character device 0:0                        D /etc/x
 *     etc, trusted.overlay.opaque=y      etc/y             D /etc/y, for what upper does not have again
 *
 * Overlayfs copies a directory up with whatever is changed in it, so the directories above are told as changed, as Docker does.
 *
 * Read on: files.ts; plan/view.ts. Linux Documentation/filesystems/overlayfs.rst.
 */

import { existsSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { planOf } from "../executor/do.ts"
import { readFiles } from "../executor/files.ts"
import { type FileOp, WALK } from "../plan/unpack.ts"
import { openDirectory, viewLower } from "../plan/view.ts"
import { EVERYTHING, shown, viewed } from "./files.ts"
import type { Change } from "./types.ts"
import type { World } from "./world.ts"

const OPAQUE = new Set(["trusted.overlay.opaque", "user.overlay.opaque"])
const S_IFMT = 0o170000
const S_IFCHR = 0o20000
const isWhiteout = (op: FileOp): boolean =>
  op.op === "node" && (op.mode & S_IFMT) === S_IFCHR && op.major === 0 && op.minor === 0

/** Sorted by path. */
export async function diff(world: World, container: string): Promise<readonly Change[]> {
  const { placement, name } = await viewed(world, container, "compare")
  const { rootfs } = placement
  const lower = viewLower(placement)
  if (rootfs.kind !== "overlay" || lower === undefined)
    throw new EngineError("UNSUPPORTED", `cannot compare ${name}: it was started on a directory of its own`)
  // Made by the first start.
  if (!existsSync(`${rootfs.writable}/upper`)) return []
  const upper = openDirectory(`${rootfs.writable}/upper`, "the container's changes")

  const deleted: string[] = []
  const there = new Set<string>()
  const opaque: string[] = []
  let last = ""
  const walk = { op: "walk", path: "/", flags: WALK.xattrs, ...EVERYTHING } as const
  for await (const op of readFiles(world.executor(), planOf([upper]), [walk])) {
    if (op.op === "xattr") {
      if (OPAQUE.has(op.name)) opaque.push(last)
    } else if ("path" in op && op.path !== "." && op.op !== "failed") {
      last = op.path
      if (isWhiteout(op)) deleted.push(op.path)
      else there.add(op.path)
    } else last = ""
  }

  const paths = [...there]
  const known = await below(world, lower, paths, 0)
  const hidden =
    opaque.length === 0 ? [] : (await below(world, lower, opaque, 1)).flat().filter((path) => !there.has(path))
  return [
    ...paths.map((path, index): Change => ({ kind: known[index]!.length > 0 ? "C" : "A", path: `/${shown(path)}` })),
    ...[...deleted, ...hidden].map((path): Change => ({ kind: "D", path: `/${shown(path)}` })),
  ].sort((a, b) => (a.path < b.path ? -1 : Number(a.path > b.path)))
}

/** For each path what is there (depth 0), or what is in it (depth 1), in the layers. */
async function below(
  world: World,
  lower: Parameters<typeof planOf>[0],
  paths: readonly string[],
  depth: number,
): Promise<string[][]> {
  const answers: string[][] = []
  let answer: string[] = []
  const walks = paths.map((path) => ({ op: "walk", path, flags: 0, depth, limit: 0 }) as const)
  for await (const op of readFiles(world.executor(), planOf(lower), walks)) {
    if (op.op === "end") {
      answers.push(answer)
      answer = []
    } else if ("path" in op && op.op !== "failed" && (depth === 0 || op.path !== "."))
      answer.push(depth === 0 ? op.path : `${paths[answers.length]}/${op.path}`)
  }
  return answers
}
