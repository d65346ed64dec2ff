/**
 * A container's table of contents: which rooms, in which order.
 *
 *     host     what is claimed · cgroups and limits · a private mount namespace · /dev · bridge, firewall, ports · namespaces to join
 *     clone    one call
 *     parent   ids · the root file system · volumes · the cable to the bridge · cgroup v1 · rlimits
 *     child    root of its namespace · the new root and all mounts · names, network, sysctls · terminal · protection
 *     outside  (OCI door only) hooks of the host, while all mounts are there and nothing is hidden yet
 *     inside   (with such hooks only) hooks of the container; then what child ends with otherwise: protection, the new root alone
 *     gate     (OCI door only) wait for `start`
 *     start    session · place · seccomp and credentials · exec
 *     exit     what is worth knowing when it is over; then the undos in reverse; then, with --rm, the end
 *
 * Only this file knows the order. Why it is this one: what needs the host's power comes before the clone or while the child waits;
 * what only the container's own root may do comes in the child; what takes power away comes last.
 *
 * Read on, in this order: step namespaces idmap overlay mounts devices protection cgroups network terminal process capabilities seccomp.
 */

import { EngineError } from "../base/errors.ts"
import type { Host } from "../model/host.ts"
import type { Config, IdMapping, Linux, NamespaceType, Process } from "../model/oci.ts"
import type { Placement } from "../model/placement.ts"
import { STDIO } from "../model/stdio.ts"
import { capabilities } from "./capabilities.ts"
import { cgroups, joinCgroup } from "./cgroups.ts"
import type { CgroupsRequest, Grouped } from "./cgroups-limits.ts"
import { cgroupsV1, joinCgroupsV1 } from "./cgroups-v1.ts"
import { claims, removal } from "./claims.ts"
import { deviceRules, isRestrictive } from "./device-rules.ts"
import { deviceTree } from "./devices.ts"
import { firewall, publish } from "./firewall.ts"
import { makeGate, waitAtGate } from "./gate.ts"
import { hooks, lastHooks, lookInto } from "./hooks.ts"
import { becomeRoot, hostId, mapIds } from "./idmap.ts"
import { join } from "./join.ts"
import { destinationOf, enterRoot, finishRoot, isolateMounts, leaveOldRoot, mounts, shareRoot } from "./mounts.ts"
import { isNew, isolated, laterNamespaces, leaveTime, namespaces, timeNamespace } from "./namespaces.ts"
import { bridge, cable, forwardingNote, interfaces } from "./network.ts"
import { rootFileSystem } from "./overlay.ts"
import {
  affinity,
  becomeUser,
  exec,
  limits,
  manners,
  noNewPrivileges as noNewPrivilegesStep,
  place,
  workingDirectory,
} from "./process.ts"
import { maskSource, protect } from "./protection.ts"
import { refuse } from "./refusals.ts"
import { type Compiled, seccomp } from "./seccomp.ts"
import { clocks, names, sysctls } from "./settings.ts"
import type { Frame, Phase, Plan, Step, Undo } from "./step.ts"
import { consoleSocket, openTerminal, session, type Terminal } from "./terminal.ts"

export interface Extras {
  /** The compiled seccomp policy, if somebody has kept it. */
  readonly seccomp?: Compiled
  /** What the front becomes if a step fails. */
  readonly failed?: readonly string[]
  readonly report?: number
  /** For tests: the step that fails. */
  readonly fault?: number
}

/**
 * The plan of a container. The same input gives the same plan.
 * @throws {EngineError} `UNSUPPORTED`, `INVALID_CONFIG`, `HOST_LACKS`: what cannot be done is said before the first step.
 */
