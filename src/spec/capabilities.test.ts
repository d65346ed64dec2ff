import { expect, test } from "bun:test"
import { HOST } from "../../test/fixtures/server.ts"
import type { EngineError } from "../base/errors.ts"
import { CAPABILITIES } from "../model/capabilities.ts"
import { chooseCapabilities, sets } from "./capabilities.ts"

type Given = Parameters<typeof chooseCapabilities>[0] & {
  shared?: boolean
  lacks?: string[]
  kernel?: readonly [number, number]
}
const choose = ({ shared = false, lacks = [], kernel = HOST.kernel, ...request }: Given) => {
  const mask = CAPABILITIES.reduce((bits, name, bit) => (lacks.includes(name) ? bits : bits | (1n << BigInt(bit))), 0n)
  return chooseCapabilities(request, { ...HOST, kernel, capabilities: mask }, !shared)
}
const short = (names: readonly string[]): string => names.map((name) => name.replace("CAP_", "")).join(" ")
const check = (name: string, given: Given, expected: string) =>
  test(name, () => expect(short(choose(given).chosen)).toBe(expected))

const DEFAULTS =
  "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT MKNOD AUDIT_WRITE SETFCAP"
check("fourteen by default", {}, DEFAULTS)
check(
  "names with and without CAP_, in either case",
  { capAdd: ["net_admin", "CAP_SYS_NICE"], capDrop: ["cap_mknod", "Chown"] },
  "DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_ADMIN NET_RAW SYS_CHROOT SYS_NICE AUDIT_WRITE SETFCAP",
)
check("none", { capDrop: ["ALL"] }, "")
check("only one", { capDrop: ["all"], capAdd: ["CHOWN"] }, "CHOWN")
check("all", { capAdd: ["ALL"] }, short(CAPABILITIES))
check(
  "all but one",
  { capAdd: ["ALL"], capDrop: ["SYS_ADMIN"] },
  short(CAPABILITIES.filter((name) => name !== "CAP_SYS_ADMIN")),
)
check("all is what the kernel knows", { capAdd: ["ALL"], kernel: [5, 4] }, short(CAPABILITIES.slice(0, 38)))
check("privileged: all, whatever is dropped", { privileged: true, shared: true, capDrop: ["ALL"] }, short(CAPABILITIES))
check(
  "privileged: what the engine has",
  { privileged: true, shared: true, lacks: ["CAP_SYS_RESOURCE"] },
  short(CAPABILITIES.filter((name) => name !== "CAP_SYS_RESOURCE")),
)
check(
  "in a user namespace of its own, the engine's lack does not matter",
  { capAdd: ["SYS_RESOURCE"], lacks: ["CAP_SYS_RESOURCE"], capDrop: ["ALL"] },
  "SYS_RESOURCE",
)

test("a default that the engine lacks is left out, and said", () => {
  const { chosen, warnings } = choose({ shared: true, lacks: ["CAP_MKNOD", "CAP_AUDIT_WRITE"] })
  expect(short(chosen)).toBe(
    "CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE NET_RAW SYS_CHROOT SETFCAP",
  )
  expect(warnings).toEqual([
    "the engine does not have CAP_MKNOD, CAP_AUDIT_WRITE itself, and so the container does not",
  ])
})

const refused = (given: Given, code: EngineError["code"], message: string) =>
  test(message, () => {
    try {
      choose(given)
    } catch (error) {
      return expect(`${(error as EngineError).code} ${(error as EngineError).message}`).toBe(`${code} ${message}`)
    }
    throw new Error("it was accepted")
  })
refused({ capAdd: ["SYS_FLY"] }, "INVALID_VALUE", 'cannot add the capability "SYS_FLY": there is none of this name')
refused({ capDrop: [""] }, "INVALID_VALUE", 'cannot drop the capability "": there is none of this name')
refused(
  { capAdd: ["SYS_RESOURCE"], shared: true, lacks: ["CAP_SYS_RESOURCE"] },
  "HOST_LACKS",
  "cannot add CAP_SYS_RESOURCE: the engine does not have it itself",
)
refused({ capAdd: ["BPF"], kernel: [5, 4] }, "HOST_LACKS", "cannot add CAP_BPF: this kernel does not know it")

test("only root uses what it may have; nobody inherits", () => {
  expect(sets(["CAP_KILL"], 0)).toEqual({
    bounding: ["CAP_KILL"],
    effective: ["CAP_KILL"],
    permitted: ["CAP_KILL"],
    inheritable: [],
    ambient: [],
  })
  expect(sets(["CAP_KILL"], 33)).toEqual({
    bounding: ["CAP_KILL"],
    effective: [],
    permitted: [],
    inheritable: [],
    ambient: [],
  })
})
