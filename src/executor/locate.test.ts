import { afterAll, expect, test } from "bun:test"
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { locateExecutor } from "./locate.ts"

const dir = mkdtempSync(join(tmpdir(), "mc-locate-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
const source = join(dir, "embedded")
writeFileSync(source, "#!/bin/sh\n", { mode: 0o400 })
const sha256 = "ab".repeat(32)
let next = 0
const fresh = () => join(dir, `bin${next++}`)

test("an ordinary executable is used where it is", () => {
  expect(locateExecutor({ path: "/bin/sh" }, fresh())).toBe("/bin/sh")
})
test("one that is missing or not executable is an error that names it", () => {
  expect(() => locateExecutor({ path: join(dir, "none") }, fresh())).toThrow(
    `cannot use the executor ${dir}/none: ENOENT`,
  )
  expect(() => locateExecutor({ path: source }, fresh())).toThrow("cannot use the executor")
})
test("an embedded one is written out once, for root alone", () => {
  const bin = fresh()
  const path = locateExecutor({ path: source, sha256 }, bin)
  expect(path).toBe(join(bin, sha256))
  expect(readFileSync(path, "utf8")).toBe("#!/bin/sh\n")
  expect([statSync(bin).mode & 0o7777, statSync(path).mode & 0o7777]).toEqual([0o700, 0o700])
  const { ino } = statSync(path)
  expect(locateExecutor({ path: source, sha256 }, bin)).toBe(path)
  expect(statSync(path).ino).toBe(ino)
  expect(readdirSync(bin)).toEqual([sha256])
})
test("one that somebody else may have changed is replaced", () => {
  const bin = fresh()
  const path = locateExecutor({ path: source, sha256 }, bin)
  for (const spoil of [() => chownSync(path, 1000, 0), () => chmodSync(path, 0o777), () => writeFileSync(path, "")]) {
    spoil()
    locateExecutor({ path: source, sha256 }, bin)
    expect(readFileSync(path, "utf8")).toBe("#!/bin/sh\n")
    expect([statSync(path).mode & 0o7777, statSync(path).uid]).toEqual([0o700, 0])
  }
})
test("a directory that cannot be made is an error", () => {
  expect(() => locateExecutor({ path: source, sha256 }, join(source, "bin"))).toThrow(
    `cannot extract the executor to ${source}/bin/${sha256}: not a directory`,
  )
})
