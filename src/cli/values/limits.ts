/**
 * Limits on the command line: CPUs, processes' own limits, signals.
 *
 *     --cpus 1.5                1.5 CPUs' time in every period, on whichever CPUs
 *     --ulimit nofile=64:128    setrlimit(2): the soft limit, and how far a process may raise it
 *
 * Read on: spec/resources.ts, plan/cgroups.ts.
 */

import { signalNumber } from "../../base/signals.ts"
import { parseCpus } from "../../base/units.ts"
import { BadValue } from "../flags.ts"

/** The kernel grants at least 1 ms of CPU time in every 100. */
const LEAST_CPUS = 0.01

export function cpus(text: string): number {
  const count = parseCpus(text)
  if (count === undefined) throw new BadValue("not a number of CPUs", "write a decimal number: 0.5, 2")
  if (count < LEAST_CPUS) {
    const hint = count === 0 ? "for no limit, leave it out" : undefined
    throw new BadValue(`less than ${LEAST_CPUS}, the least the kernel can grant`, hint)
  }
  return count
}

/** `--blkio-weight`: 0 asks for nothing, as in Docker. */
export function blockWeight(text: string): number {
  const weight = /^\d{1,4}$/.test(text) ? Number(text) : Number.NaN
  if (weight !== 0 && !(weight >= 10 && weight <= 1000))
    throw new BadValue("not a weight", "write a number from 10 to 1000")
  return weight
}

/** `0-3,7`: what cpuset.cpus and cpuset.mems take. */
export function cpuList(text: string): string {
  const ranges = text.split(",").map((range) => /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(range.trim()))
  if (!ranges.every((range) => range && Number(range[1]) <= Number(range[2] ?? range[1]))) {
    throw new BadValue("not a list of numbers", "for example 0-3 or 0,2")
  }
  return text
}

/** The names that setrlimit(2) knows, as Docker spells them. */
const LIMITS = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split(
  " ",
)

export interface Ulimit {
  readonly name: string
  /** -1: unlimited. */
  readonly soft: number
  readonly hard: number
}

/** `NAME=SOFT[:HARD]`; `-1` is unlimited. One number is both. */
export function ulimit(text: string): Ulimit {
  const [, name = "", softText, hardText] = /^([^=]*)=(-1|\d{1,15})(?::(-1|\d{1,15}))?$/.exec(text) ?? []
  if (softText === undefined) throw new BadValue("not of the form NAME=SOFT:HARD", "for example nofile=1024:2048")
  if (!LIMITS.includes(name)) throw new BadValue(`there is no limit ${name || '""'}`, `there are ${LIMITS.join(", ")}`)
  const soft = Number(softText)
  const hard = Number(hardText ?? softText)
  if (hard !== -1 && (soft === -1 || soft > hard)) throw new BadValue("its soft limit exceeds the hard one")
  return { name, soft, hard }
}

/** A signal's name or number, as it was written. */
export function signal(text: string): string {
  try {
    signalNumber(text)
    return text
  } catch {
    throw new BadValue("there is no such signal", "for example TERM, SIGKILL, 9")
  }
}
