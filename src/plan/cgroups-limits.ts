/**
 * Limits: what `linux.resources` asks for, before it is known which cgroup file says it.
 *
 *     config.json                    a row                                         a step
 *     memory.limit 536870912   ──▶   memory  memory.max  "536870912"  --memory ──▶ write … or a warning
 *
 * The two kinds of cgroup (cgroups.ts, cgroups-v1.ts) have a table each of how they spell a limit; here are the things that
 * both share: what the config may not say at all, and the rule that a limit which this host cannot keep is told, never
 * dropped in silence: for a flag of Docker's by a warning, as Docker does, for any other field by an error.
 *
 * Read on: cgroups.ts. OCI runtime-spec config-linux.md, "Control groups".
 */

import { EngineError } from "../base/errors.ts"
import type { Host } from "../model/host.ts"
import type { Resources } from "../model/oci.ts"
import type { Errno, Slot, Step } from "./step.ts"

export interface CgroupsRequest {
  readonly resources: Resources
  /** The container's group, below the base of each hierarchy: `/minicontainer/<id>`. */
  readonly path: string
  /** The monitors' group: `/minicontainer/monitors`. Absent: nobody stays (`stay: none`). */
  readonly monitors?: string | undefined
  readonly host: Pick<Host, "cgroups" | "kernel">
  /** The container has no pid namespace of its own, so killing its process 1 does not end the others. */
  readonly sharesPids?: boolean | undefined
  /** The container has a user namespace of its own. */
  readonly ownIds?: boolean | undefined
}

export interface Grouped {
  /** In the order of their phases: host, child, exit. */
  readonly steps: readonly Step[]
  /** One line each. */
  readonly warnings: readonly string[]
  /** The slot for the `cgroup` of the clone: the child is born in that group. */
  readonly slot?: Slot
  /** The steps of phase child do (the rest of) the attach: a cgroup namespace made earlier would begin too high. */
  readonly attachesInChild: boolean
  /** The container's group for each controller it has one for, absolute. On v2 `unified` is one of the keys. */
  readonly groups: Readonly<Record<string, string>>
  /** For `monitors` of the frame: the v2 group in which the monitor is born. */
  readonly monitors?: string
}

/** One file of a group, and what to write there. */
export interface Limit {
  readonly controller: string
  readonly file: string
  readonly text: string
  /** Who asked, as that person knows it: the flag if Docker has one, else the field of `linux.resources`. */
  readonly asked: string
  readonly does: string
  readonly why: string
  /** Not every kernel has the file. `warn`: the container runs without, and a line says so. `skip`: another row does the same. */
  readonly absent?: "warn" | "skip"
}

/** A limit for which this kind of cgroup has no file at all. */
export interface Unenforceable {
  readonly asked: string
  /** What follows the colon: "cgroup v2 has no swappiness". */
  readonly because: string
}

export type Row = Limit | Unenforceable

/** A number that JSON has from a 64-bit field: the largest of them, which a double cannot hold, are no limit. */
export const isUnlimited = (value: number): boolean => value < 0 || value >= 2 ** 63

/** A limit where 0 and -1 are none, as a new group has it. */
export const positive = (value = 0): number | undefined => (value > 0 ? value : undefined)

/** @throws {EngineError} `UNSUPPORTED` for a field that no flag of Docker's stands for. */
function insist(asked: string, because: string): void {
  if (asked.startsWith("--")) return
  throw new EngineError("UNSUPPORTED", `cannot enforce linux.resources.${asked}: ${because}`, "drop it")
}

/** Rows for a value that was given; none for one that was not. */
export const given = <T>(value: T | undefined, rows: (value: T) => readonly Row[]): readonly Row[] =>
  value === undefined ? [] : rows(value)

/**
 * Steps for the limits that can be kept, warnings for those that cannot.
 * @throws {EngineError} `UNSUPPORTED` for those that cannot and are no flag of Docker's.
 * @param directory the container's group for a controller, absolute; undefined: this host does not have the controller.
 */
export function enforce(
  rows: readonly Row[],
  directory: (controller: string) => string | undefined,
): { readonly steps: readonly Step[]; readonly warnings: readonly string[] } {
  const steps: Step[] = []
  const warnings = new Set<string>()
  for (const row of rows) {
    if ("because" in row) {
      insist(row.asked, row.because)
      warnings.add(`${row.asked} is not enforced: ${row.because}`)
      continue
    }
    const group = directory(row.controller)
    if (group === undefined) {
      insist(row.asked, `this host has no ${row.controller} controller`)
      warnings.add(`${row.asked} is not enforced: this host has no ${row.controller} controller`)
      continue
    }
    const absent: readonly Errno[] = row.absent === "skip" ? ["ENOENT"] : []
    steps.push({
      phase: "host",
      op: "write",
      path: `${group}/${row.file}`,
      text: row.text,
      ...(absent.length > 0 && { ok: absent }),
      ...(row.absent === "warn" && { must: false }),
      does: row.does,
      why: row.why,
    })
  }
  return { steps, warnings: [...warnings] }
}

