import { expect, test } from "bun:test"
import { networksOf } from "../record/networks.ts"
import { withBlock } from "./neighbours.ts"

const own = "127.0.0.1\tlocalhost\n10.88.0.5\tweb\n"
const block = (...lines: string[]): string =>
  ["# minicontainer: who else is on this network", ...lines, "# minicontainer: the end of that", ""].join("\n")

test("others stand in a block of ours, which is replaced as a whole", () => {
  const once = withBlock(own, ["10.88.0.6\tdb"])
  expect(once).toBe(own + block("10.88.0.6\tdb"))
  expect(withBlock(once, ["10.88.0.7\tcache"])).toBe(own + block("10.88.0.7\tcache"))
  expect(withBlock(once, [])).toBe(own)
})

test("what the container has written stays, before the block and after it", () => {
  const mixed = `${withBlock(own, ["10.88.0.6\tdb"])}1.2.3.4\tmine\n`
  expect(withBlock(mixed, ["10.88.0.7\tcache"])).toBe(`${own}1.2.3.4\tmine\n${block("10.88.0.7\tcache")}`)
  expect(withBlock("no newline", [])).toBe("no newline\n")
})

test("of leases, those of addresses name their network", () => {
  expect([...networksOf(["/s/names/web", "/s/ids/3", "/s/networks/back/leases/10.90.0.5"])]).toEqual(["back"])
})
