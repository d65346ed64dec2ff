/**
 * Three ways to say what is mounted where, and one thing they all mean: a MountRequest.
 *
 *     -v /data:/srv:ro   -v name:/srv   -v /srv             short; `./data` is relative to the caller
 *     --mount type=bind,src=/data,dst=/srv,readonly         long, as a line of CSV
 *     --tmpfs /run:size=64m,mode=1777                       memory
 *
 * Pure: a relative source stays relative here, request.ts knows the working directory.
 * Read on: spec/mounts.ts, what becomes of them.
 * @see docs.docker.com/engine/storage/bind-mounts
 */

import { parseBytes } from "../../base/units.ts"
import type { MountRequest, VolumeMount } from "../../model/request.ts"
import { BadValue, parseBool } from "../flags.ts"

type Bind = Extract<MountRequest, { kind: "bind" }>
type Tmpfs = Extract<MountRequest, { kind: "tmpfs" }>

const PROPAGATIONS = ["private", "rprivate", "shared", "rshared", "slave", "rslave"]
/** Words after the second colon: which of these exclude one another, and what they set. */
const WORDS: Readonly<
  Record<string, { readonly group?: string; readonly sets?: Partial<Bind>; readonly volume?: Partial<VolumeMount> }>
> = {
  ro: { group: "access", sets: { readOnly: true }, volume: { readOnly: true } },
  rw: { group: "access" },
  ...Object.fromEntries(PROPAGATIONS.map((word) => [word, { group: "propagation", sets: { propagation: word } }])),
  // Labels for SELinux, which no container here has.
  z: { group: "label" },
  Z: { group: "label" },
  // Hints for file sharing with a virtual machine; without one every mount is consistent.
  consistent: { group: "consistency" },
  cached: { group: "consistency" },
  delegated: { group: "consistency" },
  // An empty volume stays empty.
  nocopy: { group: "copy", volume: { copy: false } },
}

/** `-v HOST:CONTAINER[:WORD,…]`, `-v NAME:CONTAINER[:WORD,…]`, `-v CONTAINER`. */
export function volume(text: string): Bind | VolumeMount {
  const [first, second, words, ...more] = text.split(":")
  if (more.length > 0) throw new BadValue("it has more than two colons", "write HOST:CONTAINER or HOST:CONTAINER:ro")
  if (!first || second === "") throw new BadValue("a path is empty", "write HOST:CONTAINER")
  if (second === undefined) return { kind: "volume", target: mountTarget(first) }
  const isName = !/[/~]/.test(first) && !/^\.{1,2}$/.test(first)
  const target = mountTarget(second)
  let mount: Bind | VolumeMount = isName
    ? { kind: "volume", name: volumeName(first), target }
    : { kind: "bind", source: bindSource(first), target }
  const groups = new Set<string>()
  for (const word of words?.split(",") ?? []) {
    const row = Object.hasOwn(WORDS, word) ? WORDS[word]! : undefined
    if (row === undefined)
      throw new BadValue(`it has no option ${word || '""'}`, `it takes ${Object.keys(WORDS).join(", ")}`)
    if (isName && row.group === "propagation") throw new BadValue("a volume has no propagation", "leave it out")
    if (row.group && groups.has(row.group)) throw new BadValue(`${word} contradicts another of its options`)
    if (row.group) groups.add(row.group)
    mount = { ...mount, ...(isName ? row.volume : row.sets) } as Bind | VolumeMount
  }
  return mount
}

/** Docker's rule. */
export function volumeName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,254}$/.test(name)) return name
  throw new BadValue(
    `${name || '""'} is not the name of a volume`,
    'a name has 2 to 255 letters, digits, "_", "." and "-"; for a directory, write an absolute path',
  )
}

/** Absolute, or relative to the caller with a dot in front; what else looks relative is a volume's name to Docker. */
function bindSource(source: string): string {
  if (source.startsWith("/") || /^\.{1,2}(\/|$)/.test(source)) return source
  if (source.startsWith("~")) throw new BadValue("the shell did not expand ~", "write $HOME, or leave ~ unquoted")
  throw new BadValue("its source is a relative path", `write ./${source}, or an absolute path`)
}

