/**
 * Where a container's three streams go, as bits: spec/ sets them in a Placement, plan/ copies them into the frame of a
 * wire, the executor's monitor and front obey.
 *
 * Read on: plan/step.ts, HEADER.
 */

/** Bits of `stdio` in a Placement and in HEADER of plan/step.ts. */
export const STDIO = {
  /** The caller's stdin is passed on. */
  stdin: 1,
  /** The caller sees stdout, stderr. */
  stdout: 2,
  stderr: 4,
  /** The container has a terminal: one stream for all three. */
  terminal: 8,
  /** `-i`: the container's stdin stays open when nobody is attached. Without it stdin is /dev/null. */
  open: 16,
  /** `-d`: the front ends when the program runs. */
  detached: 32,
  /** Signals that the front receives go to the container (`--sig-proxy`). */
  signals: 64,
  /** Stdio is inherited untouched; there is neither front nor monitor (`stay: none`). */
  inherit: 128,
} as const
