/**
 * The engine as every door sees it: verbs, and the values that they take and return.
 *
 * open.ts makes one; each verb is a file of its own beside this one, loaded when it is first called.
 */

import type { Config } from "../model/oci.ts"
import type { ExecRequest, Request } from "../model/request.ts"
import type { Plan } from "../plan/step.ts"
import type { Correction } from "./corrections.ts"

export type { ExecRequest } from "../model/request.ts"
export type { Correction } from "./corrections.ts"

export interface Engine {
  /**
   * Makes a container and runs it. This process is replaced by the executor, which ends with the container's exit
   * code (or, detached, once the program runs): it does not return. Nothing may be buffered on stdio.
   * @throws {EngineError} for everything that can be known before the first step.
   */
  become(request: Request, options?: BecomeOptions): Promise<never>
  /** The same, for a process that stays: the executor is spawned. */
  run(request: Request, options?: RunOptions): Promise<Running>
  /** Makes a container that waits for its start. @returns its id. */
  create(request: Request, options?: CreateOptions): Promise<string>
  /**
   * Starts a container that exists, in the background: with its own writable layer, name and ids, planned anew against this host. One that
   * runs is left alone. If a step fails, only what this start has made is undone.
   */
  start(container: string, options?: RunOptions): Promise<void>
  /** The same in the foreground, this process becoming the container's front; one that runs already is attached to. */
  becomeStart(container: string, options?: StartOptions): Promise<never>
  /** This process becomes one more front of a running container, and ends with its exit code. */
  becomeAttach(container: string, options?: AttachOptions): Promise<never>
  /** Stop, then start; of one that does not run, only the latter. */
  restart(container: string, options?: StopOptions & RunOptions): Promise<void>
  /** Sends a signal to process 1 of a running container. KILL is waited for. */
  kill(container: string, options?: KillOptions): Promise<void>
  /** @returns the exit code, when the container does not run (any more); 0 if it never has. */
  wait(container: string): Promise<number>
  /** Gives a container another name. Its host name stays. */
  rename(container: string, name: string): Promise<void>
  /** Runs another program in a running container, replacing this process. */
  becomeExec(container: string, request: ExecRequest, options?: Pick<BecomeOptions, "warn" | "failed">): Promise<never>
  exec(container: string, request: ExecRequest, options?: RunOptions): Promise<Running>
  /** What `become` would do, with what would be chosen now; changes nothing and takes no lease. */
  explain(request: Request): Promise<Explained>
  /** The plan of a container that exists. */
  explainContainer(container: string): Promise<Explained>
  /** Newest first. Stopped ones only with `all`. Broken records come as `broken`, never as a failure. */
  ps(options?: PsOptions): Promise<{ readonly containers: readonly Summary[]; readonly broken: readonly Broken[] }>
  /** Asks, waits, kills on time. Ends at once when the container does. A stopped container is left alone. */
  stop(container: string, options?: StopOptions): Promise<void>
  /** Removes a container that does not run; with force, also one that does. With `volumes`, also those that it alone has and nobody named. */
  rm(container: string, options?: { readonly force?: boolean; readonly volumes?: boolean }): Promise<void>
  /** All files of a container as a tar archive, in pieces, without what is mounted over them; running or not. */
  exportFiles(container: string): AsyncIterable<Uint8Array>
  /** What a container has changed in its files, sorted by path. */
  diff(container: string): Promise<readonly Change[]>
  /**
   * Copies a file or a directory with all below it between a container and this host, as `docker cp`. A side without a container is the
   * host's; its path is absolute. `/.` at the end of the source: what is in it, not itself.
   */
  copy(from: Place, to: Place, options?: CopyOptions): Promise<void>
  /** A file or directory of a container as a tar archive. */
  copyOut(from: Required<Place>, options?: Pick<CopyOptions, "followLink">): AsyncIterable<Uint8Array>
  /** A tar archive, unpacked into a directory of a container. */
  copyIn(archive: AsyncIterable<Uint8Array>, to: Required<Place>, options?: Pick<CopyOptions, "archive">): Promise<void>
  /** Freezes all processes of a running container. */
  pause(container: string): Promise<void>
  unpause(container: string): Promise<void>
  /** The lines of a container's log, oldest first; with `follow`, until the container ends. */
  logs(container: string, options?: LogOptions): AsyncIterable<LogLine>
  /** Docker's document of a container. */
  inspect(container: string): Promise<Inspected>
  info(): Promise<Info>
  /** Removes what dead containers have left, and on demand containers that do not run and volumes that nobody has. */
  prune(options?: PruneOptions): Promise<Pruned>
  /** What this host can do, and what crashes have left over; with `fix`, that is taken away, and what is told is what there was. */
  doctor(options?: { readonly fix?: boolean }): Promise<Diagnosis>
  /** An image of one layer. @returns its id, `sha256:…`. */
  importImage(archive: AsyncIterable<Uint8Array>, options?: ImportOptions): Promise<string>
  /** Images as one archive that is an OCI layout and a Docker archive. */
  saveImages(images: readonly string[]): AsyncIterable<Uint8Array>
  /** Images out of such an archive, or of either form. */
  loadImages(archive: AsyncIterable<Uint8Array>): Promise<readonly Loaded[]>
  /** Every image under each of its names, the newest first. */
  images(): Promise<readonly ImageSummary[]>
  /** Docker's document of an image. @throws {EngineError} `IMAGE_NOT_FOUND`, `AMBIGUOUS_ID` */
  inspectImage(image: string): Promise<Inspected>
  /** How an image was made, the newest step first. */
  history(image: string): Promise<readonly HistoryStep[]>
  /** Gives an image one more name, which is taken from whatever had it. */
  tag(image: string, name: string): Promise<void>
  /** Takes a name from an image; with its last name, the image goes, and everything that only it used. */
  rmi(image: string, options?: { readonly force?: boolean }): Promise<Removed>
  /** Removes images without a name, or, with `all`, every image that no container uses. */
  pruneImages(options?: { readonly all?: boolean }): Promise<Removed & { readonly bytes: number }>
  /** Makes a volume, or leaves the one of this name as it is. @returns its name. */
  createVolume(request?: VolumeRequest): Promise<string>
  /** By name. Filters: name, label, dangling, driver. */
  volumes(options?: { readonly filters?: VolumeFilters }): Promise<readonly VolumeInspected[]>
  inspectVolume(name: string): Promise<VolumeInspected>
  /** A volume that a container has is left alone: `VOLUME_IN_USE`. */
  removeVolume(name: string): Promise<void>
  /** Removes volumes that no container has: those nobody has named, with `all` every one. */
  pruneVolumes(options?: { readonly all?: boolean; readonly filters?: VolumeFilters }): Promise<VolumesPruned>
  /** Makes a network; nothing of it is in the kernel before the first container. @returns its id. */
  createNetwork(name: string, request?: NetworkRequest): Promise<string>
  /** By name; what Docker calls `host` and `none` last. */
  networks(): Promise<readonly NetworkSummary[]>
  inspectNetwork(network: string): Promise<NetworkInspected>
  /** One of which a container has an address is left alone: `NETWORK_IN_USE`. */
  removeNetwork(network: string): Promise<void>
  /** Removes networks that no container has an address of, but the default one. @returns their names. */
  pruneNetworks(): Promise<readonly string[]>
}

