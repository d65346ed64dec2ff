import { expect, test } from "bun:test"
import { paint } from "./colour.ts"
import { json } from "./json.ts"
import { outline } from "./outline.ts"
import { table, visible, wrap } from "./table.ts"

test("a column is at least ten wide, and three away from the next; the last is not padded", () => {
  const rows = [
    ["CONTAINER ID", "IMAGE", "NAMES"],
    ["4e5b1b0a0b0c", "/", "quiet_fox"],
    ["4e5b1b0a0b0d", "/srv/long/rootfs", "a"],
  ]
  expect(table(rows)).toBe(`CONTAINER ID   IMAGE              NAMES
4e5b1b0a0b0c   /                  quiet_fox
4e5b1b0a0b0d   /srv/long/rootfs   a
`)
})
test("no rows, no lines", () => expect(table([])).toBe(""))
test("a cell cannot move the cursor or break the line", () => {
  expect(table([["a\x1b[2Jb\n", "c"]])).toBe("a\\x1b[2Jb\\x0a   c\n")
  expect(visible("é\u009b")).toBe("é\\x9b")
})
test("words are wrapped, a long one is left whole", () => {
  expect(wrap("one two three", 7)).toEqual(["one two", "three"])
  expect(wrap("incomprehensible a", 5)).toEqual(["incomprehensible", "a"])
})

test("colour only where it is wanted", () => {
  expect(paint(true).red("no")).toBe("\x1b[31mno\x1b[39m")
  expect(paint(true).bold("")).toBe("")
  expect(paint(false).red("no")).toBe("no")
})

test("JSON of what JSON cannot say", () => {
  const value = {
    bytes: new Uint8Array([1, 2, 255]),
    buffer: Buffer.from("hi"),
    small: 5n,
    big: 2n ** 60n,
    map: new Map([["a", 1]]),
  }
  expect(json(value)).toBe('{"bytes":"AQL/","buffer":"aGk=","small":5,"big":"1152921504606846976","map":{"a":1}}')
  expect(json([1], 4)).toBe("[\n    1\n]")
})

test("an outline indents what belongs together", () => {
  const document = {
    Kernel: "6.1.0",
    None: undefined,
    Cgroups: { Mode: "v2", Controllers: ["cpu", "pids"], Empty: [] },
    Many: [{ a: 1 }],
    Pairs: [["Backing Filesystem", "ext4"]],
    Warnings: ["one thing", "another"],
  }
  expect(outline(document)).toBe(`Kernel: 6.1.0
Cgroups:
  Mode: v2
  Controllers: cpu pids
Many:
  0:
    a: 1
Pairs:
  Backing Filesystem: ext4
Warnings:
  one thing
  another
`)
})
