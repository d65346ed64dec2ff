import { expect, test } from "bun:test"
import { hex } from "./hex.ts"

test("every byte is two digits", () => {
  expect(hex(new Uint8Array([0, 1, 15, 16, 0x7f, 0xa5, 255]))).toBe("00010f107fa5ff")
  expect(hex(new Uint8Array())).toBe("")
})
