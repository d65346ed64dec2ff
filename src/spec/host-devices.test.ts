import { expect, test } from "bun:test"
import { HOST } from "../../test/fixtures/server.ts"
import type { EngineError } from "../base/errors.ts"
import type { Request } from "../model/request.ts"
import { hostDevices } from "./host-devices.ts"

const made = (request: Partial<Request>): string => {
  const { nodes, rules } = hostDevices({ rootfs: "/r", args: ["sh"], ...request }, HOST)
  return [
    ...nodes.map(
      ({ type, path, major, minor, fileMode, uid, gid }) =>
        `node ${path} ${type} ${major}:${minor} ${fileMode?.toString(8)} ${uid}:${gid}`,
    ),
    ...rules.map(
      ({ allow, type = "all", major = "*", minor = "*", access }) =>
        `${allow ? "allow" : "deny"} ${type} ${major}:${minor} ${access}`,
    ),
  ].join("\n")
}
const device = (host: string, container = host, access = "rwm") => ({ host, container, access })
const check = (name: string, request: Partial<Request>, expected: string) =>
  test(name, () => expect(made(request)).toBe(expected))

check("none", {}, "")
check("one", { devices: [device("/dev/fuse")] }, "node /dev/fuse c 10:229 666 0:0\nallow c 10:229 rwm")
check(
  "one under another name, read only",
  { devices: [device("/dev/sda", "/dev/x/../xvda", "r")] },
  "node /dev/xvda b 8:0 660 0:6\nallow b 8:0 r",
)
check(
  "a directory of them",
  { devices: [device("/dev/snd", "/dev/sound", "rw")] },
  `node /dev/sound/controlC0 c 116:2 660 0:29
node /dev/sound/timer c 116:33 660 0:29
allow c 116:2 rw
allow c 116:33 rw`,
)
check(
  "privileged: all, but for what a container makes itself",
  { privileged: true },
  `node /dev/fuse c 10:229 666 0:0
node /dev/sda b 8:0 660 0:6
node /dev/snd/controlC0 c 116:2 660 0:29
node /dev/snd/timer c 116:33 660 0:29
allow all *:* rwm`,
)
check(
  "privileged, and one under another name",
  { privileged: true, devices: [device("/dev/sda", "/dev/fuse")] },
  `node /dev/fuse b 8:0 660 0:6
node /dev/sda b 8:0 660 0:6
node /dev/snd/controlC0 c 116:2 660 0:29
node /dev/snd/timer c 116:33 660 0:29
allow all *:* rwm`,
)

const refused = (given: ReturnType<typeof device>, message: string) =>
  test(message, () => {
    try {
      made({ devices: [given] })
    } catch (error) {
      return expect(`${(error as EngineError).code} ${(error as EngineError).message}`).toBe(message)
    }
    throw new Error("it was accepted")
  })
refused(device("/dev/nothing"), "SOURCE_UNUSABLE cannot add the device /dev/nothing: no such file or directory")
refused(device("/srv/file"), "SOURCE_UNUSABLE cannot add the device /srv/file: it is not a device")
refused(
  device("/dev/empty"),
  "SOURCE_UNUSABLE cannot add the device /dev/empty: there is no device in this directory that could be given",
)
refused(device("dev/fuse"), "INVALID_VALUE cannot add the device dev/fuse: dev/fuse is not an absolute path")
refused(device("/dev/fuse", "fuse"), "INVALID_VALUE cannot add the device /dev/fuse: fuse is not an absolute path")
refused(
  device("/dev/fuse", "/dev/fuse", "rx"),
  `INVALID_VALUE cannot add the device /dev/fuse: its access "rx" is not made of r, w and m`,
)
refused(
  device("/dev/fuse", "/dev/fuse", ""),
  `INVALID_VALUE cannot add the device /dev/fuse: its access "" is not made of r, w and m`,
)
