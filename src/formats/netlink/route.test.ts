import { expect, test } from "bun:test"
import { addAddress, addBridge, addDefaultRoute, addVeth, hairpin, linkUp } from "./route.ts"

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString("hex")
    .replace(/(.{8})(?=.)/g, "$1 ")
const check = (name: string, bytes: Uint8Array, expected: string): void =>
  test(name, () => {
    expect(hex(bytes)).toBe(expected)
  })

check("lo is number 1", linkUp(1), "20000000 10000500 01000000 00000000 00000000 01000000 01000000 01000000")
check(
  "a bridge, with number, mtu, address and kind, up",
  addBridge("br0", 7, 1500, new Uint8Array([2, 66, 10, 88, 0, 1])),
  "4c000000 10000506 01000000 00000000 00000000 07000000 01000000 01000000 08000300 62723000 08000400 dc050000 0a000100 02420a58 00010000 10001280 0b000100 62726964 67650000",
)
check(
  "hairpin mode of a bridge's port",
  hairpin("v0"),
  "44000000 10000500 01000000 00000000 00000000 00000000 00000000 00000000 07000300 76300000 1c001280 0b000400 62726964 67650000 0c000580 05000400 01000000",
)
check(
  "an address of 16 bits of network",
  addAddress(2, new Uint8Array([10, 88, 0, 5]), 16),
  "28000000 14000506 01000000 00000000 02100000 02000000 08000200 0a580005 08000100 0a580005",
)
check(
  "a route to everywhere",
  addDefaultRoute(new Uint8Array([10, 88, 0, 1])),
  "24000000 18000506 01000000 00000000 02000000 fe040001 00000000 08000500 0a580001",
)

test("a pair of interfaces says where the fd of the other's namespace goes", () => {
  const mac = new Uint8Array([2, 66, 10, 88, 0, 5])
  const { bytes, fdAt } = addVeth({ name: "v", master: 9, mtu: 1400, peer: { name: "eth0", index: 2, mac } })
  expect(new DataView(bytes.buffer).getUint32(0, true)).toBe(bytes.length)
  // IFLA_NET_NS_FD, 28, of 8 bytes.
  expect(hex(bytes.slice(fdAt - 4))).toBe("08001c00 00000000")
})
