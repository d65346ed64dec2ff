import { expect, test } from "bun:test"
import { millisOf, parseTime, timeOf, timeOfSeconds } from "./time.ts"

test("all forms give one form, of one length", () => {
  const forms = {
    "1795529141": "2026-11-24T14:05:41.000000000Z",
    "1795529141.5": "2026-11-24T14:05:41.500000000Z",
    "2026-11-24T14:05:41.123456789Z": "2026-11-24T14:05:41.123456789Z",
    "2026-11-24T14:05:41Z": "2026-11-24T14:05:41.000000000Z",
    "2026-11-24T15:05:41.25+01:00": "2026-11-24T14:05:41.250000000Z",
    "2026-11-24T14:05": "2026-11-24T14:05:00.000000000Z",
    "2026-11-24T14": "2026-11-24T14:00:00.000000000Z",
    "2026-11-24": "2026-11-24T00:00:00.000000000Z",
  }
  for (const [text, time] of Object.entries(forms)) expect(parseTime(text)).toBe(time)
})
test("anything else is no time", () => {
  expect(["", "10m", "yesterday", "2026-13-01", "2026-11-24T25:00", "123456789012", "-1"].map(parseTime)).toEqual(
    Array(7).fill(undefined),
  )
})
test("there and back", () => {
  expect(timeOf(new Date(1795529141_007))).toBe("2026-11-24T14:05:41.007000000Z")
  expect(millisOf("2026-11-24T14:05:41.007999999Z")).toBe(1795529141_007)
  expect(timeOfSeconds("1795529141.000000001")).toBe("2026-11-24T14:05:41.000000001Z")
})