function mountTarget(target: string): string {
  if (!target.startsWith("/"))
    throw new BadValue(`its target ${target} is not an absolute path`, "a path inside the container begins with /")
  if (/^\/[/.]*$/.test(target)) throw new BadValue("nothing can be mounted over the container's /")
  return target
}

/** `--tmpfs PATH[:OPTION,…]`. */
export function tmpfs(text: string): Tmpfs {
  const at = text.indexOf(":")
  const target = mountTarget(at < 0 ? text : text.slice(0, at))
  let mount: Tmpfs = { kind: "tmpfs", target }
  const options: string[] = []
  for (const option of at < 0
    ? []
    : text
        .slice(at + 1)
        .split(",")
        .filter(Boolean)) {
    const [key, value] = halves(option)
    // `size=50%` of the memory is the kernel's to compute.
    if (key === "size" && value !== undefined && !value.endsWith("%")) mount = { ...mount, sizeBytes: tmpfsSize(value) }
    else if (key === "mode") mount = { ...mount, mode: tmpfsMode(value ?? "") }
    else if (TMPFS_WORDS.has(key)) options.push(option)
    else throw new BadValue(`it has no option ${key}`, `it takes mode, ${[...TMPFS_WORDS].join(", ")}`)
  }
  return options.length > 0 ? { ...mount, options } : mount
}
const TMPFS_WORDS = new Set(
  "size uid gid nr_inodes nr_blocks mpol huge ro rw exec noexec suid nosuid dev nodev sync async dirsync atime noatime diratime nodiratime relatime norelatime strictatime".split(
    " ",
  ),
)

function tmpfsSize(text: string): number {
  const size = parseBytes(text)
  if (size === undefined)
    throw new BadValue(`its size ${text || '""'} is not a size`, "write a number and perhaps k, m or g: 64m")
  return size
}

function tmpfsMode(text: string): number {
  if (!/^[0-7]{1,5}$/.test(text))
    throw new BadValue(`its mode ${text || '""'} is not an octal number`, "for example 1777")
  return Number.parseInt(text, 8)
}

type Keys = Readonly<Record<string, string>>
/** What each key of `--mount` is called, for each type: `src` is `source`. */
const COMMON: Keys = {
  type: "type",
  target: "target",
  dst: "target",
  destination: "target",
  readonly: "readonly",
  ro: "readonly",
  consistency: "consistency",
}
const KEYS: Readonly<Record<"bind" | "tmpfs" | "volume", Keys>> = {
  bind: {
    ...COMMON,
    source: "source",
    src: "source",
    "bind-propagation": "propagation",
    "bind-recursive": "recursive",
    "bind-nonrecursive": "nonrecursive",
    "bind-create-src": "create",
  },
  volume: {
    ...COMMON,
    source: "source",
    src: "source",
    "volume-nocopy": "nocopy",
    "volume-subpath": "subpath",
    "volume-label": "label",
    "volume-driver": "driver",
  },
  tmpfs: { ...COMMON, "tmpfs-size": "size", "tmpfs-mode": "mode", "tmpfs-options": "options" },
}
/** Keys that may stand without a value, for `true`. */
const SWITCHES = new Set(["readonly", "nonrecursive", "create", "nocopy"])

/** `--mount type=bind|volume|tmpfs,KEY=VALUE,…`: one line of CSV, so that `"src=/a,b"` may hold a comma. */
export function mount(text: string): MountRequest {
  const fields = csv(text).map((field) => halves(field))
  // Docker's default is a volume.
  const type = fields.findLast(([key]) => key.toLowerCase() === "type")?.[1]?.toLowerCase() ?? "volume"
  if (type !== "bind" && type !== "tmpfs" && type !== "volume")
    throw new BadValue(
      "type is bind, volume or tmpfs",
      "write type=bind,src=HOST,dst=CONTAINER or type=tmpfs,dst=CONTAINER",
    )
  const values: Record<string, string> = {}
  const labels: Record<string, string> = {}
  for (const [key, value] of fields) {
    const name = Object.hasOwn(KEYS[type], key.toLowerCase()) ? KEYS[type][key.toLowerCase()] : undefined
    if (name === undefined)
      throw new BadValue(`a ${type} mount has no key ${key || '""'}`, `it takes ${Object.keys(KEYS[type]).join(", ")}`)
    if (value === undefined && !SWITCHES.has(name))
      throw new BadValue(`its key ${key} needs a value`, `write ${key}=VALUE`)
    if (name === "label") labels[halves(value ?? "")[0]] = halves(value ?? "")[1] ?? ""
    values[name] = value ?? "true"
  }
  if (!values.target) throw new BadValue("its target is missing", "add dst=PATH, a path inside the container")
  const target = mountTarget(values.target)
  const readOnly = values.readonly !== undefined && parseBool(values.readonly)
  if (type === "volume") return volumeOf(target, readOnly, values, labels)
  return type === "bind" ? bindOf(target, readOnly, values) : tmpfsOf(target, readOnly, values)
}