export interface PruneOptions {
  /** Every container that does not run. */
  readonly containers?: boolean
  /** Every volume that no container has and nobody has named. */
  readonly volumes?: boolean
  /** until (a time, or a span before now), label, label!; of volumes the labels alone. */
  readonly filters?: Readonly<Record<string, readonly string[]>>
}
export interface Pruned {
  /** Ids of containers that a crash had cut short. */
  readonly leftovers: readonly string[]
  readonly containers: readonly string[]
  readonly volumes: readonly string[]
  readonly freedBytes: number
}

export interface Diagnosis {
  readonly checks: readonly Check[]
  readonly leftovers: readonly LeftoverTold[]
}
export interface Check {
  /** "kernel", "cgroup controller memory". */
  readonly name: string
  readonly state: "ok" | "limited" | "missing"
  /** What was found. */
  readonly found: string
  /** What follows from it; absent where all is well. */
  readonly means?: string
  /** What to do about it, where that is known. */
  readonly fix?: string
}
export interface LeftoverTold {
  /** The class of resource: a row of engine/leftovers. */
  readonly class: string
  readonly about: string
  readonly what: string
  /** It was taken away; absent: nobody has tried. */
  readonly fixed?: boolean
  /** Why it could not be. */
  readonly why?: string
}

export interface VolumeRequest {
  /** Absent: one is made up, and the volume counts as anonymous. */
  readonly name?: string
  readonly labels?: Readonly<Record<string, string>>
  /** Of the driver `local`: `type`, `o`, `device`. */
  readonly options?: Readonly<Record<string, string>>
}
export type VolumeFilters = Readonly<Record<string, readonly string[]>>
/** Docker's document of a volume. */
export interface VolumeInspected {
  readonly CreatedAt: string
  readonly Driver: "local"
  readonly Labels: Readonly<Record<string, string>> | null
  readonly Mountpoint: string
  readonly Name: string
  readonly Options: Readonly<Record<string, string>> | null
  readonly Scope: "local"
}
export interface VolumesPruned {
  readonly removed: readonly string[]
  readonly freedBytes: number
}

