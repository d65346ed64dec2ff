/**
 * Process: the last things that a program is before it runs: its limits, its place, its ids, its words.
 *
 *     parent   rlimits, oom score         what only the outside may raise
 *     child    a missing working directory
 *     start    session, keyring, cwd, files      …, then ids and capabilities (capabilities.ts), then exec
 *
 * Whatever a program inherits and does not expect is a leak: so every limit is set, every signal is reset, every fd but
 * 0, 1 and 2 is closed at exec, and the environment is the config's alone.
 *
 * Read on: capabilities.ts, terminal.ts. Linux man-pages execve(2), getrlimit(2), keyrings(7).
 */

import { EngineError } from "../base/errors.ts"
import type { Process, Scheduler } from "../model/oci.ts"
import type { Step } from "./step.ts"

/** RLIMIT_* of Linux include/uapi/asm-generic/resource.h. */
const RLIMITS: Readonly<Record<string, number>> = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
}
const SCHED_POLICY: Readonly<Record<string, number>> = {
  SCHED_OTHER: 0,
  SCHED_FIFO: 1,
  SCHED_RR: 2,
  SCHED_BATCH: 3,
  SCHED_ISO: 4,
  SCHED_IDLE: 5,
  SCHED_DEADLINE: 6,
}
const SCHED_FLAG: Readonly<Record<string, number>> = {
  SCHED_FLAG_RESET_ON_FORK: 0x01,
  SCHED_FLAG_RECLAIM: 0x02,
  SCHED_FLAG_DL_OVERRUN: 0x04,
  SCHED_FLAG_KEEP_POLICY: 0x08,
  SCHED_FLAG_KEEP_PARAMS: 0x10,
  SCHED_FLAG_UTIL_CLAMP_MIN: 0x20,
  SCHED_FLAG_UTIL_CLAMP_MAX: 0x40,
}
const IO_CLASS: Readonly<Record<string, number>> = { IOPRIO_CLASS_RT: 1, IOPRIO_CLASS_BE: 2, IOPRIO_CLASS_IDLE: 3 }
/** Linux include/uapi/linux/personality.h. */
const DOMAIN: Readonly<Record<string, number>> = { LINUX: 0, LINUX32: 8 }

/** The number that an OCI word stands for. @throws {EngineError} `INVALID_CONFIG`, naming the words that are known. */
function numberOf(table: Readonly<Record<string, number>>, word: string, where: string): number {
  const number = table[word]
  if (number === undefined)
    throw new EngineError(
      "INVALID_CONFIG",
      `cannot prepare the process: ${where} is "${word}", which is none of ${Object.keys(table).join(", ")}`,
    )
  return number
}

/** An rlimit as the kernel takes it: what the config writes as -1 or as a number beyond 2^53 is RLIM_INFINITY. */
const limit = (value: number): bigint =>
  value < 0 || value > Number.MAX_SAFE_INTEGER ? 0xffffffffffffffffn : BigInt(value)
const spoken = (value: number): string => (limit(value) === 0xffffffffffffffffn ? "unlimited" : String(value))

/** Phase parent: what a process inside could not raise for itself. */
export function limits({ rlimits = [], oomScoreAdj }: Process): readonly Step[] {
  return [
    ...rlimits.map(
      ({ type, soft, hard }): Step => ({
        phase: "parent",
        op: "rlimit",
        resource: numberOf(RLIMITS, type, "process.rlimits"),
        soft: limit(soft),
        hard: limit(hard),
        does: `limit ${type.replace("RLIMIT_", "").toLowerCase()} to ${spoken(soft)}${soft === hard ? "" : `, at most ${spoken(hard)}`}`,
        why: "limits are inherited, and the ones of whoever started us are not the container's",
      }),
    ),
    ...(oomScoreAdj === undefined
      ? []
      : [
          {
            phase: "parent",
            op: "write-proc",
            name: "oom_score_adj",
            text: String(oomScoreAdj),
            does: `set the out-of-memory score to ${oomScoreAdj}`,
            why: "it says whom the kernel kills first when the machine runs out of memory",
          } as const,
        ]),
  ]
}

/**
 * Of a program that joins a container, never of its first: phase host, before the process enters the container's groups, and phase
 * start, when it is there.
 */
export function affinity({ execCPUAffinity = {} }: Process): readonly Step[] {
  const { initial, final } = execCPUAffinity
  const on = (phase: "host" | "start", cpus: string, why: string): Step => ({
    phase,
    op: "affinity",
    cpus: cpuList(cpus),
    does: `run on the CPUs ${cpus}`,
    why,
  })
  return [
    ...(initial ? [on("host", initial, "no other CPU is disturbed while the program is being prepared")] : []),
    ...(final ? [on("start", final, "the config binds the program to them")] : []),
  ]
}

