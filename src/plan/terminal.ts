/**
 * Terminal: a pair of ends. What is written to one comes out of the other, with lines, echo and Ctrl-C in between.
 *
 *     people ── front ── monitor ── ptmx │ kernel's line discipline │ pts/0 ── the program's stdin, stdout, stderr
 *
 * The pair is made inside, in the container's own devpts, so that `tty` names something that exists there. The program's
 * end becomes the controlling terminal of a new session: that is what gives it job control and Ctrl-C.
 *
 * Read on: native/front.c, native/monitor.c. Linux man-pages pty(7), credentials(7) "Sessions".
 */

import type { Step } from "./step.ts"

export interface Terminal {
  /** Owner inside: the program's user. */
  readonly uid: number
  readonly gid: number
  readonly rows: number
  readonly columns: number
  /** The path of a socket that wants the ptmx (OCI's --console-socket); absent: the monitor. */
  readonly consoleSocket?: string | undefined
  /** Bind it over /dev/console; not for a program that joins. */
  readonly console: boolean
}

/** Phase host: the one who wants the terminal. */
export function consoleSocket({ consoleSocket }: Terminal): readonly Step[] {
  if (consoleSocket === undefined) return []
  return [
    {
      phase: "host",
      op: "connect",
      path: consoleSocket,
      gives: "console socket",
      does: `connect to the console socket ${consoleSocket}`,
      why: "whoever listens there gets the container's terminal",
    },
  ]
}

/** Phase child, after the mounts. */
export function openTerminal({ uid, gid, rows, columns, consoleSocket, console }: Terminal): readonly Step[] {
  return [
    {
      phase: "child",
      op: "open-terminal",
      uid,
      gid,
      rows,
      columns,
      ...(consoleSocket !== undefined && { socket: "console socket" }),
      gives: "terminal",
      does: "open a terminal",
      why: "its other end goes outside, to whoever watches and types",
    },
    ...(console
      ? ([
          {
            phase: "child",
            op: "mount-point",
            path: "/dev/console",
            kind: 1,
            mode: 0o600,
            does: "make sure /dev/console exists",
            why: "one can only mount on something that is there",
          },
          {
            phase: "child",
            op: "clone-mount",
            source: "",
            from: "terminal",
            recursive: 0,
            set: 0,
            clear: 0,
            propagation: 0,
            gives: "console",
            does: "clone the mount of the terminal",
            why: "the same device, to be seen at a second place",
          },
          {
            phase: "child",
            op: "attach-mount",
            mount: "console",
            target: "/dev/console",
            does: "attach it at /dev/console",
            why: "programs that report to the console reach the one who watches",
          },
        ] as const)
      : []),
  ]
}

/** Phase start: every program gets a session of its own; one with a terminal takes it. */
export function session(terminal: boolean): readonly Step[] {
  return [
    {
      phase: "start",
      op: "session",
      does: "start a new session",
      why: "signals for the caller's process group do not reach the container by accident",
    },
    ...(terminal
      ? ([
          {
            phase: "start",
            op: "take-terminal",
            terminal: "terminal",
            does: "make the terminal stdin, stdout, stderr and the controlling terminal",
            why: "now Ctrl-C becomes SIGINT, and job control works",
          },
        ] as const)
      : []),
  ]
}
