/**
 * What holds a container: its output, its input, its log, its status, and what happens when one of the two ends dies.
 */

import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { STDIO } from "../../src/plan/step.ts"
import { Client, EXECUTOR, exited, FRAME, hold, Person, parseLog, startTime, until, written } from "./hold.ts"

const sh = (script: string): readonly string[] => ["sh", "-c", script]
const OUTPUT = STDIO.stdout | STDIO.stderr
const DETACHED = OUTPUT | STDIO.detached
const sha = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
const pidOf = (line: string | undefined): number => Number(line?.split(" ")[0])

/** Field 6 of /proc/PID/stat. */
const sessionOf = (pid: number | string): string | undefined =>
  readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ")[3]

/** Ends when the file `name` is there: a container that waits for the test. */
const waitFor = (name: string): string => `while ! test -e ${name}; do sleep 0.02; done`

// ---- output, exit code, status, log ----

test("stdout and stderr stay apart, and the exit code is the program's", () => {
  using held = hold({ argv: sh("echo out; echo err >&2; exit 3") })
  expect(held.run()).toEqual({ code: 3, stdout: "out\n", stderr: "err\n" })
  const { lines } = held.status()
  const shape = Object.entries(lines).map(([key, value]) => `${key} ${value.replaceAll(/\d{2,}/g, "N")}`)
  expect(shape.join("\n")).toMatchInlineSnapshot(`
    "state exited
    code 3
    pid N N
    monitor N N
    boot a-boot
    started N.N
    finished N.N"
  `)
  expect(
    held
      .log()
      .map(({ stream, tag, bytes }) => `${stream} ${tag} ${bytes}`)
      .sort(),
  ).toEqual(["stderr F err", "stdout F out"])
})

test("the exit steps' captures are in the last status; --rm's last step leaves no status behind", () => {
  using held = hold({ argv: [] })
  const facts = held.path("facts")
  writeFileSync(facts, "oom 1\n\nfive")
  const capture = {
    phase: "exit",
    op: "capture",
    path: facts,
    name: "memory.events",
    does: "read",
    why: "test",
  } as const
  using kept = hold({ argv: ["true"], steps: [capture] })
  expect(kept.run().code).toBe(0)
  expect(kept.status().captures).toEqual({ "memory.events": "oom 1\n\nfive" })

  using gone = hold({ argv: ["true"] })
  mkdirSync(gone.path("c"))
  using removed = hold({
    argv: ["true"],
    frame: { status: gone.path("c/status"), log: gone.path("c/log"), control: gone.path("c/control") },
    steps: [{ phase: "end", op: "remove-tree", path: gone.path("c"), does: "remove it", why: "--rm" }],
  })
  expect(removed.run().code).toBe(0)
  expect(existsSync(gone.path("c"))).toBe(false)
})

test("who asks a second time is let go from a start that does not come to its end", async () => {
  using go = hold({ argv: [] })
  const argv = sh(waitFor(go.path("go")))
  const texts = { does: "wait", why: "test", before: "", after: "" }
  using held = hold({
    argv: ["true"],
    first: [{ phase: "host", op: "hook", path: "/bin/sh", argv, env: ["PATH=/bin:/usr/bin"], timeout: 0, ...texts }],
  })
  const front = held.start()
  const catches = (signal: number): boolean => {
    const mask = /^SigCgt:\t(.*)/m.exec(readFileSync(`/proc/${front.pid}/status`, "utf8"))?.[1]
    return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n
  }
  await until(() => catches(15))
  front.kill("SIGTERM")
  await Bun.sleep(100)
  expect(front.signalCode).toBe(null)
  front.kill("SIGTERM")
  expect(await exited(front)).toBe("SIGTERM")
  writeFileSync(go.path("go"), "")
  await held.when("state", "exited")
})

test("death by a signal is 128 + n, and named", async () => {
  using held = hold({ argv: ["sleep", "1000"] })
  const front = held.start()
  const { lines } = await held.when("state", "running")
  process.kill(pidOf(lines.pid), "SIGKILL")
  expect(await exited(front)).toBe(137)
  expect(held.status().lines).toMatchObject({ state: "exited", code: "137", signal: "9" })
})

