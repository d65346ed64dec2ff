/**
 * Many at once, and many in a row: names stay unique, and nothing is left.
 */

import { afterAll, expect, test } from "bun:test"
import { once } from "node:events"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const codeOf = async (...args: string[]): Promise<number> => {
  const child = machine.start({ stdio: "ignore" }, ...args)
  const [code] = await once(child, "exit")
  return code as number
}

test("fifty `run --name same` at one moment give exactly one container", async () => {
  const codes = await Promise.all(
    Array.from({ length: 50 }, () =>
      codeOf("run", "-d", "--name", "same", "--rootfs", machine.rootfs, "sleep", "1000"),
    ),
  )
  expect(codes.filter((code) => code === 0)).toHaveLength(1)
  expect(codes.filter((code) => code === 125)).toHaveLength(49)
  expect(machine.must("ps", "-a", "--format", "{{.Names}}")).toBe("same\n")
  machine.must("rm", "-f", "same")
  expect(machine.traces()).toEqual([])
}, 120_000)

test("forty at once leave nothing behind", async () => {
  const codes = await Promise.all(
    Array.from({ length: 40 }, () => codeOf("run", "--rm", "--rootfs", machine.rootfs, "true")),
  )
  expect(codes).toEqual(Array.from({ length: 40 }, () => 0))
  expect(machine.traces()).toEqual([])
}, 120_000)

test("two hundred in a row leave nothing behind", () => {
  for (let round = 0; round < 200; round++) expect(machine.inside("true").code).toBe(0)
  expect(machine.traces()).toEqual([])
}, 300_000)