export function containerPlan(config: Config, placement: Placement, host: Host, extras: Extras = {}): Plan {
  refuse(config, placement)
  const { linux = {} } = config
  const process = config.process!
  const list = linux.namespaces ?? []
  const fresh = (type: NamespaceType): boolean => isNew(list, type)
  const namespace = (type: NamespaceType) => (fresh(type) ? "own" : isolated(list, type) ? "joined" : "host")
  const shifted = fresh("user")
  const uids = linux.uidMappings ?? []
  const gids = linux.gidMappings ?? []
  const owner = shifted ? { uid: mapped(uids, 0, "uid"), gid: mapped(gids, 0, "gid") } : { uid: 0, gid: 0 }
  const counted = placement.cgroup || !linux.resources ? host : uncounted(host)
  const group = groupOf(placement, linux, counted, counted.cgroups.mode === "v1" ? cgroupsV1 : cgroups)
  const rules = deviceRules(linux.resources?.devices ?? [], group.groups, host)
  const startsInCgroup = group.slot !== undefined && host.cgroups.mode === "v2"
  const bundle = placement.bundle ?? placement.directory
  const dev = (config.mounts ?? []).find((mount) => destinationOf(mount) === "/dev" && mount.type === "tmpfs")
  const placed = mounts({
    mounts: config.mounts ?? [],
    host,
    bundle,
    namespace,
    uids,
    gids,
    devices: dev !== undefined,
    hierarchies: hierarchies(group, host),
    ownFiles: placement.ownFiles,
    volumes: placement.volumes ?? [],
    ttyGroup: !shifted || hostId(gids, 5) !== undefined,
  })
  const terminal = terminalOf(process, placement, true)
  const root = rootFileSystem(placement.rootfs, {
    staging: placement.staging ?? placement.directory,
    ...owner,
    shifted,
    listens: /^r?slave$/.test(linux.rootfsPropagation ?? ""),
  })
  const devices = deviceTree({
    devices: linux.devices ?? [],
    hostUid: (id) => mapped(uids, id, "uid"),
    hostGid: (id) => mapped(gids, id, "gid"),
    mounted: dev !== undefined,
    options: dev?.options ?? [],
  })
  const program = programSteps(process, linux, host, placement, terminal !== undefined, extras.seccomp)
  const life = { id: placement.id, bundle }

  const looked = lookInto(config)
  const { rootfs, network } = placement
  const alone: readonly Step[] = [
    ...protect(linux.maskedPaths ?? [], linux.readonlyPaths ?? []),
    ...placed.late,
    ...finishRoot(config, rules.length === 0 && isRestrictive(linux.resources?.devices ?? [])),
    leaveOldRoot,
    ...shareRoot(config),
  ]

  const steps: readonly Step[] = [
    ...lastHooks(config, life, placement.directory),
    ...claims(placement),
    ...(terminal ? consoleSocket(terminal) : []),
    ...(placement.gate ? makeGate(placement.runDirectory) : []),
    ...of(group, "host"),
    ...rules,
    ...root.host,
    ...devices.host,
    ...maskSource(linux.maskedPaths ?? []),
    ...(network ? [...bridge(network), ...firewall(network), ...publish(network)] : []),
    ...timeNamespace(list),
    ...clocks(linux),
    ...namespaces(list, { startsInCgroup, ...(group.slot !== undefined && { cgroup: group.slot }) }),

    ...leaveTime(list),
    ...(shifted ? mapIds(uids, gids) : []),
    ...root.parent,
    ...placed.parent,
    ...(network ? cable(network) : []),
    ...of(group, "parent"),
    ...limits(process),
    ...manners(process, linux.personality).filter(({ phase }) => phase === "parent"),

    ...of(group, "child"),
    isolateMounts,
    ...enterRoot(looked && rootfs.kind === "directory" && rootfs.path !== "/" ? rootfs.path : undefined),
    ...(isolated(list, "user") ? [becomeRoot] : []),
    ...laterNamespaces(list, { startsInCgroup }),
    ...placed.child,
    ...devices.child,
    ...names(config),
    ...workingDirectory(process),
    ...(fresh("network") ? [interfaces(network)] : []),
    ...sysctls(linux),
    ...(terminal ? openTerminal(terminal) : []),
    ...(looked ? [] : alone),

    ...hooks("prestart", config, life),
    ...hooks("createRuntime", config, life),

    ...hooks("createContainer", config, life),
    ...(looked ? alone.map((step): Step => ({ ...step, phase: "inside" })) : []),

    ...(placement.gate ? [waitAtGate] : []),

    ...hooks("startContainer", config, life),
    ...program.steps,

    ...hooks("poststart", config, life),
    ...of(group, "exit"),
    ...hooks("poststop", config, life),
    ...(placement.remove ? removal(placement) : []),
  ]
  return {
    frame: frameOf(placement, extras, {
      outer: isolated(list, "pid") && fresh("pid"),
      stay: placement.stay === "none" ? 0 : 1,
      user: userOf(process, uids, gids),
      terminal,
      host,
      monitors: group.monitors,
    }),
    steps,
    warnings: [...group.warnings, ...placed.warnings, ...(network ? forwardingNote(network) : []), ...program.warnings],
  }
}

