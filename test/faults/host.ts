/**
 * What a host has of one machine's engine, as lines that can be compared: before a fault and after it.
 */

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Machine } from "../machine.ts"

/** Mounts of other suites, which may run beside us, lie in temporary directories of their own. */
const TEMPORARY = /\/(tmp|var\/tmp|dev\/shm)\//
/** A lock is a file that is made when it is first taken, and stays. */
const LOCK = /\.lock$/

/**
 * Processes, cgroups, mounts, interfaces, and every file of both roots, with what kind of file it is. What the first start makes once for
 * good (the state root's own directories, the cache, the parents of groups) is there before and after.
 */
export function hostState(machine: Machine): readonly string[] {
  const files = (directory: string): string[] =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .map((entry) => `file ${join(entry.parentPath, entry.name)}${entry.isDirectory() ? "/" : ""}`)
      .filter((path) => !LOCK.test(path))
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(machine.base) || !TEMPORARY.test(line))
  return [
    ...machine.traces(),
    ...files(machine.root),
    ...files(machine.runRoot),
    ...mounts.map((line) => `mount ${line}`),
    ...readdirSync("/sys/class/net").map((name) => `interface ${name}`),
  ].sort()
}

/** Names that differ from container to container, by what they are. */
export const anonymous = (text: string, { root, runRoot }: Machine): string =>
  text
    .replaceAll(root, "STATE")
    .replaceAll(runRoot, "RUN")
    .replaceAll(/\b[0-9a-f]{64}\b/g, "ID")
    .replaceAll(/minicontainer-[0-9a-f]{6}\b/g, "minicontainer")
    .replaceAll(/\/ids\/\d+/g, "/ids/N")
    .replaceAll(/\b\d{10}\b/g, "HOST")