/** The numbers of a list as the kernel writes it: `cpuList("0-2,5")` is `[0, 1, 2, 5]`. */
export function cpuList(text: string): readonly number[] {
  return text.split(",").flatMap((part) => {
    const [first, last = first] = part.trim().split("-").map(Number)
    if (
      first === undefined ||
      last === undefined ||
      !Number.isInteger(first) ||
      !Number.isInteger(last) ||
      last < first ||
      last > 8191
    )
      throw new EngineError(
        "INVALID_CONFIG",
        `cannot read the CPU list "${text}": "${part}" is neither a number nor a range`,
      )
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
}

function scheduler(given: Scheduler): Step {
  return {
    phase: "parent",
    op: "scheduler",
    policy: numberOf(SCHED_POLICY, given.policy, "process.scheduler.policy"),
    flags: (given.flags ?? []).reduce((all, flag) => all | numberOf(SCHED_FLAG, flag, "process.scheduler.flags"), 0),
    nice: BigInt.asUintN(64, BigInt(given.nice ?? 0)),
    priority: given.priority ?? 0,
    runtime: given.runtime ?? 0,
    deadline: given.deadline ?? 0,
    period: given.period ?? 0,
    does: `schedule the process as ${given.policy}`,
    why: "the config asks for it",
  }
}

/** Phase parent and start: how the kernel treats it: scheduler, io priority, personality, umask. */
export function manners(
  { scheduler: sched, ioPriority, user }: Process,
  personality?: { readonly domain: string; readonly flags?: readonly string[] },
): readonly Step[] {
  const steps: Step[] = []
  if (sched) steps.push(scheduler(sched))
  if (ioPriority) {
    const { class: name, priority: level = 0 } = ioPriority
    const priority = (numberOf(IO_CLASS, name, "process.ioPriority.class") << 13) | level
    steps.push({
      phase: "parent",
      op: "io-priority",
      priority,
      does: `give the process the io priority ${name.replace("IOPRIO_CLASS_", "").toLowerCase()} ${level}`,
      why: "the config asks for it",
    })
  }
  if (personality) {
    if (personality.flags?.length)
      throw new EngineError(
        "UNSUPPORTED",
        "cannot set linux.personality.flags: the specification defines none",
        "remove them",
      )
    steps.push({
      phase: "start",
      op: "personality",
      domain: numberOf(DOMAIN, personality.domain, "linux.personality.domain"),
      does: `take the personality ${personality.domain}`,
      why: "a 32-bit program expects uname to say so",
    })
  }
  steps.push({
    phase: "start",
    op: "umask",
    mask: user.umask ?? 0o022,
    does: `set the umask to ${(user.umask ?? 0o022).toString(8).padStart(4, "0")}`,
    why: "it is inherited, and the caller's is not the container's",
  })
  return steps
}

/** Phase child, while the root can still be written: a working directory that is not there. Of a container's first program only: exec makes none. */
export function workingDirectory({ cwd }: Process): readonly Step[] {
  if (cwd === "/") return []
  return [
    {
      phase: "child",
      op: "make-directory",
      path: cwd,
      mode: 0o755,
      uid: 0,
      gid: 0,
      does: `make ${cwd} if it is missing`,
      why: "images name working directories that they do not contain",
    },
  ]
}

/** Phase start, while still root inside: a keyring of its own, the working directory, and no file besides. */
export function place({ cwd }: Process, id: string): readonly Step[] {
  if (!cwd.startsWith("/"))
    throw new EngineError("INVALID_CONFIG", `cannot enter ${cwd}: process.cwd is an absolute path`)
  return [
    {
      phase: "start",
      op: "keyring",
      name: id,
      must: false,
      ok: ["ENOSYS", "EPERM"],
      does: "join a new session keyring",
      why: "keys are not in any namespace: without this the container could read its caller's",
    },
    {
      phase: "start",
      op: "chdir",
      path: cwd,
      does: `go to ${cwd}`,
      why: "the program starts there; that it lies inside the root is checked",
    },
    {
      phase: "start",
      op: "close-files",
      does: "close every file but 0, 1 and 2",
      // Nor may a root that is the host's chmod what its stdin is: so of these three, too, /dev/null is the container's.
      why: "closed by exec would be too late: the program, or its interpreter, may be named /proc/self/fd/N/../…",
    },
  ]
}

/** Phase start: the program's user. */
export function becomeUser({ uid, gid, additionalGids = [] }: Process["user"]): Step {
  const others = additionalGids.filter((group) => group !== gid)
  return {
    phase: "start",
    op: "set-ids",
    uid,
    gid,
    groups: additionalGids,
    does: `become user ${uid}, group ${gid}${others.length > 0 ? ` and ${others.join(", ")}` : ""}`,
    why: "groups first: who is not root may not change them any more",
  }
}

/** Phase start, after the capabilities. */
export const noNewPrivileges: Step = {
  phase: "start",
  op: "no-new-privileges",
  does: "give up new privileges for good",
  why: "set-uid programs and file capabilities then grant nothing",
}

/** Docker's, and what `execvp` would search. */
const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** Phase start, the very last. @throws {EngineError} `INVALID_CONFIG` without arguments. */
export function exec({ args = [], env = [] }: Process, init: boolean): readonly Step[] {
  const [program] = args
  if (program === undefined || program === "")
    throw new EngineError("INVALID_CONFIG", "cannot run the container: process.args names no program")
  // The first of two equal names is what getenv(3) finds, but the last is what people meant; a shell keeps the last.
  const path = env.findLast((entry) => entry.startsWith("PATH="))?.slice(5) ?? DEFAULT_PATH
  return [
    ...(init
      ? [
          {
            phase: "start",
            op: "init",
            does: "leave a small process 1 behind",
            why: "process 1 must reap orphans and is deaf to signals it has no handler for; few programs are written for that",
          } as const,
        ]
      : []),
    {
      phase: "start",
      op: "exec",
      argv: args,
      env,
      path: path.split(":").map((directory) => directory || "."),
      does: `run ${program}`,
      why: "the executor's code is gone; what is left of us is the ids, the limits and the namespaces",
    },
  ]
}
