/**
 * `inspect`: everything that is known of one container, in Docker's document, because scripts and templates know its field names.
 *
 *     container.json  what was asked for  ──▶ Config, HostConfig
 *     config.json     what was made of it ──▶ Path, Args, Mounts, MaskedPaths …
 *     status          what happened       ──▶ State
 *
 * A field that has no meaning here has Docker's value for "nothing", so that a template does not fail on it.
 *
 * Read on: reconcile.ts. Docker Engine API, "ContainerInspect".
 */

import { signalName, signalNumber } from "../base/signals.ts"
import type { Config } from "../model/oci.ts"
import type { PublishedPort } from "../model/placement.ts"
import { networkOf as networkOfRequest, type Request } from "../model/request.ts"
import { macOf } from "../plan/network.ts"
import { type Container, readConfig } from "../record/containers.ts"
import type { StatusFile } from "../record/status.ts"
import { NEVER } from "../record/time.ts"
import { pausedOf } from "./pause.ts"
import { argvOf, networkOf, sourceOf } from "./ps.ts"
import { type Seen, see } from "./reconcile.ts"
import type { Inspected } from "./types.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `CONTAINER_NOT_FOUND`, `AMBIGUOUS_ID`, `RECORD_BROKEN`. */
export async function inspect(world: World, reference: string): Promise<Inspected> {
  const container = await see(world, reference)
  // Between the record and its config.json lie a few milliseconds of its creation.
  const config = container.record.placement ? readConfig(world.store(), container.record.id) : { ociVersion: "" }
  return document(container, config, pausedOf(world)(container))
}

export function document({ record, status, state }: Seen, config: Config, paused = false): Inspected {
  const { id, name, created, request, placement } = record
  const [path = "", ...args] = config.process?.args ?? argvOf(record)
  const directory = placement?.directory ?? ""
  const { layers, store } = stackOf(record)
  return {
    Id: id,
    Created: created,
    Path: path,
    Args: args,
    State: stateOf(status, state, paused),
    Image: record.image?.id ?? request.rootfs ?? "",
    ResolvConfPath: `${directory}/resolv.conf`,
    HostnamePath: `${directory}/hostname`,
    HostsPath: `${directory}/hosts`,
    LogPath: placement?.log.path ?? "",
    Name: `/${name}`,
    RestartCount: 0,
    Driver: "overlay",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: config.process?.apparmorProfile ?? "",
    ExecIDs: null,
    HostConfig: hostConfig(request, config, id),
    GraphDriver: {
      Name: "overlay",
      Data: {
        LowerDir: layers
          .toReversed()
          .map((layer) => (store === undefined ? layer : `${store}/${layer}`))
          .join(":"),
        MergedDir: `${directory}/root`,
        UpperDir: `${directory}/upper`,
        WorkDir: `${directory}/work`,
      },
    },
    Mounts: mountsOf(request),
    Config: configOf(record, config),
    NetworkSettings: networkSettings(record, state === "running"),
  }
}

const stackOf = ({ placement, request }: Container): { readonly layers: readonly string[]; readonly store?: string } =>
  placement?.rootfs.kind === "overlay" ? placement.rootfs : { layers: [request.rootfs ?? ""] }

function stateOf(
  status: StatusFile | undefined,
  state: Seen["state"],
  paused: boolean,
): Readonly<Record<string, unknown>> {
  return {
    Status: paused ? "paused" : state,
    Running: state === "running",
    Paused: paused,
    Restarting: false,
    OOMKilled: wasOutOfMemory(status),
    Dead: false,
    Pid: state === "running" ? (status?.pid?.pid ?? 0) : 0,
    ExitCode: status?.code ?? 0,
    Error: status?.error ?? "",
    StartedAt: status?.started ?? NEVER,
    FinishedAt: status?.finished ?? NEVER,
    // Not in the document without a health check, but a field all the same: `{{if .State.Health}}` is in many scripts.
    Health: undefined,
  }
}

/**
 * Whether the kernel killed for lack of memory in its group: v2 `memory.events` and v1 `memory.oom_control` (from 4.13) count it
 * in a line `oom_kill N`.
 */
export const wasOutOfMemory = (status: Pick<StatusFile, "captures"> | undefined): boolean =>
  ["memory.events", "memory.oom_control"].some(
    (name) => Number(/^oom_kill (\d+)$/m.exec(status?.captures[name] ?? "")?.[1] ?? 0) > 0,
  )

const RATE = 1e9

