import { describe, expect, test } from "bun:test"
import { device } from "../../test/bpf.ts"
import { EngineError } from "../base/errors.ts"
import { DEVICE_ACCESS, DEVICE_TYPE, disassembleExtended } from "../formats/bpf/extended.ts"
import type { DeviceRule } from "../model/oci.ts"
import { defaultDeviceRules } from "../spec/devices.ts"
import { deviceRules } from "./device-rules.ts"

const host = (mode: "v1" | "v2" | "none") => ({ cgroups: { mode, controllers: {}, base: {} } })
const GROUPS = { devices: "/cg/devices/x", unified: "/cg/x" }
/** The lines that are written on a v1 host. */
const v1 = (...rules: DeviceRule[]) =>
  deviceRules(rules, GROUPS, host("v1")).map((step) =>
    step.op === "write" ? `${step.path.slice("/cg/devices/x/devices.".length)} ${step.text}` : step.op,
  )
const programOf = (rules: readonly DeviceRule[]): Uint8Array | undefined => {
  const [step, ...more] = deviceRules(rules, GROUPS, host("v2"))
  expect(more).toEqual([])
  return step?.op === "device-program" ? step.program : undefined
}
/** Whether a v2 host allows `c 1:3 rw`. */
const v2 = (...rules: DeviceRule[]) => {
  const run = device(programOf(rules)!)
  return (question: string): boolean => {
    const [, type, major, minor, access] = /^([bc]) (\d+):(\d+) (\w+)$/.exec(question)!
    const bits = [...access!].reduce((sum, letter) => sum | DEVICE_ACCESS[letter as "r"], 0)
    return run({ type: DEVICE_TYPE[type as "b" | "c"], access: bits, major: Number(major), minor: Number(minor) })
  }
}

const none: DeviceRule = { allow: false, access: "rwm" }
const everything: DeviceRule = { allow: true, access: "rwm" }
const allow = (type: string, major?: number, minor?: number, access = "rwm"): DeviceRule => ({
  allow: true,
  type,
  ...(major !== undefined && { major }),
  ...(minor !== undefined && { minor }),
  access,
})
const deny = (type: string, major?: number, minor?: number, access = "rwm"): DeviceRule => ({
  ...allow(type, major, minor, access),
  allow: false,
})

describe("version 1", () => {
  test("the default rules: nothing, then what every program may count on", () => {
    expect(v1(...defaultDeviceRules).join("\n")).toBe(
      `deny a
allow c 10:200 rwm
allow c *:* m
allow b *:* m
allow c 1:3 rwm
allow c 1:5 rwm
allow c 1:7 rwm
allow c 1:8 rwm
allow c 1:9 rwm
allow c 5:0 rwm
allow c 5:2 rwm
allow c 136:* rwm`,
    )
  })
  test("a config without rules has those that every container needs", () => {
    expect(v1()).toEqual([
      "deny a",
      "allow c *:* m",
      "allow b *:* m",
      ...[3, 5, 7, 8, 9].map((minor) => `allow c 1:${minor} rwm`),
      "allow c 5:0 rwm",
      "allow c 5:2 rwm",
      "allow c 136:* rwm",
    ])
  })
  test("privileged is one line, and exceptions from it", () => {
    expect(v1(none, everything)).toEqual(["allow a"])
    // Nodes may be made all the same: that is allowed in the end, whatever a config says.
    expect(v1(everything, deny("b", 8))).toEqual(["allow a", "deny b 8:* rw"])
  })
  test("later rules win, for each kind of access", () => {
    expect(v1(none, allow("b", 8, 0, "rw"), deny("b", 8, 0, "w"))[1]).toBe("allow b 8:0 r")
    expect(v1(none, allow("b", 8, 0, "r"), allow("b", 8, 0, "w"))[1]).toBe("allow b 8:0 rw")
    expect(v1(none, allow("b", 8, 0), allow("b", 8, 1), deny("b", 8, undefined, "rwm"))[1]).toBe("allow c *:* m")
    expect(v1(none, { allow: true, major: 8, access: "r" }).slice(1, 3)).toEqual(["allow b 8:* r", "allow c 8:* r"])
  })
  test("a group above may lack a standard device in silence, and one that was asked for with a warning", () => {
    const steps = deviceRules([none, allow("c", 10, 229)], GROUPS, host("v1"))
    const of = (text: string) =>
      steps.filter((step) => step.op === "write" && step.text === text).map(({ ok, must }) => ({ ok, must }))
    expect(of("a")).toEqual([{ ok: undefined, must: undefined }])
    expect(of("c 10:229 rwm")).toEqual([{ ok: undefined, must: false }])
    expect(of("c 1:3 rwm")).toEqual([{ ok: ["EPERM"], must: undefined }])
  })
  test("no hole in a rule with a star", () => {
    expect(() => v1(none, allow("b", 8), deny("b", 8, 1))).toThrow(
      "cannot deny b 8:1 rwm: cgroup v1 knows no exception from b 8:* rwm",
    )
  })
})

