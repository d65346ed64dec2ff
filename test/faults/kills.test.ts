/**
 * SIGKILL in front of every step: the executor is held there by a program that it waits for, then killed; the next command that looks
 * (ps) leaves the host as it was.
 *
 *     set-up      the monitor: abandoned, and gone          the container's process: an error that names the step
 *     program     lost: 137; with --rm gone
 *     its end     in front of every exit step, of every undo, of every end step: the undo is finished
 *
 * While it is held, a look changes nothing: what somebody works on is left alone.
 */

import { afterAll, describe, expect, test } from "bun:test"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Prepared, prepare, preview } from "../../src/engine/prepare.ts"
import { ps } from "../../src/engine/ps.ts"
import { rm } from "../../src/engine/rm.ts"
import { run } from "../../src/engine/run.ts"
import { makeWorld } from "../../src/engine/world.ts"
import { REPORT_FD, spawnExecutor } from "../../src/executor/spawn.ts"
import type { Request } from "../../src/model/request.ts"
import type { Phase, Plan, Step } from "../../src/plan/step.ts"
import { encode } from "../../src/plan/wire.ts"
import { newMachine } from "../machine.ts"
import { processes } from "../processes.ts"
import { everything } from "./everything.ts"
import { anonymous, hostState } from "./host.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())
const executor = { path: process.env.EXECUTOR ?? join(import.meta.dir, "../../build/executor") }
const world = makeWorld({ root: machine.root, runRoot: machine.runRoot, executor })
const request = everything(machine)

/** A number of seconds that nobody else sleeps. */
const SECONDS = `${100_000_000 + process.pid}`
const hold = {
  op: "hook",
  path: "/bin/sleep",
  argv: ["sleep", SECONDS],
  env: [],
  before: "",
  after: "",
  timeout: 0,
  does: "be held",
} as const
/** Holds the executor in front of a step, or of the undo of a step. */
const inFront = (phase: Phase): Step => ({ ...hold, phase: phase === "clone" ? "host" : phase, why: "test" })
const inUndo: Step = { phase: "host", op: "claim", path: "/", does: "do nothing", why: "test", undo: hold }
const inserted = (plan: Plan, index: number, step: Step): Plan => ({
  ...plan,
  steps: [...plan.steps.slice(0, index), step, ...plan.steps.slice(index)],
})

interface Held {
  /** Who is at the step: the monitor, or the container's process. */
  readonly worker: number
  readonly monitor: number
}
/** Waits until the executor is held. */
async function held(): Promise<Held> {
  for (;;) {
    const all = processes()
    const parentOf = new Map(all.map(({ pid, parent }) => [pid, parent]))
    const sleeper = all.find(({ words }) => words === `sleep\0${SECONDS}\0`)
    if (sleeper) {
      // Of the line of its ancestors up to us, the front is our child, and the monitor the front's.
      let monitor = sleeper.parent
      const grandparent = (): number | undefined => parentOf.get(parentOf.get(monitor) ?? 0)
      while (grandparent() !== process.pid && grandparent() !== undefined) monitor = parentOf.get(monitor) ?? 0
      if (grandparent() === process.pid) return { worker: sleeper.parent, monitor }
    }
    await Bun.sleep(1)
  }
}

/** As the command would leave it: whoever wrote the record is the front, and has ended when that has. */
function orphan({ id }: Prepared): void {
  const path = `${machine.root}/containers/${id}/container.json`
  const record = JSON.parse(readFileSync(path, "utf8"))
  writeFileSync(path, JSON.stringify({ ...record, creator: { ...record.creator, pid: 4_194_304, start: 1 } }))
}

/**
 * Starts a container with `change`d plan, waits until it is held, looks, kills, looks.
 * @returns what the front says.
 */
