/**
 * Devices: a node to be made, and rules for nodes that are made later.
 *
 *     --device /dev/fuse                       the same path inside, rwm
 *     --device /dev/sda:/dev/xvda:r            another path, reading only
 *     --device-cgroup-rule 'c 189:* rmw'       every USB device, once it is there
 *
 * Read on: plan/devices.ts.
 */

import { BadValue } from "../flags.ts"

export interface DeviceRequest {
  readonly host: string
  readonly container: string
  /** Letters of `rwm`: read, write, mknod(2). */
  readonly access: string
}

const isAccess = (text: string) => /^[rwm]{1,3}$/.test(text) && new Set(text).size === text.length

/** `HOST[:CONTAINER][:ACCESS]`; two parts are a path and access, if the second can be access. */
export function device(text: string): DeviceRequest {
  if (/^[^/:=]+\/[^/:=]+=/.test(text)) {
    throw new BadValue("devices by CDI name are not built yet", "give the path of a device node", "UNSUPPORTED")
  }
  const [host = "", ...rest] = text.split(":")
  const access = rest.length > 0 && isAccess(rest.at(-1)!) ? rest.pop()! : "rwm"
  const [container = host, ...more] = rest
  if (more.length > 0)
    throw new BadValue("not of the form HOST:CONTAINER:ACCESS", "access is letters of rwm: r, rw, rwm")
  for (const path of [host, container]) {
    if (!path.startsWith("/"))
      throw new BadValue(`${path || '""'} is not an absolute path`, "for example /dev/fuse or /dev/sda:/dev/xvda:r")
  }
  return { host, container, access }
}

/** `TYPE MAJOR:MINOR ACCESS`, as the devices cgroup has it. */
export function deviceRule(text: string): string {
  if (/^[abc] (\d+|\*):(\d+|\*) [rwm]{1,3}$/.test(text)) return text
  throw new BadValue("not of the form TYPE MAJOR:MINOR ACCESS", "for example 'c 1:3 rwm' or 'b 8:* r'")
}
