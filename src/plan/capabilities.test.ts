import { expect, test } from "bun:test"
import { CAPABILITIES } from "../model/capabilities.ts"
import type { Capabilities } from "../model/oci.ts"
import { capabilities, mask, names } from "./capabilities.ts"
import { explain } from "./explain.ts"

const EVERYTHING = (1n << 41n) - 1n
const DOCKER = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
]
const given = (
  asked: Capabilities | undefined,
  { uid = 0, userNamespace = true, own = EVERYTHING, kernel = [6, 1] as readonly [number, number] } = {},
) => capabilities(asked, { uid, userNamespace, host: { kernel, capabilities: own } })
const usual = { bounding: DOCKER, permitted: DOCKER, effective: DOCKER }

test("names and bits are the kernel's", () => {
  expect(mask(DOCKER)).toBe(0xa80425fbn)
  expect(mask(["CAP_CHOWN"])).toBe(1n)
  expect(mask(["CAP_CHECKPOINT_RESTORE"])).toBe(1n << 40n)
  expect(mask(CAPABILITIES)).toBe(EVERYTHING)
  expect(names(0b100001n)).toEqual(["CAP_CHOWN", "CAP_KILL"])
  expect(names(mask(CAPABILITIES))).toEqual([...CAPABILITIES])
})

test("a name that no kernel has is an error", () => {
  expect(() => mask(["CAP_CHOWN", "CAP_FLY"])).toThrow(
    'cannot give the capability "CAP_FLY": there is none of this name',
  )
  expect(() => mask(["cap_chown"])).toThrow('cannot give the capability "cap_chown"')
})

test("root: the bounding set decides", () => {
  const { before, after, warnings } = given(usual)
  expect(explain([...before, ...after])).toBe(`
start  give up all but 14 capabilities for ever
start  switch on 14 capabilities
start  empty the ambient set`)
  expect(warnings).toEqual([])
  expect(before[0]).toMatchObject({ op: "bounding", mask: 0xa80425fbn })
  expect(after[0]).toMatchObject({ effective: 0xa80425fbn, permitted: 0xa80425fbn, inheritable: 0n })
})

test("another user: the permitted set is kept over the change, for what is ambient", () => {
  const { before, after } = given({ ...usual, inheritable: ["CAP_NET_RAW"], ambient: ["CAP_NET_RAW"] }, { uid: 1000 })
  expect(explain([...before, ...after])).toBe(`
start  give up all but 14 capabilities for ever
start  keep the permitted set when the user changes
start  switch on 14 capabilities
start  pass CAP_NET_RAW on to programs that are not root`)
})

test("none at all", () => {
  const { before, after } = given(undefined, { uid: 1000 })
  expect(explain([...before, ...after])).toBe(`
start  give up every capability for ever
start  switch on no capability
start  empty the ambient set`)
})

test("without a user namespace nobody gives what he lacks", () => {
  const own = EVERYTHING & ~mask(["CAP_SYS_RESOURCE"])
  const asked = { bounding: ["CAP_SYS_RESOURCE", "CAP_KILL"], permitted: ["CAP_SYS_RESOURCE", "CAP_KILL"] }
  const { before, warnings } = given(asked, { userNamespace: false, own })
  expect(before[0]).toMatchObject({ mask: mask(["CAP_KILL"]) })
  expect(warnings).toEqual(["CAP_SYS_RESOURCE is not given: we do not have it ourselves"])
  expect(given(asked, { userNamespace: true, own }).warnings).toEqual([])
})

test("what cannot be given is left out with a warning, as the specification says", () => {
  expect(given({ bounding: ["CAP_BPF", "CAP_FLY"] }, { kernel: [5, 4] }).warnings).toEqual([
    "CAP_BPF is not given: it needs Linux 5.8",
    "CAP_FLY is not given: there is no capability of this name",
  ])
  expect(
    given({ bounding: ["CAP_KILL"], effective: ["CAP_KILL"], ambient: ["CAP_KILL"], permitted: [] }).warnings,
  ).toEqual([
    "CAP_KILL is not given: the config makes it effective but not permitted",
    "CAP_KILL is not given: the config makes it ambient but not permitted and inheritable",
  ])
})
