/**
 * Refusals: what a config.json may ask for and does not get, said before the first step.
 *
 *     UNSUPPORTED      the specification allows it; we cannot do it
 *     INVALID_CONFIG   the specification forbids it, or one field contradicts another
 *
 * A container that lacks what its config asks for is worse than none: whoever wrote the field relies on it. So nothing is passed over.
 * Here are the fields that no room has a place for; what one kind of mount or limit cannot do is refused by its own room. What this host
 * lacks for a flag of Docker's is a warning instead, as with Docker (cgroups-limits.ts). A property that the specification does not
 * know must be ignored, so it says itself: "Extensibility".
 *
 * Read on: model/guards.ts, which has held each field against its type by now. OCI runtime-spec config.md, config-linux.md.
 */

import { EngineError, type ErrorCode } from "../base/errors.ts"
import type { Config, HookName, NamespaceType } from "../model/oci.ts"
import type { Placement } from "../model/placement.ts"

type Placed = Pick<Placement, "stay" | "consoleSocket">

interface Row {
  /** The field, by its path in config.json; more than one if a list has the trouble. None: all is well. */
  readonly found: (config: Config, placement: Placed) => string | undefined
  /** What follows the field in the sentence. */
  readonly is: string
  readonly hint?: string
}

const names = (config: Config, type: NamespaceType) =>
  (config.linux?.namespaces ?? []).filter((namespace) => namespace.type === type)
const filled = (value: unknown): boolean => Object.keys((value as object | undefined) ?? {}).length > 0
const when = (field: string, found: (config: Config, placement: Placed) => unknown): Row["found"] => {
  return (config, placement) => (found(config, placement) ? field : undefined)
}
/** The first of a list that has the trouble. */
const first = <T>(
  field: string,
  list: (config: Config) => readonly T[] | undefined,
  wrong: (item: T, all: readonly T[], index: number) => boolean,
): Row["found"] => {
  return (config) => {
    const all = list(config) ?? []
    const index = all.findIndex((item, at) => wrong(item, all, at))
    return index < 0 ? undefined : `${field}[${index}]`
  }
}
const relative = (path: string): boolean => !path.startsWith("/")

const UNSUPPORTED: readonly Row[] = [
  ...(["vm", "windows", "solaris", "zos"] as const).map(
    (section): Row => ({
      found: when(section, (config) => filled(config[section])),
      is: "is not for containers of this kernel",
      hint: `drop the section ${section}`,
    }),
  ),
  {
    found: when("linux.namespaces", (config) => names(config, "mount").length === 0),
    is: "has no mount namespace; a container that shares the host's mounts is not supported",
    hint: 'add { "type": "mount" }',
  },
  {
    found: when("linux.namespaces", (config) => names(config, "mount")[0]?.path),
    is: "joins a mount namespace, which is not supported",
    hint: "drop the path: the container then has one of its own",
  },
  {
    found: when("process.selinuxLabel", ({ process }) => process?.selinuxLabel),
    is: "is not supported",
    hint: "this engine sets no SELinux labels: drop it",
  },
  {
    found: when("linux.mountLabel", ({ linux }) => linux?.mountLabel),
    is: "is not supported",
    hint: "this engine sets no SELinux labels: drop it",
  },
  {
    found: when(
      "process.apparmorProfile",
      ({ process }) => process?.apparmorProfile && process.apparmorProfile !== "unconfined",
    ),
    is: "is not supported",
    hint: 'this engine loads no AppArmor profiles: drop it, or say "unconfined"',
  },
  {
    found: when("linux.intelRdt", ({ linux }) => linux?.intelRdt),
    is: "is not supported",
    hint: "this engine does not manage resctrl groups: drop it",
  },
  {
    found: when("linux.netDevices", ({ linux }) => filled(linux?.netDevices)),
    is: "is not supported",
    hint: "this engine moves no host interfaces: drop it",
  },
  {
    found: when("linux.seccomp.listenerPath", ({ linux }) => linux?.seccomp?.listenerPath),
    is: "is not supported",
    hint: "this engine hands no seccomp notifications on: drop it",
  },
  {
    found: when("process.terminal", ({ process }, { stay, consoleSocket }) => {
      return process?.terminal && stay === "none" && consoleSocket === undefined
    }),
    is: "needs somebody who takes the terminal, and nobody stays",
    hint: "name a console socket",
  },
]

