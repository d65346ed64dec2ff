/**
 * Security: what of the kernel a container may touch.
 *
 *     seccomp          which system calls: a filter, the kernel asks it at every call
 *     masked paths     files of /proc and /sys that tell about, or act on, the whole host: not there
 *     readonly paths   those that may be read
 *
 * Each of them closes what no namespace covers. A privileged container has none of them; it is no security boundary.
 *
 * Read on: seccomp-default.ts, the policy; plan/protection.ts. OCI runtime-spec config-linux.md, "Seccomp", "Masked Paths".
 */

import type { Host } from "../model/host.ts"
import type { Linux, Seccomp } from "../model/oci.ts"
import type { Request } from "../model/request.ts"
import { defaultSeccomp, readDockerSeccomp } from "./seccomp-default.ts"

const MASKED = [
  "/proc/acpi",
  "/proc/asound",
  // Counts of interrupts tell when keys are typed elsewhere on the host.
  "/proc/interrupts",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  // The energy a CPU uses tells what it computes (PLATYPUS).
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
]
const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

/** Whose facts tell whether the host has such directories at all (Intel): one for each CPU, or none. */
export const THERMAL = "/sys/devices/system/cpu/cpu0/thermal_throttle"

function masked(host: Host): readonly string[] {
  if (host.paths[THERMAL]?.kind !== "directory") return MASKED
  const paths = [...MASKED]
  for (let cpu = 0; cpu < host.cpus; cpu++) paths.push(`/sys/devices/system/cpu/cpu${cpu}/thermal_throttle`)
  return paths
}

function seccomp(request: Request, capabilities: readonly string[], host: Host): Seccomp | undefined {
  if (request.seccomp === "unconfined") return undefined
  const facts = { capabilities, arch: host.arch, kernel: host.kernel }
  if (request.seccomp) return readDockerSeccomp(request.seccomp.json, facts)
  return request.privileged ? undefined : defaultSeccomp(facts)
}

/** The fields of `linux` that protect the host. */
export function security(
  request: Request,
  capabilities: readonly string[],
  host: Host,
): Pick<Linux, "seccomp" | "maskedPaths" | "readonlyPaths"> {
  const filter = seccomp(request, capabilities, host)
  return {
    ...(filter && { seccomp: filter }),
    ...(!request.privileged && { maskedPaths: masked(host), readonlyPaths: READ_ONLY }),
  }
}