/** A machine that is itself emulated does a hundredth of it in the same time. */
const MUCH = process.env.TESTHOST ? 10_000_000 : 1_000_000_000
test("1 GB goes through stdout, logged and rotated on its way", () => {
  using held = hold({ argv: sh(`head -c ${MUCH} /dev/zero`), frame: { logBytes: 1_000_000, logFiles: 2 } })
  expect(held.script("$RUN | wc -c").stdout.trim()).toBe(String(MUCH))
})

test("binary output comes back from the log byte for byte, both streams", () => {
  using held = hold({ argv: [] })
  const bytes = Buffer.concat([
    randomBytes(1_500_000),
    Buffer.alloc(300_000),
    Buffer.from("\n\n\n"),
    randomBytes(200_001),
  ])
  writeFileSync(held.path("bytes"), bytes)
  using run = hold({ argv: sh(`cat ${held.path("bytes")} & cat ${held.path("bytes")} >&2; wait`) })
  run.run()
  const entries = run.log()
  expect(sha(written(entries, "stdout"))).toBe(sha(bytes))
  expect(sha(written(entries, "stderr"))).toBe(sha(bytes))
})

test("a line is logged as one entry up to 16 KiB, in pieces beyond; an unfinished last line is a P", () => {
  const line = "x".repeat(16_384)
  // Each in one write, with a pause, so that each arrives in one read.
  using held = hold({
    argv: [
      "bash",
      "-c",
      `l=${"$"}(head -c 16384 /dev/zero | tr '\\0' x); echo $l; sleep .1; echo $l$l; sleep .1; echo $l$l; sleep .1; printf end`,
    ],
  })
  held.run()
  const entries = held.log()
  expect(written(entries, "stdout").toString()).toBe(`${line}\n${line}${line}\n${line}${line}\nend`)
  expect(entries.every(({ bytes }) => bytes.length <= 16_384)).toBe(true)
  expect(entries.filter(({ bytes }) => bytes.length === 16_384 && bytes[0] === 120).length).toBeGreaterThan(0)
  expect(entries.at(-1)).toMatchObject({ tag: "P", bytes: Buffer.from("end") })
})

test("logs rotate between entries, and there are never more of them, nor larger ones, than was said", () => {
  using held = hold({ argv: sh("seq 1 2000"), frame: { logBytes: 1000, logFiles: 3 } })
  const { stdout } = held.run()
  const logs = readdirSync(held.directory)
    .filter((name) => name.startsWith("log"))
    .sort()
  expect(logs).toEqual(["log", "log.1", "log.2"])
  for (const name of logs) expect(statSync(held.path(name)).size).toBeLessThanOrEqual(1000)
  const kept = logs.toReversed().flatMap((name) => parseLog(readFileSync(held.path(name))))
  expect(kept.length).toBeGreaterThan(40)
  expect(stdout.endsWith(written(kept, "stdout").toString())).toBe(true)
})

test("a full disk: whole entries only, the lost bytes are counted, the container goes on", () => {
  using held = hold({ argv: [] })
  mkdirSync(held.path("small"))
  expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", held.path("small")]).status).toBe(0)
  try {
    using run = hold({ argv: sh("yes abc | head -c 40000"), frame: { log: held.path("small/log") } })
    expect(run.run()).toEqual({ code: 0, stdout: "abc\n".repeat(10_000), stderr: "" })
    const entries = parseLog(readFileSync(held.path("small/log")))
    expect(entries.length).toBeGreaterThan(1000)
    expect(entries.every(({ bytes, tag }) => String(bytes) === "abc" && tag === "F")).toBe(true)
    expect(Number(run.status().lines.lost)).toBe(40_000 - 4 * entries.length)
  } finally {
    spawnSync("umount", [held.path("small")])
  }
})

test("yes | head: the reader's end is the writer's, with 141", () => {
  using held = hold({ argv: ["yes"] })
  expect(held.script("$RUN 2>/dev/null | head -1; echo $PIPESTATUS").stdout).toBe("y\n141\n")
})

