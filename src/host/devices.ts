/**
 * Device nodes below directories: what `--privileged` and `--device DIR` give.
 *
 * Links are not followed and other file systems not entered: pts, shm and mqueue are the container's own.
 *
 * Read on: paths.ts; spec/host-devices.ts, which turns them into nodes and rules.
 */

import { lstatSync, readdirSync } from "node:fs"

/** Deeper than any /dev: what goes further is no directory of devices. */
const DEEPEST = 8

/** Paths of all character and block devices in these directories, at any depth; other paths give nothing. */
export function devicesBelow(directories: readonly string[]): readonly string[] {
  return directories.flatMap((directory) => {
    const top = statOf(directory)
    return top?.isDirectory() ? walk(directory, top.dev, DEEPEST) : []
  })
}

function walk(directory: string, dev: number, depth: number): readonly string[] {
  let names: readonly string[]
  try {
    names = readdirSync(directory)
  } catch {
    // It has gone since we saw it.
    return []
  }
  return names.toSorted().flatMap((name): readonly string[] => {
    const path = `${directory.replace(/\/$/, "")}/${name}`
    const stat = statOf(path)
    if (stat?.isCharacterDevice() || stat?.isBlockDevice()) return [path]
    return stat?.isDirectory() && stat.dev === dev && depth > 0 ? walk(path, dev, depth - 1) : []
  })
}

/** Why something cannot be looked at, paths.ts tells. */
function statOf(path: string) {
  try {
    return lstatSync(path, { throwIfNoEntry: false })
  } catch {
    return undefined
  }
}
