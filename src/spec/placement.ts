/**
 * Placement: where on this host a container lies, for which config.json has no words.
 *
 *     STATE/containers/ID    config.json, container.json, upper, work, log, own files     kept until `rm`
 *     STATE/names/NAME       symlink to the id: the name is taken                          a lease
 *     STATE/ids/N            symlink to the id: the N-th 64K of host ids is taken          a lease
 *     STATE/networks/…       symlink to the id: an address of a network is taken           a lease
 *     RUN/ID                 the control socket, the wire                                  gone after a reboot
 *     /minicontainer/ID      below the root of every cgroup hierarchy
 *
 * Everything follows from the id, the name and the two roots, so that any later process finds it again.
 *
 * Read on: model/placement.ts.
 */

import posix from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import { signalNumber } from "../base/signals.ts"
import type { Host } from "../model/host.ts"
import type { Attachment, Placement, Rootfs } from "../model/placement.ts"
import type { Request } from "../model/request.ts"
import { STDIO } from "../model/stdio.ts"
import { FIRST_ID, OWN_IDS } from "./namespaces.ts"

/** What was chosen for a container, and is leased in its name. */
export interface Chosen {
  /** 64 hexadecimal digits. */
  readonly id: string
  readonly name: string
  /** The first host id of its 64K range; undefined: it uses the host's ids. */
  readonly idBase: number | undefined
  /** Its place on a network, and the lease of its address. */
  readonly network?: { readonly attachment: Attachment; readonly lease: string }
}

export interface Roots {
  /** Absolute: records, upper directories, logs. */
  readonly state: string
  /** Absolute: sockets and what a reboot may take. */
  readonly run: string
  /** A layer below all others that has the mount points which a root file system may lack. */
  readonly skeleton?: string
  /** The layers of the image, oldest first, as paths below `state`. Absent: the root file system is the request's directory. */
  readonly layers?: readonly string[]
}

/** Docker's rule for names. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/
/** `--log-opt max-size` and `max-file`, where nothing is said. */
const LOG_BYTES = 10_000_000
const LOG_FILES = 3
const DETACH_KEYS = "ctrl-p,ctrl-q"
/** The characters that Ctrl makes: 0 to 31. */
const CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"

/** @throws {EngineError} `INVALID_VALUE` for a name that Docker would refuse too. */
export function containerName(name: string): string {
  if (NAME.test(name)) return name
  const why = `cannot name a container ${JSON.stringify(name.slice(0, 80))}: a name is 2 to 255 letters, digits, "_", "." and "-", and begins with a letter or digit`
  throw new EngineError("INVALID_VALUE", why)
}

/**
 * The bytes that detach a terminal: `ctrl-p,ctrl-q` is 16, 17; a single character is itself.
 * @throws {EngineError} `INVALID_VALUE`
 */
export function detachKeys(keys: string): readonly number[] {
  return (keys || DETACH_KEYS).split(",").map((key) => {
    const control = /^ctrl-(.)$/i.exec(key)?.[1]
    const byte =
      control === undefined ? (key.length === 1 ? key.charCodeAt(0) : -1) : CONTROL.indexOf(control.toLowerCase())
    if (byte >= 0 && byte < 128) return byte
    throw new EngineError(
      "INVALID_VALUE",
      `cannot detach with "${keys}": "${key}" is neither a character nor ctrl- and one of a-z, @, [, \\, ], ^, _`,
    )
  })
}

/** Bits of STDIO for a container, or for another program in it. */
export function stdio(request: Pick<Request, "attach" | "detached" | "interactive" | "tty" | "signalProxy">): number {
  const streams = request.attach ?? ["stdout", "stderr", ...(request.interactive ? (["stdin"] as const) : [])]
  if (request.detached && request.attach?.length)
    throw new EngineError("INVALID_VALUE", "cannot run detached and attached at once", "leave out --detach or --attach")
  return (
    (request.detached ? STDIO.detached : streams.reduce((bits, stream) => bits | STDIO[stream], 0)) |
    (request.tty ? STDIO.terminal : 0) |
    (request.interactive ? STDIO.open : 0) |
    (request.signalProxy === false || request.detached ? 0 : STDIO.signals)
  )
}