test("stdout of the front may be a file, a socket, a full device", () => {
  using held = hold({ argv: sh("seq 1 20000") })
  expect(held.script("$RUN > $D/file; cksum < $D/file; seq 1 20000 | cksum").stdout).toMatch(/^(.*)\n\1\n$/)
  expect(held.script("$RUN > /dev/full")).toMatchObject({
    code: 125,
    stderr: "minicontainer: cannot write to stdout: No space left on device\n",
  })
})

// ---- stdin ----

const STDINS: readonly (readonly [name: string, script: string, expected: string])[] = [
  ["a file", "head -c 3000000 /dev/zero > $D/zeros; $RUN < $D/zeros", "3000000\n"],
  ["a pipe", "head -c 3000000 /dev/zero | $RUN", "3000000\n"],
  ["a slow pipe", "(printf a; sleep .2; printf b) | $RUN", "2\n"],
  ["/dev/null", "$RUN < /dev/null", "0\n"],
  ["closed", "$RUN <&-", "0\n"],
]
for (const [name, script, expected] of STDINS)
  test(`stdin: ${name}`, () => {
    using held = hold({ argv: ["wc", "-c"] })
    expect(held.script(script)).toEqual({ code: 0, stdout: expected, stderr: "" })
  })

test("without stdin in the plan the container reads /dev/null, and the caller's is left alone", () => {
  using held = hold({ argv: ["wc", "-c"], frame: { stdio: OUTPUT } })
  expect(held.script("printf rest | { $RUN; cat; }").stdout).toBe("0\nrest")
})

test("a program that does not read its stdin ends all the same, and so does one that closes it", () => {
  using held = hold({ argv: sh("exec <&-; sleep .1; exit 4") })
  expect(held.script("head -c 1000000 /dev/zero | $RUN").code).toBe(4)
  expect(held.script("sleep 0.2 | $RUN").code).toBe(4)
})

test("both ways at once: what goes in comes out", () => {
  using held = hold({ argv: ["cat"] })
  const bytes = randomBytes(5_000_000)
  writeFileSync(held.path("in"), bytes)
  expect(held.script("$RUN < $D/in | sha256sum").stdout.slice(0, 64)).toBe(sha(bytes))
})

// ---- signals, and the death of an end ----

test("signals reach the container, even behind stdin that nobody reads", async () => {
  using held = hold({
    argv: sh("trap 'echo term; exit 9' TERM; trap 'echo usr1' USR1; echo ready; while :; do sleep 0.02; done"),
  })
  writeFileSync(held.path("big"), Buffer.alloc(1_000_000))
  const big = openSync(held.path("big"), "r")
  const front = held.start([big, "pipe", "pipe"])
  let seen = ""
  front.stdout?.on("data", (chunk) => {
    seen += chunk
  })
  await until(() => seen === "ready\n")
  front.kill("SIGUSR1")
  await until(() => seen === "ready\nusr1\n")
  front.kill("SIGTERM")
  expect(await exited(front)).toBe(9)
  expect(seen).toBe("ready\nusr1\nterm\n")
  closeSync(big)
})

test("without --sig-proxy a signal ends the front, and the container goes on", async () => {
  using go = hold({ argv: [] })
  using run = hold({ argv: sh(`${waitFor(go.path("go"))}; echo done`), frame: { stdio: OUTPUT } })
  const front = run.start()
  await run.when("state", "running")
  front.kill("SIGTERM")
  expect(await exited(front)).toBe("SIGTERM")
  writeFileSync(go.path("go"), "")
  await run.when("state", "exited")
  expect(run.log().map(({ bytes }) => `${bytes}`)).toEqual(["done"])
})

