/**
 * Prepare: everything between a request and the executor.
 *
 *     request ─▶ host facts ─▶ record and leases ─▶ config.json, placement ─▶ plan ─▶ wire
 *                              (from here on a crash leaves something that reconcile finds)
 *
 * Nothing of the container exists until the executor runs the first step; until then a failure takes back a few files of ours.
 *
 * Read on: surroundings.ts, run.ts. spec/spec.ts, plan/plan.ts, record/containers.ts.
 */

import { chownSync, writeFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { toldOf, toldWords } from "../executor/sentence.ts"
import { requirePower } from "../host/host.ts"
import type { Host } from "../model/host.ts"
import type { Config } from "../model/oci.ts"
import type { Attachment, Placement } from "../model/placement.ts"
import { isBridged, type Request } from "../model/request.ts"
import { containerPlan, type Extras } from "../plan/plan.ts"
import type { Plan } from "../plan/step.ts"
import { encode } from "../plan/wire.ts"
import {
  type Container,
  changeRecord,
  createRecord,
  type Draft,
  draftOf,
  dropClaim,
  dropRecord,
  finishRecord,
  writeConfig,
} from "../record/containers.ts"
import { release } from "../record/leases.ts"
import { timeOf } from "../record/time.ts"
import { userNamespace } from "../spec/namespaces.ts"
import { type Specified, specify } from "../spec/spec.ts"
import { checkRequest } from "../spec/validate.ts"
import { type Correction, corrected, type Fact, factsOf, factWords } from "./corrections.ts"
import type { Imaged } from "./image.ts"
import type { Attached } from "./network.ts"
import { settle } from "./reconcile.ts"
import { compiledPolicy } from "./seccomp-cache.ts"
import { hostFor, makeSources, refuseEmpty, surroundings, withSources } from "./surroundings.ts"
import type { Explained } from "./types.ts"
import type { World } from "./world.ts"

export interface Prepared {
  readonly id: string
  readonly plan: Plan
  /** The file that holds the plan, for the executor. */
  readonly wire: string
  /** What a failed step would prove wrong about the host; empty for a second try. */
  readonly facts: ReadonlyMap<number, Fact>
}

export interface PrepareOptions {
  readonly cidFile?: string
  readonly failed?: readonly string[]
  readonly report?: number
  /** For tests: the step that fails. */
  readonly fault?: number
  /** The door's words for a second try. */
  readonly again?: readonly string[]
  /** What a first try has shown: this is the second. */
  readonly corrected?: Correction
}

/** Where the plan of a container comes from: it is new, or it is there. */
interface Source {
  readonly request: Request
  readonly draft: Draft
  readonly host: Host
  readonly own: boolean
  readonly network?: Attached
  /** It stays if its start fails. */
  readonly kept: boolean
}

/** Whether a request says anything of volumes: all others pay nothing for them. */
const needsVolumes = ({ mounts = [], volumesFrom = [] }: Request): boolean =>
  volumesFrom.length > 0 || mounts.some(({ kind }) => kind === "volume")

/** The image, if it is of one: loaded only then. */
const imageOf = async (world: World, request: Request, put: boolean): Promise<Imaged | undefined> =>
  request.image === undefined ? undefined : (await import("./image.ts")).imageFor(world, request, { put })

/**
 * A container that is ready to be carried out, on disk.
 * @throws {EngineError} for everything that can be known before the first step; then nothing remains.
 */
export async function prepare(world: World, given: Request, options: PrepareOptions = {}): Promise<Prepared> {
  return withDraft(world, given, { ...options, waits: false }, (source) => {
    const { draft } = source
    const { specified, plan, facts } = planFor(world, source, options)
    finishRecord(draft, specified.placement, specified.config, options.corrected)
    return { id: draft.record.id, plan, facts, wire: writeWire(draft, plan) }
  })
}

/**
 * A container that waits for its start. Its plan is made already: what is wrong with it is told now.
 * @returns its id, and the warnings of its plan.
 * @throws {EngineError} as `prepare`.
 */
export async function prepareToWait(
  world: World,
  given: Request,
  options: Pick<PrepareOptions, "cidFile">,
): Promise<{ readonly id: string; readonly warnings: readonly string[] }> {
  return withDraft(world, given, { ...options, waits: true }, (source) => {
    const { draft } = source
    const { specified, plan } = planFor(world, source, {})
    encode(plan)
    finishRecord(draft, specified.placement, specified.config)
    return { id: draft.record.id, warnings: plan.warnings }
  })
}

/**
 * A container that exists, planned anew against today's host, with its own id, name, ids and writable layer. The caller has claimed it.
 * @param request its own, but for how the caller is attached.
 * @throws {EngineError} as `prepare`; `HOST_LACKS` if its ids cannot be had any more. The claim is then given back.
 */
export async function prepareAgain(
  world: World,
  given: Request,
  { record, ...options }: PrepareOptions & { readonly record: Container },
): Promise<Prepared> {
  const store = world.store()
  try {
    const draft = draftOf(store, record)
    const correction = options.corrected ?? record.corrected
    checkRequest(given)
    // Its volumes have their names since it was made.
    const request = needsVolumes(given) ? (await import("./volumes.ts")).placeVolumes(world, given, record.id) : given
    const { host, own } = machineFor(world, request, correction)
    if (own !== (draft.idsBase !== undefined))
      throw new EngineError(
        "HOST_LACKS",
        `cannot start container ${record.name}: it was made ${own ? "with the host's ids" : "with ids of its own"}, and this host now gives it ${own ? "its own" : "none"}`,
        "its files belong to those ids; make a new container",
      )
    const network = await networkFor(world, request, record.id)
    const source = { request, draft, host, own, kept: true, ...(network && { network }) }
    const { specified, plan, facts } = planFor(world, source, options)
    writeConfig(draft, specified.config)
    const { placement } = specified
    const learned = correction && { corrected: correction }
    if (!(await changeRecord(store, record.id, (now) => ({ ...now, placement, ...learned }))))
      throw new EngineError("CONTAINER_NOT_FOUND", `cannot start container ${record.name}: it is gone`)
    for (const link of draft.leases) if (!placement.leases.includes(link)) release(link, record.id)
    if (network) await tell(world, network)
    return { id: record.id, plan, facts, wire: writeWire(draft, plan) }
  } catch (error) {
    dropClaim(store, record.id)
    throw error
  }
}

/** What is there before a container is: sources, and this host as it is known. */
function machineFor(world: World, request: Request, correction: Correction | undefined) {
  refuseEmpty(request.rootfs)
  makeSources(request)
  const host = known(hostFor(world, request), correction)
  requirePower(host, "run a container")
  return { host, own: userNamespace(request, host, request.rootfs ?? world.roots.state).own }
}
const known = (host: Host, correction: Correction | undefined): Host =>
  correction ? corrected(host, correction) : host

/**
 * A new container as far as a draft, and what is to be done with it.
 * @throws whatever that throws; then nothing remains.
 */
async function withDraft<T>(
  world: World,
  asked: Request,
  { waits, cidFile, corrected: correction }: PrepareOptions & { readonly waits: boolean },
  make: (source: Source) => T,
): Promise<T> {
  checkRequest(asked)
  const image = await imageOf(world, asked, true)
  const given = image?.request ?? asked
  const volumes = needsVolumes(given) ? await import("./volumes.ts") : undefined
  const named = volumes ? volumes.nameVolumes(world, given) : given
  const { host, own } = machineFor(world, named, correction)
  let draft = await createRecord(world.store(), {
    request: named,
    image: image?.of,
    created: timeOf(world.now()),
    ownIds: own,
    waits,
    random: world.random,
    settle: (id) => settle(world, id),
  })
  const { id } = draft.record
  try {
    image?.confirm()
    // At a second try it is our own, with the id of the first.
    if (cidFile !== undefined) writeCidFile(cidFile, id, correction ? "w" : "wx")
    const request = volumes ? volumes.placeVolumes(world, named, id) : named
    const network = await networkFor(world, request, id)
    draft = {
      ...draft,
      record: { ...draft.record, request },
      leases: [...draft.leases, ...(network ? [network.lease] : [])],
    }
    const placed = volumes ? known(hostFor(world, request), correction) : host
    const made = make({ request, draft, host: placed, own, kept: waits, ...(network && { network }) })
    if (network && !waits) await tell(world, network)
    return made
  } catch (error) {
    volumes?.dropVolumes(world, id)
    dropRecord(world.store(), draft)
    throw error
  }
}

/** Who is on its network learns its name before it runs, and it theirs. */
const tell = async (world: World, { attachment }: Attached): Promise<void> =>
  (await import("./neighbours.ts")).tellNeighbours(world, attachment.network)

/** A container that was on a network before gets the address that it had. */
const networkFor = async (world: World, request: Request, id: string): Promise<Attached | undefined> =>
  isBridged(request) ? (await import("./network.ts")).attach(world, request, id) : undefined

function planFor(
  world: World,
  { request, draft, host, own, network, kept }: Source,
  options: Pick<PrepareOptions, "failed" | "again" | "corrected" | "report" | "fault">,
) {
  const seen = specify(request, {
    ...surroundings(world, request, host, own, draft.record.image),
    chosen: {
      id: draft.record.id,
      name: draft.record.name,
      idBase: draft.idsBase,
      ...(network && { network }),
    },
  })
  const specified: Specified = kept ? { ...seen, placement: { ...seen.placement, kept } } : seen
  const planned = planOf(world, specified, host, options)
  const facts = options.corrected ? new Map<number, Fact>() : factsOf(planned, host)
  const { failed, again } = options
  const plan = failed
    ? { ...planned, frame: { ...planned.frame, failed: failedWords(planned, failed, facts, again) } }
    : planned
  writeFiles(draft, specified)
  return { specified, plan, facts }
}

function writeWire({ runDirectory }: Draft, plan: Plan): string {
  const wire = `${runDirectory}/wire`
  writeFileSync(wire, encode(plan), { mode: 0o600 })
  return wire
}

/** The same with values that would be chosen now; nothing is written, nothing leased. */
export async function preview(world: World, asked: Request): Promise<Explained> {
  checkRequest(asked)
  const image = await imageOf(world, asked, false)
  const given = image?.request ?? asked
  const request = needsVolumes(given) ? (await import("./volumes.ts")).previewVolumes(world, given, PREVIEW_ID) : given
  const attachment = isBridged(request) && (await import("./network.ts")).wouldAttach(world, request)
  const host = withSources(hostFor(world, request), request)
  const own = userNamespace(request, host, request.rootfs ?? world.roots.state).own
  const specified = specify(request, {
    ...surroundings(world, request, host, own, image?.of),
    chosen: {
      id: PREVIEW_ID,
      name: request.name ?? PREVIEW_NAME,
      idBase: own ? PREVIEW_IDS : undefined,
      ...(attachment && { network: { attachment, lease: leaseOf(world, attachment) } }),
    },
  })
  return {
    config: specified.config,
    plan: planOf(world, specified, host, {}),
    assumed: [
      `${PREVIEW_ID} stands for the 64 digits that a container gets when it is made`,
      ...(request.name === undefined ? [`${PREVIEW_NAME} for the name that is made up`] : []),
      ...(attachment ? [`${attachment.address} for a free address of the network ${attachment.network}`] : []),
      ...(own ? [`${PREVIEW_IDS} for the first of its 65,536 ids on the host`] : []),
    ],
  }
}
const leaseOf = ({ roots }: World, { network, address }: Attachment): string =>
  `${roots.state}/networks/${network}/leases/${address}`
/** What is chosen when a container is made, and cannot be known before. */
const PREVIEW_ID = "ID"
const PREVIEW_NAME = "NAME"
const PREVIEW_IDS = 0x40000000

function planOf(world: World, { config, placement, warnings }: Specified, host: Host, options: PrepareOptions): Plan {
  const extras: Extras = {
    ...compiledPolicy(world, config, host),
    ...(options.report !== undefined && { report: options.report }),
    ...(options.fault !== undefined && { fault: options.fault }),
  }
  const plan = containerPlan(config, placement, host, extras)
  return { ...plan, warnings: [...warnings, ...plan.warnings] }
}

/** The argv that tells of a failed step: the door's words, what a sentence needs to know of the plan, and what a second try does. */
export function failedWords(
  plan: Plan,
  words: readonly string[],
  facts: ReadonlyMap<number, Fact> = new Map(),
  again: readonly string[] = [],
): readonly string[] {
  const [ops, program] = toldWords(toldOf(plan))
  const told = [...words, "--ops", ops, "--arg0", program]
  return again.length > 0 && facts.size > 0 ? [...told, ...factWords(facts), "--", ...again] : told
}

/** /etc/hosts, hostname and resolv.conf of the container, which its root may change. */
function writeFiles({ directory, idsBase = 0 }: Draft, { files, config }: Specified): void {
  const owner = config.linux?.uidMappings?.length ? idsBase : 0
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(`${directory}/${name}`, text, { mode: 0o644 })
    chownSync(`${directory}/${name}`, owner, owner)
  }
}

