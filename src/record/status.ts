/**
 * Status: what the monitor says about its container. The monitor alone writes it, whole, by rename: once when the program
 * runs, once when it has ended.
 *
 *     state exited
 *     code 137
 *     signal 9
 *     pid 4711 918273                 process 1 on the host, and its start time
 *     monitor 4700 918270
 *     boot 2520e58c-…
 *     started 1795529141.123456789
 *     finished 1795529150.000000001
 *     lost 512                        bytes of output that the log could not take
 *     capture memory.events 47        then 47 bytes and a newline: a file of the cgroup as it was at the end
 *     low 0 …
 *
 * If the monitor was killed, reconcile writes the last one in its place, with a line `error`.
 *
 * Read on: states.ts. native/status.c.
 */

import { readFileSync } from "node:fs"
import type { ProcessMark } from "./alive.ts"
import { codeOf, unusable, writeWhole } from "./store.ts"
import { timeOfSeconds } from "./time.ts"

export interface StatusFile {
  readonly state: "running" | "exited"
  readonly boot: string
  readonly pid?: ProcessMark
  readonly monitor?: ProcessMark
  /** RFC 3339 with nanoseconds. */
  readonly started?: string
  readonly finished?: string
  readonly code?: number
  readonly signal?: number
  readonly lostBytes?: number
  readonly error?: string
  readonly captures: Readonly<Record<string, string>>
}

const NEWLINE = 10

/** @returns undefined for bytes that are no status. Lines that we do not know are passed over. */
export function parseStatus(bytes: Uint8Array): StatusFile | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const lines = new Map<string, string>()
  const captures: Record<string, string> = {}
  for (let at = 0; at < text.length; ) {
    const end = text.indexOf(NEWLINE, at)
    const line = text.toString("utf8", at, end < 0 ? text.length : end)
    at = end < 0 ? text.length : end + 1
    const space = line.indexOf(" ")
    const [key, value] = space < 0 ? [line, ""] : [line.slice(0, space), line.slice(space + 1)]
    if (key !== "capture") {
      lines.set(key, value)
      continue
    }
    const split = value.lastIndexOf(" ")
    const length = Number(value.slice(split + 1))
    if (!Number.isInteger(length) || length < 0 || at + length > text.length) break
    captures[value.slice(0, split)] = text.toString("utf8", at, at + length)
    at += length + 1
  }

  const state = lines.get("state")
  if (state !== "running" && state !== "exited") return undefined
  const mark = (key: string): ProcessMark | undefined => {
    const [pid, start] = lines.get(key)?.split(" ").map(Number) ?? []
    return pid !== undefined && start !== undefined && pid > 0 ? { pid, start } : undefined
  }
  const number = (key: string): number | undefined => (lines.has(key) ? Number(lines.get(key)) : undefined)
  const time = (key: string): string | undefined => (lines.has(key) ? timeOfSeconds(lines.get(key)!) : undefined)
  const found = {
    pid: mark("pid"),
    monitor: mark("monitor"),
    started: time("started"),
    finished: time("finished"),
    code: number("code"),
    signal: number("signal"),
    lostBytes: number("lost"),
    error: lines.get("error"),
  }
  const present = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined))
  return { state, boot: lines.get("boot") ?? "", captures, ...present }
}

/** A file without a word that we know: it has run, and nobody can say more. As a boot that is over: whoever looks undoes it, and says that it is lost. */
const UNREADABLE: StatusFile = { state: "running", boot: "", captures: {} }

/**
 * @returns undefined if the container never ran. A file that says nothing (empty after a power failure: a rename may reach the disk before what was
 * written) is no such case: its container has files of its own, and is not to go like one that never was.
 */
export function readStatus(directory: string): StatusFile | undefined {
  try {
    return parseStatus(readFileSync(`${directory}/status`)) ?? UNREADABLE
  } catch (error) {
    if (codeOf(error) === "ENOENT" || codeOf(error) === "ENOTDIR") return undefined
    throw unusable(`${directory}/status`, error)
  }
}

/**
 * The last status of a container whose monitor could not write it: 137, because the kernel killed all of it with the monitor.
 * @param last what the monitor wrote when the program began to run.
 */
export function writeLost(
  directory: string,
  last: StatusFile,
  { error, now }: { readonly error: string; readonly now: Date },
): void {
  const seconds = (time: string): string => `${Math.floor(Date.parse(time) / 1000)}.${time.slice(20, 29)}`
  const mark = (key: string, value: ProcessMark | undefined): string[] =>
    value ? [`${key} ${value.pid} ${value.start}`] : []
  const lines = [
    "state exited",
    "code 137",
    "signal 9",
    ...mark("pid", last.pid),
    ...mark("monitor", last.monitor),
    `boot ${last.boot}`,
    ...(last.started ? [`started ${seconds(last.started)}`] : []),
    `finished ${(now.getTime() / 1000).toFixed(3)}000000`,
    `error ${error.replaceAll("\n", " ")}`,
  ]
  writeWhole(`${directory}/status`, `${lines.join("\n")}\n`)
}
