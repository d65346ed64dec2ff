/**
 * A terminal, in tmux: raw mode and back, resize, job control, detach, and programs that draw.
 */

import { afterAll, beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
const socket = join(machine.directory("tmux"), "s")
const tmux = (...args: string[]): string => {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["tmux", "-S", socket, ...args])
  if (exitCode !== 0) throw new Error(`tmux ${args.join(" ")}: ${stderr}`)
  return stdout.toString()
}
const screen = (): string => tmux("capture-pane", "-p")
const type = (...keys: string[]): string => tmux("send-keys", ...keys)
const shows = async (text: string | RegExp): Promise<string> => {
  const deadline = performance.now() + 10_000
  for (;;) {
    const now = screen()
    if (typeof text === "string" ? now.includes(text) : text.test(now)) return now
    if (performance.now() > deadline) throw new Error(`the screen never showed ${text}:\n${now}`)
    await Bun.sleep(30)
  }
}
const command = [...machine.command, "--root", machine.root, "--run-root", machine.runRoot].join(" ")

beforeAll(() => {
  tmux("-f", "/dev/null", "new-session", "-d", "-x", "100", "-y", "30", "env PS1='host> ' TERM=screen sh")
})
afterAll(() => {
  tmux("kill-server")
  machine[Symbol.dispose]()
})
const fresh = async (): Promise<void> => {
  tmux("respawn-pane", "-k", "env PS1='host> ' TERM=screen sh")
  type("clear; echo ready", "Enter")
  await shows(/^ready$/m)
}
const run = (flags: string, program: string): string =>
  `${command} run --rm -it ${flags} -e PS1='inside> ' --rootfs ${machine.rootfs} ${program}`

test("the size is known before the program's first instruction, and follows", async () => {
  await fresh()
  type(run("", "sh -c 'stty size; trap \"stty size\" WINCH; while :; do sleep 0.05; done'"), "Enter")
  await shows(/^30 100$/m)
  tmux("resize-window", "-x", "80", "-y", "24")
  await shows(/^24 80$/m)
  type("C-c")
  tmux("resize-window", "-x", "100", "-y", "30")
  await shows(/host> *$/m)
}, 30_000)

test("start -ai gives a container that was made with -it this terminal; Ctrl-P Ctrl-Q leaves it running", async () => {
  await fresh()
  machine.must("create", "-it", "--name", "shell", "--rootfs", machine.rootfs, "sh", "-c", "stty size; exec cat")
  type(`${command} start -ai shell`, "Enter")
  await shows(/^30 100$/m)
  type("word", "Enter")
  await shows(/^word\nword$/m)
  type("C-p", "C-q")
  await shows(/^host> *$/m)
  expect(machine.must("ps", "--format", "{{.Names}}")).toBe("shell\n")
  machine.must("rm", "-f", "shell")
}, 30_000)

test("a shell has job control, and Ctrl-C reaches only the program in front", async () => {
  await fresh()
  type(run("", "sh"), "Enter")
  await shows(/^inside> *$/m)
  type("sleep 1000", "Enter")
  await Bun.sleep(200)
  type("C-z")
  await shows("Stopped")
  type("fg", "Enter")
  await Bun.sleep(200)
  type("C-c")
  type("echo a$((1+1))b; tty; exit 4", "Enter")
  await shows("a2b")
  await shows("/dev/pts/0")
  await shows(/^host> *$/m)
  type("echo code=$?", "Enter")
  await shows("code=4")
}, 30_000)

test("the terminal is as before on every way out", async () => {
  const before = "stty -a | cksum > /tmp/mctest-stty-$$; "
  const after = "; stty -a | cksum | cmp - /tmp/mctest-stty-$$ && echo sa''me; rm /tmp/mctest-stty-$$"
  for (const [flags, program] of [
    ["", "true"],
    ["", "nosuch"],
    ["--sysctl net.ipv4.nosuch=1", "true"],
    ["", "sh -c 'kill -9 $$'"],
    ["", "sh -c 'stty raw -echo'"],
  ] as const) {
    await fresh()
    type(before + run(flags, program) + after, "Enter")
    await shows(/^same$/m)
  }
}, 60_000)

test("ctrl-p ctrl-q detaches and the container goes on", async () => {
  await fresh()
  type(`${command} run -it --name back -e PS1='inside> ' --rootfs ${machine.rootfs} sh`, "Enter")
  await shows(/^inside> *$/m)
  type("C-p", "C-q")
  await shows(/host> *$/m)
  expect(machine.must("ps", "--format", "{{.Names}}")).toBe("back\n")
  machine.must("rm", "-f", "back")
}, 30_000)

test("vi and top draw", async () => {
  await fresh()
  type(run("", "vi /tmp/file"), "Enter")
  await shows(/^~$/m)
  type("ihello vi", "Escape")
  // A pause, or vi takes the two keys for one with Alt.
  await Bun.sleep(300)
  type(":x", "Enter")
  await shows(/host> *$/m)
  await fresh()
  type(run("", "top"), "Enter")
  await shows(/PID +PPID/)
  type("q")
  await shows(/host> *$/m)
}, 40_000)

test("exec -it has a terminal of its own", async () => {
  machine.must("run", "-d", "--name", "host", "--rootfs", machine.rootfs, "sleep", "1000")
  await fresh()
  type(`${command} exec -it -e PS1='joined> ' host sh`, "Enter")
  await shows(/^joined> *$/m)
  type("tty; exit 6", "Enter")
  await shows(/^\/dev\/pts\/\d/m)
  await shows(/^host> *$/m)
  type("echo code=$?", "Enter")
  await shows("code=6")
  machine.must("rm", "-f", "host")
}, 30_000)

test("-t without a terminal says so", () => {
  const { code, stderr } = machine.run("run", "--rm", "-it", "--rootfs", machine.rootfs, "true")
  expect(code).not.toBe(0)
  expect(stderr).toMatch(/not a (TTY|terminal)/i)
})
