import { expect, test } from "bun:test"
import { HOST, path, REQUEST } from "../../test/fixtures/server.ts"
import type { Request } from "../model/request.ts"
import { security, THERMAL } from "./security.ts"

const made = (request: Partial<Request>, host = HOST) => security({ ...REQUEST, ...request }, ["CAP_CHOWN"], host)
const POLICY = `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["reboot"],"action":"SCMP_ACT_ERRNO"}]}`

test("by default: a filter, and paths that are hidden or read-only", () => {
  const { seccomp, maskedPaths, readonlyPaths } = made({})
  expect(seccomp?.defaultAction).toBe("SCMP_ACT_ERRNO")
  expect(maskedPaths).toEqual([
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
  ])
  expect(readonlyPaths).toEqual(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"])
})
test("where CPUs count how often they were hot, that is hidden for each of them", () => {
  const { maskedPaths } = made({}, { ...HOST, cpus: 2, paths: { [THERMAL]: path({ filesystem: "sysfs" }) } })
  expect(maskedPaths?.slice(12)).toEqual([
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/devices/system/cpu/cpu1/thermal_throttle",
  ])
})
test("unconfined: no filter, but the paths", () => {
  expect(Object.keys(made({ seccomp: "unconfined" }))).toEqual(["maskedPaths", "readonlyPaths"])
})
test("a policy of its own takes the place of the default", () => {
  expect(made({ seccomp: { json: POLICY, path: "/p.json" } }).seccomp?.syscalls).toEqual([
    { names: ["reboot"], action: "SCMP_ACT_ERRNO" },
  ])
})
test("privileged: nothing, but a policy that was asked for", () => {
  expect(made({ privileged: true })).toEqual({})
  expect(Object.keys(made({ privileged: true, seccomp: { json: POLICY, path: "/p.json" } }))).toEqual(["seccomp"])
})
