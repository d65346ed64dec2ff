/**
 * Resources: how much of the machine a container may use.
 *
 *     --memory 512m       limit 536870912, and as much again of swap
 *     --cpus 1.5          quota 150000 µs in every period of 100000 µs
 *     --cpu-shares 512    half the weight of a neighbour, when both want the CPU
 *     --pids-limit 100    processes and threads
 *
 * These are the words of config.json; plan/cgroups.ts turns them into the files of cgroup v2 or v1. What a number must be is
 * checked here, where the answer can name it: the kernel would only say EINVAL.
 *
 * @see OCI runtime-spec config-linux.md, "Control groups"; Linux Documentation/admin-guide/cgroup-v2.rst
 */

import { EngineError } from "../base/errors.ts"
import { binarySize } from "../base/units.ts"
import type { Host } from "../model/host.ts"
import type { DeviceRule, Resources } from "../model/oci.ts"
import type { Request } from "../model/request.ts"

/** Docker's: below it a container cannot even start. */
const LEAST_MEMORY = 6 * 1024 * 1024
/** Microseconds. The length of the period, unless it is chosen. */
const PERIOD_US = 100_000
/** Of the kernel's CFS bandwidth control, in microseconds. */
const PERIOD_RANGE = [1_000, 1_000_000] as const
const LEAST_QUOTA_US = 1_000
/** Of cgroup v1's cpu.shares; v2's weight is computed from it. */
const SHARES_RANGE = [2, 262_144] as const
/** Docker's, from the time of CFQ; v2's weight is computed from it. */
const WEIGHT_RANGE = [10, 1000] as const
/** `rwm`: read, write, make the node. */
const ACCESS = /^[rwm]{1,3}$/

const refuse = (what: string, cause: string, hint?: string): EngineError =>
  new EngineError("INVALID_VALUE", `cannot limit ${what}: ${cause}`, hint)

/** 0 and absent mean the same in all of Docker's numbers: no limit is asked for. */
const given = (value: number | undefined): value is number => value !== undefined && value !== 0

function memory(request: Request): Resources["memory"] {
  const { memoryBytes: limit, memorySwapBytes: swap, memoryReservationBytes: reservation } = request
  const least = (what: string, bytes: number): void => {
    if (!Number.isSafeInteger(bytes) || bytes < LEAST_MEMORY)
      throw refuse(what, `${bytes} bytes is less than the least, ${binarySize(LEAST_MEMORY)}`)
  }
  if (given(limit)) least("memory", limit)
  if (given(reservation)) {
    least("memory softly", reservation)
    if (given(limit) && reservation > limit)
      throw refuse(
        "memory softly",
        `the reservation, ${binarySize(reservation)}, is above the limit, ${binarySize(limit)}`,
      )
  }
  if (given(swap) && swap !== -1) {
    if (!given(limit))
      throw refuse("swap", "memory is not limited", "it counts memory and swap together: give --memory too")
    if (!Number.isSafeInteger(swap) || swap < limit)
      throw refuse(
        "swap",
        `${swap} bytes is less than the memory limit, ${limit}`,
        "it counts memory and swap together",
      )
  }
  if (!given(limit) && !given(reservation) && !given(swap) && !request.oomKillDisable) return undefined
  return {
    ...(request.oomKillDisable && { disableOOMKiller: true }),
    ...(given(limit) && { limit }),
    ...(given(reservation) && { reservation }),
    // Memory and swap together: as much swap as memory, where nothing is said.
    ...(given(swap) ? { swap } : given(limit) && { swap: Math.min(2 * limit, Number.MAX_SAFE_INTEGER) }),
  }
}

function blockIo({ blkioWeight: weight }: Request): Resources["blockIO"] {
  if (!given(weight)) return undefined
  if (!Number.isInteger(weight) || weight < WEIGHT_RANGE[0] || weight > WEIGHT_RANGE[1])
    throw refuse(
      "disk time",
      `the weight ${weight} is not a whole number from ${WEIGHT_RANGE[0]} to ${WEIGHT_RANGE[1]}`,
    )
  return { weight }
}

/** The numbers of a list like `0-3,7`. @throws {EngineError} `INVALID_VALUE` */
function numbersOf(what: string, list: string): readonly (readonly [first: number, last: number])[] {
  return list.split(",").map((part) => {
    const [, first, last = first] = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part) ?? []
    if (first === undefined || Number(first) > Number(last)) throw refuse(what, `"${list}" is not a list like 0-3,7`)
    return [Number(first), Number(last)]
  })
}