function log(request: Request, directory: string): Placement["log"] {
  const { driver = "json-file", maxBytes = LOG_BYTES, maxFiles = LOG_FILES } = request.log ?? {}
  const refuse = (cause: string) => new EngineError("INVALID_VALUE", `cannot keep a log: ${cause}`)
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 1) throw refuse(`max-size ${maxBytes} is not a number of bytes`)
  if (!Number.isInteger(maxFiles) || maxFiles < 1 || maxFiles > 1000)
    throw refuse(`max-file ${maxFiles} is not a whole number from 1 to 1000`)
  return { ...(driver === "json-file" && { path: `${directory}/log` }), maxBytes, maxFiles }
}

/** Layers of an image are named below the state root, so that one view of it, with the container's ids, shows them all. */
function rootfs({ rootfs: path = "" }: Request, { state, skeleton, layers }: Roots, writable: string): Rootfs {
  if (!layers) return { kind: "overlay", layers: [...(skeleton === undefined ? [] : [skeleton]), path], writable }
  const first = skeleton === undefined ? [] : [skeleton.slice(state.length + 1)]
  return { kind: "overlay", store: state, layers: [...first, ...layers], writable }
}

/** The cgroup below which a root's containers lie. Another root than the default one has six digits of its own id. */
export const cgroupOf = (scope: string): string => (scope === "" ? "/minicontainer" : `/minicontainer-${scope}`)

function cgroupParent(parent: string): string {
  const refuse = (cause: string) => new EngineError("INVALID_VALUE", `cannot use the cgroup parent ${parent}: ${cause}`)
  if (parent.split("/").includes("..")) throw refuse("it leads upwards")
  if (parent.endsWith(".slice") && !parent.includes("/"))
    throw refuse("it is a systemd slice; this engine makes its cgroups itself")
  const clean = posix.resolve("/", parent)
  if (clean === "/") throw refuse("it is the root of the hierarchy")
  return clean
}

/**
 * Where a container lies.
 * @param scope "" for the default state root, else six hexadecimal digits of the root's own id.
 * @throws {EngineError} `INVALID_VALUE`, also for a stop signal or detach keys that make no sense.
 */
export function placement(request: Request, host: Host, chosen: Chosen, roots: Roots, scope: string): Placement {
  const { id, name, idBase, network } = chosen
  if (request.stopSignal !== undefined) signalNumber(request.stopSignal)
  const directory = `${roots.state}/containers/${id}`
  const ours = cgroupOf(scope)
  const parent = request.cgroupParent ? cgroupParent(request.cgroupParent) : ours
  return {
    id,
    name: containerName(name),
    directory,
    runDirectory: `${roots.run}/${id}`,
    leases: [
      `${roots.state}/names/${name}`,
      ...(idBase === undefined ? [] : [`${roots.state}/ids/${(idBase - FIRST_ID) / OWN_IDS}`]),
      ...(network ? [network.lease] : []),
    ],
    rootfs: rootfs(request, roots, directory),
    staging: `${roots.state}/staging`,
    ...(host.cgroups.mode !== "none" && { cgroup: { path: `${parent}/${id}`, monitors: `${ours}/monitors` } }),
    stay: "monitor",
    init: request.init ?? false,
    remove: request.remove ?? false,
    log: log(request, directory),
    stdio: stdio(request),
    detachKeys: detachKeys(request.detachKeys ?? ""),
    ...(request.timeoutSeconds && { timeoutMs: request.timeoutSeconds * 1000 }),
    ...(request.detached && { announce: `${id}\n` }),
    gate: false,
    ownFiles: [],
    ...(network && { network: network.attachment }),
  }
}