/** What a host without any cgroups means for a container, in one line. */
export function noGroup(rows: readonly Row[], { resources, host, ownIds }: CgroupsRequest): string {
  // Root of a user namespace makes no device nodes anyway.
  const devices = !ownIds && resources.devices?.length ? ["device rules"] : []
  const why = host.cgroups.why ?? "this host has none"
  for (const row of rows) insist(row.asked, `the container has no cgroup of its own, because ${why}`)
  const asked = [...new Set(rows.map((row) => row.asked)), ...devices]
  const last = asked.at(-1)
  const lost =
    last === undefined
      ? "nothing counts or limits what it uses"
      : `${asked.length === 1 ? last : `${asked.slice(0, -1).join(", ")} and ${last}`} ${asked.length === 1 && last !== "device rules" ? "is" : "are"} not enforced`
  return `the container has no cgroup of its own, because ${why}: ${lost}`
}

const invalid = (thing: string, cause: string, hint?: string): EngineError =>
  new EngineError("INVALID_CONFIG", `cannot limit ${thing}: ${cause}`, hint)

/**
 * Makes sure that the resources make sense, whatever the kind of cgroup, and returns them.
 * @throws {EngineError} `INVALID_CONFIG` for what the kernel would refuse with a bare EINVAL, naming the field.
 */
export function checked(resources: Resources): Resources {
  const { memory, cpu, hugepageLimits = [], unified = {} } = resources
  if (memory) {
    const { limit = 0, swap = 0, swappiness = 0 } = memory
    if (swap > 0 && limit <= 0)
      throw invalid(
        `memory and swap to ${swap}`,
        "there is no limit for memory alone",
        "set memory.limit (--memory) too",
      )
    if (swap > 0 && swap < limit)
      throw invalid(
        `memory and swap to ${swap}`,
        `it is less than the limit of ${limit} for memory alone`,
        "memory.swap (--memory-swap) is the sum of both",
      )
    if (swappiness < 0 || swappiness > 100) throw invalid(`swappiness to ${swappiness}`, "it ranges from 0 to 100")
  }
  if (cpu) {
    const { quota = 0, period = 0, burst = 0, cpus = "", mems = "" } = cpu
    if (quota > 0 && quota < LEAST_US)
      throw invalid(`CPU time to ${quota} µs`, `the kernel's least quota is ${LEAST_US} µs`)
    if (period !== 0 && (period < LEAST_US || period > MOST_PERIOD_US))
      throw invalid(`CPU time per ${period} µs`, `a period lasts from ${LEAST_US} to ${MOST_PERIOD_US} µs`)
    if (burst > 0 && quota > 0 && burst > quota)
      throw invalid(`CPU bursts to ${burst} µs`, `they may not exceed the quota of ${quota} µs`)
    for (const list of [cpus, mems])
      if (!/^[\d,\s-]*$/.test(list))
        throw invalid(`the container to the CPUs or memory nodes "${list}"`, "a list looks like 0-2,5")
  }
  for (const { pageSize } of hugepageLimits)
    if (!/^\d+[KMG]B$/.test(pageSize)) throw invalid(`huge pages of "${pageSize}"`, "a page size looks like 2MB")
  for (const file of Object.keys(unified))
    if (!/^[a-z]\w*(\.\w+)+$/i.test(file))
      throw invalid(`"${file}"`, "a key of unified is the name of a file of a cgroup")
  return resources
}

/** Linux kernel/sched/core.c: min_cfs_quota_period and max_cfs_quota_period. */
const LEAST_US = 1_000
const MOST_PERIOD_US = 1_000_000

/** Absolute paths of groups in a hierarchy: `below("/sys/fs/cgroup", "/")("/a")`. @param base the group that holds ours. */
export const below =
  (mount: string, base = "/") =>
  (path: string): string =>
    `${mount}${base === "/" ? "" : base}${path}`

/** The groups above one, outermost first: `ancestors("/a/b/c")` is `["/a", "/a/b"]`. */
export function ancestors(path: string): readonly string[] {
  const names = path.split("/").slice(1, -1)
  return names.map((_, index) => `/${names.slice(0, index + 1).join("/")}`)
}

/** A count that would be gone with the group: phase exit. */
export const capture = (group: string, name: string, why: string): Step => ({
  phase: "exit",
  op: "capture",
  path: `${group}/${name}`,
  name,
  ok: ["ENOENT"],
  does: `keep ${name}`,
  why: `${why}; with the group it would be gone`,
})
