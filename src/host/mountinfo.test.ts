import { expect, test } from "bun:test"
import { attributesOf, parseMountinfo, submountsOf } from "./mountinfo.ts"

const TABLE = parseMountinfo(`21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
22 21 0:5 / /dev rw,nosuid - devtmpfs udev rw
30 21 8:2 / /srv rw,nosuid,nodev,noexec,noatime,nodiratime master:3 propagate_from:2 - xfs /dev/sdb rw
31 30 0:40 / /srv/two\\040words ro - tmpfs none rw
32 31 0:41 / /srv/two\\040words/deep rw,relatime - ext4 /dev/loop0 rw
33 21 0:42 / /srv rw,relatime - tmpfs over rw
34 21 0:43 /@/sub /srvelse rw,relatime - btrfs /dev/sdc rw,subvol=/@/sub
a line that is none`)

test("a line becomes a mount, with or without peer groups; what is no mount is skipped", () => {
  expect(TABLE).toHaveLength(7)
  expect(TABLE[2]).toEqual({
    id: 30,
    parent: 21,
    root: "/",
    point: "/srv",
    options: ["rw", "nosuid", "nodev", "noexec", "noatime", "nodiratime"],
    type: "xfs",
    source: "/dev/sdb",
    superOptions: ["rw"],
  })
  expect(TABLE[6]).toMatchObject({ root: "/@/sub", superOptions: ["rw", "subvol=/@/sub"] })
})

test("a space in a path is written as \\040", () => {
  expect(TABLE[3]?.point).toBe("/srv/two words")
})

const below = (holder: number, path: string) => submountsOf(TABLE, holder, path).map(({ id }) => id)

test("a recursive bind takes what hangs on the mount that holds the path", () => {
  expect(below(30, "/srv")).toEqual([31, 32])
  expect(below(31, "/srv/two words")).toEqual([32])
  expect(below(21, "/")).toEqual([22, 30, 31, 32, 33, 34])
})
test("and not what lies hidden below a later mount, or merely has a name that begins alike", () => {
  expect(below(33, "/srv")).toEqual([])
  expect(below(21, "/srv")).toEqual([])
})

test("the flags that a user namespace may not take off, access times among them", () => {
  expect(TABLE.slice(1, 5).map(attributesOf)).toEqual([0x2 | 0x20, 0x2 | 0x4 | 0x8 | 0x10 | 0x80, 0x1 | 0x20, 0])
})