function hostConfig(request: Request, config: Config, id: string): Readonly<Record<string, unknown>> {
  const binds = (request.mounts ?? []).flatMap((mount) =>
    mount.kind === "bind"
      ? [`${mount.source}:${mount.target}${modeOf(mount)}`]
      : mount.kind === "volume" && !mount.anonymous
        ? [`${mount.name}:${mount.target}${mount.readOnly ? ":ro" : ""}`]
        : [],
  )
  const tmpfs = (request.mounts ?? []).flatMap((mount) =>
    mount.kind === "tmpfs" ? [[mount.target, (mount.options ?? []).join(",")] as const] : [],
  )
  const own = config.linux?.namespaces?.some(({ type }) => type === "user") ?? false
  return {
    Binds: binds.length > 0 ? binds : null,
    ContainerIDFile: "",
    LogConfig: {
      Type: request.log?.driver ?? "json-file",
      Config: {
        ...(request.log?.maxBytes !== undefined && { "max-size": String(request.log.maxBytes) }),
        ...(request.log?.maxFiles !== undefined && { "max-file": String(request.log.maxFiles) }),
      },
    },
    NetworkMode: networkOfRequest(request),
    PortBindings: portsOf(request.publish ?? []),
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    AutoRemove: request.remove ?? false,
    VolumeDriver: "",
    VolumesFrom: request.volumesFrom ?? null,
    ConsoleSize: [config.process?.consoleSize?.height ?? 0, config.process?.consoleSize?.width ?? 0],
    CapAdd: request.capAdd?.length ? request.capAdd : null,
    CapDrop: request.capDrop?.length ? request.capDrop : null,
    CgroupnsMode: request.cgroupns ?? "private",
    Dns: request.dns ?? [],
    DnsOptions: request.dnsOptions ?? [],
    DnsSearch: request.dnsSearch ?? [],
    ExtraHosts: request.addHosts?.length ? request.addHosts.map(({ name, address }) => `${name}:${address}`) : null,
    GroupAdd: request.groupAdd?.length ? request.groupAdd : null,
    IpcMode: request.ipc ?? "private",
    Cgroup: "",
    Links: null,
    OomScoreAdj: request.oomScoreAdj ?? 0,
    PidMode: request.pid ?? "",
    Privileged: request.privileged ?? false,
    PublishAllPorts: false,
    ReadonlyRootfs: request.readOnly ?? false,
    SecurityOpt: securityOf(request),
    ...(tmpfs.length > 0 && { Tmpfs: Object.fromEntries(tmpfs) }),
    UTSMode: request.uts ?? "",
    UsernsMode: own ? "" : "host",
    ShmSize: request.shmBytes ?? 64 * 2 ** 20,
    ...(request.sysctls && { Sysctls: request.sysctls }),
    Runtime: "minicontainer",
    Isolation: "",
    CpuShares: request.cpuShares ?? 0,
    Memory: request.memoryBytes ?? 0,
    NanoCpus: Math.round((request.cpus ?? 0) * RATE),
    CgroupParent: request.cgroupParent ?? "",
    BlkioWeight: request.blkioWeight ?? 0,
    CpuPeriod: request.cpuPeriodUs ?? 0,
    CpuQuota: request.cpuQuotaUs ?? 0,
    CpusetCpus: request.cpusetCpus ?? "",
    CpusetMems: request.cpusetMems ?? "",
    Devices: (request.devices ?? []).map(({ host, container, access }) => ({
      PathOnHost: host,
      PathInContainer: container,
      CgroupPermissions: access,
    })),
    DeviceCgroupRules: request.deviceRules?.length ? request.deviceRules : null,
    DeviceRequests: null,
    MemoryReservation: request.memoryReservationBytes ?? 0,
    MemorySwap: request.memorySwapBytes ?? (request.memoryBytes === undefined ? 0 : request.memoryBytes * 2),
    MemorySwappiness: null,
    OomKillDisable: request.oomKillDisable ?? null,
    PidsLimit: request.pidsLimit ?? null,
    Ulimits: (request.ulimits ?? []).map(({ name, soft, hard }) => ({ Name: name, Hard: hard, Soft: soft })),
    Init: request.init ?? false,
    MaskedPaths: config.linux?.maskedPaths ?? [],
    ReadonlyPaths: config.linux?.readonlyPaths ?? [],
    Annotations: request.annotations ?? {},
    CgroupsPath: config.linux?.cgroupsPath ?? id,
  }
}

type Bind = Extract<NonNullable<Request["mounts"]>[number], { readonly kind: "bind" }>

