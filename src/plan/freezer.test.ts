import { expect, test } from "bun:test"
import type { Cgroups } from "../model/host.ts"
import { freezerOf, freezeStep, frozenIn, thawStep } from "./freezer.ts"

const v2: Cgroups = { mode: "v2", unified: "/cg", controllers: { memory: "/cg" }, base: { "/cg": "/" } }
const v1: Cgroups = {
  mode: "v1",
  controllers: { freezer: "/cg/freezer", memory: "/cg/memory" },
  base: { "/cg/freezer": "/outer" },
}

test("version 2 freezes by a number, version 1 by a word", () => {
  const writes = (cgroups: Cgroups) =>
    [freezeStep(freezerOf(cgroups, "/m/1")!, "web"), thawStep(freezerOf(cgroups, "/m/1")!, "web")].map((step) =>
      "text" in step && "path" in step ? `${step.does}: ${step.text} > ${step.path}` : "",
    )
  expect(writes(v2)).toEqual(["freeze web: 1 > /cg/m/1/cgroup.freeze", "thaw web: 0 > /cg/m/1/cgroup.freeze"])
  expect(writes(v1)).toEqual([
    "freeze web: FROZEN > /cg/freezer/outer/m/1/freezer.state",
    "thaw web: THAWED > /cg/freezer/outer/m/1/freezer.state",
  ])
})

test("a host without a freezer has none", () => {
  expect(freezerOf({ mode: "none", controllers: {}, base: {} }, "/m/1")).toBeUndefined()
  expect(freezerOf({ mode: "v1", controllers: { memory: "/cg/memory" }, base: {} }, "/m/1")).toBeUndefined()
})

test("what the kernel's file says", () => {
  expect(frozenIn("FROZEN\n")).toBe("frozen")
  expect(frozenIn("FREEZING\n")).toBe("freezing")
  expect(frozenIn("THAWED\n")).toBe("thawed")
  expect(frozenIn("populated 1\nfrozen 1\n")).toBe("frozen")
  expect(frozenIn("populated 1\nfrozen 0\n")).toBe("thawed")
})