/**
 * The plan of another program in a running container.
 * @param config the container's, with `process` of the new program.
 */
export function execPlan(
  config: Config,
  placement: Placement,
  host: Host,
  target: { readonly pid: number; readonly start: number },
  extras: Extras = {},
): Plan {
  const { process, linux = {} } = config
  if (!process) throw new EngineError("INVALID_CONFIG", "cannot plan the program: config.json has no process")
  const list = linux.namespaces ?? []
  const uids = linux.uidMappings ?? []
  const gids = linux.gidMappings ?? []
  const group = groupOf(placement, linux, host, host.cgroups.mode === "v1" ? joinCgroupsV1 : joinCgroup)
  const terminal = terminalOf(process, placement, false)
  const program = programSteps(process, linux, host, placement, terminal !== undefined, extras.seccomp)
  const cpus = affinity(process)
  const steps: readonly Step[] = [
    ...cpus.filter(({ phase }) => phase === "host"),
    ...of(group, "host"),
    ...join({ ...target, namespaces: list }, group.slot === undefined ? {} : { cgroup: group.slot }),
    ...of(group, "parent"),
    ...limits(process),
    ...manners(process).filter(({ phase }) => phase === "parent"),
    ...(isNew(list, "user") ? [becomeRoot] : []),
    ...(terminal ? openTerminal(terminal) : []),
    ...cpus.filter(({ phase }) => phase === "start"),
    ...program.steps,
  ]
  return {
    frame: {
      ...frameOf(placement, extras, {
        outer: false,
        stay: 2,
        user: userOf(process, uids, gids),
        terminal,
        host,
        monitors: group.monitors,
      }),
      status: undefined,
      log: undefined,
      control: undefined,
      timeoutMs: undefined,
    },
    steps,
    warnings: program.warnings,
  }
}

/**
 * What takes a container back when its monitor can no longer do it: a plan for the executor's `do`.
 * @param failed it never ran: as after a failed step. Otherwise as at its exit.
 */
export function undoOf(plan: Plan, { failed }: { readonly failed: boolean }): Plan {
  const asStep = (undo: Undo): Step => ({ ...undo, phase: "host", must: false, why: "its monitor is gone" })
  const undos = plan.steps.flatMap(({ undo }) => (undo && (failed || undo.when !== "failure") ? [undo] : []))
  const late = (phase: "exit" | "end"): readonly Step[] =>
    failed
      ? []
      : plan.steps.filter((step) => step.phase === phase).map((step): Step => ({ ...step, phase: "host", must: false }))
  return { ...plan, steps: [...late("exit"), ...undos.toReversed().map(asStep), ...late("end")] }
}

function mapped(map: Parameters<typeof hostId>[0], id: number, kind: string): number {
  const host = hostId(map, id)
  if (host === undefined)
    throw new EngineError(
      "INVALID_VALUE",
      `cannot use ${kind} ${id}: the container's user namespace has only ${map.map(({ containerID, size }) => `${containerID}–${containerID + size - 1}`).join(", ")}`,
      "choose a smaller id, or use --userns host",
    )
  return host
}

/** The program's user as the host knows it. Its other groups must be mapped too, else setgroups(2) fails with a bare EINVAL. */
function userOf(
  { user }: Process,
  uids: readonly IdMapping[],
  gids: readonly IdMapping[],
): { uid: number; gid: number } {
  for (const group of user.additionalGids ?? []) mapped(gids, group, "gid")
  return { uid: mapped(uids, user.uid, "uid"), gid: mapped(gids, user.gid, "gid") }
}

function terminalOf(
  { terminal, user, consoleSize }: Process,
  placement: Placement,
  console: boolean,
): Terminal | undefined {
  if (!terminal) return undefined
  return {
    uid: user.uid,
    gid: user.gid,
    rows: consoleSize?.height ?? 0,
    columns: consoleSize?.width ?? 0,
    consoleSocket: placement.consoleSocket,
    console,
  }
}

