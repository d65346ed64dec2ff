/**
 * Whether a process still lives: a pid is a number that is given out again, so it means something only together with the time at which the
 * process started, and with the boot in which it did.
 *
 *     pid 4711   start 918273 ticks since boot   boot 2520e58c-…
 *
 * Looking is all that is done with it: a signal to a pid could hit whoever has the number by then, so signals go through
 * a pidfd (op open-process of plan/step.ts).
 *
 * Read on: states.ts. proc_pid_stat(5), fields 3, 9 and 22; pidfd_open(2).
 */

import { readdirSync, readFileSync } from "node:fs"

export interface ProcessMark {
  readonly pid: number
  /** Clock ticks since boot: field 22 of /proc/PID/stat. */
  readonly start: number
}

/** The fields of /proc/PID/stat from the third on; undefined if there is no such process. */
function fieldsOf(pid: number): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1")
    // The name in parentheses may hold anything, a closing parenthesis too; after the last one comes field 3, the state.
    return text.slice(text.lastIndexOf(")") + 2).split(" ")
  } catch {
    return undefined
  }
}

/** When a process started; undefined if there is none with this pid, or only what is left until its parent has looked. */
export function startOf(pid: number): number | undefined {
  const fields = fieldsOf(pid)
  return fields === undefined || fields[0] === "Z" || fields[0] === "X" ? undefined : Number(fields[19])
}

export const isAlive = ({ pid, start }: ProcessMark): boolean => startOf(pid) === start

/** Linux include/linux/sched.h: a bit of field 9. */
const PF_EXITING = 4

/**
 * Whether it will ever do anything again. One that was killed may have to wait: process 1 of a pid namespace for all below it, and
 * of those the frozen ones do not die (cgroup v1).
 */
export function isAtWork(process: ProcessMark): boolean {
  return isAlive(process) && (Number(fieldsOf(process.pid)?.[6]) & PF_EXITING) === 0
}

/** This process. An execve(2) keeps both, so it is also the executor that it may become. */
export const ownMark = (): ProcessMark => ({ pid: process.pid, start: startOf(process.pid) ?? 0 })

/**
 * Whether some process carries this container out: its monitor was started with the container's plan, `…/ID/wire`, as its argument, so it
 * can be told from the first moment, before it could write a status. Reads every /proc/PID/cmdline: for the rare case in which
 * nothing else can tell.
 */
export function isNamedByProcess(id: string): boolean {
  const wire = `/${id}/wire\0`
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue
    try {
      if (readFileSync(`/proc/${pid}/cmdline`, "latin1").endsWith(wire)) return true
    } catch {
      // It has ended since the listing.
    }
  }
  return false
}
