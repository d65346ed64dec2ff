/**
 * The devices that every container has, and the rules for those that it may have.
 *
 *     node   a name in /dev for a pair of numbers: null is c 1:3          linux.devices
 *     rule   which pairs may be made, read, written, whatever their name  linux.resources.devices
 *
 * Safe to share are devices without a state that one container could leave behind for another: the bit bucket, zeroes,
 * randomness, and terminals, which are the container's own.
 *
 * Read on: host-devices.ts, what a request adds; plan/devices.ts. OCI runtime-spec config-linux.md "Default Devices".
 * @see Linux Documentation/admin-guide/devices.txt for the numbers
 */

import type { Device, DeviceRule } from "../model/oci.ts"

const node = (name: string, major: number, minor: number): Device => ({
  type: "c",
  path: `/dev/${name}`,
  major,
  minor,
  fileMode: 0o666,
  uid: 0,
  gid: 0,
})

/** The nodes that the specification demands of every runtime; plan/devices.ts makes them also for a config that does not list them. */
export const defaultDevices: readonly Device[] = [
  node("null", 1, 3),
  node("zero", 1, 5),
  node("full", 1, 7),
  node("random", 1, 8),
  node("urandom", 1, 9),
  node("tty", 5, 0),
]

/**
 * Docker's rules: nothing, then what follows. Later rules win.
 * To make a node is allowed for every pair: it is useless without the right to open it.
 */
export const defaultDeviceRules: readonly DeviceRule[] = [
  { allow: false, access: "rwm" },
  { allow: true, type: "c", access: "m" },
  { allow: true, type: "b", access: "m" },
  ...defaultDevices.map(
    ({ type, major, minor }): DeviceRule => ({ allow: true, type, major: major!, minor: minor!, access: "rwm" }),
  ),
  // /dev/ptmx, /dev/pts/*: the container's own terminals. One of them lies on /dev/console, so c 5:1, the machine's, is none of its
  // business: a root that may make nodes could listen to who types there. Docker allows it.
  { allow: true, type: "c", major: 5, minor: 2, access: "rwm" },
  { allow: true, type: "c", major: 136, access: "rwm" },
  // /dev/net/tun makes interfaces in the opener's own network namespace only.
  { allow: true, type: "c", major: 10, minor: 200, access: "rwm" },
]
