/**
 * The OCI runtime specification's `config.json`, version 1.2, as far as Linux goes: the language in which spec/ and plan/ meet.
 *
 * Names and meanings are the specification's own. Unknown fields are kept by whoever copies a config.
 * Read on: guards.ts, which turns any JSON into this or into an error that names the field.
 * @see https://github.com/opencontainers/runtime-spec config.md, config-linux.md
 */

export interface Config {
  readonly ociVersion: string
  readonly process?: Process
  readonly root?: Root
  readonly hostname?: string
  readonly domainname?: string
  readonly mounts?: readonly Mount[]
  readonly hooks?: Hooks
  readonly annotations?: Readonly<Record<string, string>>
  readonly linux?: Linux
  // For other kernels, and for machines of one's own: known by name only, so that they can be refused.
  readonly vm?: Readonly<Record<string, unknown>>
  readonly windows?: Readonly<Record<string, unknown>>
  readonly solaris?: Readonly<Record<string, unknown>>
  readonly zos?: Readonly<Record<string, unknown>>
}

export interface Root {
  readonly path: string
  readonly readonly?: boolean
}

export interface Process {
  readonly terminal?: boolean
  readonly consoleSize?: { readonly height: number; readonly width: number }
  readonly user: User
  readonly args?: readonly string[]
  readonly env?: readonly string[]
  readonly cwd: string
  readonly capabilities?: Capabilities
  readonly rlimits?: readonly Rlimit[]
  readonly noNewPrivileges?: boolean
  readonly apparmorProfile?: string
  readonly selinuxLabel?: string
  readonly oomScoreAdj?: number
  readonly scheduler?: Scheduler
  readonly ioPriority?: { readonly class: string; readonly priority?: number }
  readonly execCPUAffinity?: { readonly initial?: string; readonly final?: string }
}

export interface User {
  readonly uid: number
  readonly gid: number
  readonly umask?: number
  readonly additionalGids?: readonly number[]
}

/** Lists of `CAP_*` names. Absent means empty. */
export interface Capabilities {
  readonly bounding?: readonly string[]
  readonly effective?: readonly string[]
  readonly inheritable?: readonly string[]
  readonly permitted?: readonly string[]
  readonly ambient?: readonly string[]
}

export interface Rlimit {
  /** `RLIMIT_NOFILE` … */
  readonly type: string
  /** 18446744073709551615, which a double holds as 2^64, is no limit. */
  readonly soft: number
  readonly hard: number
}

export interface Scheduler {
  readonly policy: string
  readonly nice?: number
  readonly priority?: number
  readonly flags?: readonly string[]
  readonly runtime?: number
  readonly deadline?: number
  readonly period?: number
}

export interface Mount {
  readonly destination: string
  readonly type?: string
  readonly source?: string
  readonly options?: readonly string[]
  readonly uidMappings?: readonly IdMapping[]
  readonly gidMappings?: readonly IdMapping[]
}

export interface Hook {
  readonly path: string
  readonly args?: readonly string[]
  readonly env?: readonly string[]
  /** Seconds. */
  readonly timeout?: number
}

export type HookName = "prestart" | "createRuntime" | "createContainer" | "startContainer" | "poststart" | "poststop"
export type Hooks = { readonly [N in HookName]?: readonly Hook[] }

export interface IdMapping {
  readonly containerID: number
  readonly hostID: number
  readonly size: number
}

export type NamespaceType = "pid" | "network" | "mount" | "ipc" | "uts" | "user" | "cgroup" | "time"

export interface Namespace {
  readonly type: NamespaceType
  /** An existing namespace to join; absent: a new one. */
  readonly path?: string
}

export interface Device {
  readonly type: "c" | "b" | "u" | "p"
  readonly path: string
  readonly major?: number
  readonly minor?: number
  readonly fileMode?: number
  readonly uid?: number
  readonly gid?: number
}

