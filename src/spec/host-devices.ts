/**
 * Devices of the host that a container is given: `--device`, and all of them for `--privileged`.
 *
 *     --device /dev/sda:/dev/xvda:r      node   b 8:0 at /dev/xvda       rule   allow b 8:0 r
 *     --device /dev/snd                  a node and a rule for each device in the directory
 *
 * A node is only a name for a pair of numbers; whether it may be opened is the device rule's business. So each device needs both.
 *
 * @see OCI runtime-spec config-linux.md, "Devices"
 */

import posix from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import type { Host, PathFacts } from "../model/host.ts"
import type { Device, DeviceRule } from "../model/oci.ts"
import type { Request } from "../model/request.ts"
import { deviceAccess } from "./resources.ts"

export interface Given {
  readonly nodes: readonly Device[]
  readonly rules: readonly DeviceRule[]
}

/** Places of a container's own file systems, and nodes that every container has or that name a terminal of the host. */
const OWN_PLACES = ["/dev/pts/", "/dev/shm/", "/dev/fd/", "/dev/mqueue/", "/dev/.lxc/", "/dev/.lxd-mounts/"]
const MADE_ANEW = [
  "/dev/console",
  "/dev/ptmx",
  "/dev/tty",
  "/dev/null",
  "/dev/zero",
  "/dev/full",
  "/dev/random",
  "/dev/urandom",
]

const keptBack = (path: string): boolean =>
  MADE_ANEW.includes(path) || OWN_PLACES.some((prefix) => path.startsWith(prefix))

const TYPES: Partial<Record<PathFacts["kind"], "c" | "b">> = { character: "c", block: "b" }

function node(facts: PathFacts, path: string): Device | undefined {
  const type = TYPES[facts.kind]
  if (type === undefined || facts.device === undefined) return undefined
  const [major, minor] = facts.device
  return { type, path, major, minor, fileMode: facts.mode & 0o777, uid: facts.uid, gid: facts.gid }
}

/** The devices in a directory of the host and below it, sorted by path, as nodes below `target`. */
function below(host: Host, directory: string, target: string): readonly Device[] {
  const inside = directory.endsWith("/") ? directory : `${directory}/`
  return Object.keys(host.paths)
    .filter((path) => path.startsWith(inside))
    .sort()
    .flatMap((path) => node(host.paths[path]!, posix.join(target, path.slice(inside.length))) ?? [])
}

/**
 * The nodes and rules that a request adds to the default ones.
 * @throws {EngineError} `SOURCE_UNUSABLE` for a device that is missing or none; `INVALID_VALUE` for a relative path or
 *   unknown access.
 */
export function hostDevices(request: Request, host: Host): Given {
  const asked = (request.devices ?? []).flatMap(({ host: source, container, access }) => {
    const rights = deviceAccess(source, access)
    for (const path of [source, container])
      if (!path.startsWith("/"))
        throw new EngineError("INVALID_VALUE", `cannot add the device ${source}: ${path} is not an absolute path`)
    const facts = host.paths[source]
    const refuse = (cause: string) => new EngineError("SOURCE_UNUSABLE", `cannot add the device ${source}: ${cause}`)
    if (facts === undefined || facts.kind === "missing") throw refuse("no such file or directory")
    const target = posix.resolve("/", container)
    const nodes =
      facts.kind === "directory"
        ? below(host, source, target).filter(({ path }) => !OWN_PLACES.some((place) => path.startsWith(place)))
        : [node(facts, target)].filter((made) => made !== undefined)
    if (nodes.length === 0)
      throw refuse(
        facts.kind === "directory" ? "there is no device in this directory that could be given" : "it is not a device",
      )
    return nodes.map((made) => ({ node: made, rights }))
  })
  const all = request.privileged ? below(host, "/dev", "/dev").filter(({ path }) => !keptBack(path)) : []
  // A path that is asked for by name takes the place of what the host has there.
  const nodes = new Map([...all, ...asked.map((one) => one.node)].map((one) => [one.path, one]))
  return {
    nodes: [...nodes.values()],
    rules: request.privileged
      ? [{ allow: true, access: "rwm" }]
      : asked.map(({ node: { type, major, minor }, rights }) => ({
          allow: true,
          type,
          major: major!,
          minor: minor!,
          access: rights,
        })),
  }
}