test("kill -9 of the front: the container lives on and its output goes on into the log", async () => {
  using go = hold({ argv: [] })
  using held = hold({ argv: sh(`echo before; ${waitFor(go.path("go"))}; cat; echo after; exit 5`) })
  const front = held.start()
  await held.when("state", "running")
  await until(() => existsSync(held.path("log")) && held.log().length === 1)
  front.kill("SIGKILL")
  await exited(front)
  writeFileSync(go.path("go"), "")
  // `cat` ends: with the front its stdin has ended.
  expect((await held.when("state", "exited")).lines.code).toBe("5")
  expect(held.log().map(({ bytes }) => `${bytes}`)).toEqual(["before", "after"])
})

test("kill -9 of the monitor: everything below dies, and the front says so", async () => {
  using held = hold({ argv: sh("sleep 1000 & sleep 1000; wait") })
  const front = held.start()
  let stderr = ""
  front.stderr?.on("data", (chunk) => {
    stderr += chunk
  })
  const { lines } = await held.when("state", "running")
  const [pid, start] = (lines.pid ?? "").split(" ")
  expect(startTime(Number(pid))).toBe(start)
  process.kill(pidOf(lines.monitor), "SIGKILL")
  expect(await exited(front)).toBe(137)
  expect(startTime(Number(pid))).not.toBe(start)
  await until(() => stderr === "minicontainer: the container's monitor was killed, and the container with it\n")
})

test("a SIGTERM to the monitor does nothing", async () => {
  using held = hold({ argv: sh("read line; exit 6") })
  const front = held.start()
  const { lines } = await held.when("state", "running")
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGPIPE"] as const)
    process.kill(pidOf(lines.monitor), signal)
  front.stdin?.end("go\n")
  expect(await exited(front)).toBe(6)
})

test("a leftover that holds stdout open holds nobody up", () => {
  using held = hold({ argv: [] })
  using run = hold({
    argv: [...sh("setsid sleep 1000 & echo $! > $0; echo out"), held.path("pid")],
    flags: 0n,
    frame: { outer: 0 },
  })
  expect(run.run()).toEqual({ code: 0, stdout: "out\n", stderr: "" })
  process.kill(Number(readFileSync(held.path("pid"), "utf8")), "SIGKILL")
})

// ---- the monitor itself ----

test("a detached run announces itself and ends; the monitor holds nothing of the caller", async () => {
  using held = hold({ argv: ["sleep", "1000"], frame: { stdio: DETACHED, announce: "the-id\n" } })
  // Command substitution ends when the last holder of the pipe has closed it.
  expect(held.script('cd "$D"; exec 7< /etc/passwd; id=$($RUN 2>&1 </dev/null); echo "[$id] $?"')).toMatchObject({
    code: 0,
    stdout: "[the-id] 0\n",
  })
  const pid = pidOf(held.status().lines.monitor)
  const monitor = `/proc/${pid}`
  expect(readlinkSync(`${monitor}/cwd`)).toBe("/")
  const fds = (): string[] =>
    readdirSync(`${monitor}/fd`).map((fd) => readlinkSync(`${monitor}/fd/${fd}`).replace(held.directory, "D"))
  // The front's end is closed; the monitor hears of it a moment later.
  await until(() => fds().filter((target) => target.startsWith("socket")).length === 1)
  expect(
    fds()
      .map((target) => target.replace(/:.*/, ""))
      .sort(),
  ).toMatchInlineSnapshot(`
    [
      "/dev/null",
      "/dev/null",
      "/dev/null",
      "D/log",
      "anon_inode",
      "anon_inode",
      "pipe",
      "pipe",
      "socket",
    ]
  `)
  expect(readFileSync(`${monitor}/comm`, "utf8")).toBe("minicontainer\n")
  expect(sessionOf(pid)).toBe(String(pid))
})