function cpu(request: Request, host: Host): Resources["cpu"] {
  const { cpus, cpuShares: shares, cpuQuotaUs: quota, cpuPeriodUs: period, cpusetCpus, cpusetMems } = request
  if (cpus !== undefined) {
    if (!(cpus >= 0.01 && cpus <= host.cpus))
      throw refuse("CPUs", `${cpus} is not from 0.01 to ${host.cpus}, the CPUs of this host`)
    for (const [name, value] of [
      ["quota", quota],
      ["period", period],
    ] as const)
      if (given(value))
        throw refuse(
          "CPUs",
          `a number of CPUs and a CPU ${name} are both given`,
          `--cpus sets the ${name} itself: leave out one of the two`,
        )
  }
  if (given(quota) && quota !== -1 && !(Number.isSafeInteger(quota) && quota >= LEAST_QUOTA_US))
    throw refuse(
      "the CPU quota",
      `${quota} is not a whole number of microseconds from ${LEAST_QUOTA_US} on, nor -1 for no limit`,
    )
  if (given(period) && !(Number.isInteger(period) && period >= PERIOD_RANGE[0] && period <= PERIOD_RANGE[1]))
    throw refuse(
      "the CPU period",
      `${period} is not a whole number of microseconds from ${PERIOD_RANGE[0]} to ${PERIOD_RANGE[1]}`,
    )
  if (given(shares) && !(Number.isInteger(shares) && shares >= SHARES_RANGE[0] && shares <= SHARES_RANGE[1]))
    throw refuse("CPU shares", `${shares} is not a whole number from ${SHARES_RANGE[0]} to ${SHARES_RANGE[1]}`)
  if (cpusetCpus)
    for (const [, last] of numbersOf("the CPUs to run on", cpusetCpus))
      if (last >= host.cpus)
        throw refuse("the CPUs to run on", `CPU ${last} is not one of this host's, 0-${host.cpus - 1}`)
  if (cpusetMems) numbersOf("the memory nodes", cpusetMems)

  const made: Resources["cpu"] = {
    ...(given(shares) && { shares }),
    ...(cpus !== undefined ? { quota: Math.round(cpus * PERIOD_US), period: PERIOD_US } : {}),
    ...(given(quota) && { quota }),
    ...(given(period) && { period }),
    ...(cpusetCpus && { cpus: cpusetCpus }),
    ...(cpusetMems && { mems: cpusetMems }),
  }
  return Object.keys(made).length === 0 ? undefined : made
}

function pids(request: Request): Resources["pids"] {
  const limit = request.pidsLimit
  if (limit === undefined) return undefined
  if (!Number.isSafeInteger(limit) || limit < -1)
    throw refuse("processes", `${limit} is not a whole number, nor -1 for no limit`)
  return limit > 0 ? { limit } : undefined
}

/**
 * A device rule as `--device-cgroup-rule` words it: `c 1:3 rwm`, `b 8:* r`, `a *:* rwm`.
 * @throws {EngineError} `INVALID_VALUE`
 */
export function deviceRule(rule: string): DeviceRule {
  const [, type, major, minor, access] = /^([acb])\s+(\d{1,9}|\*):(\d{1,9}|\*)\s+([rwm]{1,3})$/.exec(rule.trim()) ?? []
  if (type === undefined || major === undefined || minor === undefined || access === undefined)
    throw new EngineError("INVALID_VALUE", `cannot allow the devices "${rule}": it is not a rule like "c 10:200 rwm"`)
  return {
    allow: true,
    type,
    ...(major !== "*" && { major: Number(major) }),
    ...(minor !== "*" && { minor: Number(minor) }),
    access,
  }
}

/** @throws {EngineError} `INVALID_VALUE` for anything but letters of `rwm`. */
export function deviceAccess(host: string, access: string): string {
  if (ACCESS.test(access)) return access
  throw new EngineError(
    "INVALID_VALUE",
    `cannot add the device ${host}: its access "${access}" is not made of r, w and m`,
  )
}

/**
 * The resources of a container.
 * @param devices the rules of the default devices and of those that were added, in order; the request's own rules follow.
 * @throws {EngineError} `INVALID_VALUE`, naming the limit.
 */
export function resources(request: Request, host: Host, devices: readonly DeviceRule[]): Resources {
  const limits = { memory: memory(request), cpu: cpu(request, host), pids: pids(request), blockIO: blockIo(request) }
  return {
    devices: [...devices, ...(request.deviceRules ?? []).map(deviceRule)],
    ...(limits.memory && { memory: limits.memory }),
    ...(limits.cpu && { cpu: limits.cpu }),
    ...(limits.pids && { pids: limits.pids }),
    ...(limits.blockIO && { blockIO: limits.blockIO }),
  }
}
