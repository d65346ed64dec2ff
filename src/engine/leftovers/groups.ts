/**
 * Leftovers in the kernel: cgroups of containers that are gone, and mounts on our directories.
 *
 *     /sys/fs/cgroup/…/minicontainer/ID           without a containers/ID
 *     /sys/fs/cgroup/…/minicontainer-4f1e22       of a root that is not the default one and has no container: nobody else would remove it
 *     STATE/…, RUN/… in the mount table           an executor mounts only in a namespace of its own, so these are strangers'
 *
 * Read on: ../reconcile.ts, groupsOf. cgroups(7), mount_namespaces(7).
 */

import { existsSync, readdirSync, readFileSync } from "node:fs"
import { doSteps, planOf } from "../../executor/do.ts"
import { groupPath } from "../../host/cgroups.ts"
import { parseMountinfo } from "../../host/mountinfo.ts"
import type { Step } from "../../plan/step.ts"
import { isNamedByProcess } from "../../record/alive.ts"
import { listRecords } from "../../record/containers.ts"
import { containerDirectory } from "../../record/store.ts"
import { cgroupOf } from "../../spec/placement.ts"
import type { World } from "../world.ts"
import type { Class, Leftover } from "./types.ts"

const ID = /^[0-9a-f]{64}$/

export const groups: Readonly<Record<string, Class>> = {
  cgroups: {
    about: "the cgroup of a container that is gone, or the empty parent of a root's containers",
    find: (world) => parents(world).flatMap((parent) => inGroup(world, parent)),
  },
  mounts: {
    about: "a file system that is mounted on a directory of ours",
    find: (world) => {
      const { state, run } = world.roots
      return parseMountinfo(readFileSync("/proc/self/mountinfo", "utf8"))
        .filter(({ point }) => [state, run].some((root) => point.startsWith(`${root}/`) && point !== run))
        .toReversed()
        .map(({ point }) => ({
          what: point,
          fix: () => carryOut(world, { op: "unmount", target: point, does: `unmount ${point}` }),
        }))
    },
  },
}

/** The group below which a root's containers are, in every hierarchy. */
function parents(world: World): readonly string[] {
  const { base } = world.host([]).cgroups
  return Object.entries(base)
    .map(([mount, below]) => `${groupPath(mount, below)}${cgroupOf(world.scope())}`)
    .filter((path) => existsSync(path))
}

function inGroup(world: World, parent: string): readonly Leftover[] {
  const store = world.store()
  const left = directoriesIn(parent)
    .filter((name) => ID.test(name) && !existsSync(containerDirectory(store, name)) && !isNamedByProcess(name))
    .map((name) => `${parent}/${name}`)
  // The parent of the default root is for ever: the next container would make it again.
  const { ids, drafts } = listRecords(store)
  const isIdle = world.scope() !== "" && ids.length === 0 && drafts.length === 0 && isEmpty(parent)
  return (isIdle ? [parent] : left).map((path) => ({
    what: path,
    fix: () => carryOut(world, { op: "remove-cgroup", path, does: `remove the cgroup ${path}` }),
  }))
}

const directoriesIn = (path: string): readonly string[] =>
  readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []))

/** No process in it or below: of a monitor that is just ending, too. */
const isEmpty = (path: string): boolean =>
  readFileSync(`${path}/cgroup.procs`, "utf8").trim() === "" &&
  directoriesIn(path).every((name) => isEmpty(`${path}/${name}`))

type Act =
  Extract<Step, { readonly op: "unmount" | "remove-cgroup" }> extends infer S
    ? S extends Step
      ? Omit<S, "phase" | "why">
      : never
    : never
async function carryOut(world: World, act: Act): Promise<void> {
  const why = "nobody uses it any more"
  await doSteps(world.executor(), planOf([{ phase: "host", ok: ["ENOENT", "EINVAL"], why, ...act } as Step]))
}