function volumeOf(
  target: string,
  readOnly: boolean,
  { source, nocopy, subpath, driver = "local" }: Readonly<Record<string, string>>,
  labels: Readonly<Record<string, string>>,
): VolumeMount {
  if (driver !== "local") throw new BadValue(`there is no volume driver ${driver}`, "there is local", "UNSUPPORTED")
  if (subpath !== undefined && (subpath.startsWith("/") || subpath.split("/").includes("..")))
    throw new BadValue(`its subpath ${subpath} is not a path inside the volume`)
  return {
    kind: "volume",
    target,
    ...(source && { name: volumeName(source) }),
    ...(readOnly && { readOnly }),
    ...(nocopy !== undefined && parseBool(nocopy) && { copy: false }),
    ...(subpath && { subpath }),
    ...(Object.keys(labels).length > 0 && { labels }),
  }
}

function bindOf(target: string, readOnly: boolean, given: Readonly<Record<string, string>>): Bind {
  if (!given.source) throw new BadValue("its source is missing", "add src=PATH, a path on the host")
  const { propagation, recursive = "enabled" } = given
  if (propagation !== undefined && !PROPAGATIONS.includes(propagation)) {
    throw new BadValue(`it has no propagation ${propagation}`, `it takes ${PROPAGATIONS.join(", ")}`)
  }
  if (recursive !== "enabled" && recursive !== "disabled") {
    throw new BadValue(`bind-recursive=${recursive} is not built`, "it takes enabled or disabled", "UNSUPPORTED")
  }
  const alone = recursive === "disabled" || (given.nonrecursive !== undefined && parseBool(given.nonrecursive))
  return {
    kind: "bind",
    source: bindSource(given.source),
    target,
    ...(readOnly && { readOnly }),
    ...(propagation && { propagation }),
    ...(alone && { recursive: false }),
    ...(given.create !== undefined && parseBool(given.create) && { createSource: true }),
  }
}

function tmpfsOf(target: string, readOnly: boolean, given: Readonly<Record<string, string>>): Tmpfs {
  const options = [...(readOnly ? ["ro"] : []), ...(given.options?.split(":").filter(Boolean) ?? [])]
  return {
    kind: "tmpfs",
    target,
    ...(given.size !== undefined && { sizeBytes: tmpfsSize(given.size) }),
    ...(given.mode !== undefined && { mode: tmpfsMode(given.mode) }),
    ...(options.length > 0 && { options }),
  }
}

function halves(field: string): readonly [key: string, value: string | undefined] {
  const at = field.indexOf("=")
  return at < 0 ? [field, undefined] : [field.slice(0, at), field.slice(at + 1)]
}

/** Fields of one line of CSV (RFC 4180): a field in quotes may hold commas, and quotes doubled. */
function csv(line: string): string[] {
  const fields: string[] = []
  let rest = line
  for (;;) {
    const [whole, inQuotes, plain] = /^(?:"((?:[^"]|"")*)"|([^",]*))(?=,|$)/.exec(rest) ?? []
    if (whole === undefined) throw new BadValue("its quotes do not match", 'quote a whole field: "src=/a,b"')
    fields.push(inQuotes?.replaceAll('""', '"') ?? plain ?? "")
    if (rest.length === whole.length) return fields
    rest = rest.slice(whole.length + 1)
  }
}