/**
 * From a process with all power in its namespaces to the program: phase start.
 *
 * A filter can be loaded by whoever has CAP_SYS_ADMIN, or by anybody who has given up new privileges for good. Without the
 * latter it is loaded while we still have the former; with it, it is the last thing before exec, so that it may be stricter than what we need ourselves.
 */
function programSteps(
  process: Process,
  linux: Linux,
  host: Host,
  placement: Placement,
  hasTerminal: boolean,
  compiled: Compiled | undefined,
): { readonly steps: readonly Step[]; readonly warnings: readonly string[] } {
  const { user, noNewPrivileges = false } = process
  const filter = linux.seccomp ? seccomp(linux.seccomp, host, compiled) : []
  const credentials = capabilities(process.capabilities, {
    uid: user.uid,
    userNamespace: isolated(linux.namespaces ?? [], "user"),
    host,
  })
  return {
    steps: [
      ...session(hasTerminal),
      ...manners(process, linux.personality).filter(({ phase }) => phase === "start"),
      ...place(process, placement.id),
      ...(noNewPrivileges ? [] : filter),
      ...credentials.before,
      becomeUser(user),
      ...credentials.after,
      ...(noNewPrivileges ? [noNewPrivilegesStep, ...filter] : []),
      ...exec(process, placement.init),
    ],
    warnings: credentials.warnings,
  }
}

const of = ({ steps }: Grouped, phase: Phase): readonly Step[] => steps.filter((step) => step.phase === phase)

/** The container's groups, or none: where there are no cgroups, or the placement wants none. */
function groupOf(placement: Placement, linux: Linux, host: Host, make: (request: CgroupsRequest) => Grouped): Grouped {
  const { cgroup } = placement
  if (!cgroup && host.cgroups.mode !== "none") return { steps: [], warnings: [], attachesInChild: false, groups: {} }
  return make({
    resources: linux.resources ?? {},
    path: cgroup?.path ?? "",
    monitors: cgroup?.monitors,
    host,
    sharesPids: !isNew(linux.namespaces ?? [], "pid"),
    ownIds: isNew(linux.namespaces ?? [], "user"),
  })
}

/** As a host without cgroups: what a config limits, and a placement has no group for, is told. */
const uncounted = (host: Host): Host =>
  host.cgroups.mode === "none"
    ? host
    : { ...host, cgroups: { ...host.cgroups, mode: "none", why: "it was given none" } }

/** v1: the trees in which the container has a group, as mount(8) names them. */
function hierarchies(
  { groups }: Grouped,
  { cgroups: { controllers } }: Host,
): readonly { readonly name: string; readonly options: readonly string[] }[] {
  const byMount: Record<string, string[]> = {}
  for (const name of Object.keys(groups)) {
    const mount = controllers[name]
    if (mount !== undefined) byMount[mount] = [...(byMount[mount] ?? []), name]
  }
  return Object.entries(byMount).map(([mount, options]) => ({ name: mount.slice(mount.lastIndexOf("/") + 1), options }))
}

function frameOf(
  placement: Placement,
  extras: Extras,
  given: {
    outer: boolean
    stay: 0 | 1 | 2
    user: { uid: number; gid: number }
    terminal: Terminal | undefined
    host: Host
    monitors: string | undefined
  },
): Frame {
  const { log, directory, runDirectory } = placement
  return {
    stay: given.stay,
    outer: given.outer ? 1 : 0,
    stdio: given.stay === 0 ? placement.stdio | STDIO.inherit : placement.stdio,
    ...given.user,
    status: `${directory}/status`,
    boot: given.host.bootId,
    log: log.path,
    logBytes: log.maxBytes,
    logFiles: log.maxFiles,
    control: `${runDirectory}/control`,
    detachKeys: new Uint8Array(placement.detachKeys),
    announce: placement.announce,
    failed: extras.failed ?? [],
    report: extras.report,
    fault: extras.fault,
    rows: given.terminal?.rows ?? 0,
    columns: given.terminal?.columns ?? 0,
    monitors: given.monitors,
    timeoutMs: placement.timeoutMs,
  }
}