async function killed(given: Request, change: (plan: Plan) => Plan, whom: keyof Held): Promise<string> {
  const prepared = await prepare(world, given, { report: REPORT_FD })
  orphan(prepared)
  const plan = change(prepared.plan)
  writeFileSync(prepared.wire, encode(plan))
  const { exited } = spawnExecutor(world.executor(), ["run", prepared.wire], plan)
  const end = exited.then(String, (error: Error) => anonymous(error.message, machine))
  const found = await held()
  const before = hostState(machine)
  await ps(world, { all: true })
  expect(hostState(machine)).toEqual(before)
  process.kill(found[whom], "SIGKILL")
  return end
}

const { plan } = await preview(world, request)
const { steps } = plan
const SET_UP: readonly Phase[] = ["host", "clone", "parent", "child", "outside", "inside", "gate", "start"]
const INSIDE: readonly Phase[] = ["child", "inside", "gate", "start"]
const title = ({ phase, does }: Pick<Step, "phase" | "does">, index: number): string =>
  `step ${index + 1}, ${phase}: ${anonymous(does, machine)}`

test("without a kill the plan runs, and makes what is made once", async () => {
  const { exited } = await run(world, request)
  expect(await exited).toBe(0)
  expect(machine.traces()).toEqual([])
}, 20_000)

describe("the monitor, in front of", () => {
  for (const [index, step] of steps.entries())
    test(title(step, index), async () => {
      const before = hostState(machine)
      const end = await killed(request, (plan) => inserted(plan, index, inFront(step.phase)), "monitor")
      expect(end).toBe(SET_UP.includes(step.phase) ? "125" : "137")
      expect((await ps(world, { all: true })).containers).toEqual([])
      expect(hostState(machine)).toEqual(before)
    }, 20_000)
})

describe("the container's process, in front of", () => {
  for (const [index, step] of steps.entries())
    if (INSIDE.includes(step.phase))
      test(title(step, index), async () => {
        const before = hostState(machine)
        const end = await killed(request, (plan) => inserted(plan, index, inFront(step.phase)), "worker")
        expect(end).toBe(
          `cannot be held: the container's process was killed by SIGKILL (EOWNERDEAD, step ${index + 1} of ${steps.length + 1})`,
        )
        expect(hostState(machine)).toEqual(before)
      }, 20_000)
})

/** The plan in which the monitor is held before it takes back the step with this index. */
const heldInUndo =
  (index: number, frame: Partial<Plan["frame"]> = {}) =>
  (plan: Plan): Plan => {
    const held = inserted(plan, index + 1, inUndo)
    return { ...held, frame: { ...held.frame, ...frame } }
  }

describe("the monitor, in front of the undo", () => {
  const exec = steps.findIndex(({ op }) => op === "exec")
  for (const [index, { phase, undo }] of steps.entries()) {
    if (!undo) continue
    const name = title({ phase, does: undo.does }, index)
    test(`after a failure: ${name}`, async () => {
      const before = hostState(machine)
      expect(await killed(request, heldInUndo(index, { fault: exec + 1 }), "monitor")).toBe("125")
      expect((await ps(world, { all: true })).containers).toEqual([])
      expect(hostState(machine)).toEqual(before)
    }, 20_000)
    if (undo.when === "failure") continue
    test(`at the end: ${name}`, async () => {
      const before = hostState(machine)
      expect(await killed(request, heldInUndo(index), "monitor")).toBe("137")
      expect((await ps(world, { all: true })).containers).toEqual([])
      expect(hostState(machine)).toEqual(before)
    }, 20_000)
    test(`at the end of one that stays: ${name}`, async () => {
      const before = hostState(machine)
      expect(await killed({ ...request, remove: false }, heldInUndo(index), "monitor")).toBe("137")
      const { containers } = await ps(world, { all: true })
      expect(containers).toMatchObject([{ name: "faulty", status: "exited", exitCode: 0 }])
      await rm(world, "faulty", { volumes: true })
      expect(hostState(machine)).toEqual(before)
    }, 20_000)
  }
})
