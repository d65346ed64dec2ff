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

/** What plain JavaScript may hand in: the field is named, whatever it is. */
const wrong = (say: string, act: () => unknown) =>
  test(say, () =>
    assert.rejects(
      async () => act(),
      (error) => error instanceof EngineError && error.code === "INVALID_VALUE" && error.message === say,
    ),
  )
const any = (value: unknown) => value as never
async function logOf(options: object): Promise<void> {
  for await (const _ of engine.logs("x", options)) assert.fail("a line of no container")
}
wrong('cannot make a container: there is no field "memorybytes"', () =>
  engine.run({ ...request("true"), ...{ memorybytes: 1 } }),
)
wrong("cannot make a container: rootfs is missing, and image too", () =>
  engine.run({ ...request("true"), rootfs: any(undefined) }),
)
wrong("cannot find a container: its name or id is not a text", () => engine.inspect(any(null)))
wrong("cannot stop a container: graceMs is not a number", () => engine.stop("x", { graceMs: Number.NaN }))
wrong("cannot stop a container: signal is not a text", () => engine.stop("x", { signal: any(9) }))
wrong("cannot remove a container: force is neither true nor false", () => engine.rm("x", { force: any("yes") }))
wrong("cannot list containers: filters.status is not a list", () => engine.ps({ filters: { status: any("running") } }))
wrong("cannot read a log: tail is not a whole number from 0 to 9007199254740991", () => logOf({ tail: -1 }))
wrong("cannot read a log: since is not a text", () => logOf({ since: 5 }))
wrong("cannot open an engine: root is not a text", () => open({ root: any(1) }))

test("a callback that throws keeps the container from starting, and nothing of it remains", async () => {
  const onHostNetwork: Request = { ...request("true"), network: "host" }
  const warn = () => {
    throw new Error("mine")
  }
  await assert.rejects(() => engine.run(onHostNetwork, { warn }), { message: "mine" })
  assert.deepEqual((await engine.ps({ all: true })).containers, [])
})

test("the source of a mount is made if that is asked for; explain makes nothing", async () => {
  const source = `${machine.base}/made/of it`
  const mounts = [{ kind: "bind", source, target: "/x", createSource: true }] as const
  await engine.explain({ ...request("true"), mounts })
  assert.throws(() => readdirSync(source), { code: "ENOENT" })
  const { exited } = await engine.run({ ...request("touch", "/x/here"), mounts })
  assert.deepEqual([await exited, readdirSync(source)], [0, ["here"]])
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
