/**
 * What `config.json` has no word for: where this container lies on this host.
 *
 * Chosen before planning and written to disk before the first step, so that any later process can compute the same
 * plan again and run its undo.
 */

export interface Placement {
  /** 64 hexadecimal digits, or what an OCI caller chose. */
  readonly id: string
  readonly name: string
  /** `STATE/containers/ID`: record, upper, work, log. Absolute. */
  readonly directory: string
  /** Where config.json lies, if not in `directory`: what its relative paths are relative to, and what hooks are told. Absolute. */
  readonly bundle?: string
  /** `RUN/ID`: wire, control socket, gate; gone after a reboot. Absolute. */
  readonly runDirectory: string
  /** Symlinks that `--rm` or a failed start removes: the name, the lease of the id range. */
  readonly leases: readonly string[]
  readonly rootfs: Rootfs
  /** `STATE/staging`: where the overlay is put together, in a mount namespace of the executor's own, so all can share it. Absent: `directory`. */
  readonly staging?: string
  /** `/minicontainer/ID` below the base of each hierarchy; absent: no cgroup (`mode: none`). */
  readonly cgroup?: { readonly path: string; readonly monitors?: string }
  readonly stay: "monitor" | "none"
  /** Process 1 is our own reaper (`--init`). */
  readonly init: boolean
  readonly remove: boolean
  /** It was there before this start: a start that fails takes back only what it has made, never the container. */
  readonly kept?: true
  readonly log: Log
  /** Bits of STDIO in stdio.ts. */
  readonly stdio: number
  readonly detachKeys: readonly number[]
  /** It is killed when it has run so long: `--timeout`. */
  readonly timeoutMs?: number
  /** Written to stdout once a detached container runs. */
  readonly announce?: string
  readonly gate: boolean
  /** OCI door: the console socket. */
  readonly consoleSocket?: string
  /** Files of ours that are bound over files inside: /etc/hosts → `directory`/hosts … They are mounts of config.json, named here so that their owner is shifted. */
  readonly ownFiles: readonly string[]
  /** The bridge network that it is on. Absent: only the loopback, or the host's network. */
  readonly network?: Attachment
  /** The mounts of config.json that are volumes. Absent: none. */
  readonly volumes?: readonly PlacedVolume[]
}

export interface PlacedVolume {
  /** The mount's, in config.json. */
  readonly destination: string
  /** The volume's own directory; absolute. The mount's source is this, or a path below it, which is resolved inside it. */
  readonly root: string
  /** An empty one gets what the image has there. */
  readonly fill: boolean
}

/** A container's place on a bridge network. Everything is chosen, so that it can be made, found and taken back by anybody. */
export interface Attachment {
  readonly network: string
  /** Its name and its number, which the network's record keeps. */
  readonly bridge: { readonly name: string; readonly index: number }
  /** Our nf_tables table, of family inet. */
  readonly table: string
  /** `10.88.0.0/16` */
  readonly subnet: string
  /** The bridge's own address. */
  readonly gateway: string
  readonly address: string
  /** The network has no way out. */
  readonly internal?: true
  /** Bytes of the greatest packet, as of the interface that leads out. */
  readonly mtu: number
  /** Of the end on the host; at most 15 bytes. */
  readonly veth: string
  /** This host did not pass packets on between its interfaces when the container was made. */
  readonly startsForwarding?: true
  readonly ports: readonly PublishedPort[]
}

/** A port of the host that leads to one of the container. */
export interface PublishedPort {
  readonly protocol: "tcp" | "udp" | "sctp"
  /** Absent: every address of the host. */
  readonly hostAddress?: string
  /** In a request 0: one that is free. */
  readonly hostPort: number
  readonly containerPort: number
}

export type Rootfs =
  /** Image layers or `--rootfs DIR`: never written. `layers`: directories, oldest first; absolute, or below `store` if given. */
  | { readonly kind: "overlay"; readonly store?: string; readonly layers: readonly string[]; readonly writable: string }
  /** An OCI bundle: `root.path` itself. */
  | { readonly kind: "directory"; readonly path: string }

export interface Log {
  /** Absent: `--log-driver none`. */
  readonly path?: string
  readonly maxBytes: number
  readonly maxFiles: number
}
