/**
 * Overlay: many read-only layers and one writable directory, seen as one tree.
 *
 *     root       what the container sees
 *       upper    its own changes; a deleted file is a whiteout here
 *       layers   the image, newest in front, shared by every container of it
 *
 * The kernel copies a file up on its first write, so a container starts without copying anything.
 * With a user namespace the layers are seen through an idmapped clone, so that what root owns on disk belongs to root inside.
 * The overlay is mounted by the host's root: mounted inside, the kernel would ignore `trusted.overlay.opaque`, and
 * deleted files would come back. All of it happens in a private mount namespace, so the host's mount table never shows
 * anything, and whoever dies, the mounts end.
 *
 * Read on: mounts.ts. Linux Documentation/filesystems/overlayfs.rst.
 */

import type { Rootfs } from "../model/placement.ts"
import type { Phase, Step } from "./step.ts"

export interface Overlay {
  /** A directory that holds all layers; absent: `layers` are absolute. */
  readonly store?: string | undefined
  /** Directories, oldest first. */
  readonly layers: readonly string[]
  /** Holds `upper` and `work`. On a file system that can be an upper: not overlayfs, not NFS. */
  readonly writable: string
  /** An existing directory on which we mount, in a mount namespace of our own: `root`, `lower` are made in it. */
  readonly staging: string
  /** Owner of the new `upper` on the host: the container's root. */
  readonly uid: number
  readonly gid: number
  /** Slot "userns" holds the container's user namespace: show the layers with its ids. */
  readonly shifted: boolean
}

/** MS_PRIVATE: the staging mounts send nothing anywhere. */
const MS_PRIVATE = 1 << 18
const MS_SLAVE = 1 << 19

/** Directories that the overlay needs: phase host. Whoever owns `writable` removes them with it. */
export function overlayDirectories({ writable, staging, uid, gid, shifted, store, layers }: Overlay): readonly Step[] {
  const make = (path: string, mode: number, why: string, owner = { uid: 0, gid: 0 }): Step => ({
    phase: "host",
    op: "mkdir",
    path,
    mode,
    ...owner,
    ok: ["EEXIST"],
    does: `make ${path}`,
    why,
  })
  return [
    make(`${writable}/upper`, 0o755, "the container's changes go here; its mode and owner become those of / inside", {
      uid,
      gid,
    }),
    make(`${writable}/work`, 0o700, "overlayfs prepares files here before it renames them into place"),
    make(`${staging}/root`, 0o700, "something to mount on"),
    ...(shifted && (store !== undefined || layers.length === 1)
      ? [make(`${staging}/lower`, 0o700, "something to mount the shifted layers on")]
      : []),
    ...(shifted && store === undefined && layers.length > 1
      ? layers.map((_, index) => make(`${staging}/lower-${index}`, 0o700, "one for each layer"))
      : []),
  ]
}

/** The overlay itself; gives slot "root". Runs in a private mount namespace; phase parent if shifted, since it needs the child's user namespace. */
export function overlay(given: Overlay): readonly Step[] {
  const { store, writable, staging, shifted } = given
  const phase: Phase = shifted ? "parent" : "host"
  // The kernel searches from the left, and answers ELOOP to a directory that appears twice. Images do
  // repeat layers (an empty one, mostly); the newest of two equal layers hides the other completely.
  const newestFirst = [...new Set(given.layers.toReversed())]

  const stack = (lower: readonly string[], layers?: string): Step => ({
    phase,
    op: "overlay",
    ...(layers && { layers }),
    lower,
    upper: `${writable}/upper`,
    work: `${writable}/work`,
    options: [],
    target: `${staging}/root`,
    gives: "root",
    does: `stack ${newestFirst.length === 1 ? newestFirst[0] : `${newestFirst.length} layers`} and a writable directory`,
    why: "the layers are never written and can be shared; the changes are the container's own",
    // No undo: the mount ends with the executor's private mount namespace.
  })
  if (!shifted) return [stack(store === undefined ? newestFirst : newestFirst.map((layer) => `${store}/${layer}`))]

  /** Before Linux 6.15 a lower directory must lie in an attached mount, so the clone is put somewhere first. */
  const shift = (source: string, target: string, slot: string): readonly Step[] => [
    {
      phase,
      op: "clone-mount",
      source,
      recursive: 0,
      userns: "userns",
      set: 0,
      clear: 0,
      propagation: MS_PRIVATE,
      gives: slot,
      does: `show ${source} with the container's ids`,
      why: "the files on disk keep their owners; only this view of them is shifted",
    },
    {
      phase,
      op: "attach-mount",
      mount: slot,
      target,
      does: `put that view at ${target}`,
      why: "older kernels take no layer from a mount that lies nowhere",
    },
  ]
  if (store !== undefined) return [...shift(store, `${staging}/lower`, "layers"), stack(newestFirst, "layers")]
  if (newestFirst.length === 1)
    return [...shift(newestFirst[0] ?? "", `${staging}/lower`, "layers"), stack([`${staging}/lower`])]
  return [
    ...newestFirst.flatMap((layer, index) => shift(layer, `${staging}/lower-${index}`, `layer${index}`)),
    stack(newestFirst.map((_, index) => `${staging}/lower-${index}`)),
  ]
}

/**
 * The container's root file system, as a detached mount in slot "root": host steps and, if shifted, parent steps.
 * @param staging where the overlay is put together; any container may use the same, for each is alone in its mount namespace.
 */
export function rootFileSystem(
  rootfs: Rootfs,
  {
    staging,
    uid,
    gid,
    shifted,
    listens = false,
  }: {
    readonly staging: string
    readonly uid: number
    readonly gid: number
    readonly shifted: boolean
    /** What the host mounts below a directory later shall appear inside: `rootfsPropagation` slave. */
    readonly listens?: boolean
  },
): { readonly host: readonly Step[]; readonly parent: readonly Step[] } {
  if (rootfs.kind === "directory")
    return {
      host: [
        {
          phase: "host",
          op: "clone-mount",
          source: rootfs.path,
          recursive: 1,
          set: 0,
          clear: 0,
          propagation: listens ? MS_SLAVE : MS_PRIVATE,
          gives: "root",
          does: `clone the mount of ${rootfs.path}`,
          why: "only a mount can become the root",
        },
      ],
      parent: [],
    }
  const given: Overlay = { ...rootfs, staging, uid, gid, shifted }
  const mounting: readonly Step[] = [
    ...overlay(given),
    {
      phase: shifted ? "parent" : "host",
      op: "enter-mounts",
      namespace: "host mounts",
      does: "go back to the host's mount namespace",
      why: "volumes are cloned from there, and the monitor pins nothing",
    },
  ]
  return {
    host: [
      ...overlayDirectories(given),
      {
        phase: "host",
        op: "private-mounts",
        gives: "host mounts",
        does: "enter a mount namespace of our own",
        why: "what is mounted while we prepare never shows on the host, and ends with us",
      },
      ...(shifted ? [] : mounting),
    ],
    parent: shifted ? mounting : [],
  }
}
