/**
 * A paused container: nothing of it runs, everybody is told, and it can be ended all the same.
 */

import { afterAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const begin = (name: string, script = "while :; do echo x; sleep 0.01; done"): void => {
  machine.must("run", "-d", "--name", name, "--rootfs", machine.rootfs, "sh", "-c", script)
}
const state = (name: string): Record<string, unknown> => JSON.parse(machine.must("inspect", name))[0].State
const until = async (what: () => boolean): Promise<void> => {
  const deadline = performance.now() + 10_000
  while (!what()) {
    if (performance.now() > deadline) throw new Error("waited in vain")
    await Bun.sleep(20)
  }
}
const lines = (name: string): number => machine.must("logs", name).length

test("nothing of it runs, and it goes on where it was", async () => {
  begin("held")
  await until(() => lines("held") > 0)
  expect(machine.must("pause", "held")).toBe("held\n")
  expect(machine.must("ps", "--format", "{{.State}} {{.Status}}")).toMatch(/^paused Up .* \(Paused\)\n$/)
  expect(state("held")).toMatchObject({ Status: "paused", Paused: true, Running: true })
  expect(machine.must("ps", "-q", "--filter", "status=paused")).not.toBe("")
  expect(machine.must("ps", "-q", "--filter", "status=running")).toBe("")
  // Its processes have used their last tick; what they had written before may still be on its way.
  const cpu = (): string =>
    readFileSync(`/proc/${state("held").Pid}/stat`, "latin1")
      .split(" ")
      .slice(13, 15)
      .join(" ")
  const [before, used] = [lines("held"), cpu()]
  await Bun.sleep(150)
  expect([lines("held"), cpu()]).toEqual([before, used])

  expect(machine.run("pause", "held")).toMatchObject({ code: 1, stdout: "" })
  expect(machine.run("exec", "held", "true").stderr).toMatch(
    /cannot run a program in held: it is paused.*\n.*unpause held/,
  )
  expect(machine.must("unpause", "held")).toBe("held\n")
  await until(() => lines("held") > before)
  expect(state("held")).toMatchObject({ Status: "running", Paused: false })
  expect(machine.run("unpause", "held").stderr).toContain("it is not paused")
  machine.must("rm", "-f", "held")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("stop: the signal is the first thing that it hears", () => {
  begin("polite", "trap 'exit 9' TERM; while :; do sleep 0.05; done")
  machine.must("exec", "polite", "true")
  machine.must("pause", "polite")
  expect(machine.must("stop", "polite")).toBe("polite\n")
  expect(state("polite")).toMatchObject({ Status: "exited", Paused: false, ExitCode: 9 })
  expect(machine.run("pause", "polite").stderr).toContain("cannot pause container polite: it is not running")
  machine.must("rm", "polite")
})

test("rm -f", () => {
  begin("gone")
  machine.must("pause", "gone")
  expect(machine.run("rm", "gone").code).toBe(1)
  machine.must("rm", "-f", "gone")
  expect(machine.traces()).toEqual([])
})

test("its monitor was killed: it is not paused but gone, and nothing of it remains", async () => {
  begin("orphan")
  machine.must("pause", "orphan")
  const id = machine.must("ps", "-q", "--no-trunc").trim()
  const status = readFileSync(`${machine.root}/containers/${id}/status`, "utf8")
  process.kill(Number(/^monitor (\d+)/m.exec(status)![1]), "SIGKILL")
  await until(() => state("orphan").Status === "exited")
  expect(state("orphan")).toMatchObject({ Paused: false, ExitCode: 137 })
  machine.must("rm", "orphan")
  expect(machine.traces()).toEqual([])
})