/** `:ro`, `:ro,rshared`, or nothing: as after `-v`. */
function modeOf({ readOnly, propagation }: Bind): string {
  const words = [...(readOnly ? ["ro"] : []), ...(propagation ? [propagation] : [])]
  return words.length > 0 ? `:${words.join(",")}` : ""
}

function securityOf({ seccomp, noNewPrivileges }: Request): readonly string[] | null {
  const options = [
    ...(seccomp === undefined ? [] : [`seccomp=${seccomp === "unconfined" ? seccomp : seccomp.path}`]),
    ...(noNewPrivileges ? ["no-new-privileges"] : []),
  ]
  return options.length > 0 ? options : null
}

const mountsOf = ({ mounts = [] }: Request): readonly unknown[] =>
  mounts.map((mount) =>
    mount.kind === "bind"
      ? {
          Type: "bind",
          Source: mount.source,
          Destination: mount.target,
          Mode: mount.readOnly ? "ro" : "",
          RW: !mount.readOnly,
          Propagation: mount.propagation ?? "rprivate",
        }
      : mount.kind === "volume"
        ? {
            Type: "volume",
            Name: mount.name ?? "",
            Source: mount.source ?? "",
            Destination: mount.target,
            Driver: "local",
            Mode: mount.readOnly ? "ro" : "",
            RW: !mount.readOnly,
            Propagation: "",
          }
        : {
            Type: "tmpfs",
            Source: "",
            Destination: mount.target,
            Mode: (mount.options ?? []).join(","),
            RW: true,
            Propagation: "",
          },
  )

function configOf(record: Container, config: Config): Readonly<Record<string, unknown>> {
  const { id, request } = record
  const entrypoint = [request.entrypoint || []].flat()
  const own = (request.mounts ?? []).filter((mount) => mount.kind === "volume" && mount.anonymous)
  const attached = (stream: "stdin" | "stdout" | "stderr"): boolean =>
    !request.detached && (request.attach?.includes(stream) ?? (stream !== "stdin" || request.interactive === true))
  return {
    Hostname: config.hostname ?? request.hostname ?? id.slice(0, 12),
    Domainname: request.domainname ?? "",
    User: request.user ?? "",
    AttachStdin: attached("stdin"),
    AttachStdout: attached("stdout"),
    AttachStderr: attached("stderr"),
    Tty: request.tty ?? false,
    OpenStdin: request.interactive ?? false,
    StdinOnce: request.interactive === true && !request.detached,
    Env: config.process?.env ?? request.env ?? [],
    Cmd: request.args,
    Image: sourceOf(record),
    Volumes: own.length > 0 ? Object.fromEntries(own.map(({ target }) => [target, {}])) : null,
    WorkingDir: config.process?.cwd ?? request.workdir ?? "",
    Entrypoint: entrypoint.length > 0 ? entrypoint : null,
    OnBuild: null,
    Labels: request.labels ?? {},
    ...(request.stopSignal !== undefined && { StopSignal: signalName(signalNumber(request.stopSignal)) }),
    ...(request.stopTimeoutSeconds !== undefined && { StopTimeout: request.stopTimeoutSeconds }),
  }
}

/** Docker's form: `80/tcp` → where it is reached. */
function portsOf(ports: readonly PublishedPort[]): Readonly<Record<string, unknown>> {
  const grouped = Object.groupBy(ports, ({ containerPort, protocol }) => `${containerPort}/${protocol}`)
  const all = Object.entries(grouped).map(([port, list = []]) => [
    port,
    list.map(({ hostAddress = "0.0.0.0", hostPort }) => ({ HostIp: hostAddress, HostPort: String(hostPort) })),
  ])
  return Object.fromEntries(all)
}

/** A container has a loopback interface of its own, or all that the host has, or an address of a network, while it runs. */
function networkSettings(record: Container, runs: boolean): Readonly<Record<string, unknown>> {
  const attachment = runs ? record.placement?.network : undefined
  const own = {
    IPAddress: attachment?.address ?? "",
    IPPrefixLen: attachment ? Number(attachment.subnet.split("/")[1]) : 0,
    Gateway: attachment?.gateway ?? "",
    MacAddress: attachment
      ? [...macOf(attachment.address)].map((byte) => byte.toString(16).padStart(2, "0")).join(":")
      : "",
  }
  return {
    Bridge: "",
    SandboxID: "",
    Ports: portsOf(attachment?.ports ?? []),
    ...own,
    Networks: { [networkOf(record)]: { ...own, DNSNames: null } },
  }
}
