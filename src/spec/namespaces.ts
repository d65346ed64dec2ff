/**
 * Namespaces: of which parts of the system a container has its own.
 *
 *     mount cgroup            always its own (cgroup: unless --cgroupns host)
 *     network uts pid ipc     its own, unless --network, --uts, --pid, --ipc say host
 *     user                    its own, unless it is switched off or this host cannot
 *
 * With its own user namespace root inside is a number without any power outside: ids 0 to 65535 are seen on the host as 64K
 * ids that nothing else uses. That needs every file system of the root to be shown with shifted owners; what cannot be
 * shifted forces the container back to the host's ids, which is said once, loudly.
 *
 * Read on: model/idmap.ts. user_namespaces(7), OCI runtime-spec config-linux.md, "Namespaces".
 */

import { EngineError } from "../base/errors.ts"
import type { Host } from "../model/host.ts"
import { canShift, canShiftLayers } from "../model/idmap.ts"
import type { IdMapping, Namespace, NamespaceType } from "../model/oci.ts"
import type { Request } from "../model/request.ts"

/** How many ids a container has: 0 to 65535, which is what passwd files and images use. */
export const OWN_IDS = 0x10000
/** Where the leased ranges begin: above what login, systemd and other engines use. */
export const FIRST_ID = 0x40000000

const shared = (request: Request): Readonly<Partial<Record<NamespaceType, boolean>>> => ({
  network: request.network === "host",
  uts: request.uts === "host",
  pid: request.pid === "host",
  ipc: request.ipc === "host",
  cgroup: request.cgroupns === "host",
})

/** The namespaces that are made for a container, in the order in which config.json names them. */
export function namespaces(request: Request, ownIds: boolean): readonly Namespace[] {
  const host = shared(request)
  const all: readonly NamespaceType[] = ["mount", "network", "uts", "pid", "ipc", "cgroup", "user"]
  return all.filter((type) => (type === "user" ? ownIds : !host[type])).map((type) => ({ type }))
}

/**
 * Whether a container gets its own user namespace. Asked before an id range is leased.
 * @param root what holds its root file system: the directory itself, or that of the layers.
 * @returns the answer, and what people must know about it.
 * @throws {EngineError} `HOST_LACKS` if it should have one and this host cannot make any.
 */
export function userNamespace(
  request: Request,
  host: Host,
  root = request.rootfs ?? "",
): { readonly own: boolean; readonly warnings: readonly string[] } {
  if (request.userns === "host" || request.privileged) return { own: false, warnings: [] }
  const lacks = (cause: string) =>
    new EngineError("HOST_LACKS", `cannot give the container its own user namespace: ${cause}`, "--userns host")
  if (!host.userNamespaces) throw lacks("this host does not allow user namespaces (user.max_user_namespaces is 0)")
  if (!canShiftLayers(host.kernel))
    throw lacks(
      `kernel ${host.kernelRelease} is older than 5.19, the first that can shift the owners of a root file system`,
    )
  const facts = host.paths[root]
  if (facts !== undefined && !canShift(facts, host.kernel))
    return {
      own: false,
      warnings: [
        `${root} lies on ${facts.filesystem}, whose owners cannot be shifted: root in the container is root of the host (as with --userns host)`,
      ],
    }
  return {
    own: true,
    warnings:
      request.network === "host"
        ? [
            "on the host's network, a container with its own user namespace cannot listen on ports below 1024 (--userns host can)",
          ]
        : [],
  }
}

/** The id mapping of a container whose leased range begins at `first`. */
export const mappings = (first: number): readonly IdMapping[] => [{ containerID: 0, hostID: first, size: OWN_IDS }]

/**
 * The kernel parameters of a container, of which only those are its own that belong to one of its own namespaces.
 * @throws {EngineError} `INVALID_VALUE` for any other.
 */
export function sysctls(request: Request, ownIds: boolean): Readonly<Record<string, string>> {
  const host = shared(request)
  for (const [name, value] of Object.entries(request.sysctls ?? {})) {
    const refuse = (cause: string, hint?: string) =>
      new EngineError("INVALID_VALUE", `cannot set the kernel parameter ${name}: ${cause}`, hint)
    if (!/^[a-z0-9_-]+([./][a-zA-Z0-9_-]+)+$/.test(name)) throw refuse("it is not a name like net.core.somaxconn")
    if (value.includes("\n")) throw refuse("its value is more than one line")
    const namespace = NAMESPACED.find(({ names }) => names.test(name))?.namespace
    const flag = SET_BY_FLAG[name.replaceAll("/", ".")]
    if (flag !== undefined) throw refuse("it has a flag of its own", `use ${flag}`)
    if (namespace === undefined)
      throw refuse("it belongs to the whole host, not to a namespace", "sysctl -w on the host sets it for all")
    if (host[namespace])
      throw refuse(`the container uses the host's ${namespace} namespace`, `leave out --${namespace} host`)
  }
  // Docker's: ping without CAP_NET_RAW, and low ports for users who are not root. Nothing else shares this network.
  const eased = host.network
    ? {}
    : {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": `0 ${ownIds ? OWN_IDS - 1 : 2 ** 31 - 1}`,
      }
  return { ...eased, ...request.sysctls }
}

/** Of the UTS namespace, and so the container's own; but names are also written into its files. */
const SET_BY_FLAG: Readonly<Record<string, string>> = {
  "kernel.hostname": "--hostname",
  "kernel.domainname": "--domainname",
}

const NAMESPACED: readonly { readonly names: RegExp; readonly namespace: NamespaceType }[] = [
  { names: /^net[./]/, namespace: "network" },
  { names: /^fs[./]mqueue[./]/, namespace: "ipc" },
  {
    names:
      /^kernel[./](msgmax|msgmnb|msgmni|msg_next_id|sem|sem_next_id|shmall|shmmax|shmmni|shm_rmid_forced|shm_next_id)$/,
    namespace: "ipc",
  },
]

/**
 * The name a container has for itself.
 * @throws {EngineError} `INVALID_VALUE` for one that is no name, or that would rename the host.
 */
export function hostname(request: Request, id: string, host: Host): string {
  const refuse = (what: string, cause: string) =>
    new EngineError("INVALID_VALUE", `cannot name the container's host ${what}: ${cause}`)
  for (const name of [request.hostname, request.domainname])
    if (name !== undefined) {
      if (request.uts === "host") throw refuse(name, "it uses the host's name (--uts host)")
      // 64 bytes are the kernel's limit (__NEW_UTS_LEN), letters RFC 1123's, with the underscore that Docker lets through.
      if (!/^[A-Za-z0-9]([A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?$/.test(name))
        throw refuse(name, "a host name is 1 to 64 letters, digits, hyphens and dots")
    }
  if (request.hostname !== undefined) return request.hostname
  // On the host's network, the host's name is the one that its addresses belong to.
  return request.uts === "host" || request.network === "host" ? host.hostname : id.slice(0, 12)
}
