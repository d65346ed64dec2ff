/**
 * The same for what only a config.json can say: hooks, a gate between create and start, a root of its own, and nobody who stays.
 *
 *     create   all steps up to the gate; the executor reports, and ends      a failure: it has taken all back, and tells the step
 *     start    a byte into the gate; then hooks, credentials, exec           a failure: on the container's stderr
 *     delete   the undo of the plan, by another process                      whatever came before
 */

import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { prepare } from "../../src/engine/prepare.ts"
import { makeWorld } from "../../src/engine/world.ts"
import { doSteps } from "../../src/executor/do.ts"
import { REPORT_FD, spawnExecutor } from "../../src/executor/spawn.ts"
import type { HookName, Hooks } from "../../src/model/oci.ts"
import { containerPlan, undoOf } from "../../src/plan/plan.ts"
import type { Plan } from "../../src/plan/step.ts"
import { encode } from "../../src/plan/wire.ts"
import { startOf } from "../../src/record/alive.ts"
import { findRecord, readConfig } from "../../src/record/containers.ts"
import { newMachine } from "../machine.ts"
import { anonymous, hostState } from "./host.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())
const executor = { path: process.env.EXECUTOR ?? join(import.meta.dir, "../../build/executor") }
const world = makeWorld({ root: machine.root, runRoot: machine.runRoot, executor })

const HOOKS: readonly HookName[] = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
]
/** Where a hook writes what it reads on stdin, as the host sees it. */
const stateOf = (name: HookName): string =>
  join(name === "startContainer" ? machine.rootfs : machine.base, `state-${name}`)
const hooks: Hooks = Object.fromEntries(
  HOOKS.map((name) => {
    const path = name === "startContainer" ? `/state-${name}` : stateOf(name)
    return [name, [{ path: "/bin/sh", args: ["sh", "-c", `cat > ${path}`], timeout: 10 }]]
  }),
)

/** A bundle as a door of its own would make it, ready to be carried out. */
async function bundle(fault?: number): Promise<{ readonly id: string; readonly plan: Plan; readonly wire: string }> {
  const request = {
    rootfs: machine.rootfs,
    args: ["sh", "-c", "true"],
    name: "bundle",
    hostname: "box",
    remove: true,
    userns: "host",
  } as const
  const { id, wire } = await prepare(world, request)
  const found = findRecord(world.store(), id)
  if (found.kind !== "container" || !found.record.placement) throw new Error(`no record of ${id}`)
  const plan = containerPlan(
    { ...readConfig(world.store(), id), hooks },
    { ...found.record.placement, gate: true, stay: "none", rootfs: { kind: "directory", path: machine.rootfs } },
    world.host([machine.rootfs]),
    { report: REPORT_FD, ...(fault !== undefined && { fault }) },
  )
  writeFileSync(wire, encode(plan))
  return { id, plan, wire }
}

interface Life {
  readonly plan: Plan
  /** What it says on stderr. */
  readonly said: string
  readonly warned: readonly string[]
}
/** create, start, delete. */
async function live(fault?: number): Promise<Life> {
  const { id, plan, wire } = await bundle(fault)
  const warned: string[] = []
  const { started, exited, stderr } = spawnExecutor(world.executor(), ["run", wire], plan, {
    stderr: true,
    warn: (line) => warned.push(anonymous(line, machine)),
  })
  const said = text(stderr!)
  const pid = await started
  await exited
  writeFileSync(`${machine.runRoot}/${id}/gate`, "x")
  while (startOf(pid) !== undefined) await Bun.sleep(2)
  const { frame, steps } = undoOf(plan, { failed: false })
  await doSteps(world.executor(), { frame: { ...frame, fault: undefined }, steps })
  return { plan, said: await said, warned }
}

const { plan, ...life } = await live()
test("the plan itself runs, and every hook gets the container's state", () => {
  expect(life).toEqual({ said: "", warned: [] })
  expect(machine.traces()).toEqual([])
  for (const name of HOOKS) {
    const state = JSON.parse(readFileSync(stateOf(name), "utf8"))
    expect(state).toMatchObject({ ociVersion: "1.2.0", id: expect.stringMatching(/^[0-9a-f]{64}$/) })
    rmSync(stateOf(name))
  }
})

for (const [index, { phase, must, does }] of plan.steps.entries()) {
  // The rest is the undo's, and faults.test.ts has it.
  if (phase === "exit" || phase === "end") continue
  test(`step ${index + 1}, ${phase}: ${anonymous(does, machine)}`, async () => {
    const before = hostState(machine)
    const outcome = await live(index).catch((error: Error) => anonymous(error.message, machine))
    const told = `cannot ${anonymous(does, machine)}: input/output error`
    if (phase === "start") {
      // Libraries word an errno differently.
      const words = must === false ? `warning: could not ${does}` : `cannot ${does}`
      expect((outcome as Life).said.toLowerCase()).toMatch(/^minicontainer: .*: (input\/output|i\/o) error\n$/)
      expect((outcome as Life).said).toStartWith(`minicontainer: ${words}: `)
    } else if (must === false) expect(outcome).toMatchObject({ warned: [`${told} (EIO)`] })
    else expect(outcome).toBe(`${told} (EIO, step ${index + 1} of ${plan.steps.length})`)
    expect(hostState(machine)).toEqual(before)
    for (const name of HOOKS) if (existsSync(stateOf(name))) rmSync(stateOf(name))
  }, 20_000)
}
