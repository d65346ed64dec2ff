/**
 * Gate: a container that is made in one call and started in another.
 *
 *     create   child ── read(fifo) … waits
 *     start            write(fifo, 1 byte) ──▶ child goes on: hooks, credentials, exec
 *
 * The FIFO is opened before the clone, for reading and writing: so opening does not wait, and the child needs no path to it, which
 * inside its own root it would not have. If the child is dead nobody has it open, and `start` gets ENXIO instead of waiting for ever.
 *
 * Read on: plan.ts. OCI runtime-spec runtime.md "Operations"; Linux man-pages fifo(7).
 */

import type { Step } from "./step.ts"

const O_RDWR = 2

/** Phase host. @param runDirectory where the FIFO `gate` is made. */
export function makeGate(runDirectory: string): readonly Step[] {
  const path = `${runDirectory}/gate`
  return [
    {
      phase: "host",
      op: "mkfifo",
      path,
      mode: 0o600,
      does: `make the gate ${path}`,
      why: "`start` writes to it",
      undo: { op: "unlink", path, does: `remove ${path}` },
    },
    {
      phase: "host",
      op: "open",
      path,
      flags: O_RDWR,
      gives: "gate",
      does: "open the gate",
      why: "the child will wait on it, and could not find it from inside",
    },
  ]
}

/** Phase gate. */
export const waitAtGate: Step = {
  phase: "gate",
  op: "gate",
  fifo: "gate",
  does: "wait for start",
  why: "the OCI runtime interface makes a container and starts it in two steps",
}