/** `--cidfile`: made by us, or it is somebody else's. */
const CID_CAUSES: Readonly<Record<string, readonly [cause: string, hint?: string]>> = {
  EEXIST: ["the file exists", "remove it, or name another"],
  ENOENT: ["there is no such directory"],
  ENOTDIR: ["a part of its path is a file"],
  ENAMETOOLONG: ["its name is too long"],
  EACCES: ["permission denied"],
  EROFS: ["the file system is read-only"],
  ENOSPC: ["the disk is full"],
}
function writeCidFile(path: string, id: string, flag: "w" | "wx"): void {
  try {
    writeFileSync(path, id, { flag, mode: 0o644 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const [cause, hint] = CID_CAUSES[code ?? ""] ?? [code, undefined]
    throw new EngineError("INVALID_VALUE", `cannot write the container's id to ${path}: ${cause}`, hint, {
      cause: error,
    })
  }
}

/** The plan of a container that exists, from its record, with the host as it is now. */
export function planOfRecord(world: World, config: Config, placement: Placement): Plan {
  const { volumes = [] } = placement
  const sources = (config.mounts ?? []).flatMap(({ source, destination }) => {
    const path = volumes.find((volume) => volume.destination === destination)?.root ?? source
    return path?.startsWith("/") ? [path] : []
  })
  return containerPlan(config, placement, world.host([...new Set([...sources, config.root?.path ?? "/"])]))
}
