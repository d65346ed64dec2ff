/**
 * The guard at the door: any JSON, into a Config or into an error that names the field.
 *
 *     text ── size, depth ──▶ JSON.parse ──▶ shape CONFIG ──▶ Config
 *                                              │
 *                                              └─▶ cannot read config.json: process.user.uid is not a whole number from 0 to 4294967295
 *
 * As strict as the specification's own JSON schema, and no stricter: an older config with words that have no meaning any
 * more is valid, unknown fields are kept. Whether this engine can do what a config asks is not decided here but in plan/.
 *
 * Read on: shape.ts, the walker; oci.ts, the same fields as types.
 * @see https://github.com/opencontainers/runtime-spec schema/config-schema.json, config-linux.json, defs.json, defs-linux.json
 */

import { EngineError } from "../base/errors.ts"
import type { Config } from "./oci.ts"
import { flag, form, list, map, mismatch, record, type Shape, text, whole, word } from "./shape.ts"

/** Characters of a config.json: a generous one has 60,000. */
const MOST_CHARACTERS = 8 * 1024 * 1024
/** Brackets within brackets: the specification itself needs eight. Parsers recurse, and their stack is not ours to size. */
const MOST_DEPTH = 200

const uint16 = whole(0, 0xffff)
const uint32 = whole(0, 0xffffffff)
const int32 = whole(-0x80000000, 0x7fffffff)
// A double has no 2^64-1: JSON.parse reads it as 2^64, which the readers of these fields take for "no limit".
const uint64 = whole(0, 2 ** 64, "0 to 18446744073709551615")
const int64 = whole(-(2 ** 63), 2 ** 63, "-9223372036854775808 to 9223372036854775807")
/** Compared bit by bit, so a number that a double must round is refused: the filter would let pass what it should not. */
const exact64 = whole(
  0,
  Number.MAX_SAFE_INTEGER,
  `0 to ${Number.MAX_SAFE_INTEGER} (larger ones cannot be kept exactly)`,
)

const texts = list(text)
const textMap = map(text)
const cpuList = form(/^[0-9, -]*$/, "a list of CPUs like 0-3,7")
const idMappings = list(
  record({ containerID: uint32, hostID: uint32, size: uint32 }, ["containerID", "hostID", "size"]),
)

const hook = record({ path: text, args: texts, env: texts, timeout: whole(1, Number.MAX_SAFE_INTEGER) }, ["path"])
const mount = record(
  { destination: text, type: text, source: text, options: texts, uidMappings: idMappings, gidMappings: idMappings },
  ["destination"],
)

const scheduler = record(
  {
    policy: word("SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO", "SCHED_IDLE", "SCHED_DEADLINE"),
    nice: int32,
    priority: int32,
    flags: list(
      word(
        "SCHED_FLAG_RESET_ON_FORK",
        "SCHED_FLAG_RECLAIM",
        "SCHED_FLAG_DL_OVERRUN",
        "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS",
        "SCHED_FLAG_UTIL_CLAMP_MIN",
        "SCHED_FLAG_UTIL_CLAMP_MAX",
      ),
    ),
    runtime: uint64,
    deadline: uint64,
    period: uint64,
  },
  ["policy"],
)

const processFields = record(
  {
    terminal: flag,
    consoleSize: record({ height: uint64, width: uint64 }, ["height", "width"]),
    user: record({ uid: uint32, gid: uint32, umask: uint32, additionalGids: list(uint32) }),
    args: texts,
    env: texts,
    cwd: text,
    capabilities: record({ bounding: texts, effective: texts, inheritable: texts, permitted: texts, ambient: texts }),
    rlimits: list(
      record({ type: form(/^RLIMIT_[A-Z]+$/, "a limit like RLIMIT_NOFILE"), soft: uint64, hard: uint64 }, [
        "type",
        "soft",
        "hard",
      ]),
    ),
    noNewPrivileges: flag,
    apparmorProfile: text,
    selinuxLabel: text,
    oomScoreAdj: whole(-1000, 1000),
    scheduler,
    ioPriority: record({ class: word("IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"), priority: int32 }, [
      "class",
    ]),
    execCPUAffinity: record({ initial: cpuList, final: cpuList }),
  },
  ["cwd"],
)

