import { expect, test } from "bun:test"
import { join } from "node:path"

/** A process of its own that writes through the real Io; its stdout is a pipe that Bun has made non-blocking. */
const script = (body: string) => `
  import { stdio } from ${JSON.stringify(join(import.meta.dirname, "io.ts"))}
  import { main } from ${JSON.stringify(join(import.meta.dirname, "main.ts"))}
  const io = stdio()
  ${body}`
const command = (body: string) => [process.execPath, "-e", script(body)]

test("a full pipe is waited for: nothing is lost, nothing comes twice", async () => {
  const child = Bun.spawn(command(`for (let n = 0; n < 200; n++) io.write("stdout", String(n).padStart(8192, "."))`), {
    stdout: "pipe",
  })
  const text = await new Response(child.stdout).text()
  expect(text.length).toBe(200 * 8192)
  expect([...text.matchAll(/\d+/g)].map(String)).toEqual(Array.from({ length: 200 }, (_, n) => String(n)))
  expect(await child.exited).toBe(0)
})

test("when the reader is gone, the command ends quietly with the status of SIGPIPE", () => {
  const endless = `const logs = async function* () { for (;;) yield { stream: "stdout", time: "", bytes: Buffer.from("y\\n") } }
    process.exitCode = await main(["logs", "x"], io, async () => ({ logs }))`
  const { stdout, stderr } = Bun.spawnSync([
    "bash",
    "-c",
    '"$@" | head -1; echo $PIPESTATUS',
    "bash",
    ...command(endless),
  ])
  expect([stdout.toString(), stderr.toString()]).toEqual(["y\n141\n", ""])
})

test("what nobody reads on stderr is no failure", () => {
  const { exitCode } = Bun.spawnSync([
    "bash",
    "-c",
    '"$@" 2>&-',
    "bash",
    ...command(`process.exitCode = await main(["nonsense"], io, async () => ({}))`),
  ])
  expect(exitCode).toBe(125)
})

test("from source, the command starts itself again by its interpreter and its script", () => {
  const path = join(import.meta.dirname, "../../test/cli/self.ts")
  const { stdout } = Bun.spawnSync([process.execPath, path])
  expect(JSON.parse(stdout.toString())).toEqual([process.execPath, path])
})

test("a full disk is no fault of ours: one line says so", () => {
  const { exitCode, stderr } = Bun.spawnSync([
    "bash",
    "-c",
    '"$@" >/dev/full',
    "bash",
    ...command(`process.exitCode = await main(["version"], io, async () => ({}))`),
  ])
  expect([exitCode, stderr.toString()]).toEqual([
    125,
    "minicontainer: cannot write to stdout: no space left on device [OUTPUT_FAILED]\n",
  ])
})

test("a file without an end is read up to the limit, a pipe to its end", () => {
  const read = (path: string) =>
    `try { console.log(io.readFile("${path}", 70000).length) } catch (e) { console.log(e.code) }`
  const { stdout } = Bun.spawnSync([
    "bash",
    "-c",
    'head -c 70000 /dev/zero | "$@"',
    "bash",
    ...command(`${read("/dev/stdin")}; ${read("/dev/zero")}; ${read("/dev/null")}; ${read("/")}`),
  ])
  expect(stdout.toString()).toBe("70000\nEFBIG\n0\nEISDIR\n")
})