test.skipIf(EXECUTOR.endsWith("asan"))(
  "the monitor is one thread with less than 300 KiB of its own, also after it has passed on both ways",
  async () => {
    using held = hold({
      argv: sh("head -c 3000000 /dev/zero; cat >/dev/null; sleep 1000"),
      frame: { stdio: DETACHED | STDIO.open },
    })
    expect(held.run().code).toBe(0)
    const client = new Client(held.path("control"))
    await until(() => client.started !== undefined)
    client.send(FRAME.stdin, new Uint8Array(32_768))
    await until(() => client.taken === 32_768)
    const monitor = `/proc/${pidOf(held.status().lines.monitor)}`
    const kib = (): number =>
      [...readFileSync(`${monitor}/smaps_rollup`, "utf8").matchAll(/^Private_\w+: +(\d+) kB$/gm)].reduce(
        (sum, [, n]) => sum + Number(n),
        0,
      )
    const busy = kib()
    await until(() => kib() < busy - 64)
    console.log(`monitor: ${kib()} KiB private, ${busy} while it passes on`)
    expect(kib()).toBeLessThan(300)
    expect(readdirSync(`${monitor}/task`).length).toBe(1)
    client.end()
  },
)

test("a front whose output nobody reads slows the container, as a pipe would; read, it goes on", async () => {
  using go = hold({ argv: [] })
  using held = hold({ argv: sh(`head -c 5000000 /dev/zero; : > ${go.path("written")}`) })
  const front = held.start()
  await until(() => existsSync(held.path("log")) && statSync(held.path("log")).size > 0)
  await Bun.sleep(300)
  expect(existsSync(go.path("written"))).toBe(false)
  let bytes = 0
  front.stdout?.on("data", (chunk) => {
    bytes += chunk.length
  })
  expect(await exited(front)).toBe(0)
  await until(() => bytes === 5_000_000)
  expect(existsSync(go.path("written"))).toBe(true)
})

// ---- attaching ----

test("two clients see the same output, either may type, and both hear the exit code", async () => {
  using held = hold({
    argv: sh("while read line; do echo got $line; test $line = end && exit 8; done"),
    frame: { stdio: DETACHED | STDIO.open },
  })
  held.run()
  const one = new Client(held.path("control"))
  const two = new Client(held.path("control"))
  await until(() => one.started !== undefined && two.started !== undefined)
  one.send(FRAME.stdin, Buffer.from("one\n"))
  await until(() => two.stdout === "got one\n")
  // Its end of stdin is not the container's: that was started with -d -i.
  one.send(FRAME.stdinEnd)
  two.send(FRAME.stdin, Buffer.from("end\n"))
  await until(() => one.closed && two.closed)
  expect([one.stdout, one.code, two.stdout, two.code]).toEqual(["got one\ngot end\n", 8, "got one\ngot end\n", 8])
  expect(existsSync(held.path("control"))).toBe(false)
})

test("a client that does not read is cut off after 5 s, with a message; the others and the container go on", async () => {
  using go = hold({ argv: [] })
  const script = `${waitFor(go.path("go"))}; head -c 3000000 /dev/zero; echo done; sleep 1000`
  using run = hold({ argv: sh(script), frame: { stdio: DETACHED } })
  run.run()
  const slow = new Client(run.path("control"))
  const quick = new Client(run.path("control"))
  await until(() => slow.started !== undefined && quick.started !== undefined)
  slow.pause()
  writeFileSync(go.path("go"), "")
  await until(() => quick.stdout.endsWith("done\n"))
  expect(quick.stdout.length).toBe(3_000_005)
  slow.resume()
  await until(() => slow.closed)
  expect(slow.messages).toEqual(["cut off: output was not read for 5 seconds"])
  expect(slow.code).toBeUndefined()
  quick.end()
}, 60_000)

test("frames that make no sense end the client, not the container", async () => {
  using held = hold({ argv: ["cat"], frame: { stdio: DETACHED | STDIO.open } })
  held.run()
  for (const [type, length] of [
    [FRAME.stdout, 4],
    [99, 0],
    [FRAME.signal, 3],
    [FRAME.stdin, 70_000],
  ] as const) {
    const client = new Client(held.path("control"))
    client.send(type, new Uint8Array(length))
    await until(() => client.closed)
  }
  const client = new Client(held.path("control"))
  client.send(FRAME.stdin, Buffer.from("still here\n"))
  await until(() => client.stdout === "still here\n")
  client.end()
})

