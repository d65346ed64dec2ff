import { expect, test } from "bun:test"
import { addressNumber, addressText, overlap, subnetOf, subnetText } from "./ip.ts"

test("an address is a number, and back", () => {
  expect(addressNumber("10.88.0.5")).toBe(0x0a580005)
  expect(addressText(0xfffefdfc)).toBe("255.254.253.252")
  for (const text of ["1.2.3", "1.2.3.256", "01.2.3.4", "a.b.c.d", ""]) expect(addressNumber(text)).toBeUndefined()
})

test("a network has no bits behind its prefix", () => {
  expect(subnetOf("10.88.0.0/16")).toEqual({ base: 0x0a580000, prefix: 16 })
  expect(subnetText({ base: 0x0a580000, prefix: 16 })).toBe("10.88.0.0/16")
  for (const text of ["10.88.0.1/16", "10.88.0.0/33", "10.88.0.0", "/8"]) expect(subnetOf(text)).toBeUndefined()
})

test("two networks overlap if one holds the other's beginning", () => {
  const met = (a: string, b: string) => overlap(subnetOf(a)!, subnetOf(b)!)
  expect(met("10.0.0.0/8", "10.88.0.0/16")).toBe(true)
  expect(met("10.88.0.0/16", "10.0.0.0/8")).toBe(true)
  expect(met("10.88.0.0/16", "10.89.0.0/16")).toBe(false)
  expect(met("0.0.0.0/0", "192.168.0.0/24")).toBe(true)
})
