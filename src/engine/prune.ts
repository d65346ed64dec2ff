/**
 * `prune`: what nobody needs any more, taken off the disk, and how much room that made.
 *
 *     always       what dead containers have left: directories without a record, records whose container never ran
 *     containers   every one that does not run
 *     volumes      those that no container has, and that nobody has named
 *
 * Each is removed the way it would be one by one, so whoever starts one of them meanwhile keeps it.
 *
 * Read on: rm.ts, volumes.ts; leftovers/containers.ts.
 */

import { EngineError } from "../base/errors.ts"
import { parseSpan } from "../base/units.ts"
import type { Container } from "../record/containers.ts"
import { parseTime } from "../record/time.ts"
import { findDamaged, recordBroken, repairAll, seeAll } from "./reconcile.ts"
import { rm } from "./rm.ts"
import type { Pruned, PruneOptions } from "./types.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `INVALID_VALUE` for a filter that makes no sense. */
export async function prune(world: World, options: PruneOptions = {}): Promise<Pruned> {
  const { containers = false, volumes = false, filters = {} } = options
  const passes = testOf(world, filters)
  let freedBytes = 0
  const freed = (bytes: number): void => {
    freedBytes += bytes
  }
  const leftovers = findDamaged(world)
  await repairAll(world, leftovers, { freed })
  const removed = containers ? await removeStopped(world, passes, freed) : []
  const { until: _, ...labels } = filters
  const gone = volumes
    ? await (await import("./volumes.ts")).pruneVolumes(world, { filters: labels })
    : { removed: [], freedBytes: 0 }
  return { leftovers, containers: removed, volumes: gone.removed, freedBytes: freedBytes + gone.freedBytes }
}

async function removeStopped(
  world: World,
  passes: (record: Container) => boolean,
  freed: (bytes: number) => void,
): Promise<readonly string[]> {
  const removed: string[] = []
  const { containers, broken } = await seeAll(world)
  // Who cannot be read may be the one whose volumes would go next.
  if (broken[0]) throw recordBroken(broken[0])
  for (const { record, state } of containers) {
    if ((state !== "exited" && state !== "created") || !passes(record)) continue
    try {
      await rm(world, record.id, {}, freed)
      removed.push(record.id)
    } catch (error) {
      // Somebody has started it since we looked, or removed it.
      if (!(error instanceof EngineError) || !["WRONG_STATE", "CONTAINER_NOT_FOUND"].includes(error.code)) throw error
    }
  }
  return removed
}

type Filters = NonNullable<PruneOptions["filters"]>
function testOf(world: World, filters: Filters): (record: Container) => boolean {
  const rows: Readonly<Record<string, (values: readonly string[]) => (record: Container) => boolean>> = {
    until: (values) => {
      const times = values.map((value) => momentOf(world, value))
      return ({ created }) => times.every((time) => created < time)
    },
    label: (values) => (record) => values.every((value) => hasLabel(record, value)),
    "label!": (values) => (record) => !values.some((value) => hasLabel(record, value)),
  }
  const tests = Object.entries(filters).map(([name, values]) => {
    const row = Object.hasOwn(rows, name) ? rows[name] : undefined
    if (row) return row(values)
    throw new EngineError(
      "INVALID_VALUE",
      `cannot prune by "${name}": there is no such filter`,
      `there are ${Object.keys(rows).join(", ")}`,
    )
  })
  return (record) => tests.every((test) => test(record))
}

function hasLabel({ request: { labels = {} } }: Container, value: string): boolean {
  const at = value.indexOf("=")
  const key = at < 0 ? value : value.slice(0, at)
  return Object.hasOwn(labels, key) && (at < 0 || labels[key] === value.slice(at + 1))
}

/** A time, or a span before now, as RFC 3339. */
function momentOf(world: World, text: string): string {
  const span = /^\d+$/.test(text) ? undefined : parseSpan(text)
  const time = span === undefined ? parseTime(text) : new Date(world.now().getTime() - span).toISOString()
  if (time !== undefined) return time
  throw new EngineError(
    "INVALID_VALUE",
    `cannot prune until=${text}: it is neither a time nor a span`,
    "for example until=24h",
  )
}