test("the control socket may lie deeper than 108 bytes, and only root reaches it", async () => {
  using held = hold({ argv: [] })
  const deep = held.path("d".repeat(120))
  mkdirSync(deep)
  using run = hold({ argv: ["sleep", "1000"], frame: { stdio: DETACHED, control: `${deep}/control` } })
  expect(run.run()).toEqual({ code: 0, stdout: "", stderr: "" })
  expect(statSync(`${deep}/control`).mode & 0o777).toBe(0o600)
})

// ---- failures and reports ----

test("a program that is not there is 127, one that cannot be executed 126, in a sentence", () => {
  using missing = hold({ argv: ["/no/such/program"] })
  expect(missing.run()).toEqual({
    code: 127,
    stdout: "",
    stderr: "minicontainer: cannot run /no/such/program: No such file or directory (step 2 of 2)\n",
  })
  expect(existsSync(missing.path("status"))).toBe(false)
  using directory = hold({ argv: ["/etc"] })
  expect(directory.run().code).toBe(126)
})

test("a failed step becomes the argv of the frame, or a line on the report fd", () => {
  using held = hold({ argv: ["/no/such/program"], frame: { failed: ["/bin/echo", "told:"] } })
  expect(held.run().stdout).toBe("told: 1 2 0 run /no/such/program\n")
  using reported = hold({ argv: ["/no/such/program"], frame: { report: 3 } })
  expect(reported.script("$RUN 3>&1")).toEqual({ code: 127, stdout: "failed 1 2 0 run /no/such/program\n", stderr: "" })
})

test("a report has a line for the start, for a warning and for the end", () => {
  const warned = {
    phase: "host",
    op: "rmdir",
    path: "/no/such/directory",
    must: false,
    does: "remove it",
    why: "test",
  } as const
  using held = hold({ argv: sh("exit 3"), frame: { report: 3 } })
  expect(held.script("$RUN 3>&1").stdout.replace(/\d+$/m, "N")).toBe("started N\nexited 3\n")
  using told = hold({ argv: sh("exit 3"), first: [warned] })
  expect(told.run()).toEqual({
    code: 3,
    stdout: "",
    stderr: "minicontainer: warning: could not remove it: No such file or directory\n",
  })
})

// ---- a person at a terminal ----

/**
 * Runs the plan in a script that then shows the terminal's modes: bash itself sets them right after a job that a signal ended, and
 * would hide what the front has left.
 */
const thenModes = (held: { shell: string }): string =>
  `clear; sh -c '${held.shell}; echo code $?; stty -a | tr " ;" "\\n\\n" | grep -x -e ".\\?icanon" -e ".\\?echo" -e ".\\?opost" | sort | xargs echo modes'`
const RESTORED = "modes echo icanon opost"