const HOOKS: readonly HookName[] = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
]

const INVALID: readonly Row[] = [
  { found: when("process", ({ process }) => process === undefined), is: "is missing" },
  { found: when("root", ({ root }) => root === undefined), is: "is missing" },
  {
    found: first(
      "linux.namespaces",
      ({ linux }) => linux?.namespaces,
      ({ path }) => Boolean(path) && relative(path!),
    ),
    is: "has a path that is not absolute",
  },
  ...(["uidMappings", "gidMappings"] as const).flatMap((field): readonly Row[] => [
    {
      found: when(`linux.${field}`, (config) => filled(config.linux?.[field]) && names(config, "user").length === 0),
      is: "maps ids, and the container has no user namespace",
      hint: 'drop it, or add { "type": "user" } to linux.namespaces',
    },
    {
      found: when(`linux.${field}`, (config) => {
        const [user] = names(config, "user")
        return user && !user.path && !filled(config.linux?.[field])
      }),
      is: "is empty, and the container has a user namespace of its own",
      hint: "give both mappings, or drop the user namespace",
    },
  ]),
  {
    found: when("linux.timeOffsets", (config) => {
      const [time] = names(config, "time")
      return filled(config.linux?.timeOffsets) && (!time || time.path)
    }),
    is: "shifts clocks, and the container has no time namespace of its own",
    hint: 'drop it, or add { "type": "time" } to linux.namespaces',
  },
  {
    found: when('linux.sysctl["kernel.hostname"]', ({ hostname, linux }) => {
      return hostname && linux?.sysctl?.["kernel.hostname"] && linux.sysctl["kernel.hostname"] !== hostname
    }),
    is: "contradicts hostname",
  },
  {
    found: when("linux.seccomp.listenerMetadata", ({ linux }) => {
      return linux?.seccomp?.listenerMetadata && !linux.seccomp.listenerPath
    }),
    is: "needs linux.seccomp.listenerPath",
  },
  {
    found: first(
      "process.rlimits",
      ({ process }) => process?.rlimits,
      ({ type }, all, index) => all.findIndex((other) => other.type === type) !== index,
    ),
    is: "limits what another one limits",
  },
  {
    found: when("process.consoleSize", ({ process }) => {
      const { height = 0, width = 0 } = process?.consoleSize ?? {}
      return process?.terminal && Math.max(height, width) > 0xffff
    }),
    is: "is larger than 65535, the most that a terminal can have",
  },
  {
    found: when("process.ioPriority.priority", ({ process }) => {
      const { priority = 0 } = process?.ioPriority ?? {}
      return priority < 0 || priority > 7
    }),
    is: "is not from 0 to 7",
  },
  ...(["maskedPaths", "readonlyPaths"] as const).map(
    (field): Row => ({
      found: first(`linux.${field}`, ({ linux }) => linux?.[field], relative),
      is: "is not an absolute path",
    }),
  ),
  ...HOOKS.map(
    (name): Row => ({
      found: first(
        `hooks.${name}`,
        ({ hooks }) => hooks?.[name],
        ({ path }) => relative(path),
      ),
      is: "has a path that is not absolute",
    }),
  ),
]

/**
 * @throws {EngineError} `UNSUPPORTED` or `INVALID_CONFIG`, naming the field.
 */
export function refuse(config: Config, placement: Placed): void {
  const look = (rows: readonly Row[], code: ErrorCode): void => {
    for (const { found, is, hint } of rows) {
      const field = found(config, placement)
      if (field !== undefined) throw new EngineError(code, `cannot plan the container: ${field} ${is}`, hint)
    }
  }
  look(INVALID, "INVALID_CONFIG")
  look(UNSUPPORTED, "UNSUPPORTED")
}