describe("version 2", () => {
  test("from the last rule to the first", () => {
    const [step] = deviceRules([none, allow("b", 8, 0, "r"), deny("b", 8, 1, "w")], GROUPS, host("v2"))
    expect(step?.op === "device-program" && [step.phase, step.path, step.does]).toEqual([
      "host",
      "/cg/x",
      "allow it b 8:0 r, c *:* m, b *:* m, c 1:3 rwm, c 1:5 rwm, c 1:7 rwm, c 1:8 rwm, c 1:9 rwm, c 5:0 rwm, c 5:2 rwm, c 136:* rwm",
    ])
    const lines = disassembleExtended(programOf([none, allow("b", 8, 0, "r"), deny("b", 8, 1, "w")])!).split("\n")
    expect(`\n${lines.slice(0, 10).join("\n")}`).toBe(`
  0  r2 = word at r1 + 0
  1  r3 = r2
  2  r2 &= 0xffff
  3  r3 >>= 16
  4  r4 = word at r1 + 4
  5  r5 = word at r1 + 8
  6  if r2 != 2 goto 10
  7  if r4 != 136 goto 10
  8  r0 = 1
  9  exit`)
    expect(`\n${lines.slice(-16).join("\n")}`).toBe(`
 55  if r2 != 1 goto 62
 56  if r4 != 8 goto 62
 57  if r5 != 1 goto 62
 58  if r3 & 4 goto 60
 59  goto 62
 60  r0 = 0
 61  exit
 62  if r2 != 1 goto 69
 63  if r4 != 8 goto 69
 64  if r5 != 0 goto 69
 65  r3 &= 0x5
 66  if r3 != 0 goto 69
 67  r0 = 1
 68  exit
 69  r0 = 0
 70  exit`)
  })
  test("the default rules", () => {
    const may = v2(...defaultDeviceRules)
    for (const question of [
      "c 1:3 rw",
      "c 1:5 r",
      "c 1:9 rwm",
      "c 5:0 rw",
      "c 5:2 rw",
      "c 136:7 rw",
      "c 10:200 rw",
      "b 8:0 m",
      "c 1:1 m",
    ])
      expect([question, may(question)]).toEqual([question, true])
    for (const question of ["b 8:0 r", "c 1:1 r", "c 1:11 w", "c 10:229 rw", "c 4:1 rw", "b 1:3 r", "b 8:0 rm"])
      expect([question, may(question)]).toEqual([question, false])
  })
  test("what version 1 cannot say: a hole, and a hole in the hole", () => {
    const may = v2(none, allow("b", 8), deny("b", 8, 1), allow("b", 8, 1, "r"))
    expect([may("b 8:0 rw"), may("b 8:1 rw"), may("b 8:1 r"), may("b 8:1 w")]).toEqual([true, false, true, false])
  })
  test("several rules together may allow what none of them does alone", () => {
    const may = v2(none, allow("b", 8, 0, "r"), allow("b", undefined, undefined, "w"))
    expect([may("b 8:0 rw"), may("b 8:1 rw"), may("b 8:1 w")]).toEqual([true, false, true])
  })
  test("everything needs no program, everything but a disk does", () => {
    expect(programOf([none, everything])).toBeUndefined()
    const may = v2(everything, deny("b", 8))
    expect([may("b 8:3 r"), may("b 9:3 r"), may("c 4:64 rwm")]).toEqual([false, true, true])
  })
})

test("both versions answer the same for every list that version 1 can express", () => {
  const letters = ["r", "w", "m", "rw", "rwm"]
  let seed = 7
  const pick = <T>(list: readonly T[]): T => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return list[seed % list.length]!
  }
  let compared = 0
  for (let turn = 0; turn < 400; turn++) {
    const rules = [
      pick([none, everything]),
      ...Array.from(
        { length: 4 },
        (): DeviceRule => ({
          ...allow(pick(["b", "c"]), pick([8, 9, undefined]), pick([0, 1, undefined]), pick(letters)),
          allow: pick([true, false]),
        }),
      ),
    ]
    let lines: string[]
    try {
      lines = v1(...rules)
    } catch (error) {
      expect(error).toBeInstanceOf(EngineError)
      continue
    }
    compared++
    const allowed = lines[0] === "allow a"
    const exempt = lines.slice(1).map((line) => /^\w+ (\w) (\S+):(\S+) (\w+)$/.exec(line)!)
    const may = programOf(rules) === undefined ? () => true : v2(...rules)
    for (const type of ["b", "c"])
      for (const [major, minor] of [
        [8, 0],
        [8, 1],
        [9, 0],
        [9, 2],
        [7, 1],
      ])
        for (const access of ["r", "w", "m"]) {
          const hit = exempt.some(
            ([, t, a, b, some]) =>
              t === type &&
              (a === "*" || a === `${major}`) &&
              (b === "*" || b === `${minor}`) &&
              some!.includes(access),
          )
          expect([rules, type, major, minor, access, may(`${type} ${major}:${minor} ${access}`)]).toEqual([
            rules,
            type,
            major,
            minor,
            access,
            hit !== allowed,
          ])
        }
  }
  expect(compared).toBeGreaterThan(100)
})

test("rules that make no sense are refused on every host; a host without cgroups enforces none", () => {
  for (const mode of ["v1", "v2", "none"] as const) {
    const refuse = (rule: DeviceRule) => () => deviceRules([rule], GROUPS, host(mode))
    expect(refuse({ allow: true, type: "x" })).toThrow('cannot allow a device: the type "x" is none of a, b, c')
    expect(refuse({ allow: false, access: "rx" })).toThrow(
      'cannot deny a device: the access "rx" is not made of r, w and m',
    )
    expect(refuse({ allow: true, type: "c", major: -2 })).toThrow("cannot allow a device: -2 is no device number")
  }
  expect(deviceRules([none], {}, host("none"))).toEqual([])
  expect(deviceRules([none], {}, host("v2"))).toEqual([])
})