export interface NetworkRequest {
  /** `10.90.0.0/24`; absent: one to which this host has no route. */
  readonly subnet?: string
  /** The bridge's address; absent: the first of the subnet. */
  readonly gateway?: string
  /** Without a way out. */
  readonly internal?: boolean
  readonly labels?: Readonly<Record<string, string>>
}
export interface NetworkSummary {
  /** Empty for `host` and `none`. */
  readonly id: string
  readonly name: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  readonly driver: string
  readonly internal: boolean
  readonly labels: Readonly<Record<string, string>>
}
/** Docker's document of a network. */
export type NetworkInspected = { readonly Name: string; readonly Id: string } & Readonly<Record<string, unknown>>
export interface Loaded {
  readonly id: string
  /** As people write it; absent: it has none. */
  readonly name?: string
}

export interface ImportOptions {
  readonly name?: string
  /** Lines of a Dockerfile: CMD, ENTRYPOINT, ENV, LABEL, EXPOSE, VOLUME, USER, WORKDIR, STOPSIGNAL. */
  readonly changes?: readonly string[]
  readonly message?: string
  /** `linux/arm64`; absent: this machine's. */
  readonly platform?: string
}

export interface ImageSummary {
  /** `sha256:…` of its configuration. */
  readonly id: string
  /** `sha256:…` of its manifest. */
  readonly digest: string
  /** As people write it, without the tag: `alpine`. Absent: it has no name. */
  readonly repository?: string
  readonly tag?: string
  /** RFC 3339; absent: it does not say. */
  readonly created?: string
  /** Bytes of the files in its layers. */
  readonly size: number
  readonly labels: Readonly<Record<string, string>>
  /** How many containers are of it, in any state. */
  readonly containers: number
}

export interface HistoryStep {
  /** The image's own id for its newest step; absent: that step made no image that is known here. */
  readonly id?: string
  readonly created?: string
  readonly createdBy: string
  readonly comment: string
  readonly size: number
}

/** What `rmi` has done: names that went, as people write them, and digests of images and layers. */
export interface Removed {
  readonly untagged: readonly string[]
  readonly deleted: readonly string[]
}

/** What a door hands to open.ts. */
export interface OpenOptions {
  /** The state root; absent: `/var/lib/minicontainer`. Absolute. */
  readonly root?: string
  /** The run root; absent: the one that belongs to the state root. Absolute. */
  readonly runRoot?: string
  readonly executor: ExecutorFile
  /** The program of the built-in image `hello`; a path that can be read. Absent: there is no such image. */
  readonly hello?: string
}

/** Where the door has the executor. */
export interface ExecutorFile {
  /** Absolute. Without `sha256`: an executable file, started from where it lies. */
  readonly path: string
  /** Hexadecimal. The file is embedded in the command: it can be read at `path`, not executed, so it is extracted once to `ROOT/bin/<sha256>`. */
  readonly sha256?: string
}

export interface BecomeOptions {
  /** `--cidfile`: must not exist; gets the id, without a newline. */
  readonly cidFile?: string
  /** Called with each warning of the plan before the executor takes over. Must write synchronously. */
  readonly warn?: (line: string) => void
  /** What the executor becomes if a step fails: this argv, `failedWords` of prepare.ts, then index, errno, detail and `does` of the step. */
  readonly failed?: readonly string[]
  /**
   * The caller's own words, by which `failed` can call `become` once more with the same request and `corrected`: they stand between its
   * options and the numbers of the step. Absent: there is no second try.
   */
  readonly again?: readonly string[]
  /** This is the second try: what a step of the first has taught. There is no third. */
  readonly corrected?: Correction
}

