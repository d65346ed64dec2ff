import { expect, test } from "bun:test"
import { type TarEntry, TarError } from "./entry.ts"
import { parseRecords, parseTime, record } from "./pax.ts"
import { type TarLimits, TarReader } from "./read.ts"
import { tarEnd, tarHeader, tarPadding } from "./write.ts"

const entry = (given: Partial<TarEntry> = {}): TarEntry => ({
  type: "file",
  path: "a",
  link: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  seconds: 0,
  nanoseconds: 0,
  major: 0,
  minor: 0,
  xattrs: new Map(),
  ...given,
})
const archive = (...entries: readonly TarEntry[]): Uint8Array =>
  new Uint8Array(
    Buffer.concat([
      ...entries.flatMap((each) => [tarHeader(each), new Uint8Array(each.size).fill(0x78), tarPadding(each.size)]),
      tarEnd(),
    ]),
  )

/** Reads it in pieces of `step` bytes: what comes out, or the sentence. */
function read(
  bytes: Uint8Array,
  step = 512,
  limits: Partial<TarLimits> = {},
): { entries: TarEntry[]; bytes: number } | string {
  const entries: TarEntry[] = []
  let content = 0
  const reader = new TarReader(
    {
      entry: (each) => entries.push(each),
      data: (_, piece) => {
        content += piece.length
      },
    },
    limits,
  )
  try {
    for (let at = 0; at < bytes.length; at += step) reader.feed(bytes.subarray(at, at + step))
    reader.end()
  } catch (error) {
    if (error instanceof TarError) return error.message
    throw error
  }
  return { entries, bytes: content }
}

const CASES: Readonly<Record<string, Partial<TarEntry>>> = {
  "a plain file": { size: 1000, uid: 1000, gid: 50, mode: 0o4755, seconds: 1_700_000_000 },
  "a long name that fits into prefix and name": { path: `${"d".repeat(90)}/${"f".repeat(90)}` },
  "a long name that fits nowhere": { path: "x".repeat(300) },
  "a name that is not UTF-8": { path: "caf\xe9", type: "directory" },
  "a long link": { type: "symlink", link: "../".repeat(60) },
  "a hard link": { type: "hardlink", link: "b" },
  nanoseconds: { seconds: 12, nanoseconds: 5 },
  "a time before 1970": { seconds: -2, nanoseconds: 750_000_000 },
  "ids beyond 2^21": { uid: 3_000_000_000, gid: 2_097_152 },
  "a device": { type: "block", major: 259, minor: 3 },
  "a fifo": { type: "fifo" },
  "xattrs with newlines and zeros": {
    xattrs: new Map([
      ["security.capability", Uint8Array.of(1, 0, 10, 61, 255)],
      ["user.e", new Uint8Array()],
    ]),
  },
}
for (const [name, given] of Object.entries(CASES))
  test(`${name} comes back as it was`, () => {
    for (const step of [512, 7, 100_000])
      expect(read(archive(entry(given), entry({ path: "last" })), step)).toEqual({
        entries: [entry(given), entry({ path: "last" })],
        bytes: given.size ?? 0,
      })
  })

test("the same entries give the same bytes, whatever the order of xattrs", () => {
  const one = new Map([
    ["user.a", Uint8Array.of(1)],
    ["user.b", Uint8Array.of(2)],
  ])
  expect(tarHeader(entry({ xattrs: one }))).toEqual(tarHeader(entry({ xattrs: new Map([...one].reverse()) })))
})

test("a record counts its own length, also where that makes it longer", () => {
  expect(record("a", "b")).toBe("6 a=b\n")
  for (let size = 1; size < 1200; size++)
    expect(parseRecords(Buffer.from(record("k", "v".repeat(size)), "latin1"))).toEqual([["k", "v".repeat(size)]])
})