export interface Linux {
  readonly namespaces?: readonly Namespace[]
  readonly uidMappings?: readonly IdMapping[]
  readonly gidMappings?: readonly IdMapping[]
  readonly timeOffsets?: Readonly<Record<string, { readonly secs?: number; readonly nanosecs?: number }>>
  readonly devices?: readonly Device[]
  readonly netDevices?: Readonly<Record<string, { readonly name?: string }>>
  readonly cgroupsPath?: string
  readonly resources?: Resources
  readonly rootfsPropagation?: string
  readonly seccomp?: Seccomp
  readonly sysctl?: Readonly<Record<string, string>>
  readonly maskedPaths?: readonly string[]
  readonly readonlyPaths?: readonly string[]
  readonly mountLabel?: string
  readonly personality?: { readonly domain: string; readonly flags?: readonly string[] }
  readonly intelRdt?: Readonly<Record<string, unknown>>
}

export interface DeviceRule {
  readonly allow: boolean
  /** `a` or absent: all. */
  readonly type?: string
  readonly major?: number
  readonly minor?: number
  /** Letters of `rwm`; absent: all. */
  readonly access?: string
}

export interface Resources {
  readonly devices?: readonly DeviceRule[]
  readonly memory?: {
    /** Bytes; -1 is unlimited. */
    readonly limit?: number
    readonly reservation?: number
    /** Memory and swap together, in bytes; -1 is unlimited. */
    readonly swap?: number
    readonly kernel?: number
    readonly kernelTCP?: number
    readonly swappiness?: number
    readonly disableOOMKiller?: boolean
    readonly useHierarchy?: boolean
    readonly checkBeforeUpdate?: boolean
  }
  readonly cpu?: {
    readonly shares?: number
    /** Microseconds in every period; -1 is unlimited. */
    readonly quota?: number
    readonly burst?: number
    /** Microseconds. */
    readonly period?: number
    readonly realtimeRuntime?: number
    readonly realtimePeriod?: number
    readonly cpus?: string
    readonly mems?: string
    readonly idle?: number
  }
  /** limit: -1 or 0 is unlimited. */
  readonly pids?: { readonly limit?: number }
  readonly blockIO?: {
    readonly weight?: number
    readonly leafWeight?: number
    readonly weightDevice?: readonly {
      readonly major: number
      readonly minor: number
      readonly weight?: number
      readonly leafWeight?: number
    }[]
    readonly throttleReadBpsDevice?: readonly Throttle[]
    readonly throttleWriteBpsDevice?: readonly Throttle[]
    readonly throttleReadIOPSDevice?: readonly Throttle[]
    readonly throttleWriteIOPSDevice?: readonly Throttle[]
  }
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: number }[]
  readonly network?: {
    readonly classID?: number
    readonly priorities?: readonly { readonly name: string; readonly priority: number }[]
  }
  readonly rdma?: Readonly<Record<string, { readonly hcaHandles?: number; readonly hcaObjects?: number }>>
  /** cgroup v2: file name → text, written as it is. */
  readonly unified?: Readonly<Record<string, string>>
}
export interface Throttle {
  readonly major: number
  readonly minor: number
  /** Bytes or requests a second; 0 or absent takes a limit away. */
  readonly rate?: number
}

export interface Seccomp {
  readonly defaultAction: string
  readonly defaultErrnoRet?: number
  /** `SCMP_ARCH_*` */
  readonly architectures?: readonly string[]
  readonly flags?: readonly string[]
  readonly listenerPath?: string
  readonly listenerMetadata?: string
  readonly syscalls?: readonly SeccompRule[]
}
export interface SeccompRule {
  readonly names: readonly string[]
  readonly action: string
  readonly errnoRet?: number
  readonly args?: readonly SeccompArg[]
}
export interface SeccompArg {
  readonly index: number
  readonly value: number
  readonly valueTwo?: number
  /** `SCMP_CMP_*` */
  readonly op: string
}
