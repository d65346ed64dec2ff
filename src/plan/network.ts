/**
 * Network: a namespace of its own is an empty machine: one interface, `lo`, and that one down.
 *
 *     container      lo 127.0.0.1, ::1
 *
 * The loopback interface always has number 1. Setting it up gives it its addresses: the kernel adds 127.0.0.1 and ::1 itself.
 *
 * Read on: formats/netlink/route.ts. Linux man-pages network_namespaces(7), rtnetlink(7).
 */

import { linkUp, NETLINK_ROUTE } from "../formats/netlink/route.ts"
import type { Step } from "./step.ts"

/** Phase child: inside the new network namespace. */
export const loopback: Step = {
  phase: "child",
  op: "netlink",
  protocol: NETLINK_ROUTE,
  messages: linkUp(1),
  fds: [],
  offsets: [],
  does: "set the loopback interface up",
  why: "in a new network namespace even localhost is down, and programs rely on it",
}
