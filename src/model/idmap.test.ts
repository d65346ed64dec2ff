import { expect, test } from "bun:test"
import { canIdmap, canShiftLayers } from "./idmap.ts"

const check = (filesystem: string, kernel: readonly [number, number], can: boolean) =>
  test(`${filesystem} on ${kernel.join(".")} ${can ? "can" : "cannot"} be idmapped`, () =>
    expect(canIdmap(filesystem, kernel)).toBe(can))

check("ext4", [5, 11], false)
check("ext4", [5, 12], true)
check("ext4", [6, 1], true)
check("tmpfs", [5, 19], false)
check("tmpfs", [6, 1], false)
check("tmpfs", [6, 3], true)
check("tmpfs", [7, 0], true)
check("overlay", [6, 18], false)
check("proc", [6, 18], false)
check("sysfs", [6, 18], false)
check("devtmpfs", [6, 18], false)
check("fuse.sshfs", [6, 18], false)
check("constructor", [6, 18], false)

test("overlay takes shifted layers from 5.19 on", () => {
  expect(
    [
      [4, 19],
      [5, 18],
      [5, 19],
      [6, 0],
    ].map(([major, minor]) => canShiftLayers([major!, minor!])),
  ).toEqual([false, false, true, true])
})
