/**
 * Protection: what of /proc and /sys a container may not see, or not write.
 *
 * Not everything in there belongs to a namespace: /proc/kcore is the machine's memory, /proc/sys has settings of the whole
 * kernel. Masking lays something empty on top; a read-only path gets a read-only clone of itself.
 *
 *     /proc/kcore   ← /dev/null          /proc/acpi   ← an empty read-only tmpfs
 *     /proc/sys     ← itself, read-only
 *
 * Masks come last: while an unmasked proc is visible the kernel allows another to be mounted. A path that this kernel does
 * not have needs no protection.
 *
 * Read on: security.ts in spec/, for the lists. OCI runtime-spec config-linux.md "Masked Paths".
 */

import { ATTR, PROPAGATION } from "../formats/mount/options.ts"
import type { Step } from "./step.ts"

/** Phase host: what files are hidden below. Slot "null"; nothing if nothing is masked. */
export function maskSource(masked: readonly string[]): readonly Step[] {
  if (masked.length === 0) return []
  return [
    {
      phase: "host",
      op: "clone-mount",
      source: "/dev/null",
      recursive: 0,
      // Writing to a device is no writing to its file system; chmod and chown, which would change the host's own, are.
      set: ATTR.rdonly | ATTR.nosuid | ATTR.noexec,
      clear: 0,
      propagation: PROPAGATION.private,
      gives: "null",
      does: "clone the mount of /dev/null",
      why: "files that are to be hidden will lie below it",
    },
  ]
}

/** Phase child, after all mounts and sysctls. */
export function protect(masked: readonly string[], readonly: readonly string[]): readonly Step[] {
  return [
    ...readonly.flatMap((path): Step[] => [
      {
        phase: "child",
        op: "clone-mount",
        source: path,
        recursive: 1,
        set: ATTR.rdonly,
        clear: 0,
        propagation: PROPAGATION.private,
        gives: `read-only ${path}`,
        ok: ["ENOENT"],
        does: `clone ${path}, read-only`,
        why: "these settings are the whole kernel's, not the container's",
      },
      {
        phase: "child",
        op: "attach-mount",
        mount: `read-only ${path}`,
        target: path,
        does: `lay the read-only clone on ${path}`,
        why: "the writable one is out of reach below it",
      },
    ]),
    ...(masked.length === 0
      ? []
      : [
          {
            phase: "child",
            op: "new-mount",
            type: "tmpfs",
            source: "mask",
            options: ["size=4k", "mode=755"],
            attributes: ATTR.rdonly | ATTR.nosuid | ATTR.nodev | ATTR.noexec,
            gives: "empty",
            does: "make an empty read-only directory",
            why: "directories that are to be hidden will lie below it",
          } as const,
        ]),
    ...masked.map(
      (path): Step => ({
        phase: "child",
        op: "mask",
        path,
        null: "null",
        empty: "empty",
        ok: ["ENOENT"],
        does: `hide ${path}`,
        why: "it tells about, or controls, the whole machine",
      }),
    ),
  ]
}