export type CreateOptions = Pick<BecomeOptions, "cidFile" | "warn">

/** How `becomeStart` is attached; output always is. */
export interface StartOptions extends Omit<BecomeOptions, "cidFile"> {
  /** Its stdin too, if it keeps one open (`-i`). */
  readonly interactive?: boolean
  /** Default: the container's own. */
  readonly detachKeys?: string
  /** Absent: as it was made. */
  readonly signalProxy?: boolean
}

export interface RunOptions {
  /** Called with each warning: of the plan, and of each step that failed without need to end everything. If it throws before the first step, nothing remains. */
  readonly warn?: (line: string) => void
}

/** A program in a container, held by a process that stays. */
export interface Running {
  /** The container's id. */
  readonly id: string
  readonly stdin: NodeJS.WritableStream | null
  readonly stdout: NodeJS.ReadableStream | null
  readonly stderr: NodeJS.ReadableStream | null
  /** Exit code: 0 … 255, 128 + n for a signal. Rejects with an EngineError if a step failed. */
  readonly exited: Promise<number>
}

export interface Explained {
  readonly plan: Plan
  readonly config: Config
  /** What of it is only chosen when a container is made, one line each; empty for one that exists. */
  readonly assumed: readonly string[]
}

export type Status = "created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead"

export interface PsOptions {
  readonly all?: boolean
  /** Docker's filters: id, name, label, exited, status, ancestor, volume … Each name with its values: any of them. */
  readonly filters?: Readonly<Record<string, readonly string[]>>
  /** `-n`: the newest n, in any state. */
  readonly last?: number
}

export interface Summary {
  readonly id: string
  readonly name: string
  /** The image's name, as it was asked for; or the directory. */
  readonly image: string
  /** The argv as one line, as Docker prints it. */
  readonly command: string
  /** RFC 3339 with nanoseconds. */
  readonly created: string
  readonly status: Status
  /** "Up 3 minutes", "Exited (0) 2 hours ago". */
  readonly statusText: string
  readonly exitCode?: number
  readonly pid?: number
  readonly labels: Readonly<Record<string, string>>
  readonly mounts: readonly string[]
  readonly networks: readonly string[]
  /** Of a running one, as Docker spells them: `0.0.0.0:8080->80/tcp`. */
  readonly ports: readonly string[]
}

/** A record that cannot be read: its directory's name, and why. */
export interface Broken {
  readonly id: string
  readonly why: string
}

export interface StopOptions {
  /** Default: the container's own, else 10 s. Below 0, or Infinity: for ever. */
  readonly graceMs?: number
  /** Default: the container's own, else SIGTERM. A number or a name, with or without SIG. */
  readonly signal?: string
}

export interface KillOptions {
  /** Default: SIGKILL. A number or a name, with or without SIG. */
  readonly signal?: string
}

export interface AttachOptions {
  /** Default: true, if the container keeps its stdin open. */
  readonly stdin?: boolean
  /** Default: the container's own. */
  readonly detachKeys?: string
  /** Default: true. */
  readonly signalProxy?: boolean
}

export interface LogOptions {
  readonly follow?: boolean
  /** The last n lines; absent: all. */
  readonly tail?: number
  /** RFC 3339, a Unix time, or a span like `10m` before now. */
  readonly since?: string
  readonly until?: string
  readonly signal?: AbortSignal
  /** Called where lines may be missing, with why. */
  readonly warn?: (line: string) => void
}

/** `C` changed, `A` added, `D` deleted. The path is absolute, in the container. */
export interface Change {
  readonly kind: "C" | "A" | "D"
  readonly path: string
}

export interface Place {
  readonly container?: string
  readonly path: string
}
export interface CopyOptions {
  /** Keep owners; else what is copied is root's inside, and the caller's on the host. */
  readonly archive?: boolean
  /** Copy what a link leads to, if the source is one. */
  readonly followLink?: boolean
}

export interface LogLine {
  /** RFC 3339 with nanoseconds. */
  readonly time: string
  readonly stream: "stdout" | "stderr"
  /** The bytes as the program wrote them, with the newline if it wrote one. */
  readonly bytes: Uint8Array
}

/** Docker's field names; see docs of `docker inspect`. Kept loose: a document for people and templates. */
export type Inspected = { readonly Id: string; readonly Name: string } & Readonly<Record<string, unknown>>

export type Info = Readonly<Record<string, unknown>>
