/**
 * Which pieces of root's power a container gets.
 *
 *     bounding    what may ever be had, by set-uid programs too     the chosen list
 *     permitted   what the program may use                         the chosen list for root, nothing for others
 *     effective   what it uses now                                  as permitted
 *     inheritable, ambient                                          nothing: else a non-root program would keep them over exec
 *
 * The chosen list is Docker's default of fourteen, plus --cap-add, minus --cap-drop. Inside a user namespace the kernel
 * grants all of them, but only over what belongs to that namespace; on the host's own, no more than the engine has itself.
 *
 * @see capabilities(7); Linux kernel/user_namespace.c, set_cred_user_ns()
 */

import { EngineError } from "../base/errors.ts"
import { CAPABILITIES, type Capability, holds } from "../model/capabilities.ts"
import type { Host } from "../model/host.ts"
import type { Capabilities } from "../model/oci.ts"

const DEFAULTS: ReadonlySet<Capability> = new Set([
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FOWNER",
  "CAP_FSETID",
  "CAP_KILL",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_NET_RAW",
  "CAP_SYS_CHROOT",
  "CAP_MKNOD",
  "CAP_AUDIT_WRITE",
  "CAP_SETFCAP",
])

/** From which kernel on the newer ones exist. */
const SINCE: Partial<Record<Capability, readonly [number, number]>> = {
  CAP_PERFMON: [5, 8],
  CAP_BPF: [5, 8],
  CAP_CHECKPOINT_RESTORE: [5, 9],
}

const known = (host: Host, capability: Capability): boolean => {
  const since = SINCE[capability]
  return since === undefined || host.kernel[0] > since[0] || (host.kernel[0] === since[0] && host.kernel[1] >= since[1])
}

/** What can be given at all: to a container with its own user namespace, or to one that shares the host's. */
export const available = (host: Host, ownIds: boolean): readonly Capability[] =>
  CAPABILITIES.filter((capability) => known(host, capability) && (ownIds || holds(host.capabilities, capability)))

/**
 * The capabilities of a container, in the kernel's order.
 * @param add, drop names with or without `CAP_`, in either case; `ALL`.
 * @returns the list, and a warning if the host cannot give all of the defaults.
 * @throws {EngineError} `INVALID_VALUE` for an unknown name, `HOST_LACKS` for one that was asked for and cannot be given.
 */
export function chooseCapabilities(
  request: { readonly capAdd?: readonly string[]; readonly capDrop?: readonly string[]; readonly privileged?: boolean },
  host: Host,
  ownIds: boolean,
): { readonly chosen: readonly Capability[]; readonly warnings: readonly string[] } {
  const given = available(host, ownIds)
  if (request.privileged) return { chosen: given, warnings: [] }
  const add = new Set((request.capAdd ?? []).map((name) => named("add", name)))
  const drop = new Set((request.capDrop ?? []).map((name) => named("drop", name)))
  for (const capability of add)
    if (capability !== "ALL" && !given.includes(capability)) {
      if (!known(host, capability))
        throw new EngineError("HOST_LACKS", `cannot add ${capability}: this kernel does not know it`)
      const hint = "a container with its own user namespace can have it: leave out --userns host"
      throw new EngineError("HOST_LACKS", `cannot add ${capability}: the engine does not have it itself`, hint)
    }
  const wanted = CAPABILITIES.filter((capability) => {
    if (drop.has(capability)) return false
    if (add.has("ALL") || add.has(capability)) return true
    return !drop.has("ALL") && DEFAULTS.has(capability)
  })
  // Who adds ALL asks for what there is.
  const lost = wanted.filter((capability) => !given.includes(capability) && !add.has("ALL"))
  const warnings =
    lost.length === 0 ? [] : [`the engine does not have ${lost.join(", ")} itself, and so the container does not`]
  return { chosen: wanted.filter((capability) => given.includes(capability)), warnings }
}

/** The five sets of a process that runs as `uid`. */
export function sets(bounding: readonly string[], uid: number): Capabilities {
  const own = uid === 0 ? bounding : []
  return { bounding, effective: own, permitted: own, inheritable: [], ambient: [] }
}

function named(verb: "add" | "drop", name: string): Capability | "ALL" {
  const upper = name.toUpperCase()
  if (upper === "ALL" || upper === "CAP_ALL") return "ALL"
  const found = CAPABILITIES.find((capability) => capability === upper || capability === `CAP_${upper}`)
  if (found) return found
  throw new EngineError(
    "INVALID_VALUE",
    `cannot ${verb} the capability "${name}": there is none of this name`,
    "man 7 capabilities lists them",
  )
}
