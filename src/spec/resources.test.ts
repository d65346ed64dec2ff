import { expect, test } from "bun:test"
import { HOST } from "../../test/fixtures/server.ts"
import type { EngineError } from "../base/errors.ts"
import type { Request } from "../model/request.ts"
import { resources } from "./resources.ts"

const MiB = 1024 * 1024
const made = (request: Partial<Request>) => resources({ rootfs: "/r", args: ["sh"], ...request }, HOST, [])
const check = (request: Partial<Request>, expected: object) =>
  test(JSON.stringify(request), () => expect(made(request)).toEqual({ devices: [], ...expected }))

check({}, {})
check({ memoryBytes: 0, memorySwapBytes: 0, cpuShares: 0, cpuQuotaUs: 0, cpuPeriodUs: 0, pidsLimit: 0 }, {})
check({ memoryBytes: 6 * MiB }, { memory: { limit: 6 * MiB, swap: 12 * MiB } })
check({ memoryBytes: 512 * MiB, memorySwapBytes: 512 * MiB }, { memory: { limit: 512 * MiB, swap: 512 * MiB } })
check({ memoryBytes: 512 * MiB, memorySwapBytes: -1 }, { memory: { limit: 512 * MiB, swap: -1 } })
check({ memorySwapBytes: -1 }, { memory: { swap: -1 } })
check({ memoryReservationBytes: 64 * MiB }, { memory: { reservation: 64 * MiB } })
check({ cpus: 1.5 }, { cpu: { quota: 150_000, period: 100_000 } })
check({ cpus: 0.01 }, { cpu: { quota: 1_000, period: 100_000 } })
check({ cpus: 4 }, { cpu: { quota: 400_000, period: 100_000 } })
check({ cpuQuotaUs: 20_000, cpuPeriodUs: 50_000 }, { cpu: { quota: 20_000, period: 50_000 } })
check({ cpuQuotaUs: -1 }, { cpu: { quota: -1 } })
check({ cpuShares: 2 }, { cpu: { shares: 2 } })
check({ cpusetCpus: "0-1,3", cpusetMems: "0" }, { cpu: { cpus: "0-1,3", mems: "0" } })
check({ blkioWeight: 300 }, { blockIO: { weight: 300 } })
check({ blkioWeight: 0 }, {})
check({ oomKillDisable: true }, { memory: { disableOOMKiller: true } })
check(
  { memoryBytes: 6 * MiB, oomKillDisable: true },
  { memory: { limit: 6 * MiB, swap: 12 * MiB, disableOOMKiller: true } },
)
check({ pidsLimit: 100 }, { pids: { limit: 100 } })
check({ pidsLimit: -1 }, {})
check(
  { deviceRules: ["c 10:200 rwm", "b 8:* r", "a *:* rwm"] },
  {
    devices: [
      { allow: true, type: "c", major: 10, minor: 200, access: "rwm" },
      { allow: true, type: "b", major: 8, access: "r" },
      { allow: true, type: "a", access: "rwm" },
    ],
  },
)

const refused = (request: Partial<Request>, message: string) =>
  test(`${JSON.stringify(request)}: ${message}`, () => {
    try {
      made(request)
    } catch (error) {
      return expect(`${(error as EngineError).code} ${(error as EngineError).message}`).toBe(`INVALID_VALUE ${message}`)
    }
    throw new Error("it was accepted")
  })
refused({ memoryBytes: 1 }, "cannot limit memory: 1 bytes is less than the least, 6MiB")
refused({ memoryBytes: -1 }, "cannot limit memory: -1 bytes is less than the least, 6MiB")
refused({ memoryBytes: Number.NaN }, "cannot limit memory: NaN bytes is less than the least, 6MiB")
refused(
  { memoryBytes: 8 * MiB, memorySwapBytes: 7 * MiB },
  "cannot limit swap: 7340032 bytes is less than the memory limit, 8388608",
)
refused({ memorySwapBytes: 8 * MiB }, "cannot limit swap: memory is not limited")
refused(
  { memoryBytes: 8 * MiB, memoryReservationBytes: 9 * MiB },
  "cannot limit memory softly: the reservation, 9MiB, is above the limit, 8MiB",
)
refused({ cpus: 0 }, "cannot limit CPUs: 0 is not from 0.01 to 4, the CPUs of this host")
refused({ cpus: 0.001 }, "cannot limit CPUs: 0.001 is not from 0.01 to 4, the CPUs of this host")
refused({ cpus: 4.5 }, "cannot limit CPUs: 4.5 is not from 0.01 to 4, the CPUs of this host")
refused({ cpus: Number.NaN }, "cannot limit CPUs: NaN is not from 0.01 to 4, the CPUs of this host")
refused({ cpus: 1, cpuQuotaUs: 5000 }, "cannot limit CPUs: a number of CPUs and a CPU quota are both given")
refused({ cpus: 1, cpuPeriodUs: 5000 }, "cannot limit CPUs: a number of CPUs and a CPU period are both given")
refused(
  { cpuQuotaUs: 999 },
  "cannot limit the CPU quota: 999 is not a whole number of microseconds from 1000 on, nor -1 for no limit",
)
refused(
  { cpuPeriodUs: 1_000_001 },
  "cannot limit the CPU period: 1000001 is not a whole number of microseconds from 1000 to 1000000",
)
refused({ cpuShares: 1 }, "cannot limit CPU shares: 1 is not a whole number from 2 to 262144")
refused({ cpuShares: 262_145 }, "cannot limit CPU shares: 262145 is not a whole number from 2 to 262144")
refused({ cpusetCpus: "0-4" }, "cannot limit the CPUs to run on: CPU 4 is not one of this host's, 0-3")
for (const list of ["a", "1-0", "0,", "-1", "0-1-2", "0;1"])
  refused({ cpusetCpus: list }, `cannot limit the CPUs to run on: "${list}" is not a list like 0-3,7`)
refused({ cpusetMems: "x" }, `cannot limit the memory nodes: "x" is not a list like 0-3,7`)
refused({ pidsLimit: -2 }, "cannot limit processes: -2 is not a whole number, nor -1 for no limit")
for (const rule of ["", "c 1:3", "x 1:3 rwm", "c 1 rwm", "c 1:3 rwmx", "c 1:3 x", "c -1:3 r"])
  refused({ deviceRules: [rule] }, `cannot allow the devices "${rule}": it is not a rule like "c 10:200 rwm"`)
