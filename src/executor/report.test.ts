import { expect, test } from "bun:test"
import { parseReport, type Report, Reports } from "./report.ts"

test("every kind of line", () => {
  expect(["started 4711", "warning 12 1", "failed 13 1 0 mount proc on /proc", "exited 137"].map(parseReport)).toEqual([
    { kind: "started", pid: 4711 },
    { kind: "warning", index: 12, errno: 1 },
    { kind: "failed", index: 13, errno: 1, detail: 0, does: "mount proc on /proc" },
    { kind: "exited", code: 137 },
  ])
})
test("what is none is passed over", () => {
  expect(["", "started", "started x", "failed 1 2", "sparkled 3"].map(parseReport)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
})
test("lines may come in any pieces", () => {
  const heard: Report[] = []
  const reports = new Reports((report) => heard.push(report))
  for (const letter of "started 7\nexited 0\nexited 1") reports.push(letter)
  expect(heard).toEqual([
    { kind: "started", pid: 7 },
    { kind: "exited", code: 0 },
  ])
})
