/**
 * The freezer: all processes of a group held where they are, and let go again.
 *
 *     /sys/fs/cgroup/minicontainer/<id>
 *       cgroup.freeze     write 1, write 0
 *       cgroup.events     frozen 1: the last of them has stopped
 *
 *     /sys/fs/cgroup/freezer/minicontainer/<id>      version 1
 *       freezer.state     write FROZEN, THAWED; read FREEZING until the last of them has stopped
 *
 * Unlike SIGSTOP it cannot be noticed, handled or lifted from inside. The kernel's file is the only place where it is written
 * down: whoever asks whether a container is paused reads it there, so a crash of ours cannot make it a lie.
 *
 * A frozen process of version 1 does not even die of SIGKILL before it is thawed; on version 2 it does.
 *
 * Read on: cgroups.ts. Linux Documentation/admin-guide/cgroup-v2.rst, "cgroup.freeze"; cgroup-v1/freezer-subsystem.rst.
 */

import type { Cgroups } from "../model/host.ts"
import type { Step } from "./step.ts"

export interface Freezer {
  /** The file that is written; absolute. */
  readonly file: string
  readonly freeze: string
  readonly thaw: string
  /** The file that tells how far it is; absolute. */
  readonly seen: string
}

/** The freezer of a container's group; undefined where there is none. @param path below the base of each hierarchy: `/minicontainer/<id>`. */
export function freezerOf(cgroups: Cgroups, path: string): Freezer | undefined {
  const { mode, unified, controllers, base } = cgroups
  const mount = mode === "v2" ? unified : mode === "v1" ? controllers.freezer : undefined
  if (mount === undefined) return undefined
  const above = base[mount] ?? "/"
  const group = `${mount}${above === "/" ? "" : above}${path}`
  return mode === "v2"
    ? { file: `${group}/cgroup.freeze`, freeze: "1", thaw: "0", seen: `${group}/cgroup.events` }
    : { file: `${group}/freezer.state`, freeze: "FROZEN", thaw: "THAWED", seen: `${group}/freezer.state` }
}

/** What the text of `seen` says. `freezing`: it has been asked for, and some process has not stopped yet (version 1 tells). */
export function frozenIn(text: string): "frozen" | "freezing" | "thawed" {
  if (/^(FROZEN$|frozen 1$)/m.test(text)) return "frozen"
  return /^FREEZING$/m.test(text) ? "freezing" : "thawed"
}

/** @param name of the container, for people. */
export const freezeStep = ({ file, freeze, thaw }: Freezer, name: string): Step => ({
  phase: "host",
  op: "write",
  path: file,
  text: freeze,
  does: `freeze ${name}`,
  why: "all its processes stop at one moment, and cannot notice",
  undo: { op: "write", path: file, text: thaw, does: `thaw ${name}`, when: "failure" },
})

export const thawStep = ({ file, thaw }: Freezer, name: string): Step => ({
  phase: "host",
  op: "write",
  path: file,
  text: thaw,
  // The group may go with its container: before the file is opened, or between that and the write.
  ok: ["ENOENT", "ENODEV"],
  does: `thaw ${name}`,
  why: "its processes go on where they were stopped",
})