const throttles = list(record({ major: int64, minor: int64, rate: uint64 }, ["major", "minor"]))
const resources = record({
  devices: list(record({ allow: flag, type: text, major: int64, minor: int64, access: text }, ["allow"])),
  memory: record({
    limit: int64,
    reservation: int64,
    swap: int64,
    kernel: int64,
    kernelTCP: int64,
    swappiness: uint64,
    disableOOMKiller: flag,
    useHierarchy: flag,
    checkBeforeUpdate: flag,
  }),
  cpu: record({
    shares: uint64,
    quota: int64,
    burst: uint64,
    period: uint64,
    realtimeRuntime: int64,
    realtimePeriod: uint64,
    cpus: text,
    mems: text,
    idle: int64,
  }),
  pids: record({ limit: int64 }, ["limit"]),
  blockIO: record({
    weight: uint16,
    leafWeight: uint16,
    weightDevice: list(record({ major: int64, minor: int64, weight: uint16, leafWeight: uint16 }, ["major", "minor"])),
    throttleReadBpsDevice: throttles,
    throttleWriteBpsDevice: throttles,
    throttleReadIOPSDevice: throttles,
    throttleWriteIOPSDevice: throttles,
  }),
  hugepageLimits: list(
    record({ pageSize: form(/^[1-9][0-9]*[KMG]B$/, "a page size like 2MB"), limit: uint64 }, ["pageSize", "limit"]),
  ),
  network: record({
    classID: uint32,
    priorities: list(record({ name: text, priority: uint32 }, ["name", "priority"])),
  }),
  rdma: map(record({ hcaHandles: uint32, hcaObjects: uint32 })),
  unified: textMap,
})

const action = word(
  "SCMP_ACT_KILL",
  "SCMP_ACT_KILL_PROCESS",
  "SCMP_ACT_KILL_THREAD",
  "SCMP_ACT_TRAP",
  "SCMP_ACT_ERRNO",
  "SCMP_ACT_TRACE",
  "SCMP_ACT_ALLOW",
  "SCMP_ACT_LOG",
  "SCMP_ACT_NOTIFY",
)
const comparison = word(
  "SCMP_CMP_NE",
  "SCMP_CMP_LT",
  "SCMP_CMP_LE",
  "SCMP_CMP_EQ",
  "SCMP_CMP_GE",
  "SCMP_CMP_GT",
  "SCMP_CMP_MASKED_EQ",
)
const ARCHITECTURES = [
  "X86",
  "X86_64",
  "X32",
  "ARM",
  "AARCH64",
  "LOONGARCH64",
  "M68K",
  "MIPS",
  "MIPS64",
  "MIPS64N32",
  "MIPSEL",
  "MIPSEL64",
  "MIPSEL64N32",
  "PPC",
  "PPC64",
  "PPC64LE",
  "S390",
  "S390X",
  "SH",
  "SHEB",
  "PARISC",
  "PARISC64",
  "RISCV64",
]
const seccomp = record(
  {
    defaultAction: action,
    defaultErrnoRet: uint32,
    flags: list(
      word(
        "SECCOMP_FILTER_FLAG_TSYNC",
        "SECCOMP_FILTER_FLAG_LOG",
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
      ),
    ),
    listenerPath: text,
    listenerMetadata: text,
    architectures: list(word(...ARCHITECTURES.map((name) => `SCMP_ARCH_${name}`))),
    syscalls: list(
      record(
        {
          names: list(text, 1),
          action,
          errnoRet: uint32,
          args: list(
            record({ index: uint32, value: exact64, valueTwo: exact64, op: comparison }, ["index", "value", "op"]),
          ),
        },
        ["names", "action"],
      ),
    ),
  },
  ["defaultAction"],
)

