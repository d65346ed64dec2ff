import { expect, test } from "bun:test"
import { canRun, choosePlatform, parsePlatform, platformText } from "./platform.ts"

const entry = (name: string) => ({ mediaType: name, digest: "", size: 0, ...(name && { platform: parse(name) }) })
const parse = (name: string) => {
  const [os = "", architecture = "", variant] = name.split("/")
  return { os, architecture, ...(variant !== undefined && { variant }) }
}
const check = (wanted: string, offered: string, chosen: string | undefined) =>
  test(`of ${offered}, ${wanted} gets ${chosen}`, () =>
    expect(choosePlatform(offered.split(" ").map(entry), parsePlatform(wanted))?.mediaType).toBe(chosen))
check("linux/amd64", "linux/arm64 linux/amd64", "linux/amd64")
check("amd64", "windows/amd64 linux/386", "linux/386")
check("linux/x86_64", "linux/386 linux/amd64/v2 linux/amd64", "linux/amd64")
check("linux/amd64/v3", "linux/amd64 linux/amd64/v2 linux/amd64/v4", "linux/amd64/v2")
check("linux/arm64", "linux/arm/v7 linux/arm64/v8", "linux/arm64/v8")
check("linux/arm64", "linux/arm/v6 linux/arm/v7", "linux/arm/v7")
check("linux/arm", "linux/arm/v8 linux/arm/v6 linux/arm/v5", "linux/arm/v6")
check("linux/arm/7", "linux/arm/v6 linux/arm", "linux/arm")
check("linux/armhf", "linux/arm/v7", "linux/arm/v7")
check("linux/riscv64", "linux/amd64 linux/riscv64", "linux/riscv64")
check("linux/s390x", "linux/amd64 linux/arm64", undefined)
check("linux/amd64", "", "")

test("names", () => {
  expect(
    ["x86_64", "linux/arm64/v8", "linux/arm", "linux/amd64/v3"].map((name) => platformText(parsePlatform(name))),
  ).toEqual(["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/amd64/v3"])
  expect(canRun(parsePlatform("amd64"), parse("linux/arm64"))).toBe(false)
  for (const text of ["", "a/b/c/d", "linux/", "linux/a b"])
    expect(() => parsePlatform(text)).toThrow(`cannot read the platform "${text}"`)
})
