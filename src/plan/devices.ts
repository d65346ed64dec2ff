/**
 * Devices: names in /dev, and the right to use what they name.
 *
 *     /dev                     a tmpfs of the container's own
 *       null  zero  tty …      nodes: names for a pair of numbers (c 1:3)
 *       fd → /proc/self/fd     links that programs expect
 *       pts  shm  mqueue       empty directories, on which mounts.ts puts the container's own
 *
 *     cgroup                   which pairs may be opened at all, whatever their name (device-rules.ts)
 *
 * A user namespace may not make device nodes, not even on a tmpfs of its own: EPERM. So the executor, host root, makes /dev as a
 * detached mount, with every node owned by the container's root, and hands it over; the child attaches it. A device elsewhere in the
 * tree is a clone of one node's mount, attached on an empty file.
 *
 * Read on: mounts.ts, device-rules.ts, spec/devices.ts. Linux man-pages mknod(2), tmpfs(5), open_tree(2).
 */

import { normalize } from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import { ATTR, PROPAGATION, readOptions } from "../formats/mount/options.ts"
import type { Device } from "../model/oci.ts"
import type { Slot, Step } from "./step.ts"

export interface Devices {
  /** Of the config, which come in addition to those that every container has; a later one replaces an earlier one of its path. */
  readonly devices: readonly Device[]
  /** The ids on the host of the container's ids, whose 0 owns what nobody else does. */
  readonly hostUid: (uid: number) => number
  readonly hostGid: (gid: number) => number
  /** The config has a tmpfs on /dev: it is this one. Else every node is placed on its own in what the container has there. */
  readonly mounted: boolean
  /** Mount options of that tmpfs, as in the config. */
  readonly options: readonly string[]
}

/** OCI runtime-spec config-linux.md "Default Devices": there whether a config lists them or not. */
const ALWAYS: readonly Device[] = (
  [
    ["null", 1, 3],
    ["zero", 1, 5],
    ["full", 1, 7],
    ["random", 1, 8],
    ["urandom", 1, 9],
    ["tty", 5, 0],
  ] as const
).map(([name, major, minor]) => ({ type: "c", path: `/dev/${name}`, major, minor }))

/** OCI runtime-spec config-linux.md "Default Devices" and runtime-linux.md "Dev symbolic links"; core as Docker has it. */
const LINKS: Readonly<Record<string, string>> = {
  fd: "/proc/self/fd",
  stdin: "/proc/self/fd/0",
  stdout: "/proc/self/fd/1",
  stderr: "/proc/self/fd/2",
  ptmx: "pts/ptmx",
  core: "/proc/kcore",
}

/** Mount points: what lies below them comes with their own file systems. */
const DIRECTORIES = ["pts", "shm", "mqueue"]

/** S_IFCHR, S_IFBLK, S_IFIFO. `u` is an old word for `c`. */
const TYPE = { c: 0o020000, u: 0o020000, b: 0o060000, p: 0o010000 } as const

/** Slot "dev": the /dev that mounts.ts attaches. Phases host and child. */
export function deviceTree(given: Devices): { readonly host: readonly Step[]; readonly child: readonly Step[] } {
  const byPath = new Map([...ALWAYS, ...given.devices].map((device) => [pathOf(device), device]))
  // The specification wants this one to be the terminals' of the container, whatever number the config gives it.
  const all = [...byPath].filter(([path]) => path !== "/dev/ptmx")
  const links = Object.entries(LINKS).filter(([name]) => !byPath.has(`/dev/${name}`) || name === "ptmx")
  const inside = all.filter(([path]) => given.mounted && below(path))
  const elsewhere = all.filter(([path]) => !given.mounted || !below(path))
  return {
    host: [...(given.mounted ? tree(inside, links, given) : []), ...spares(elsewhere, given)],
    child: [...place(elsewhere.map(([path]) => path)), ...(given.mounted ? [] : linked(links))],
  }
}

/** Whether a path lies in our tmpfs, and not on a file system that is mounted in it. */
const below = (path: string): boolean => path.startsWith("/dev/") && !DIRECTORIES.includes(path.split("/")[2]!)

type Placed = readonly [path: string, device: Device]

type Link = readonly [name: string, target: string]

const link = (at: Slot, phase: "host" | "child", [name, target]: Link) =>
  ({
    phase,
    op: "make-link",
    at,
    name,
    target,
    does: `link /dev/${name} to ${target}`,
    why: "programs expect it",
  }) as const

/** In a /dev that is not ours; what has the name already stays. */
function linked(links: readonly Link[]): readonly Step[] {
  return [
    {
      phase: "child",
      op: "open",
      path: "/dev",
      flags: O_PATH,
      gives: "dev",
      does: "open /dev",
      why: "links will be made in it",
    },
    ...links.map((one): Step => ({ ...link("dev", "child", one), ok: ["EEXIST"], must: false })),
  ]
}
const O_PATH = 0o10000000

