/**
 * Many at once, and many in a row: names stay unique, and nothing is left.
 */

import { afterAll, expect, test } from "bun:test"
import { once } from "node:events"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

/** The exit code, or why the engine itself refused. */
const outcomeOf = async (...args: string[]): Promise<number | string> => {
  const child = machine.start({ stdio: ["ignore", "ignore", "pipe"] }, ...args)
  let said = ""
  child.stderr?.on("data", (chunk) => {
    said += chunk
  })
  const [code] = await once(child, "close")
  return code === 125 ? said : code
}
/** A name that is taken is the only reason. */
const TAKEN =
  /^minicontainer: cannot name the container "\w+": container [0-9a-f]{12} has this name .*\n.*hint: choose another name/

test("fifty `run --name same` at one moment give exactly one container", async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, () =>
      outcomeOf("run", "-d", "--name", "same", "--rootfs", machine.rootfs, "sleep", "1000"),
    ),
  )
  expect(outcomes.filter((outcome) => outcome === 0)).toHaveLength(1)
  expect(outcomes.filter((outcome) => TAKEN.test(String(outcome)))).toHaveLength(49)
  expect(machine.must("ps", "-a", "--format", "{{.Names}}")).toBe("same\n")
  machine.must("rm", "-f", "same")
  expect(machine.traces()).toEqual([])
}, 120_000)

test("a name that goes from hand to hand is never in two, whoever looks meanwhile", async () => {
  const shared = machine.directory("shared")
  // mkdir(2) fails if another container with the name is inside just now.
  const program = "mkdir /v/inside && sleep 0.01 && rmdir /v/inside"
  const outcomes: (number | string)[] = []
  let over = false
  const worker = async (): Promise<void> => {
    for (let round = 0; round < 15; round++)
      outcomes.push(
        await outcomeOf(
          "run",
          "--rm",
          "--name",
          "shared",
          "-v",
          `${shared}:/v`,
          "--rootfs",
          machine.rootfs,
          "sh",
          "-c",
          program,
        ),
      )
  }
  const looks: string[] = []
  const looker = async (): Promise<void> => {
    while (!over) {
      const child = machine.start({ stdio: ["ignore", "ignore", "pipe"] }, "ps", "-a")
      child.stderr?.on("data", (chunk) => looks.push(String(chunk)))
      const [code] = await once(child, "close")
      if (code !== 0) looks.push(`ps ended with ${code}`)
    }
  }
  const looking = [looker(), looker()]
  await Promise.all(Array.from({ length: 6 }, worker))
  over = true
  await Promise.all(looking)
  expect(looks).toEqual([])
  expect(outcomes.filter((outcome) => outcome !== 0 && !TAKEN.test(String(outcome)))).toEqual([])
  expect(outcomes).toContain(0)
  expect(machine.traces()).toEqual([])
}, 120_000)

test("forty at once leave nothing behind", async () => {
  const outcomes = await Promise.all(
    Array.from({ length: 40 }, () => outcomeOf("run", "--rm", "--rootfs", machine.rootfs, "true")),
  )
  expect(outcomes).toEqual(Array.from({ length: 40 }, () => 0))
  expect(machine.traces()).toEqual([])
}, 120_000)

test("two hundred in a row leave nothing behind", () => {
  for (let round = 0; round < 200; round++) expect(machine.inside("true").code).toBe(0)
  expect(machine.traces()).toEqual([])
}, 300_000)
