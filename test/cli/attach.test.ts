/**
 * attach, wait, kill, rename, restart: what goes on beside a container that runs.
 */

import { afterAll, expect, test } from "bun:test"
import type { ChildProcess } from "node:child_process"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const detached = (name: string, script: string, ...flags: string[]): string =>
  machine.must("run", "-d", "--name", name, ...flags, "--rootfs", machine.rootfs, "sh", "-c", script).trim()
const until = async (what: () => boolean): Promise<void> => {
  const deadline = performance.now() + 10_000
  while (!what()) {
    if (performance.now() > deadline) throw new Error("waited in vain")
    await Bun.sleep(10)
  }
}
/** A command whose output grows while we look. */
function live(...args: string[]) {
  const child: ChildProcess = machine.start({ stdio: ["pipe", "pipe", "pipe"] }, ...args)
  const seen = { out: "", err: "" }
  child.stdout!.on("data", (bytes) => {
    seen.out += bytes
  })
  child.stderr!.on("data", (bytes) => {
    seen.err += bytes
  })
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve))
  return { child, seen, ended }
}

test("two that attach see the same, either may type, and both end with the container's code", async () => {
  detached("talk", "while read line; do echo got $line; [ $line = end ] && exit 5; done", "-i")
  const [one, two] = [live("attach", "talk"), live("attach", "talk")]
  // Whoever has an answer is attached; only from then on it sees what others cause.
  one.child.stdin!.write("a\n")
  await until(() => one.seen.out.includes("got a"))
  two.child.stdin!.write("b\n")
  await until(() => one.seen.out.includes("got b") && two.seen.out.includes("got b"))
  one.child.stdin!.write("c\n")
  await until(() => one.seen.out.includes("got c") && two.seen.out.includes("got c"))
  two.child.stdin!.write("end\n")
  expect(await Promise.all([one.ended, two.ended])).toEqual([5, 5])
  expect(two.seen.out).toEndWith("got b\ngot c\ngot end\n")
  machine.must("rm", "talk")
}, 20_000)

test("attach --no-stdin types nothing; a signal reaches the container, unless --sig-proxy=false", async () => {
  detached("ear", "trap 'echo usr1' USR1; trap 'exit 6' TERM; while :; do echo .; sleep 0.05; done", "-i")
  const deaf = live("attach", "--no-stdin", "--sig-proxy=false", "ear")
  const proxy = live("attach", "--no-stdin", "ear")
  await until(() => deaf.seen.out.includes(".") && proxy.seen.out.includes("."))
  deaf.child.kill("SIGTERM")
  expect(await deaf.ended).toBeNull()
  proxy.child.kill("SIGUSR1")
  await until(() => proxy.seen.out.includes("usr1"))
  proxy.child.kill("SIGTERM")
  expect(await proxy.ended).toBe(6)
  machine.must("rm", "ear")
}, 20_000)

test("start -a of one that runs attaches to it", async () => {
  detached("up", "while :; do echo tick; sleep 0.05; done")
  const front = live("start", "-a", "up")
  await until(() => front.seen.out.includes("tick"))
  machine.must("kill", "up")
  expect(await front.ended).toBe(137)
  machine.must("rm", "up")
}, 20_000)

test("wait prints the codes in the order of the names, also of containers that leave nothing", async () => {
  const script = (code: number) => `while ! test -e /go; do sleep 0.02; done; exit ${code}`
  detached("three", script(3))
  detached("four", script(4), "--rm")
  const waiting = live("wait", "four", "three")
  const both = live("wait", "three")
  machine.must("exec", "three", "touch", "/go")
  expect(await both.ended).toBe(0)
  expect(both.seen.out).toBe("3\n")
  await Bun.sleep(50)
  machine.must("exec", "four", "touch", "/go")
  expect(await waiting.ended).toBe(0)
  expect(waiting.seen).toEqual({ out: "4\n3\n", err: "" })
  expect(machine.must("ps", "-a", "--format", "{{.Names}}")).toBe("three\n")
  machine.must("rm", "three")
  expect(machine.traces()).toEqual([])
}, 20_000)

test("kill -s sends a signal and no more; KILL is waited for", async () => {
  detached("hup", "trap 'echo hup' HUP; echo up; while :; do sleep 0.05; done")
  await until(() => machine.must("logs", "hup") === "up\n")
  expect(machine.must("kill", "--signal", "HUP", "hup")).toBe("hup\n")
  await until(() => machine.must("logs", "hup") === "up\nhup\n")
  expect(machine.run("kill", "-s", "NOSUCH", "hup").code).toBe(125)
  machine.must("kill", "hup")
  expect(machine.must("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "hup")).toBe("exited 137\n")
  const { code, stderr } = machine.run("kill", "hup")
  expect({ code, stderr }).toMatchObject({ code: 1 })
  expect(stderr).toContain("not running")
  machine.must("rm", "hup")
}, 20_000)

test("rename: the old name is free, a taken one is refused, the host name stays, and rm frees the new one", () => {
  const id = detached("old", "sleep 1000")
  detached("other", "sleep 1000")
  machine.must("rename", "old", "new")
  expect(machine.must("inspect", "-f", "{{.Name}}", id)).toBe("/new\n")
  expect(machine.run("inspect", "old").code).toBe(1)
  expect(machine.must("exec", "new", "hostname")).toBe(`${id.slice(0, 12)}\n`)
  expect(machine.run("rename", "new", "other")).toMatchObject({ code: 125 })
  expect(machine.run("rename", "new", "new")).toMatchObject({ code: 125 })
  expect(machine.run("rename", "new", "-no-")).toMatchObject({ code: 125 })
  detached("old", "sleep 1000")
  machine.must("restart", "-t", "0", "new")
  expect(machine.must("inspect", "-f", "{{.Name}} {{.State.Status}}", id)).toBe("/new running\n")
  detached("brief", "sleep 1000", "--rm")
  expect(machine.run("rename", "brief", "long").code).toBe(1)
  expect(machine.run("restart", "brief").code).toBe(1)
  machine.must("rm", "-f", "new", "other", "old", "brief")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("--timeout kills what has run so long, in the foreground and in the background; what ends before is left alone", () => {
  const began = performance.now()
  expect(machine.inside("--timeout", "1", "sh", "-c", "trap '' TERM; echo up; sleep 1000")).toEqual({
    code: 137,
    stdout: "up\n",
    stderr: "",
  })
  expect(performance.now() - began).toBeGreaterThan(1000)
  expect(machine.inside("--timeout", "60", "sh", "-c", "exit 3").code).toBe(3)
  detached("short", "sleep 1000", "--timeout", "1")
  expect(machine.must("wait", "short")).toBe("137\n")
  // A start begins anew.
  machine.must("start", "short")
  expect(machine.must("wait", "short")).toBe("137\n")
  machine.must("rm", "short")
  expect(machine.traces()).toEqual([])
}, 20_000)
