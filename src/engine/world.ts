/**
 * The world, as one argument: everything that a verb may touch beyond its own values. open.ts makes it once; a verb
 * takes it first; nothing below reaches around it.
 *
 *     door ── OpenOptions ──▶ open.ts ── World ──▶ run, ps, stop, rm, …
 *
 * Nothing is looked at or made before a verb asks for it: `version` and `help` cost nothing, `explain` leaves no trace.
 *
 * Read on: open.ts; record/store.ts.
 */

import { linkSync, writeFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { hex } from "../base/hex.ts"
import { locateExecutor } from "../executor/locate.ts"
import { withLock } from "../executor/lock.ts"
import { readHost } from "../host/host.ts"
import type { Host } from "../model/host.ts"
import { codeOf, discard, makeRoots, readText, type Store, unusable } from "../record/store.ts"
import { checkOpen } from "./options.ts"
import type { OpenOptions } from "./types.ts"

export const DEFAULT_ROOT = "/var/lib/minicontainer"
export const DEFAULT_RUN_ROOT = "/run/minicontainer"

export interface World {
  readonly roots: { readonly state: string; readonly run: string }
  /** "" for the default state root, else 6 hexadecimal digits of the root's own id: so that two roots never share a cgroup or an interface. */
  scope(): string
  /** The records. Both roots are made when this is first called. @throws {EngineError} `NOT_ROOT`, or `STATE_UNUSABLE` if they cannot be. */
  store(): Store
  /** Where the executor can be started; extracts it if it must. */
  executor(): string
  /** The program of the built-in image; undefined: there is none. */
  readonly hello: string | undefined
  now(): Date
  random(bytes: number): Uint8Array
  /** Looks at this machine, and at these paths. */
  host(paths: readonly string[]): Host
}

export function makeWorld(options: OpenOptions): World {
  checkOpen(options)
  const { root = DEFAULT_ROOT, runRoot, executor, hello } = options
  for (const path of [root, runRoot])
    if (path !== undefined && !path.startsWith("/"))
      throw new EngineError("INVALID_VALUE", `cannot keep containers in ${path}: it is not an absolute path`)
  const state = trimmed(root)
  const isDefault = state === DEFAULT_ROOT
  const roots = { state, run: trimmed(runRoot ?? (isDefault ? DEFAULT_RUN_ROOT : `${state}/run`)) }
  const path = once(() => locateExecutor(executor, `${state}/bin`))
  const store = once((): Store => {
    const uid = process.geteuid?.() ?? 0
    if (uid !== 0)
      throw new EngineError(
        "NOT_ROOT",
        `cannot use ${state}: this needs root, and we are uid ${uid}`,
        "run it with sudo",
      )
    makeRoots(state, roots.run)
    if (!isDefault) makeId(state, id())
    return {
      root: state,
      run: roots.run,
      boot: readText("/proc/sys/kernel/random/boot_id")?.trim() ?? "",
      lock: (name, work) => withLock(path(), `${state}/${name}.lock`, work),
    }
  })
  let known: string | undefined
  // A root that is not there yet has no id; whoever only looks sees the one that it will get, unless somebody else is faster.
  const assumed = once(randomId)
  const id = (): string => {
    try {
      known ??= readText(`${state}/id`)?.trim() || undefined
    } catch {
      // Who may not read it may look at a plan all the same; who needs it meets the same error in makeId.
    }
    return known ?? assumed()
  }
  return {
    roots,
    scope: () => (isDefault ? "" : id().slice(0, 6)),
    store,
    executor: path,
    hello,
    now: () => new Date(),
    random,
    host: readHost,
  }
}

/** The global crypto: loading node:crypto would cost a third as much as the whole start. */
const random = (bytes: number): Uint8Array => crypto.getRandomValues(new Uint8Array(bytes))
const randomId = (): string => hex(random(16))

/** The first call makes the value, every later one has it. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** Without slashes at the end. */
function trimmed(path: string): string {
  let end = path.length
  while (end > 1 && path[end - 1] === "/") end--
  return path.slice(0, end)
}

/** The root's own id, made once: link(2) fails if somebody else was faster, and then theirs counts. */
function makeId(state: string, id: string): void {
  const path = `${state}/id`
  if (readText(path) !== undefined) return
  const fresh = `${path}.${process.pid}`
  try {
    writeFileSync(fresh, `${id}\n`, { mode: 0o600 })
    linkSync(fresh, path)
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw unusable(path, error)
  } finally {
    discard(fresh)
  }
}
