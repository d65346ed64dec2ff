/**
 * Settings: names, sysctls and clocks: the values that a new namespace begins with and that one may change.
 *
 * A new uts namespace copies the host's names; a new ipc or network namespace has the kernel's defaults. Each setting lives in
 * exactly one namespace; one that lives in none is the whole machine's, and no container's to change.
 * They are written before /proc/sys becomes read-only.
 *
 * Read on: protection.ts. Linux man-pages uts_namespaces(7), sysctl(8), time_namespaces(7).
 */

import { EngineError } from "../base/errors.ts"
import type { Config, Linux, NamespaceType } from "../model/oci.ts"
import type { Step } from "./step.ts"

/** Phase child. @throws {EngineError} `INVALID_CONFIG` for a name in a uts namespace that is the host's. */
export function names({ hostname, domainname, linux }: Config): readonly Step[] {
  const own = (linux?.namespaces ?? []).some(({ type }) => type === "uts")
  if (!own && (hostname || domainname))
    throw new EngineError(
      "INVALID_CONFIG",
      "cannot set the host name: the container shares the host's",
      "drop hostname and domainname, or give it a uts namespace",
    )
  return [
    ...(hostname
      ? [
          {
            phase: "child",
            op: "hostname",
            name: hostname,
            does: `set the host name to ${hostname}`,
            why: "it is the container's own, and tells people where they are",
          } as const,
        ]
      : []),
    ...(domainname
      ? [
          {
            phase: "child",
            op: "domainname",
            name: domainname,
            does: `set the NIS domain name to ${domainname}`,
            why: "the config asks for it",
          } as const,
        ]
      : []),
  ]
}

/** Which namespace a sysctl belongs to, by its path below /proc/sys. What is in none of these is the whole machine's. */
const BELONGS: readonly { readonly path: RegExp; readonly to: NamespaceType }[] = [
  { path: /^net\//, to: "network" },
  { path: /^fs\/mqueue\//, to: "ipc" },
  {
    path: /^kernel\/(auto_msgmni|msgmax|msgmnb|msgmni|msg_next_id|sem|sem_next_id|shmall|shmmax|shmmni|shm_rmid_forced|shm_next_id)$/,
    to: "ipc",
  },
  { path: /^kernel\/(hostname|domainname)$/, to: "uts" },
  { path: /^user\//, to: "user" },
]

/**
 * Phase child, when the container's /proc is there. `net.ipv4.ip_forward` is the file /proc/sys/net/ipv4/ip_forward; a name with slashes is
 * taken as it is.
 * @throws {EngineError} `INVALID_CONFIG` for a setting that would be the host's.
 */
export function sysctls({ sysctl = {}, namespaces = [] }: Linux): readonly Step[] {
  return Object.entries(sysctl).map(([name, value]): Step => {
    const path = name.includes("/") ? name : name.replaceAll(".", "/")
    const refuse = (cause: string, hint?: string): EngineError =>
      new EngineError("INVALID_CONFIG", `cannot set ${name}: ${cause}`, hint)
    if (path.split("/").some((part) => part === "" || part === "." || part === ".."))
      throw refuse("it is not a name like net.core.somaxconn")
    const to = BELONGS.find((row) => row.path.test(path))?.to
    if (to === undefined)
      throw refuse("it belongs to the whole host, not to a namespace", "set it on the host, for all")
    if (!namespaces.some(({ type }) => type === to))
      throw refuse(`the container shares the host's ${to} namespace`, `add { "type": "${to}" } to linux.namespaces`)
    return {
      phase: "child",
      op: "write",
      path: `/proc/sys/${path}`,
      text: value,
      does: `set ${name} to ${value}`,
      why: "this setting belongs to a namespace of the container's own",
    }
  })
}

/** Phase host, after the time namespace is made and before anybody is in it. */
export function clocks({ timeOffsets = {} }: Linux): readonly Step[] {
  const offsets = Object.entries(timeOffsets)
  if (offsets.length === 0) return []
  return [
    {
      phase: "host",
      op: "write",
      path: "/proc/self/timens_offsets",
      text: offsets.map(([clock, { secs = 0, nanosecs = 0 }]) => `${clock} ${secs} ${nanosecs}\n`).join(""),
      does: `shift the clocks ${offsets.map(([clock]) => clock).join(", ")}`,
      why: "a restored or tested program sees the uptime it expects",
    },
  ]
}
