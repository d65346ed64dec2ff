/**
 * From options to a Request: the words of the command line, made independent of the caller's directory and environment.
 *
 *     options + words + files + environment  →  Request
 *
 * Nothing is decided here that spec/ could decide; what is checked are contradictions that only this door can see.
 * Read on: model/request.ts; spec/, what becomes of a Request.
 */

import { resolve } from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import { parseBytes } from "../base/units.ts"
import type { MountRequest, Request } from "../model/request.ts"
import type { OptionsOf } from "./flags.ts"
import type { Io } from "./io.ts"
import type { PROCESS_FLAGS, RUN_FLAGS } from "./run-flags.ts"
import { BadLine, keyValueLines } from "./values/files.ts"
import type { SecurityOption } from "./values/security.ts"

/** What is needed of the world: files, variables, the directory that relative paths begin at. */
export type Surroundings = Pick<Io, "readFile" | "env" | "cwd">

export type RunOptions = OptionsOf<typeof RUN_FLAGS>
type ProcessOptions = OptionsOf<typeof PROCESS_FLAGS>

/** What runs of a directory if nothing is said: there is no image that would know better. */
const SHELL = ["sh"]

/**
 * @param words what stands behind the options: IMAGE, unless there is `--rootfs`; COMMAND and its arguments.
 * @throws {EngineError} `USAGE` without an image or `--rootfs` and for contradictions; `INVALID_VALUE` for files that cannot be read.
 */
export function requestOf(options: RunOptions, words: readonly string[], at: Surroundings): Request {
  if (options.rootfs === undefined && words.length === 0) throw noImage()
  contradictions(options)
  // Of a directory, all words are the program's; of an image, the first is its name.
  const [image = "", ...rest] = words
  const attached = options.attach.length > 0 ? options.attach : undefined
  const { entrypoint } = options
  return {
    ...(options.rootfs === undefined
      ? { image, args: rest, ...(entrypoint !== undefined && { entrypoint: entrypoint || [] }) }
      : {
          rootfs: resolve(at.cwd, options.rootfs),
          args: words.length === 0 && !entrypoint ? SHELL : words,
          ...(entrypoint && { entrypoint }),
        }),
    ...programOf(options, at),
    ...present({
      name: options.name,
      hostname: options.hostname || undefined,
      domainname: options.domainname || undefined,
      labels: filled(labels(options, at)),
      mounts: filled(mounts(options, at.cwd)),
      volumesFrom: filled(options["volumes-from"]),
      readOnly: options["read-only"] || undefined,
      groupAdd: filled(options["group-add"]),
      memoryBytes: options.memory || undefined,
      memorySwapBytes: options["memory-swap"] || undefined,
      memoryReservationBytes: options["memory-reservation"] || undefined,
      cpus: options.cpus,
      cpuShares: options["cpu-shares"] || undefined,
      cpuQuotaUs: options["cpu-quota"] || undefined,
      cpuPeriodUs: options["cpu-period"] || undefined,
      cpusetCpus: options["cpuset-cpus"],
      cpusetMems: options["cpuset-mems"],
      pidsLimit: options["pids-limit"],
      shmBytes: options["shm-size"] || undefined,
      ulimits: filled(options.ulimit),
      capAdd: filled(options["cap-add"]),
      capDrop: filled(options["cap-drop"]),
      userns: options.userns,
      pid: options.pid,
      ipc: options.ipc,
      uts: options.uts,
      cgroupns: options.cgroupns,
      network: options.network,
      ip: options.ip,
      networkAliases: filled(options["network-alias"]),
      publish: filled(options.publish.flat()),
      devices: filled(options.device),
      deviceRules: filled(options["device-cgroup-rule"]),
      sysctls: filled(options.sysctl),
      init: options.init || undefined,
      remove: options.rm || undefined,
      stopSignal: options["stop-signal"],
      stopTimeoutSeconds: options["stop-timeout"],
      timeoutSeconds: options.timeout || undefined,
      cgroupParent: options["cgroup-parent"] || undefined,
      addHosts: filled(options["add-host"]),
      dns: filled(options.dns),
      dnsSearch: filled(options["dns-search"]),
      dnsOptions: filled(options["dns-option"]),
      attach: attached,
      signalProxy: options["sig-proxy"] ? undefined : false,
      annotations: filled(options.annotation),
      blkioWeight: options["blkio-weight"] || undefined,
      oomKillDisable: options["oom-kill-disable"] || undefined,
      oomScoreAdj: options["oom-score-adj"],
    }),
    ...security(options["security-opt"], at),
    ...log(options),
  }
}

/** What `run` and `exec` say alike about a program. */
export function programOf(options: ProcessOptions, at: Surroundings) {
  return present({
    env: filled(variables(options, at)),
    workdir: options.workdir,
    user: options.user || undefined,
    privileged: options.privileged || undefined,
    tty: options.tty || undefined,
    interactive: options.interactive || undefined,
    detached: options.detach || undefined,
    detachKeys: options["detach-keys"] || undefined,
  })
}

/**
 * A terminal inside, fed by something that is none, would echo and edit what no person types.
 * @throws {EngineError} `USAGE`. For what runs now; a plan may be looked at without a terminal.
 */
export function needTerminal(
  { tty, interactive, detach, attach = [] }: ProcessOptions & Partial<Pick<RunOptions, "attach">>,
  { terminal }: Pick<Io, "terminal">,
): void {
  const stdin = interactive && (attach.length === 0 || attach.includes("stdin"))
  if (!tty || !stdin || detach || terminal.stdin) return
  throw new EngineError(
    "USAGE",
    "cannot use --tty: the input device is not a TTY",
    "leave out -t when input comes from a file or pipe",
  )
}

