/**
 * Surroundings: what a request meets on this host, before anything of a container is made.
 *
 *     request ─▶ sources of its mounts (made, if they are to be) ─▶ facts about every path it names ─▶ Host
 *             └▶ skeleton, accounts, the host's own /etc/hosts and resolv.conf
 *
 * Only the files of the host are read here, and never one below a container's root.
 *
 * Read on: prepare.ts; host/host.ts, spec/spec.ts.
 */

import { existsSync, mkdirSync, opendirSync, readFileSync, realpathSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { keptAccounts, readAccounts } from "../host/accounts.ts"
import { devicesBelow } from "../host/devices.ts"
import type { Host } from "../model/host.ts"
import { canShift } from "../model/idmap.ts"
import type { Request } from "../model/request.ts"
import type { ImageOf } from "../record/containers.ts"
import { pathsOf } from "../spec/spec.ts"
import type { World } from "./world.ts"

/** Sources of mounts that are to be made if they are missing. @throws {EngineError} `SOURCE_UNUSABLE`. */
export function makeSources(request: Request): void {
  for (const source of sourcesToMake(request)) {
    try {
      mkdirSync(source, { recursive: true, mode: 0o755 })
    } catch (error) {
      // A file will do as well: bind mounts have both.
      const { code } = error as NodeJS.ErrnoException
      if (code === "EEXIST") continue
      throw new EngineError("SOURCE_UNUSABLE", `cannot make the directory ${source}: ${code}`, undefined, {
        cause: error,
      })
    }
  }
}
/** The host as it will be then, for who only looks. */
export const withSources = (host: Host, request: Request): Host => ({
  ...host,
  paths: {
    ...host.paths,
    ...Object.fromEntries(
      [...sourcesToMake(request), ...volumesToMake(request)].flatMap((source) => {
        const facts = host.paths[source]
        return facts?.kind === "missing" ? [[source, { ...facts, kind: "directory" as const, mode: 0o755 }]] : []
      }),
    ),
  },
})
const sourcesToMake = ({ mounts = [] }: Request): readonly string[] =>
  mounts.flatMap((mount) =>
    mount.kind === "bind" && mount.createSource && mount.source.startsWith("/") ? [mount.source] : [],
  )

const volumesToMake = ({ mounts = [] }: Request): readonly string[] =>
  mounts.flatMap((mount) => (mount.kind === "volume" && mount.source ? [mount.source] : []))

/** The facts that a request needs, about this host. */
export function hostFor(world: World, request: Request): Host {
  const { paths, devicesBelow: directories } = pathsOf(request)
  const held = request.rootfs === undefined ? [world.roots.state] : []
  // Who is not root may not look into the state root; a plan can be looked at all the same.
  const skeleton = existsSync(skeletonOf(world)) ? [skeletonOf(world)] : []
  return world.host([...paths, ...held, ...devicesBelow(directories), ...skeleton])
}

const skeletonOf = ({ roots }: World): string => `${roots.state}/skeleton`

/**
 * The layer of mount points, where it can be one: a lower directory inside another one is ELOOP (`--rootfs /`), and one that cannot be
 * shown with the container's ids is of no use to it.
 */
function skeletonFor(world: World, { rootfs }: Request, host: Host, own: boolean): { readonly skeleton?: string } {
  const skeleton = skeletonOf(world)
  const facts = host.paths[skeleton]
  if (rootfs === undefined) return { skeleton }
  const inside = isInside(realpathOr(world.roots.state), realpathOr(rootfs))
  if (inside || (own && facts && !canShift(facts, host.kernel))) return {}
  return { skeleton }
}
const isInside = (path: string, directory: string): boolean =>
  `${path}/`.startsWith(directory === "/" ? "/" : `${directory}/`)

function realpathOr(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

/** What `specify` needs besides the chosen values. */
export const surroundings = (world: World, request: Request, host: Host, own: boolean, image: ImageOf | undefined) => ({
  host,
  roots: {
    state: world.roots.state,
    run: world.roots.run,
    ...skeletonFor(world, request, host, own),
    ...(image && { layers: image.layers }),
  },
  scope: world.scope(),
  accounts: image ? keptAccounts(world.roots.state, image.layers) : readAccounts(request.rootfs ?? ""),
  hostFiles: { ...textOf("resolvConf", "/etc/resolv.conf"), ...textOf("hosts", "/etc/hosts") },
})

/** An empty root file system is a mistake, mostly a path that was never filled; a missing one is told by `specify`. */
export function refuseEmpty(rootfs: string | undefined): void {
  if (rootfs === undefined) return
  let first: unknown
  try {
    const directory = opendirSync(rootfs)
    first = directory.readSync()
    directory.closeSync()
  } catch {
    return
  }
  if (first === null)
    throw new EngineError(
      "ROOTFS_UNUSABLE",
      `cannot use the root file system ${rootfs}: it is empty`,
      "unpack a system into it first",
    )
}

function textOf<K extends string>(key: K, path: string): { readonly [name in K]?: string } {
  try {
    return { [key]: readFileSync(path, "utf8") } as { readonly [name in K]: string }
  } catch {
    return {}
  }
}
