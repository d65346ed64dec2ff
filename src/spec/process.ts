/**
 * The process: what the first program of a container is given.
 *
 *     args      entrypoint, then the arguments
 *     env       PATH HOSTNAME TERM HOME, unless the caller says otherwise
 *     user      numbers, from names in the container's own files (accounts.ts)
 *     cwd       absolute
 *     rlimits   every one that is named, and always nofile
 *     capabilities, no_new_privs, oom_score_adj
 *
 * All of it is known before the container exists, so all of it stands in its config.json. A second program in the same
 * container (`exec`) gets the same, but for what is asked anew: exec.ts.
 *
 * Read on: accounts.ts, capabilities.ts. OCI runtime-spec config.md, "Process".
 */

import posix from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import { holds } from "../model/capabilities.ts"
import type { Host } from "../model/host.ts"
import type { Process, Rlimit } from "../model/oci.ts"
import type { Request } from "../model/request.ts"
import type { Account } from "./accounts.ts"
import { sets } from "./capabilities.ts"

const DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** `--ulimit` knows them in lower case and without RLIMIT_; "as" too, which Docker does not let through. */
const LIMITS = [
  "as",
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
]
/** No limit: JSON's 18446744073709551615, the kernel's RLIM_INFINITY, as near as a double comes to it. */
export const UNLIMITED = 2 ** 64

/**
 * A list of `KEY=VALUE` with changes. A key that exists keeps its place and takes the new value, others follow in order; a
 * change without `=` removes the key.
 * @throws {EngineError} `INVALID_VALUE` for an empty key.
 */
export function environment(list: readonly string[], changes: readonly string[]): readonly string[] {
  const values = new Map<string, string>()
  for (const entry of [...list, ...changes]) {
    const equals = entry.indexOf("=")
    const key = equals < 0 ? entry : entry.slice(0, equals)
    if (key === "")
      throw new EngineError("INVALID_VALUE", `cannot set the environment variable "${entry}": it has no name`)
    if (equals < 0) values.delete(key)
    else values.set(key, entry)
  }
  return [...values.values()]
}

/**
 * A working directory, without `.`, `..` and doubled slashes.
 * @throws {EngineError} `INVALID_VALUE` for a relative one.
 */
export function workingDirectory(path: string): string {
  if (!path.startsWith("/"))
    throw new EngineError("INVALID_VALUE", `cannot work in ${path}: the working directory is not an absolute path`)
  return posix.resolve("/", path)
}

/** The limit holds from before the first step inside, and mounts are made by file descriptors. */
const LEAST_NOFILE = 64

/**
 * The limits of a process. nofile is always among them, as 1024:524288: whatever started the engine may have raised its own.
 * Without CAP_SYS_RESOURCE no limit can exceed the engine's own hard one.
 * @returns the limits, and a warning for each that was asked for and had to be lowered.
 * @throws {EngineError} `INVALID_VALUE` for an unknown name, or a soft limit above the hard one.
 */
export function rlimits(
  ulimits: Request["ulimits"],
  host: Host,
): { readonly limits: readonly Rlimit[]; readonly warnings: readonly string[] } {
  const warnings: string[] = []
  const asked = new Map((ulimits ?? []).map((limit) => [limit.name.toLowerCase(), limit]))
  const all = asked.has("nofile")
    ? [...asked.values()]
    : [{ name: "nofile", soft: 1024, hard: 524_288 }, ...asked.values()]
  const limits = all.map(({ name, soft, hard }): Rlimit => {
    const lower = name.toLowerCase()
    const refuse = (cause: string, hint?: string) =>
      new EngineError("INVALID_VALUE", `cannot limit ${name}: ${cause}`, hint)
    if (!LIMITS.includes(lower)) throw refuse("there is no such limit", `the limits are ${LIMITS.join(", ")}`)
    for (const value of [soft, hard])
      if (!Number.isSafeInteger(value) || value < -1)
        throw refuse(`${value} is not a whole number, nor -1 for no limit`)
    const [wantedSoft, wantedHard] = [soft, hard].map((value) => (value === -1 ? UNLIMITED : value)) as [number, number]
    if (wantedSoft > wantedHard) throw refuse(`the soft limit (${soft}) is above the hard limit (${hard})`)
    if (lower === "nofile" && wantedSoft < LEAST_NOFILE)
      throw refuse(`${soft} is too few: making the container takes ${LEAST_NOFILE}`)
    const type = `RLIMIT_${lower.toUpperCase()}`
    const own = host.hardLimits[type]
    const bound = own === undefined || own < 0 || holds(host.capabilities, "CAP_SYS_RESOURCE") ? UNLIMITED : own
    if (wantedHard > bound && asked.has(lower))
      warnings.push(
        `the limit ${lower} is lowered to ${bound}, the engine's own: it may not exceed that without CAP_SYS_RESOURCE`,
      )
    return { type, soft: Math.min(wantedSoft, bound), hard: Math.min(wantedHard, bound) }
  })
  return { limits, warnings }
}

/** The program of a container. */
export function processOf(
  request: Request,
  given: {
    readonly account: Account
    readonly hostname: string
    readonly capabilities: readonly string[]
    readonly limits: readonly Rlimit[]
  },
): Process {
  const args = [...[request.entrypoint || []].flat(), ...request.args]
  if (args.length === 0) throw new EngineError("INVALID_VALUE", "cannot run: no command is given")
  if (args[0] === "") throw new EngineError("INVALID_VALUE", "cannot run: the command is an empty word")
  const { uid, gid, additionalGids, home } = given.account
  const defaults = [DEFAULT_PATH, `HOSTNAME=${given.hostname}`, ...(request.tty ? ["TERM=xterm"] : []), `HOME=${home}`]
  return {
    ...(request.tty && { terminal: true }),
    user: { uid, gid, additionalGids },
    args,
    env: environment(defaults, request.env ?? []),
    cwd: workingDirectory(request.workdir ?? "/"),
    capabilities: sets(given.capabilities, uid),
    rlimits: given.limits,
    ...(request.noNewPrivileges && { noNewPrivileges: true }),
    ...(request.oomScoreAdj !== undefined && { oomScoreAdj: request.oomScoreAdj }),
  }
}
