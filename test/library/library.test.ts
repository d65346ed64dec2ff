/**
 * The library as a program under Node meets it: imported by its name from what `make build` made, with Node's own runner.
 */

import assert from "node:assert/strict"
import { readdirSync } from "node:fs"
import { text } from "node:stream/consumers"
import { after, before, test } from "node:test"
import { type Engine, EngineError, open, type Request, VERSION } from "minicontainer"
import { type Machine, newMachine } from "../machine.ts"

const machine: Machine = newMachine()
let engine: Engine

before(async () => {
  engine = await open({ root: machine.root, runRoot: machine.runRoot })
})
after(() => machine[Symbol.dispose]())

const request = (...args: string[]): Request => ({ rootfs: machine.rootfs, args, remove: true })

test("run gives streams, and the exit code when it ends", async () => {
  const { stdout, stderr, exited } = await engine.run(request("sh", "-c", "echo out; echo err >&2; exit 3"))
  assert.ok(stdout && stderr)
  assert.deepEqual(await Promise.all([text(stdout), text(stderr), exited]), ["out\n", "err\n", 3])
})

test("stdin is a stream too", async () => {
  const { stdin, stdout, exited } = await engine.run({ ...request("cat"), interactive: true })
  assert.ok(stdin && stdout)
  stdin.end("a line\n")
  assert.deepEqual(await Promise.all([text(stdout), exited]), ["a line\n", 0])
})

test("several at once do not mix", async () => {
  const outputs = await Promise.all(
    Array.from({ length: 8 }, async (_, index) => {
      const { stdout, exited } = await engine.run(request("echo", String(index)))
      assert.ok(stdout)
      const [said] = await Promise.all([text(stdout), exited])
      return said
    }),
  )
  assert.deepEqual(
    outputs,
    Array.from({ length: 8 }, (_, index) => `${index}\n`),
  )
})

test("what cannot be is an EngineError with a code, and the caller lives on", async () => {
  await assert.rejects(
    async () => (await engine.run({ rootfs: `${machine.rootfs}/nowhere`, args: ["sh"] })).exited,
    (error) => error instanceof EngineError && error.code === "ROOTFS_UNUSABLE",
  )
})

test("explain does nothing and tells every step", async () => {
  const { plan } = await engine.explain(request("sh"))
  assert.equal(plan.steps.filter(({ op }) => op === "exec").length, 1)
  assert.ok(plan.steps.every(({ does, why }) => does !== "" && why !== ""))
})

test("nothing is left: no container, no directory of one", async () => {
  assert.deepEqual((await engine.ps({ all: true })).containers, [])
  assert.deepEqual(readdirSync(`${machine.root}/containers`), [])
})

test("it says which version it is", () => {
  assert.match(VERSION, /^\d+\.\d+\.\d+$/)
})