function tree(nodes: readonly Placed[], links: readonly Link[], { options, ...rest }: Devices): readonly Step[] {
  const { data, set, recursiveSet } = readOptions(options, "/dev")
  const [uid, gid] = [rest.hostUid(0), rest.hostGid(0)]
  const mode = Number.parseInt(data.find((option) => option.startsWith("mode="))?.slice(5) ?? "755", 8)
  const parents = new Set(nodes.flatMap(([path]) => parentsOf(path.slice("/dev/".length))))
  const directory = (name: string, mode: number): Step => ({
    phase: "host",
    op: "make-dir",
    at: "dev",
    name,
    mode,
    uid,
    gid,
    does: name === "." ? "give /dev to the container's root" : `make the directory /dev/${name}`,
    why:
      name === "."
        ? "it may add and remove names there, as in any /dev"
        : "something of the container's own will lie there",
  })
  return [
    {
      phase: "host",
      op: "new-mount",
      type: "tmpfs",
      source: "tmpfs",
      options: data,
      // Read-only it becomes when all is in it: mounts.ts.
      attributes: (set | recursiveSet) & ~ATTR.rdonly,
      gives: "dev",
      does: "make an empty /dev in memory",
      why: "the host's own /dev has its disks and its keyboard in it",
    },
    directory(".", mode),
    ...[...DIRECTORIES, ...parents].map((name) => directory(name, 0o755)),
    ...nodes.map(([path, device]) => node("dev", path.slice("/dev/".length), path, device, { options, ...rest })),
    ...links.map((one) => link("dev", "host", one)),
  ]
}

/** Nodes for other places, numbered, on a file system that the container never sees. */
function spares(nodes: readonly Placed[], given: Devices): readonly Step[] {
  if (nodes.length === 0) return []
  return [
    {
      phase: "host",
      op: "new-mount",
      type: "tmpfs",
      source: "tmpfs",
      // The container's root, a stranger out here, goes through it to the node that it clones.
      options: ["mode=711"],
      attributes: ATTR.nosuid | ATTR.noexec,
      gives: "nodes",
      does: "make an empty directory in memory",
      why: "device nodes for other places than our /dev need a file system to be on",
    },
    ...nodes.map(([path, device], index) => node("nodes", `${index}`, path, device, given)),
  ]
}

function node(
  at: Slot,
  name: string,
  path: string,
  { type, major, minor, fileMode = 0o666, uid = 0, gid = 0 }: Device,
  owner: Devices,
): Step {
  if (type !== "p" && (major === undefined || minor === undefined))
    throw new EngineError(
      "INVALID_CONFIG",
      `cannot make the device ${path}: it has no ${major === undefined ? "major" : "minor"} number`,
    )
  const kind = TYPE[type]
  if (kind === undefined)
    throw new EngineError(
      "INVALID_CONFIG",
      `cannot make the device ${path}: its type ${JSON.stringify(type)} is none of c, b, u, p`,
    )
  const numbers = type === "p" ? "a pipe" : `${type} ${major}:${minor}`
  return {
    phase: "host",
    op: "make-node",
    at,
    name,
    mode: kind | (fileMode & 0o7777),
    major: major ?? 0,
    minor: minor ?? 0,
    uid: owner.hostUid(uid),
    gid: owner.hostGid(gid),
    does: `make ${path} (${numbers})`,
    why: "inside, a user namespace stops mknod",
  }
}

/** The nodes of `spares`, from inside. A mount can be cloned only where it lies somewhere: for a moment, over /dev. */
function place(paths: readonly string[]): readonly Step[] {
  if (paths.length === 0) return []
  const point = (path: string, kind: number): Step => ({
    phase: "child",
    op: "mount-point",
    path,
    kind,
    mode: kind === 0 ? 0o755 : 0o644,
    does: `make sure ${path} exists`,
    why: "one can only mount on something that is there",
  })
  return [
    point("/dev", 0),
    {
      phase: "child",
      op: "attach-mount",
      mount: "nodes",
      target: "/dev",
      does: "attach the nodes over /dev, for a moment",
      why: "a mount can be cloned only while it lies somewhere in this namespace",
    },
    ...paths.map(
      (path, index): Step => ({
        phase: "child",
        op: "clone-mount",
        source: `${index}`,
        from: "nodes",
        recursive: 0,
        set: ATTR.nosuid | ATTR.noexec,
        clear: 0,
        propagation: PROPAGATION.private,
        gives: `device${index}`,
        does: `clone the mount of the node for ${path}`,
        why: "a clone can lie anywhere, and be of one file",
      }),
    ),
    {
      phase: "child",
      op: "unmount",
      target: "/dev",
      does: "take the nodes off /dev again",
      why: "their clones stay",
    },
    ...paths.flatMap((path, index): readonly Step[] => [
      point(path, 1),
      {
        phase: "child",
        op: "attach-mount",
        mount: `device${index}`,
        target: path,
        does: `attach it at ${path}`,
        why: "here the container sees it",
      },
    ]),
  ]
}

function pathOf({ path }: Device): string {
  if (!path.startsWith("/"))
    throw new EngineError("INVALID_CONFIG", `cannot make the device ${path}: a device's path is absolute`)
  return normalize(path)
}

/** `snd/by-id/usb` → `snd`, `snd/by-id`. */
const parentsOf = (name: string): readonly string[] =>
  name
    .split("/")
    .slice(0, -1)
    .map((_, index, parts) => parts.slice(0, index + 1).join("/"))
