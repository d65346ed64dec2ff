/**
 * From a request to a config.json: what a person asked for, in the words that every OCI runtime knows.
 *
 *     request ──┐                     ┌──▶ config.json    what the container is
 *     host    ──┼──▶ specify() ───────┼──▶ placement      where it lies on this host
 *     chosen  ──┘    one call per     └──▶ files          its /etc/hosts, hostname, resolv.conf
 *                    room, in order
 *
 * Pure: it reads no file, no clock and no environment; all that it needs is handed in. So its result can be printed, kept,
 * compared, and computed again by any later process. This file only knows the order; each room beside it knows one subject:
 *
 *     validate     kinds of fields            process     args, env, cwd, limits
 *     namespaces   own or the host's          accounts    user and groups
 *     capabilities, security                  resources, host-devices, devices
 *     mounts, files                           placement
 *
 * Read on: plan/plan.ts, what is then done with it. OCI runtime-spec config.md.
 */

import { EngineError } from "../base/errors.ts"
import type { Host } from "../model/host.ts"
import type { Config } from "../model/oci.ts"
import type { Placement } from "../model/placement.ts"
import type { Request } from "../model/request.ts"
import { type Accounts, resolveUser } from "./accounts.ts"
import { chooseCapabilities } from "./capabilities.ts"
import { defaultDeviceRules, defaultDevices } from "./devices.ts"
import { type HostFiles, OWN_FILES, type OwnFile, ownFiles } from "./files.ts"
import { hostDevices } from "./host-devices.ts"
import { mounts, placedVolumes } from "./mounts.ts"
import { hostname, mappings, namespaces, sysctls, userNamespace } from "./namespaces.ts"
import { type Chosen, placement, type Roots } from "./placement.ts"
import { processOf, rlimits } from "./process.ts"
import { resources } from "./resources.ts"
import { security, THERMAL } from "./security.ts"
import { checkRequest } from "./validate.ts"

/** The version of the specification whose words are used. */
const OCI_VERSION = "1.2.0"

export interface SpecFacts {
  /** With facts about every path of `pathsOf(request)`. */
  readonly host: Host
  readonly chosen: Chosen
  readonly roots: Roots
  /** "" for the default state root, else six hexadecimal digits of the root's own id: what makes global names its own. */
  readonly scope: string
  readonly accounts: Accounts
  readonly hostFiles: HostFiles
}

export interface Specified {
  readonly config: Config
  readonly placement: Placement
  /** To be written below `placement.directory`, each by its name, owned by the container's root, before the first step. */
  readonly files: Readonly<Record<OwnFile, string>>
  /** For people, each one line. */
  readonly warnings: readonly string[]
}

/** What must be known about the host's files before `specify`: `Host.paths` has an entry for each, `missing` included. */
export function pathsOf(request: Request): {
  readonly paths: readonly string[]
  /** Directories whose devices, at any depth, must be in `Host.paths` too. */
  readonly devicesBelow: readonly string[]
} {
  const sources = (request.mounts ?? []).flatMap((mount) =>
    mount.kind !== "tmpfs" && mount.source ? [mount.source] : [],
  )
  const devices = (request.devices ?? []).map((device) => device.host)
  const shared = request.ipc === "host" ? ["/dev/shm"] : []
  const absolute = [request.rootfs ?? "", ...sources, ...devices, ...shared, THERMAL].filter((path) =>
    path.startsWith("/"),
  )
  return { paths: [...new Set(absolute)], devicesBelow: request.privileged ? ["/dev", ...devices] : devices }
}

function rootfs({ rootfs: path }: Request, host: Host): void {
  if (path === undefined) return
  const refuse = (cause: string, hint?: string) =>
    new EngineError("ROOTFS_UNUSABLE", `cannot use the root file system ${path}: ${cause}`, hint)
  if (!path.startsWith("/")) throw refuse("it is not an absolute path", `"$PWD/${path}" names it from here`)
  const kind = host.paths[path]?.kind ?? "missing"
  if (kind === "missing") throw refuse("no such directory")
  if (kind !== "directory") throw refuse("it is not a directory")
}

/**
 * The config.json of a container, and where it lies.
 * @throws {EngineError} for everything in the request that makes no sense, or that this host cannot do: before anything is done.
 */
export function specify(request: Request, facts: SpecFacts): Specified {
  const { host, chosen, roots, scope } = facts
  checkRequest(request)
  rootfs(request, host)

  const held = request.rootfs ?? roots.state
  const user = userNamespace(request, host, held)
  const place = placement(request, host, chosen, roots, scope)
  if (user.own && chosen.idBase === undefined)
    throw new TypeError("a container with its own user namespace needs a leased id range")
  const ids = user.own && chosen.idBase !== undefined ? mappings(chosen.idBase) : undefined
  const name = hostname(request, chosen.id, host)
  const names = { hostname: name, ...(request.domainname !== undefined && { domainname: request.domainname }) }

  const account = resolveUser(request.user ?? "", request.groupAdd ?? [], facts.accounts, user.own)
  const capabilities = chooseCapabilities(request, host, user.own)
  const limits = rlimits(request.ulimits, host)
  const devices = hostDevices(request, host)
  const rules = request.privileged ? devices.rules : [...defaultDeviceRules, ...devices.rules]

  const volumes = placedVolumes(request)
  const config: Config = {
    ociVersion: OCI_VERSION,
    process: processOf(request, { account, hostname: name, capabilities: capabilities.chosen, limits: limits.limits }),
    root: { path: held, ...(request.readOnly && { readonly: true }) },
    ...(request.uts !== "host" && names),
    mounts: mounts(request, host, place.directory, user.own),
    ...(request.annotations && { annotations: request.annotations }),
    linux: {
      namespaces: namespaces(request, user.own),
      ...(ids && { uidMappings: ids, gidMappings: ids }),
      devices: [...defaultDevices, ...devices.nodes],
      ...(place.cgroup && { cgroupsPath: place.cgroup.path }),
      resources: resources(request, host, rules),
      sysctl: sysctls(request, user.own),
      ...security(request, capabilities.chosen, host),
    },
  }
  return {
    config,
    placement: {
      ...place,
      ownFiles: OWN_FILES.map((file) => `${place.directory}/${file}`),
      ...(volumes.length > 0 && { volumes }),
    },
    files: ownFiles(
      request,
      facts.hostFiles,
      { ...names, address: place.network?.address, gateway: place.network?.gateway },
      host.ipv6,
    ),
    warnings: [...user.warnings, ...capabilities.warnings, ...limits.warnings],
  }
}
