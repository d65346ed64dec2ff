/**
 * What a suite may leave behind on this machine: nothing.
 *
 *     before = look()   … the suite …   gone(before): what is there now and was not before
 *
 * Mounts, cgroups, network interfaces, processes and temporary files outlive the process that made them, so a test that
 * passes can still be wrong. Ends of processes take a moment to be seen: the check asks again until a deadline.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { basename } from "node:path"

/** One line for each thing that could be left, as a person would name it. */
export type Seen = ReadonlySet<string>

const quietly = <T>(read: () => T, otherwise: T): T => {
  try {
    return read()
  } catch {
    return otherwise
  }
}
const list = (directory: string): string[] => quietly(() => readdirSync(directory), [])

function mounts(): string[] {
  // Field 5 of each line is the mount point: proc_pid_mountinfo(5).
  const lines = readFileSync("/proc/self/mountinfo", "utf8").trimEnd().split("\n")
  return lines.map((line) => `mount ${line.split(" ")[4]}`)
}

/** Groups that an engine or a test made: ours by name, and whatever lies below them. */
const OURS = /minicontainer|mctest/

function cgroups(directory: string, depth: number, ours: boolean): string[] {
  return list(directory).flatMap((name) => {
    const path = `${directory}/${name}`
    const mine = ours || OURS.test(name)
    // A file of a cgroup has a dot in its name; a directory is one if it can be listed.
    if (!mine && (depth === 0 || name.includes("."))) return []
    const isGroup = quietly(() => readdirSync(path), undefined) !== undefined
    return isGroup ? [...(mine ? [`cgroup ${path}`] : []), ...cgroups(path, depth - 1, mine)] : []
  })
}

/** Programs that only this project starts: the command, and its executor under whatever name it was extracted. */
function processes(): string[] {
  return list("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const program = quietly(() => basename(readlinkSync(`/proc/${pid}/exe`)), "")
      const name = quietly(() => readFileSync(`/proc/${pid}/comm`, "utf8").trim(), "")
      return /^(minicontainer|executor)/.test(program) || name.startsWith("minicontainer")
        ? [`process ${pid} (${name})`]
        : []
    })
}

/** @param temporary the suite's own TMPDIR: every file in it is a leftover. */
export function look(temporary: string): Seen {
  return new Set([
    ...mounts(),
    ...cgroups("/sys/fs/cgroup", 2, false),
    ...list("/sys/class/net").map((name) => `interface ${name}`),
    ...processes(),
    ...list(temporary).map((name) => `file ${temporary}/${name}`),
    ...list("/var/tmp").flatMap((name) => (OURS.test(name) ? [`file /var/tmp/${name}`] : [])),
  ])
}

/** What has appeared since `before` and does not go away within `patienceMs`. */
export async function left(before: Seen, temporary: string, patienceMs: number): Promise<string[]> {
  const deadline = performance.now() + patienceMs
  for (;;) {
    const more = [...look(temporary)].filter((thing) => !before.has(thing))
    if (more.length === 0 || performance.now() > deadline) return more
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
