/**
 * What a person, a program or Docker's API asks for: the words of `docker run`, parsed but not yet interpreted against an image or a host.
 *
 * Every field is optional but `args` and one of `rootfs` and `image`; absent means the default. Units are in the names.
 */

import type { PublishedPort } from "./placement.ts"

export interface Request {
  /** A directory that is the container's root, copy-on-write. */
  readonly rootfs?: string
  /** Or an image: its name, or the first digits of its id. */
  readonly image?: string
  /** May be empty if the image or `entrypoint` names a program. */
  readonly args: readonly string[]
  readonly name?: string
  readonly hostname?: string
  readonly domainname?: string
  /** One word, or several. Empty: none, whatever the image says. */
  readonly entrypoint?: string | readonly string[]
  /** `KEY=VALUE`; a bare KEY was resolved by the door that has an environment. */
  readonly env?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
  readonly mounts?: readonly MountRequest[]
  /** Containers whose binds and volumes this one gets too: `NAME`, `NAME:ro`. */
  readonly volumesFrom?: readonly string[]
  readonly readOnly?: boolean
  readonly workdir?: string
  /** `name|uid[:group|gid]` */
  readonly user?: string
  readonly groupAdd?: readonly string[]
  readonly memoryBytes?: number
  /** Memory plus swap; -1: unlimited. */
  readonly memorySwapBytes?: number
  readonly memoryReservationBytes?: number
  readonly cpus?: number
  /** 10 … 1000; others have 500 (v2: 100 of 10000, converted). */
  readonly blkioWeight?: number
  /** Cgroup v1 only. */
  readonly oomKillDisable?: boolean
  readonly cpuShares?: number
  readonly cpuQuotaUs?: number
  readonly cpuPeriodUs?: number
  readonly cpusetCpus?: string
  readonly cpusetMems?: string
  readonly pidsLimit?: number
  readonly shmBytes?: number
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[]
  readonly capAdd?: readonly string[]
  readonly capDrop?: readonly string[]
  /** `unconfined`, or a policy: the text of a Docker or OCI seccomp file. */
  readonly seccomp?: "unconfined" | { readonly json: string; readonly path: string }
  readonly noNewPrivileges?: boolean
  readonly privileged?: boolean
  /** `host`; absent: own. */
  readonly userns?: "host"
  readonly pid?: "host"
  /** `private` when absent. */
  readonly ipc?: "host" | "private" | "none" | "shareable"
  readonly uts?: "host"
  readonly cgroupns?: "host" | "private"
  /** `none`: only a loopback; `host`: the host's; else a network's name. Absent: see `networkOf`. */
  readonly network?: string
  /** Its IPv4 address. Absent: a free one of its network. */
  readonly ip?: string
  /** More names by which the containers of its network find it. */
  readonly networkAliases?: readonly string[]
  /** Ports of the host that lead to the container's. */
  readonly publish?: readonly PublishedPort[]
  readonly devices?: readonly { readonly host: string; readonly container: string; readonly access: string }[]
  /** `c 1:3 rwm` */
  readonly deviceRules?: readonly string[]
  readonly sysctls?: Readonly<Record<string, string>>
  readonly init?: boolean
  readonly remove?: boolean
  /** A number or a name, with or without SIG. */
  readonly stopSignal?: string
  readonly stopTimeoutSeconds?: number
  /** It is killed when it has run so long; absent or 0: never. */
  readonly timeoutSeconds?: number
  readonly log?: { readonly driver: "json-file" | "none"; readonly maxBytes?: number; readonly maxFiles?: number }
  readonly cgroupParent?: string
  readonly addHosts?: readonly { readonly name: string; readonly address: string }[]
  readonly dns?: readonly string[]
  readonly dnsSearch?: readonly string[]
  readonly dnsOptions?: readonly string[]
  readonly tty?: boolean
  readonly interactive?: boolean
  readonly detached?: boolean
  /** Which of the three the caller is attached to, in the foreground. Absent: stdout, stderr, and stdin if interactive. */
  readonly attach?: readonly ("stdin" | "stdout" | "stderr")[]
  readonly detachKeys?: string
  readonly signalProxy?: boolean
  readonly annotations?: Readonly<Record<string, string>>
  readonly oomScoreAdj?: number
}

/** The network that is made when somebody asks for it. */
export const DEFAULT_NETWORK = "bridge"

/** On which network a container is: who publishes ports needs one. */
export const networkOf = ({ network, publish }: Pick<Request, "network" | "publish">): string =>
  network ?? (publish?.length ? DEFAULT_NETWORK : "none")
/** Neither the host's nor none: it has a bridge, and an address there. */
export const isBridged = (request: Pick<Request, "network" | "publish">): boolean =>
  !["none", "host"].includes(networkOf(request))

/** A directory that outlives containers, and that several may have. */
export interface VolumeMount {
  readonly kind: "volume"
  /** Made if there is none. Absent: one of this container alone, which goes with it. */
  readonly name?: string
  readonly target: string
  readonly readOnly?: boolean
  /** false: it stays as it is. Else an empty volume gets what the image has at `target`. */
  readonly copy?: boolean
  /** A directory inside the volume, which must exist; relative. */
  readonly subpath?: string
  /** Of a volume that is made. */
  readonly labels?: Readonly<Record<string, string>>
  /** The engine's: where it lies. Absolute. */
  readonly source?: string
  /** The engine's: nobody gave it its name. */
  readonly anonymous?: boolean
}

export type MountRequest =
  | VolumeMount
  | {
      readonly kind: "bind"
      readonly source: string
      readonly target: string
      readonly readOnly?: boolean
      readonly propagation?: string
      readonly recursive?: boolean
      readonly createSource?: boolean
    }
  | {
      readonly kind: "tmpfs"
      readonly target: string
      readonly sizeBytes?: number
      readonly mode?: number
      readonly options?: readonly string[]
    }

/** Another program for a container that runs: the words of `docker exec`. */
export interface ExecRequest {
  readonly args: readonly string[]
  readonly env?: readonly string[]
  readonly workdir?: string
  readonly user?: string
  readonly privileged?: boolean
  readonly tty?: boolean
  readonly interactive?: boolean
  readonly detached?: boolean
  readonly detachKeys?: string
}