const offset = record({ secs: int64, nanosecs: uint32 })
const linux = record({
  namespaces: list(
    record({ type: word("mount", "pid", "network", "uts", "ipc", "user", "cgroup", "time"), path: text }, ["type"]),
  ),
  uidMappings: idMappings,
  gidMappings: idMappings,
  timeOffsets: record({ boottime: offset, monotonic: offset }),
  devices: list(
    record(
      {
        type: word("c", "b", "u", "p"),
        path: text,
        major: int64,
        minor: int64,
        fileMode: uint32,
        uid: uint32,
        gid: uint32,
      },
      ["type", "path"],
    ),
  ),
  netDevices: map(record({ name: text })),
  cgroupsPath: text,
  resources,
  rootfsPropagation: word("private", "shared", "slave", "unbindable", "rprivate", "rshared", "rslave", "runbindable"),
  seccomp,
  sysctl: textMap,
  maskedPaths: texts,
  readonlyPaths: texts,
  mountLabel: text,
  personality: record({ domain: word("LINUX", "LINUX32"), flags: texts }),
  intelRdt: record({
    closID: text,
    schemata: texts,
    l3CacheSchema: text,
    memBwSchema: form(/^MB:[^\n]*$/, "a line that begins with MB:"),
    enableMonitoring: flag,
  }),
})

/** All that version 1.2 of the specification has for Linux. */
export const CONFIG: Shape = record(
  {
    ociVersion: form(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/, "a version like 1.2.0"),
    process: processFields,
    root: record({ path: text, readonly: flag }, ["path"]),
    hostname: text,
    domainname: text,
    mounts: list(mount),
    hooks: record({
      prestart: list(hook),
      createRuntime: list(hook),
      createContainer: list(hook),
      startContainer: list(hook),
      poststart: list(hook),
      poststop: list(hook),
    }),
    annotations: textMap,
    linux,
  },
  ["ociVersion"],
)

const refuse = (cause: string): EngineError => new EngineError("INVALID_CONFIG", `cannot read config.json: ${cause}`)

/** Whether brackets nest deeper than `most`, outside of strings. One pass; nothing is parsed. */
export function nestsDeeper(json: string, most: number): boolean {
  let depth = 0
  let quoted = false
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at)
    if (quoted) {
      if (code === 0x5c) at++
      else if (code === 0x22) quoted = false
    } else if (code === 0x22) quoted = true
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > most) return true
    } else if (code === 0x5d || code === 0x7d) depth--
  }
  return false
}

function parse(json: string): unknown {
  if (json.length > MOST_CHARACTERS) throw refuse("it is larger than 8 MiB")
  if (nestsDeeper(json, MOST_DEPTH)) throw refuse(`it nests deeper than ${MOST_DEPTH} levels`)
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new EngineError(
      "INVALID_CONFIG",
      `cannot read config.json: it is not JSON (${cause instanceof Error ? cause.message : cause})`,
      undefined,
      { cause },
    )
  }
}

/**
 * A config.json, held against the specification.
 *
 * The result keeps every field, known or not. One thing is completed: a process without `user`, or a user without one of
 * its ids, which the schema allows, is user 0, group 0.
 * @param json the text of the file, or what JSON.parse made of it.
 * @throws {EngineError} `INVALID_CONFIG`, naming the field; `UNSUPPORTED` for a version of the specification from 2.0 on.
 */
export function readConfig(json: unknown): Config {
  const document = typeof json === "string" ? parse(json) : json
  const wrong = mismatch(CONFIG, document)
  if (wrong) throw refuse(wrong)
  const config = document as Config
  const major = Number(config.ociVersion.split(".", 1)[0])
  if (major > 1) {
    const why = `cannot read config.json: ociVersion is ${config.ociVersion}, and this engine knows version 1 of the specification`
    throw new EngineError("UNSUPPORTED", why)
  }
  if (config.process === undefined) return config
  return { ...config, process: { ...config.process, user: { ...NOBODY_NAMED, ...config.process.user } } }
}

/** What runc and crun make of a process that names no user. */
const NOBODY_NAMED = { uid: 0, gid: 0 }