test("a terminal: its size is there at the start and follows; job control works inside; it is given back at the end", async () => {
  using held = hold({ argv: ["bash", "--norc", "--noprofile"], terminal: true })
  using person = new Person()
  await person.sees("host$")
  person.types(thenModes(held))
  await person.sees("inside#")
  person.types("stty size")
  await person.sees(/^30 100$/m)
  person.resizes(90, 20)
  person.types("clear; stty size")
  await person.sees(/^20 90$/m)
  // Only what runs in front gets the keys' signals, so it speaks first.
  person.types('clear; sh -c "echo asleep; exec sleep 1000"')
  await person.sees(/^asleep$/m)
  person.presses("C-z")
  await person.sees("Stopped")
  person.types("fg")
  await person.sees(/^sh -c "echo asleep/m)
  // `fg` names the job before it hands over the terminal.
  await until(() => {
    person.presses("C-c")
    return /inside#$/.test(person.screen())
  })
  person.types("exit 7")
  await person.sees("code 7")
  await person.sees(RESTORED)
})

test("the detach keys, typed slowly, leave the container running; a beginning of them is passed on", async () => {
  using held = hold({ argv: sh("stty raw -echo; echo ready; od -An -tx1 -N4; sleep 1000"), terminal: true })
  using person = new Person()
  await person.sees("host$")
  person.types(thenModes(held))
  await person.sees("ready")
  person.presses("C-p", "C-p", "a", "C-p", "b")
  await person.sees("10 10 61 10")
  person.presses("C-p")
  await Bun.sleep(50)
  person.presses("C-q")
  await person.sees(/read escape sequence\s+code 0/)
  await person.sees(RESTORED)
  const { lines } = held.status()
  expect(lines.state).toBe("running")
  expect(startTime(pidOf(lines.pid))).toBe(lines.pid?.split(" ")[1])
})

/** The front and the monitor are forks of one program; only the monitor leads a session. */
function frontOf(shell: string): number {
  const argv = `${shell.split(" ").join("\0")}\0`
  const pid = readdirSync("/proc").find((name) => {
    try {
      return readFileSync(`/proc/${name}/cmdline`, "utf8") === argv && sessionOf(name) !== name
    } catch {
      return false
    }
  })
  return Number(pid)
}

const WAYS_OUT = [
  ["SIGTERM to the front", "front", "SIGTERM"],
  ["SIGHUP to the front", "front", "SIGHUP"],
  ["SIGKILL to the monitor", "monitor", "SIGKILL"],
  ["SIGKILL to the container", "pid", "SIGKILL"],
] as const
for (const [name, who, signal] of WAYS_OUT)
  test(`the terminal is given back after ${name}`, async () => {
    const stdio = STDIO.stdin | STDIO.stdout | STDIO.terminal | STDIO.open
    using held = hold({ argv: sh("echo ready; sleep 1000"), terminal: true, frame: { stdio } })
    using person = new Person()
    await person.sees("host$")
    const shell = held.shell
    person.types(thenModes({ shell }))
    await person.sees("ready")
    process.kill(who === "front" ? frontOf(shell) : pidOf(held.status().lines[who]), signal)
    await person.sees(/code 1\d\d/)
    await person.sees(RESTORED)
  })

test("a front that is stopped and continued has its raw mode again", async () => {
  using held = hold({ argv: sh("stty raw -echo; echo ready; od -An -tx1 -N3; echo over; sleep 1000"), terminal: true })
  using person = new Person()
  await person.sees("host$")
  const shell = held.shell
  person.types(`clear; ${shell}`)
  await person.sees("ready")
  process.kill(frontOf(shell), "SIGTSTP")
  await person.sees("Stopped")
  person.types("fg")
  await Bun.sleep(200)
  person.presses("C-c", "C-z", "C-d")
  await person.sees("03 1a 04")
})

test("stdin that is no terminal, for a container that has one: its end is the terminal's end of file", () => {
  using held = hold({ argv: ["cat"], terminal: true })
  expect(held.run("a line\n").stdout).toBe("a line\r\na line\r\n")
})

test("a terminal that its last user has closed is not lost: who opens it again is heard", () => {
  const script = "t=$(tty); exec <&- >&- 2>&-; sleep 0.5; exec > $t; echo back; exit 3"
  using held = hold({ argv: sh(script), terminal: true })
  expect(held.run()).toEqual({ code: 3, stdout: "back\r\n", stderr: "" })
})

test("the front attaches to a container that runs: the terminal, the detach keys, the exit code", async () => {
  const stdio = DETACHED | STDIO.terminal | STDIO.open
  using held = hold({ argv: ["bash", "--norc", "--noprofile"], terminal: true, frame: { stdio } })
  expect(held.run().code).toBe(0)
  const attached = STDIO.stdin | STDIO.stdout | STDIO.terminal | STDIO.signals
  const shell = `${EXECUTOR} front ${held.path("control")} ${attached} 1011`
  using person = new Person()
  await person.sees("host$")
  person.types(thenModes({ shell }))
  person.presses("Enter")
  await person.sees("inside#")
  person.types("stty size")
  await person.sees(/^30 100$/m)
  person.presses("C-p", "C-q")
  await person.sees(/code 0/)
  await person.sees(RESTORED)
  person.types(thenModes({ shell }))
  person.presses("Enter")
  await person.sees("inside#")
  person.types("exit 5")
  await person.sees("code 5")
  await person.sees(RESTORED)
})