const noImage = (): EngineError =>
  new EngineError(
    "USAGE",
    "cannot run a container: IMAGE is missing",
    "minicontainer run hello, or of a directory: minicontainer run --rm -it --rootfs / sh",
  )

function contradictions(options: RunOptions): void {
  const pairs: readonly (readonly [boolean, string])[] = [
    [options.attach.length > 0 && options.detach, "--attach together with --detach: nobody would be attached"],
    [options.cpus !== undefined && !!options["cpu-quota"], "--cpus together with --cpu-quota: both set the same limit"],
    [
      options.cpus !== undefined && !!options["cpu-period"],
      "--cpus together with --cpu-period: both set the same limit",
    ],
  ]
  const found = pairs.find(([both]) => both)
  if (found) throw new EngineError("USAGE", `cannot use ${found[1]}`)
}

function variables(options: ProcessOptions, at: Surroundings): string[] {
  const inherit = (key: string) => at.env[key]
  const fromFiles = options["env-file"].flatMap((path) => linesOf("--env-file", path, at, inherit))
  const given = options.env.flatMap((text) => {
    const value = text.includes("=") ? "" : inherit(text)
    return text.includes("=") ? [text] : value === undefined ? [] : [`${text}=${value}`]
  })
  return [...fromFiles, ...given]
}

function labels(options: RunOptions, at: Surroundings): Readonly<Record<string, string>> {
  const fromFiles = options["label-file"].flatMap((path) => linesOf("--label-file", path, at, () => undefined))
  const pairs = fromFiles.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)])
  return { ...Object.fromEntries(pairs), ...options.label }
}

type Files = Pick<Surroundings, "readFile" | "cwd">

function linesOf(flag: string, path: string, at: Files, inherit: (key: string) => string | undefined): string[] {
  const bytes = contentOf(flag, path, at)
  try {
    return keyValueLines(bytes, inherit)
  } catch (error) {
    if (!(error instanceof BadLine)) throw error
    throw new EngineError(
      "INVALID_VALUE",
      `cannot use ${flag} ${path}: ${error.message}`,
      "write KEY=VALUE or KEY on each line",
    )
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  ENOENT: "no such file",
  EISDIR: "it is a directory",
  EACCES: "permission denied",
  ENOTDIR: "a part of its path is a file",
  ENAMETOOLONG: "its name is too long",
  EFBIG: "it is larger than 4 MiB",
}
/** What of a file is held in memory, and could be an environment or a policy at all: the kernel passes 6 MiB to a program at most. */
const FILE_LIMIT = 4 << 20

function contentOf(flag: string, path: string, { readFile, cwd }: Files): Uint8Array {
  try {
    return readFile(resolve(cwd, path), FILE_LIMIT)
  } catch (error) {
    const { code = "", message } = error as NodeJS.ErrnoException
    throw new EngineError("INVALID_VALUE", `cannot use ${flag} ${path}: ${CAUSES[code] ?? message}`, undefined, {
      cause: error,
    })
  }
}

/** In the order of the kinds; within one kind, as given. */
function mounts(options: RunOptions, cwd: string): MountRequest[] {
  return [...options.volume, ...options.mount, ...options.tmpfs].map((mount) =>
    mount.kind === "bind" ? { ...mount, source: resolve(cwd, mount.source) } : mount,
  )
}

function security(given: readonly SecurityOption[], at: Files): Pick<Request, "seccomp" | "noNewPrivileges"> {
  const policy = given.findLast((option) => option.kind === "seccomp")?.policy
  const noNewPrivileges = given.findLast((option) => option.kind === "no-new-privileges")?.on
  return present({
    noNewPrivileges: noNewPrivileges || undefined,
    seccomp:
      policy === undefined || policy === "builtin"
        ? undefined
        : policy === "unconfined"
          ? policy
          : {
              path: resolve(at.cwd, policy.path),
              json: new TextDecoder().decode(contentOf("--security-opt seccomp", policy.path, at)),
            },
  })
}

/** Docker counts log sizes in thousands: `10m` is 10,000,000 bytes. */
function log(options: RunOptions): Pick<Request, "log"> {
  const { "max-size": size, "max-file": files, ...others } = options["log-opt"]
  const bad = (key: string, cause: string, hint?: string) =>
    new EngineError("INVALID_VALUE", `cannot use --log-opt ${key}: ${cause}`, hint)
  for (const key of Object.keys(others)) throw bad(key, "there is no such option", "it takes max-size and max-file")
  const maxBytes = size === undefined ? undefined : parseBytes(size, 1000)
  if (size !== undefined && !maxBytes) throw bad(`max-size=${size}`, "not a size", "for example 10m")
  if (files !== undefined && !/^[1-9]\d{0,3}$/.test(files))
    throw bad(`max-file=${files}`, "not a number from 1", "for example 3")
  const driver = options["log-driver"]
  if (driver === undefined && size === undefined && files === undefined) return {}
  if (driver === "none" && (size ?? files) !== undefined)
    throw bad("max-size", "with --log-driver none nothing is kept")
  return {
    log: {
      driver: driver ?? "json-file",
      ...present({ maxBytes, maxFiles: files === undefined ? undefined : Number(files) }),
    },
  }
}

/** Without the fields that are undefined: absent is what means "default" in a Request. */
function present<T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(kept) as { [K in keyof T]?: Exclude<T[K], undefined> }
}

/** Undefined for an empty list or map. */
function filled<T extends object>(many: T): T | undefined {
  return Object.keys(many).length === 0 ? undefined : many
}