test("times: fractions of any length, negative ones count down", () => {
  expect(parseTime("12.5")).toEqual({ seconds: 12, nanoseconds: 500_000_000 })
  expect(parseTime("-0.25")).toEqual({ seconds: -1, nanoseconds: 750_000_000 })
  expect(parseTime("1.0000000001")).toEqual({ seconds: 1, nanoseconds: 0 })
  expect(parseTime("1e5")).toBeUndefined()
})

/** An archive with one byte of its first header changed, and the checksum put right. */
function forged(bytes: Uint8Array, at: number, text: string): Uint8Array {
  const copy = bytes.slice()
  copy.set(Buffer.from(text, "latin1"), at)
  copy.set(Buffer.from("        "), 148)
  const sum = copy.subarray(0, 512).reduce((all, byte) => all + byte, 0)
  copy.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `), 148)
  return copy
}
const file = archive(entry({ size: 600 }))
const REFUSED: Readonly<Record<string, readonly [Uint8Array, string, Partial<TarLimits>?]>> = {
  "a header whose checksum is wrong": [
    file.map((byte, at) => (at === 0 ? 98 : byte)),
    "byte 0 of the archive: a header has a wrong checksum: this is no tar archive, or a damaged one",
  ],
  "an archive that ends in a header": [
    file.subarray(0, 100),
    "byte 100 of the archive: the archive ends in the middle of an entry",
  ],
  "an archive that ends in content": [
    file.subarray(0, 700),
    "byte 700 of the archive: the archive ends in the middle of an entry",
  ],
  "a block of zeros that stands alone": [
    new Uint8Array(Buffer.concat([new Uint8Array(512), file])),
    "byte 512 of the archive: a block of zeros stands alone",
  ],
  "a number that is not octal": [forged(file, 124, "0000000009\0 "), "byte 0 of the archive: a number is not octal"],
  "a negative size": [forged(file, 124, "\xff".repeat(12)), "byte 0 of the archive: a size is negative"],
  "a size beyond all numbers": [
    forged(file, 124, `\x80${"\xff".repeat(11)}`),
    "byte 0 of the archive: a number is too large",
  ],
  "an unknown type": [forged(file, 156, "q"), 'byte 0 of the archive: an entry has the unknown type "q"'],
  "a PAX header of a gigabyte": [
    forged(forged(file, 156, "x"), 124, "10000000000\0"),
    "byte 0 of the archive: a header of 1073741824 bytes is longer than the limit of 1048576",
  ],
  "a name over PATH_MAX": [
    archive(entry({ path: "x/".repeat(2100) })),
    "byte 5120 of the archive: a name of 4200 bytes is longer than the limit of 4095",
  ],
  "more entries than the limit": [
    archive(entry(), entry(), entry()),
    "byte 1024 of the archive: there are more than 2 entries",
    { entries: 2 },
  ],
  "an xattr over the kernel's limit": [
    archive(entry({ xattrs: new Map([["user.x", new Uint8Array(70_000)]]) })),
    "byte 70656 of the archive: an xattr is longer than the kernel takes, or has no name",
  ],
}
for (const [name, [bytes, sentence, limits]] of Object.entries(REFUSED))
  test(`${name} is refused, and told where`, () => {
    expect(read(bytes, 512, limits)).toBe(sentence)
  })

test("the two blocks at the end may be missing", () => {
  expect(read(file.subarray(0, -1024))).toEqual({ entries: [entry({ size: 600 })], bytes: 600 })
})

test("whatever bytes come, the answer is entries or a sentence, and the same however they are cut", () => {
  const whole = archive(...Object.values(CASES).map(entry))
  let seed = 1
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff
    return seed % below
  }
  for (let round = 0; round < 400; round++) {
    const bytes = whole.slice()
    for (let i = 0; i < 1 + random(4); i++) bytes[random(bytes.length)] = random(256)
    if (round % 3 === 0) bytes.set(forged(bytes.subarray(0, 512), 100 + random(240), String.fromCharCode(random(256))))
    expect(read(bytes, 1 + random(2000))).toEqual(read(bytes, bytes.length))
  }
})
