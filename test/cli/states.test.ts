/**
 * Every command in every state: what it answers, and in which state the container is afterwards.
 */

import { afterAll, describe, expect, test } from "bun:test"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const create = (...words: string[]): void => {
  machine.must("create", "--name", "it", "--rootfs", machine.rootfs, ...words)
}
const STATES = {
  created: () => create("sleep", "1000"),
  running: () => {
    create("sleep", "1000")
    machine.must("start", "it")
  },
  exited: () => {
    create("sh", "-c", "test -e /once && exec sleep 1000; touch /once; exit 3")
    machine.run("start", "-a", "it")
  },
} as const
type State = keyof typeof STATES

const look = (): string => {
  const { stdout } = machine.run("ps", "-a", "--format", "{{.State}} {{.Names}}")
  return stdout.trim()
}

/** Command → from each state: exit status, stdout, and `state name` afterwards ("" for none). */
const ROWS: Readonly<Record<string, Readonly<Record<State, readonly [code: number, stdout: string, after: string]>>>> =
  {
    "start it": {
      created: [0, "it\n", "running it"],
      running: [0, "it\n", "running it"],
      exited: [0, "it\n", "running it"],
    },
    "stop -t 0 it": {
      created: [0, "it\n", "created it"],
      running: [0, "it\n", "exited it"],
      exited: [0, "it\n", "exited it"],
    },
    "kill it": {
      created: [1, "", "created it"],
      running: [0, "it\n", "exited it"],
      exited: [1, "", "exited it"],
    },
    "kill -s CONT it": {
      created: [1, "", "created it"],
      running: [0, "it\n", "running it"],
      exited: [1, "", "exited it"],
    },
    "restart -t 0 it": {
      created: [0, "it\n", "running it"],
      running: [0, "it\n", "running it"],
      exited: [0, "it\n", "running it"],
    },
    "rename it other": {
      created: [0, "", "created other"],
      running: [0, "", "running other"],
      exited: [0, "", "exited other"],
    },
    "exec it true": {
      created: [1, "", "created it"],
      running: [0, "", "running it"],
      exited: [1, "", "exited it"],
    },
    "attach --no-stdin it": {
      created: [1, "", "created it"],
      running: [-1, "", "running it"],
      exited: [1, "", "exited it"],
    },
    "wait it": {
      created: [0, "0\n", "created it"],
      running: [-1, "", "running it"],
      exited: [0, "3\n", "exited it"],
    },
    "logs it": {
      created: [0, "", "created it"],
      running: [0, "", "running it"],
      exited: [0, "", "exited it"],
    },
    "inspect -f {{.State.Status}} it": {
      created: [0, "created\n", "created it"],
      running: [0, "running\n", "running it"],
      exited: [0, "exited\n", "exited it"],
    },
    "rm it": {
      created: [0, "it\n", ""],
      running: [1, "", "running it"],
      exited: [0, "it\n", ""],
    },
    "rm -f it": {
      created: [0, "it\n", ""],
      running: [0, "it\n", ""],
      exited: [0, "it\n", ""],
    },
  }
/** A command that does not return while the container runs is looked at for so long. */
const PATIENCE_MS = 200

describe("a container that is", () => {
  for (const state of Object.keys(STATES) as State[])
    for (const [line, answers] of Object.entries(ROWS))
      test(`${state}: ${line}`, async () => {
        const [code, stdout, after] = answers[state]
        STATES[state]()
        if (code === -1) {
          const child = machine.start({ stdio: "ignore" }, ...line.split(" "))
          const ended = new Promise((resolve) => child.once("exit", resolve))
          await Bun.sleep(PATIENCE_MS)
          expect(child.exitCode).toBeNull()
          child.kill("SIGKILL")
          await ended
        } else expect(machine.run(...line.split(" "))).toMatchObject({ code, stdout })
        expect(look()).toBe(after)
        machine.run("rm", "-f", after.endsWith("other") ? "other" : "it")
        expect(machine.traces()).toEqual([])
      }, 20_000)
})

test("a container that nobody knows is told of by every command", () => {
  for (const line of Object.keys(ROWS).filter((line) => line !== "rm -f it")) {
    const result = machine.run(...line.split(" "))
    expect({ line, code: result.code }).toEqual({ line, code: 1 })
    expect(result.stderr).toContain("it")
  }
})
