import { expect, test } from "bun:test"
import { EngineError } from "../base/errors.ts"
import type { Step } from "../plan/step.ts"
import { spawnExecutor } from "./spawn.ts"

const STEPS: Step[] = [
  { phase: "host", op: "mkdir", path: "/a", mode: 0o755, does: "make /a", why: "" },
  { phase: "start", op: "exec", argv: ["nosuch"], env: [], path: [], does: "run nosuch", why: "" },
]
/** A shell script in the executor's place: it reports on fd 3 as the executor does. */
const spawned = (script: string, options?: Parameters<typeof spawnExecutor>[3]) =>
  spawnExecutor("/bin/sh", ["-c", script], { steps: STEPS }, options)
const failure = async (promise: Promise<number>): Promise<string> => {
  const error = await promise.then(
    (value) => new Error(`it gave ${value}`),
    (reason: Error) => reason,
  )
  return error instanceof EngineError ? `${error.code}: ${error.message}` : String(error)
}

test("pid and exit code are reported; streams pass through", async () => {
  const { started, exited, stdin, stdout } = spawned("echo started 4711 >&3; cat; echo exited 5 >&3", {
    stdin: true,
    stdout: true,
  })
  expect(await started).toBe(4711)
  stdin!.end("hello")
  let text = ""
  for await (const chunk of stdout!) text += chunk
  expect(text).toBe("hello")
  expect(await exited).toBe(5)
})
test("a stream that was not asked for is not there", async () => {
  const { stdin, stdout, stderr, exited } = spawned("cat; echo unheard; echo exited 0 >&3")
  expect([stdin, stdout, stderr]).toEqual([null, null, null])
  expect(await exited).toBe(0)
})
test("detached: the executor ends when the program runs", async () => {
  const { started, exited } = spawned("echo started 9 >&3")
  expect([await started, await exited]).toEqual([9, 0])
})
test("a failed step is an error, of started and of exited", async () => {
  const { started, exited, failure: told } = spawned("echo failed 0 28 0 make /a >&3; exit 125")
  const expected = "STEP_FAILED: cannot make /a: no space left on device (ENOSPC, step 1 of 2)"
  expect([await failure(started), await failure(exited)]).toEqual([expected, expected])
  expect(told()).toMatchObject({ index: 0, errno: 28, does: "make /a" })
})
test("a program that is not there is named", async () => {
  const { exited } = spawned("echo failed 1 2 0 run nosuch >&3; exit 127")
  expect(await failure(exited)).toBe(`COMMAND_NOT_FOUND: cannot run "nosuch": not found in the container's PATH`)
})
test("warnings are told as they come", async () => {
  const warned: string[] = []
  await spawned("echo warning 0 17 >&3; echo exited 0 >&3", { warn: (line) => warned.push(line) }).exited
  expect(warned).toEqual(["cannot make /a: file exists (EEXIST)"])
})
test("an executor that is killed, or missing, is an error of its own", async () => {
  expect(await failure(spawned("kill -KILL $$").exited)).toBe(
    "EXECUTOR_FAILED: cannot finish: the executor /bin/sh failed: it was ended by SIGKILL",
  )
  expect(await failure(spawnExecutor("/nosuch", [], { steps: STEPS }).exited)).toBe(
    "EXECUTOR_FAILED: cannot finish: the executor /nosuch failed: ENOENT",
  )
})
