/**
 * A failure at any step leaves nothing: a fault is injected at every step k of plans that together use every room, and the host is
 * compared before and after.
 *
 *     host … start     the error names the step; or, where a step may fail, it is a warning and the program runs
 *     started …        the program has run: its exit code is told, and what the last steps left goes at the next look
 *
 * Hooks, a gate and a bundle's own root are in bundle.test.ts.
 */

import { afterAll, describe, expect, test } from "bun:test"
import { join } from "node:path"
import { EngineError } from "../../src/base/errors.ts"
import { exec, prepareExec } from "../../src/engine/exec.ts"
import { preview } from "../../src/engine/prepare.ts"
import { ps } from "../../src/engine/ps.ts"
import { rm } from "../../src/engine/rm.ts"
import { run } from "../../src/engine/run.ts"
import { makeWorld } from "../../src/engine/world.ts"
import type { ExecRequest, Request } from "../../src/model/request.ts"
import type { Plan } from "../../src/plan/step.ts"
import { newMachine } from "../machine.ts"
import { everything } from "./everything.ts"
import { anonymous, hostState } from "./host.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const executor = { path: process.env.EXECUTOR ?? join(import.meta.dir, "../../build/executor") }
const world = makeWorld({ root: machine.root, runRoot: machine.runRoot, executor })
const request = everything(machine)

const VARIANTS: Readonly<Record<string, Request>> = {
  "everything, in a user namespace of its own": request,
  "everything, with the host's users and no new privileges": { ...request, userns: "host", noNewPrivileges: true },
}

/** Runs a plan with a fault in each of its steps, one test for each. @param start returns the exit code. */
function atEveryStep({ steps }: Pick<Plan, "steps">, start: (options: Faulty) => Promise<number>): void {
  for (const [index, { phase, op, must, does }] of steps.entries())
    test(`step ${index + 1}, ${phase}: ${anonymous(does, machine)}`, async () => {
      const before = hostState(machine)
      const late = phase === "started" || phase === "exit" || phase === "end"
      const warned: string[] = []
      const told = `cannot ${anonymous(does, machine)}: input/output error`
      const outcome = await start({ fault: index, warn: (line) => warned.push(anonymous(line, machine)) }).catch(
        (error: unknown) => {
          if (!(error instanceof EngineError)) throw error
          return anonymous(error.message, machine)
        },
      )
      if (late || must === false) {
        expect(outcome).toBe(0)
        expect(warned).toContain(`${told} (EIO)`)
      } else if (op === "exec") expect(outcome).toBe('cannot run "sh": input/output error (EIO)')
      else expect(outcome).toBe(`${told} (EIO, step ${index + 1} of ${steps.length})`)
      // What an end step did not remove is found and removed by whoever looks next; nothing else may need that.
      if (phase === "end") await ps(world, { all: true })
      expect(hostState(machine)).toEqual(before)
    }, 20_000)
}
type Faulty = Required<Parameters<typeof run>[2]>

for (const [name, request] of Object.entries(VARIANTS)) {
  const { plan } = await preview(world, request)
  describe(name, () => {
    // Once without a fault: it must work, and it makes what is made once.
    test("the plan itself runs", async () => {
      const before = hostState(machine)
      const { exited } = await run(world, request)
      expect(await exited).toBe(0)
      expect(hostState(machine)).toEqual(before)
    }, 20_000)
    atEveryStep(plan, async (options) => (await run(world, request, options)).exited)
  })
}

const program: ExecRequest = { args: ["sh", "-c", "[ -t 0 ]"], tty: true, user: "user", workdir: "/tmp" }
const running = await run(world, {
  ...request,
  args: ["sleep", "1000"],
  name: "host",
  remove: false,
  detached: true,
})
const { plan: joining } = await prepareExec(world, running.id, program)
describe("one more program in it", () => {
  afterAll(() => rm(world, running.id, { force: true, volumes: true }))
  test("the plan itself runs", async () => {
    const { exited } = await exec(world, running.id, program)
    expect(await exited).toBe(0)
  })
  atEveryStep(joining, async (options) => (await exec(world, running.id, program, options)).exited)
})
