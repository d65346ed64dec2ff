/**
 * The executor, by small plans: what each op really does, what a failure leaves behind, and what is refused.
 */

import { beforeAll, describe, expect, test } from "bun:test"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import {
  closeSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { constants } from "node:os"
import { linkUp } from "../../src/formats/netlink/route.ts"
import type { Call, Step } from "../../src/plan/step.ts"
import { WIRE_VERSION } from "../../src/plan/step.ts"
import { encode } from "../../src/plan/wire.ts"
import { build, clone, EXECUTOR, exec, FIRST_ID, frame, NEW, newRoom, ROOMS, type Room, sh, step } from "./native.ts"

const { EACCES, ECANCELED, EIO, ELOOP, ENOENT, ENOEXEC, ENOTEMPTY, EOWNERDEAD, EPERM, ESRCH, ETIMEDOUT } = {
  ...constants.errno,
  EOWNERDEAD: 130,
}
const MS_PRIVATE = 1 << 18
const MS_SLAVE = 1 << 19

beforeAll(build, 120_000)

const mkdir = (path: string, undo = true): Step =>
  step("host", { op: "mkdir", path, mode: 0o755 }, undo ? { undo: { op: "rmdir", path } } : {})

/** A shell outside, as root. */
function shell(script: string): string {
  const { stdout, stderr } = spawnSync("sh", ["-c", script], { encoding: "utf8" })
  return stdout + stderr
}
async function until(holds: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !holds(); await Bun.sleep(5))
    if (performance.now() > end) throw new Error(`this did not come true in 20 s: ${holds}`)
}

describe("the uses", () => {
  const use = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(EXECUTOR, args, { encoding: "utf8", input: "" })
    return { status, stdout, stderr }
  }
  test("version, and what is not a use", () => {
    expect(use("version")).toEqual({ status: 0, stdout: `${WIRE_VERSION}\n`, stderr: "" })
    expect(use("walk")).toMatchObject({ status: 125, stdout: "" })
    expect(use("run")).toMatchObject({ status: 125, stdout: "" })
    expect(use("run", "/nowhere")).toEqual({
      status: 125,
      stdout: "",
      stderr: "minicontainer: cannot read the plan: it cannot be read\n",
    })
  })

  test("a wire that is not exactly right is refused, in one sentence", () => {
    using room = newRoom()
    const good = encode({ frame: frame(), steps: [clone(), exec("true")], warnings: [] })
    const with_ = (at: number, value: number): Uint8Array => {
      const bytes = good.slice()
      bytes[at] = value
      return bytes
    }
    const cases: readonly (readonly [Uint8Array, string])[] = [
      [new Uint8Array(), "these bytes are not a plan"],
      [with_(0, 77 ^ 1), "these bytes are not a plan"],
      [with_(4, WIRE_VERSION + 1), "the plan is of another version"],
      [good.slice(0, -8), "the plan is cut short, or too long"],
      [new Uint8Array(9 << 20).fill(1), "these bytes are not a plan"],
      [with_(32, 3), "the frame asks for what does not exist"],
    ]
    for (const [bytes, sentence] of cases)
      expect(room.runBytes(bytes)).toMatchObject({
        code: 125,
        stderr: `minicontainer: cannot read the plan: ${sentence}\n`,
      })
  })

  test("a flipped byte anywhere is refused or carried out, but never crashes", () => {
    // Ops that change nothing, whatever becomes of their arguments.
    const steps = ["/", "/proc"].map((path) => step("host", { op: "claim", path }))
    const good = encode({ frame: frame(), steps, warnings: [] })
    const codes = new Set<number | null>()
    for (let at = 0; at < good.length; at += 2) {
      const bytes = good.slice()
      bytes[at] = (bytes[at] ?? 0) ^ 0x81
      const { status, signal } = spawnSync(EXECUTOR, ["do"], { input: bytes })
      expect([at, signal]).toEqual([at, null])
      codes.add(status)
    }
    expect([...codes].sort()).toEqual([0, 1, 125])
  })

  test("lock: the second waits until the first one's stdin ends", async () => {
    using room = newRoom()
    const lock = (): ChildProcess & { said: string } => {
      const child = Object.assign(spawn(EXECUTOR, ["lock", room.path("lock")]), { said: "" })
      child.stdout.on("data", (bytes) => {
        child.said += bytes
      })
      return child
    }
    const first = lock()
    await until(() => first.said === "locked\n")
    const second = lock()
    // flock(2) of the second is on its way or waits; either way it may not answer.
    await Bun.sleep(50)
    expect(second.said).toBe("")
    first.stdin?.end()
    await until(() => second.said === "locked\n")
    second.stdin?.end()
    await until(() => second.exitCode === 0)
  })
})

describe("do", () => {
  test("runs in order, whatever the phases, and reports captures and warnings", () => {
    using room = newRoom()
    writeFileSync(room.path("facts"), "oom 1\n")
    const result = room.do([
      mkdir(room.path("d")),
      step("host", { op: "rmdir", path: room.path("nowhere") }, { must: false }),
      step("host", { op: "rmdir", path: room.path("nowhere") }, { ok: ["ENOENT"] }),
      step("exit", { op: "capture", path: room.path("facts"), name: "memory.events" }),
      step("end", { op: "mkdir", path: room.path("d/e"), mode: 0o700 }),
    ])
    expect(result).toEqual({
      code: 0,
      stdout: `warning 1 ${ENOENT}\ncapture memory.events 6\noom 1\n\n`,
      stderr: "",
      report: [],
    })
    expect(existsSync(room.path("d/e"))).toBe(true)
  })

  test("a failed step takes back all before it, in reverse; what was there already stays", () => {
    using room = newRoom()
    mkdirSync(room.path("old"))
    const result = room.do([
      step(
        "host",
        { op: "mkdir", path: room.path("old"), mode: 0o755 },
        {
          ok: ["EEXIST"],
          undo: { op: "rmdir", path: room.path("old") },
        },
      ),
      mkdir(room.path("a")),
      mkdir(room.path("a/b")),
      step(
        "host",
        { op: "mkfifo", path: room.path("a/b/fifo"), mode: 0o600 },
        {
          undo: { op: "unlink", path: room.path("a/b/fifo"), when: "failure" },
        },
      ),
      step("host", { op: "mkdir", path: room.path("x/y"), mode: 0o755 }),
    ])
    expect(result).toMatchObject({ code: 1, stdout: `failed 4 ${ENOENT} 0 do mkdir\n` })
    expect(readdirSync(room.directory)).toEqual(["old"])
  })

  test("a step whose slot was never filled is skipped, and is not undone", () => {
    using room = newRoom()
    mkdirSync(room.path("kept"))
    const result = room.do([
      step("host", { op: "open", path: room.path("nowhere"), flags: 0 }, { ok: ["ENOENT"], gives: "fd" }),
      step("host", { op: "enter-mounts", namespace: "fd" }, { undo: { op: "rmdir", path: room.path("kept") } }),
      step("host", { op: "unlink", path: room.path("nowhere") }),
    ])
    expect(result.stdout).toBe(`failed 2 ${ENOENT} 0 do unlink\n`)
    expect(existsSync(room.path("kept"))).toBe(true)
  })

  test("modes and owners are exact, whatever the umask", () => {
    using room = newRoom()
    room.do([
      step("host", { op: "mkdir", path: room.path("d"), mode: 0o1777, uid: 5, gid: 6 }),
      step("host", { op: "mkfifo", path: room.path("f"), mode: 0o666, uid: 7, gid: 8 }),
    ])
    expect(shell(`cd ${room.directory}; stat -c '%a %u %g %F' d f`)).toBe("1777 5 6 directory\n666 7 8 fifo\n")
  })

  test("write, claim, copy-file", () => {
    using room = newRoom()
    for (const [name, text] of Object.entries({ from: "0-3\n", empty: "\n", full: "1\n" }))
      writeFileSync(room.path(name), text)
    const copy = (to: string): Step => step("host", { op: "copy-file", from: room.path("from"), to: room.path(to) })
    const write = (path: string): Step => step("host", { op: "write", path, text: "42" })
    expect(room.do([copy("empty"), copy("full"), write(room.path("from"))]).code).toBe(0)
    expect(["empty", "full", "from"].map((name) => readFileSync(room.path(name), "utf8"))).toEqual([
      "0-3\n",
      "1\n",
      "423\n",
    ])
    expect(room.do([step("host", { op: "claim", path: room.path("from") })]).code).toBe(0)
    expect(room.do([step("host", { op: "claim", path: room.path("gone") })]).stdout).toContain(`failed 0 ${ENOENT}`)
    expect(room.do([write(room.path("new"))]).stdout).toContain(`failed 0 ${ENOENT}`)
  })

  test("a process is opened by number and start time, asked to end, and waited for", async () => {
    using room = newRoom()
    const child = spawn("sleep", ["1000"])
    const pid = child.pid ?? 0
    const start = Number(readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /s, "").split(" ")[19])
    const open = (at: number): Step => step("host", { op: "open-process", pid, start: at }, { gives: "process" })
    const wait = step("host", { op: "await-exit", process: "process", ms: 20 })
    expect(room.do([open(start + 1)]).stdout).toBe(`failed 0 ${ESRCH} 0 do open-process\n`)
    expect(room.do([open(start), wait]).stdout).toBe(`failed 1 ${ETIMEDOUT} 0 do await-exit\n`)
    const ends = [open(start), step("host", { op: "signal", process: "process", signal: 15 }), { ...wait, ms: 20_000 }]
    expect(room.do(ends as Step[])).toMatchObject({ code: 0, stdout: "" })
    await until(() => child.signalCode === "SIGTERM")
    expect(room.do([open(start)]).stdout).toBe(`failed 0 ${ESRCH} 0 do open-process\n`)
  })

  test("a hook reads the state on its stdin; its failure, its absence and its slowness are told apart", () => {
    using room = newRoom()
    const hook = (script: string, more: Partial<Extract<Call, { op: "hook" }>> = {}): Step =>
      step("host", {
        op: "hook",
        path: "/bin/sh",
        argv: ["sh", "-c", script],
        env: [`OUT=${room.path("out")}`],
        before: '{"pid":',
        after: "}",
        timeout: 0,
        ...more,
      })
    expect(room.do([hook('cat > "$OUT"')]).code).toBe(0)
    expect(readFileSync(room.path("out"), "utf8")).toBe('{"pid":0}')
    expect(room.do([hook("exit 3")]).stdout).toBe(`failed 0 ${ECANCELED} 3 do hook\n`)
    expect(room.do([hook("kill -9 $$")]).stdout).toBe(`failed 0 ${ECANCELED} 137 do hook\n`)
    expect(room.do([hook("", { path: "/nowhere" })]).stdout).toBe(`failed 0 ${ENOENT} 0 do hook\n`)
    expect(room.do([hook("exec sleep 1000", { timeout: 1 })]).stdout).toBe(`failed 0 ${ETIMEDOUT} 0 do hook\n`)
    // A state larger than any pipe, which the hook never reads.
    expect(room.do([hook("exit 0", { after: "x".repeat(3_000_000) })]).code).toBe(0)
  })
})

describe("removing", () => {
  const remove = (path: string): Step => step("host", { op: "remove-tree", path })

  test("a tree 6,000 deep, names that collide, unreadable directories, links: all gone, and nothing else", () => {
    using room = newRoom()
    mkdirSync(room.path("outside"))
    writeFileSync(room.path("outside/kept"), "")
    // Deeper than any path can name: each 1,500 directories are moved to the end of the next.
    for (let i = 0; i < 4; i++) {
      const deep = room.path(`next/${"d/".repeat(1500)}`)
      mkdirSync(deep, { recursive: true })
      if (i > 0) renameSync(room.path("tree"), `${deep}/d`)
      renameSync(room.path("next"), room.path("tree"))
    }
    shell(
      `cd ${room.directory}/tree; mkdir -p 0.moved/x 1.moved/y/z shut/in; touch 0.moved/f 2.moved; chmod 0 shut; ln -s ${room.path("outside")} link; mkfifo fifo`,
    )
    expect(room.do([remove(room.path("tree"))])).toMatchObject({ code: 0, stdout: "" })
    expect(readdirSync(room.directory)).toEqual(["outside"])
    expect(readdirSync(room.path("outside"))).toEqual(["kept"])
    expect(room.do([remove(room.path("tree")), remove(room.path("no/where"))])).toMatchObject({ code: 0, stdout: "" })
  }, 60_000)

  test("it enters no mount, and follows no link in its own name", () => {
    using room = newRoom()
    mkdirSync(room.path("tree/a/b"), { recursive: true })
    mkdirSync(room.path("other"))
    writeFileSync(room.path("other/kept"), "")
    symlinkSync("other", room.path("link"))
    shell(`mount --bind ${room.path("other")} ${room.path("tree/a/b")}`)
    const { EBUSY, ENOTDIR } = constants.errno
    try {
      const { code, stdout } = room.do([remove(room.path("tree"))])
      expect(code).toBe(1)
      expect(stdout).toMatch(new RegExp(`^failed 0 (${EBUSY}|${ENOTEMPTY}) 0 do remove-tree\n$`))
      expect(existsSync(room.path("other/kept"))).toBe(true)
    } finally {
      shell(`find ${room.directory} -name b -o -name '*.moved' | xargs -r -n1 umount`)
    }
    expect(room.do([remove(room.path("link"))]).stdout).toMatch(new RegExp(`^failed 0 (${ELOOP}|${ENOTDIR}) `))
    expect(existsSync(room.path("other/kept"))).toBe(true)
  })

  const hierarchy = ["/sys/fs/cgroup/freezer", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
    existsSync(`${path}/cgroup.procs`),
  )
  test.skipIf(!hierarchy)(
    "a cgroup with living processes, frozen ones and groups below is killed and gone",
    async () => {
      using room = newRoom()
      const group = `${hierarchy}/mctest-${process.pid}`
      const script = (path: string): string => `echo 0 > ${path}/cgroup.procs; exec sleep 1000`
      mkdirSync(`${group}/a/b`, { recursive: true })
      const children = [group, `${group}/a/b`, `${group}/a`]
        // In v2 only leaves have members.
        .filter((path) => hierarchy?.endsWith("freezer") || path.endsWith("b"))
        .map((path) => spawn("sh", ["-c", script(path)]))
      await until(() => children.every(({ pid }) => readFileSync(`/proc/${pid}/comm`, "utf8") === "sleep\n"))
      if (existsSync(`${group}/a/freezer.state`)) writeFileSync(`${group}/a/freezer.state`, "FROZEN")
      const gone = step("host", { op: "remove-cgroup", path: group })
      expect(room.do([gone, gone])).toMatchObject({ code: 0, stdout: "" })
      expect(existsSync(group)).toBe(false)
      await until(() => children.every(({ signalCode }) => signalCode === "SIGKILL"))
    },
  )
})

describe("a cgroup of version 2", () => {
  const hierarchy = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].find((path) =>
    existsSync(`${path}/cgroup.controllers`),
  )
  test.skipIf(!hierarchy)("all its processes move to a leaf, those too that are only being made", async () => {
    using room = newRoom()
    const group = `${hierarchy}/mctest-move-${process.pid}`
    mkdirSync(`${group}/leaf`, { recursive: true })
    const members = (path: string): string[] => readFileSync(`${path}/cgroup.procs`, "utf8").split("\n").filter(Boolean)
    const into = (script: string) => spawn("sh", ["-c", `echo 0 > ${group}/cgroup.procs; ${script}`])
    const still = into("exec sleep 1000")
    const forking = into("while :; do (:); (:) & done")
    try {
      await until(() => members(group).length > 1)
      const move = step("host", { op: "move-processes", from: group, to: `${group}/leaf` })
      expect(room.do([move, move])).toMatchObject({ code: 0, stdout: "" })
      expect(members(group)).toEqual([])
      expect(members(`${group}/leaf`)).toContain(`${still.pid}`)
      expect(members(`${group}/leaf`)).toContain(`${forking.pid}`)
      // A monitor of its own pid namespace could not: what it is to move is moved before it is made.
      writeFileSync(`${group}/cgroup.procs`, `${still.pid}`)
      const moved = room.run([move, clone(), exec("true")], { stay: 1, outer: 1, stdio: 0, report: undefined })
      expect(moved).toMatchObject({ code: 0, stderr: "" })
      expect([members(group), members(`${group}/leaf`).includes(`${still.pid}`)]).toEqual([[], true])
      const nowhere = step("host", { op: "move-processes", from: group, to: `${group}/none/deep` })
      expect(room.do([nowhere]).stdout).toBe("failed 0 2 0 do move-processes\n")
    } finally {
      for (const child of [still, forking]) child.kill("SIGKILL")
      room.do([step("host", { op: "remove-cgroup", path: group })])
    }
  })
  test.skipIf(!hierarchy)(
    "a process of another pid namespace has no number, and is not mistaken for ourselves",
    async () => {
      using room = newRoom()
      const group = `${hierarchy}/mctest-other-${process.pid}`
      mkdirSync(`${group}/leaf`, { recursive: true })
      const outside = spawn("sh", ["-c", `echo 0 > ${group}/cgroup.procs; exec sleep 1000`])
      try {
        await until(() => readFileSync(`${group}/cgroup.procs`, "utf8") === `${outside.pid}\n`)
        const move = step("host", { op: "move-processes", from: group, to: `${group}/leaf` })
        const wire = encode({ frame: frame(), steps: [move], warnings: [] })
        const { stdout } = spawnSync("unshare", ["--pid", "--fork", "--", EXECUTOR, "do"], {
          input: wire,
          encoding: "utf8",
        })
        expect(stdout).toBe("failed 0 16 0 do move-processes\n")
        expect(readFileSync(`${group}/leaf/cgroup.procs`, "utf8")).toBe("")
      } finally {
        outside.kill("SIGKILL")
        room.do([step("host", { op: "remove-cgroup", path: group })])
      }
    },
  )
  test.skipIf(!hierarchy)(
    "the child is born in it, its devices are those of the program, and joining means to be born there too",
    () => {
      using room = newRoom()
      const group = `${hierarchy}/mctest-${process.pid}`
      // BPF_ALU64 | BPF_MOV | BPF_K r0 = 0; BPF_EXIT: no device at all.
      const program = new Uint8Array(BigUint64Array.of(0xb7n, 0x95n).buffer)
      const made: readonly Step[] = [
        step("host", { op: "mkdir", path: group, mode: 0o755 }, { undo: { op: "remove-cgroup", path: group } }),
        step("host", { op: "device-program", path: group, program }),
        step("host", { op: "open", path: group, flags: 0o200000 }, { gives: "cgroup" }),
      ]
      const born = (join: string[], kinds: number[]): Step =>
        step("clone", { op: "clone", flags: NEW.uts, cgroup: "cgroup", join, kinds }, { gives: "child" })
      const script = sh("grep ^0:: /proc/self/cgroup; (: < /dev/null) 2>&1 | grep -o 'Operation not permitted'; true")
      const expected = { code: 0, stdout: `0::/mctest-${process.pid}\nOperation not permitted\n` }
      const stays = { stay: 1, outer: 0, stdio: 2 | 4, report: undefined }
      expect(room.run([...made, born([], []), script], stays)).toMatchObject(expected)
      expect(existsSync(group)).toBe(false)
      const net: Step = step("host", { op: "open", path: "/proc/self/ns/net", flags: 0 }, { gives: "net" })
      expect(room.run([...made, net, born(["net"], [NEW.network]), script], stays)).toMatchObject(expected)
      expect(existsSync(group)).toBe(false)
      const broken = step("host", { op: "device-program", path: group, program: program.slice(8) })
      expect(room.run([made[0]!, broken, clone(), exec("true")]).report).toEqual([
        `failed 1 ${EACCES} 0 do device-program`,
      ])
      expect(existsSync(group)).toBe(false)
    },
  )
})

describe("run, without a monitor", () => {
  test("the program runs, with nothing inherited but stdio, and signals as they are by default", () => {
    using room = newRoom()
    // Opened without O_CLOEXEC by a shell between us, as careless callers do; SIGINT ignored.
    const wire = room.path("wire")
    writeFileSync(
      wire,
      encode({
        frame: frame(),
        steps: [clone(0), sh("ls /proc/self/fd; grep Sig[IB] /proc/self/status")],
        warnings: [],
      }),
    )
    const { stdout } = spawnSync("sh", ["-c", `trap '' INT PIPE; exec 7</dev/null ${EXECUTOR} run ${wire}`], {
      encoding: "utf8",
    })
    expect(stdout.split("\n")).toEqual([
      // 3 is the directory that ls itself reads.
      "0",
      "1",
      "2",
      "3",
      "SigBlk:\t0000000000000000",
      "SigIgn:\t0000000000000000",
      "",
    ])
  })

  test("it reports the start, and the failure of exec with what a person wants to know", () => {
    using room = newRoom()
    expect(room.run([clone(), sh("echo out; echo err >&2")])).toMatchObject({
      code: 0,
      stdout: "out\n",
      stderr: "err\n",
      report: [expect.stringMatching(/^started \d+$/)],
    })
    mkdirSync(room.path("directory"))
    const files: Readonly<Record<string, string | Uint8Array>> = {
      text: "no magic\n",
      script: "#!/nowhere/sh\n",
      // EM_AARCH64 = 183, on x86_64; and EM_X86_64 = 62 elsewhere.
      alien: elf(process.arch === "x64" ? 183 : 62),
      plain: "#!/bin/sh\n",
    }
    for (const [name, content] of Object.entries(files))
      writeFileSync(room.path(name), content, { mode: name === "plain" ? 0o644 : 0o755 })
    const failure = (...argv: string[]) => room.run([clone(), exec(...argv)])
    const cases: readonly (readonly [string, number, number, number])[] = [
      ["no-such-program", 127, ENOENT, 0],
      [room.path("none"), 127, ENOENT, 0],
      [room.path("script"), 127, ENOENT, 2],
      [room.path("directory"), 126, EACCES, 1],
      [room.path("plain"), 126, EACCES, 0],
      [room.path("text"), 126, ENOEXEC, 0xffff],
      [room.path("alien"), 126, ENOEXEC, process.arch === "x64" ? 183 : 62],
    ]
    for (const [program, code, errno, detail] of cases)
      expect([program, failure(program)]).toEqual([
        program,
        { code, stdout: "", stderr: "", report: [`failed 1 ${errno} ${detail} do exec`] },
      ])
  })

  test("the path is searched as a shell does: what may not be run is passed over, and remembered", () => {
    using room = newRoom()
    mkdirSync(room.path("one"))
    mkdirSync(room.path("two"))
    writeFileSync(room.path("one/tool"), "#!/bin/sh\necho one\n", { mode: 0o644 })
    const tool = (...path: string[]): Step => step("start", { op: "exec", argv: ["tool"], env: [], path })
    expect(room.run([clone(), tool(room.path("one"), room.path("two"))]).report).toEqual([
      `failed 1 ${EACCES} 0 do exec`,
    ])
    writeFileSync(room.path("two/tool"), "#!/bin/sh\necho two\n", { mode: 0o755 })
    expect(room.run([clone(), tool(room.path("nowhere"), room.path("one"), room.path("two"))]).stdout).toBe("two\n")
  })

  test("without a report fd the failure is a sentence", () => {
    using room = newRoom()
    const { code, stderr } = room.run([mkdir(room.path("a")), clone(), exec("no-such-program")], { report: undefined })
    expect({ code, stderr }).toEqual({
      code: 127,
      stderr: "minicontainer: cannot do exec: No such file or directory (step 3 of 3)\n",
    })
    expect(existsSync(room.path("a"))).toBe(false)
  })

  test("a child that is killed before exec is told from a step that failed", () => {
    using room = newRoom()
    const dies = step("child", {
      op: "hook",
      path: "/bin/sh",
      argv: ["sh", "-c", "kill -9 $PPID"],
      env: [],
      before: "",
      after: "",
      timeout: 0,
    })
    expect(room.run([mkdir(room.path("a")), clone(0), dies, exec("true")]).report).toEqual([
      `failed 2 ${EOWNERDEAD} 9 do hook`,
    ])
    expect(existsSync(room.path("a"))).toBe(false)
  })

  // A sanitizer makes calls of its own, and cannot do without.
  test.skipIf(EXECUTOR.endsWith("-asan"))("the report survives a filter that refuses every call", () => {
    using room = newRoom()
    // One instruction: BPF_RET | BPF_K with SECCOMP_RET_ERRNO | EPERM.
    const deny = new Uint8Array(Uint32Array.of(0x06, 0x0005_0001).buffer)
    const steps = [
      mkdir(room.path("a")),
      clone(),
      step("start", { op: "no-new-privileges" }),
      step("start", { op: "seccomp", program: deny, flags: 0 }),
      exec("/bin/true"),
    ]
    expect(room.run(steps).report).toEqual([`failed 4 ${EPERM} 0 do exec`])
    expect(existsSync(room.path("a"))).toBe(false)
  })

  test("warnings of the child are not lost", () => {
    using room = newRoom()
    const name = step("child", { op: "write", path: "/nowhere/x", text: "" }, { must: false })
    expect(room.run([clone(), name, name, exec("true")]).report).toEqual([
      `warning 1 ${ENOENT}`,
      `warning 2 ${ENOENT}`,
      expect.stringMatching(/^started /),
    ])
  })

  test("more fds than one message can carry are handed over", () => {
    using room = newRoom()
    const many = 300
    const open = Array.from(
      { length: many },
      (_, i): Step =>
        step(
          "parent",
          { op: "clone-mount", source: room.directory, recursive: 0, set: 0, clear: 0, propagation: MS_PRIVATE },
          { gives: `mount ${i}` },
        ),
    )
    const take = Array.from(
      { length: many },
      (_, i): Step => step("child", { op: "attach-mount", mount: `mount ${i}`, target: room.directory }),
    )
    const alone = step("child", { op: "set-mount", target: "/", recursive: 1, set: 0, clear: 0, propagation: MS_SLAVE })
    expect(
      room.run([clone(), ...open, alone, ...take, sh(`grep -c ${room.directory} /proc/self/mountinfo`)]).stdout,
    ).toBe(`${many}\n`)
  }, 20_000)

  test("at the gate the executor is done; one byte opens it; a program that was ours can never be written to", async () => {
    using room = newRoom()
    const gate = room.path("gate")
    const open: Step = step("host", { op: "open", path: gate, flags: 2 }, { gives: "gate" })
    const wait: Step = step("gate", { op: "gate", fifo: "gate" })
    const makes = step("host", { op: "mkfifo", path: gate, mode: 0o600 })
    const steps = [makes, open, clone(0), wait, sh(`echo open > ${room.path("out")}`)]
    writeFileSync(room.path("wire"), encode({ frame: frame({ report: 3 }), steps, warnings: [] }))
    const report = openSync(room.path("report"), "w")
    // A copy: while anybody runs a program, the answer to whoever would write to it is another one.
    copyFileSync(EXECUTOR, room.path("own"))
    const { status } = spawnSync(room.path("own"), ["run", room.path("wire")], {
      stdio: ["ignore", "ignore", "ignore", report],
    })
    expect(status).toBe(0)
    const pid = Number(/^started (\d+)\n$/.exec(readFileSync(room.path("report"), "utf8"))?.[1])
    // As a container would: hold the program open while it runs, and write to it when it does no longer.
    const program = openSync(`/proc/${pid}/exe`, "r")
    expect(existsSync(room.path("out"))).toBe(false)
    writeFileSync(gate, "x")
    await until(() => existsSync(room.path("out")) && readFileSync(room.path("out"), "utf8") === "open\n")
    expect(() => openSync(`/proc/self/fd/${program}`, "r+")).toThrow("EROFS")
    closeSync(program)
    closeSync(report)
  })

  test("where its mount cannot be cloned it runs from sealed memory", () => {
    using room = newRoom()
    // A file that is nowhere any more is on no mount that could be cloned.
    writeFileSync(room.path("wire"), encode({ frame: frame(), steps: [clone(0), sh("echo ran")], warnings: [] }))
    const script = `cp ${EXECUTOR} ${room.path("copy")}; exec 9< ${room.path("copy")}; rm ${room.path("copy")}; exec /proc/self/fd/9 run ${room.path("wire")}`
    expect(shell(script)).toBe("ran\n")
  })

  test("limits and manners are the child's, not ours", () => {
    using room = newRoom()
    const calls: readonly Call[] = [
      { op: "rlimit", resource: 7, soft: 100, hard: 200 },
      { op: "scheduler", policy: 0, flags: 0, nice: 5, priority: 0, runtime: 0, deadline: 0, period: 0 },
      { op: "io-priority", priority: (2 << 13) | 6 },
      { op: "affinity", cpus: [0] },
      { op: "write-proc", name: "oom_score_adj", text: "77" },
    ]
    const steps = [
      clone(NEW.uts),
      ...calls.map((call) => step("parent", call)),
      step("child", { op: "hostname", name: "inside" }),
      step("start", { op: "umask", mask: 0o27 }),
    ]
    const script =
      "ulimit -Sn; ulimit -Hn; cut -d' ' -f19 /proc/self/stat; ionice -p $$; grep Cpus_allowed_list /proc/self/status; cat /proc/self/oom_score_adj; hostname; umask"
    expect(room.run([...steps, sh(script)]).stdout).toBe(
      "100\n200\n5\nbest-effort: prio 6\nCpus_allowed_list:\t0\n77\ninside\n0027\n",
    )
  })

  test("ids and capabilities are exactly those of the plan", () => {
    using room = newRoom()
    const mask = (1n << 10n) | (1n << 6n)
    const calls: readonly Call[] = [
      { op: "bounding", mask },
      { op: "keep-capabilities" },
      { op: "set-ids", uid: 1234, gid: 2345, groups: [7, 8] },
      { op: "capabilities", effective: mask, permitted: mask, inheritable: mask },
      { op: "ambient", mask: 1 << 10 },
      { op: "no-new-privileges" },
    ]
    const script = "id -u; id -G; grep -E '^Cap|NoNew' /proc/self/status"
    expect(
      room.run([clone(), ...calls.map((call) => step("start", call)), sh(script)]).stdout.replaceAll("\t", " "),
    ).toBe(
      "1234\n2345 7 8\nCapInh: 0000000000000440\nCapPrm: 0000000000000400\nCapEff: 0000000000000400\nCapBnd: 0000000000000440\nCapAmb: 0000000000000400\nNoNewPrivs: 1\n",
    )
  })

  test("netlink sets lo up, and says which message failed", () => {
    using room = newRoom()
    const link = (index: number): Step =>
      step("child", { op: "netlink", protocol: 0, messages: linkUp(index), fds: [], offsets: [] })
    expect(
      room.run([
        clone(NEW.network),
        link(1),
        sh("cat /sys/class/net/lo/flags 2>/dev/null; grep -c lo /proc/net/if_inet6; cat /proc/net/route | wc -l"),
      ]).stdout,
    ).toMatch(/1\n1\n$/)
    expect(room.run([clone(NEW.network), link(99), exec("true")]).report).toEqual([
      `failed 1 ${constants.errno.ENODEV} 0 do netlink`,
    ])
  })
})

describe("with a monitor", () => {
  const stays = (room: Room) => ({ stay: 1, outer: 1, stdio: 2 | 4, report: undefined, status: room.path("status") })

  test("the exit code is the program's; the undos have run when it is told", () => {
    using room = newRoom()
    const steps = [mkdir(room.path("a")), clone(), sh(`ls -d ${room.path("a")}; exit 7`)]
    expect(room.run(steps, stays(room))).toMatchObject({ code: 7, stdout: `${room.path("a")}\n`, stderr: "" })
    expect(existsSync(room.path("a"))).toBe(false)
  })

  test("the host's number of a process is the one that hooks and /proc get", () => {
    using room = newRoom()
    const hook = (phase: "parent" | "child", name: string): Step =>
      step(phase, {
        op: "hook",
        path: "/bin/sh",
        argv: ["sh", "-c", `cat > ${room.path(name)}`],
        env: [],
        before: "",
        after: "",
        timeout: 0,
      })
    room.run([clone(), hook("parent", "outside"), hook("child", "inside"), exec("true")], stays(room))
    const pid = / (\d+) /.exec(
      readFileSync(room.path("status"), "utf8")
        .split("\n")
        .find((line) => line.startsWith("pid")) ?? "",
    )?.[1]
    expect(pid).toBeDefined()
    expect([readFileSync(room.path("outside"), "utf8"), readFileSync(room.path("inside"), "utf8")]).toEqual([
      `${pid}`,
      `${pid}`,
    ])
  })

  test("init: the exit code and signals pass through it, and it reaps what others leave", () => {
    using room = newRoom()
    const init = (script: string) =>
      room.run(
        [
          clone(),
          step("child", { op: "set-mount", target: "/", recursive: 1, set: 0, clear: 0, propagation: MS_SLAVE }),
          step("child", { op: "new-mount", type: "proc", options: [], attributes: 0, target: "/proc" }),
          step("start", { op: "init" }),
          sh(script),
        ],
        stays(room),
      )
    for (let i = 0; i < 20; i++) expect(init("exit 5").code).toBe(5)
    expect(init("kill -9 $$").code).toBe(137)
    expect(init("trap 'echo got; exit 6' TERM; kill -TERM 1; while :; do sleep 0.01; done")).toMatchObject({
      code: 6,
      stdout: "got\n",
    })
    // Orphans become children of process 1 and do not stay as zombies; process 1 has no fd at all.
    expect(
      init(
        "for i in 1 2 3; do (sleep 0 & ) ; done; sleep 0.2; cat /proc/[0-9]*/stat | grep -c ' Z '; ls /proc/1/fd | wc -l; cat /proc/1/comm",
      ).stdout,
    ).toBe("0\n0\ninit\n")
  })

  test("a program that cannot be run behind init is reported as without it", () => {
    using room = newRoom()
    expect(
      room.run([clone(), step("start", { op: "init" }), exec("no-such-program")], { ...stays(room), report: 3 }),
    ).toMatchObject({ code: 127, report: [`failed 2 ${ENOENT} 0 do exec`] })
  })

  test("with the host's pids a container whose monitor is killed dies with it", async () => {
    using room = newRoom()
    const steps = [clone(0), step("start", { op: "set-ids", uid: 1234, gid: 1234, groups: [] }), exec("sleep", "1000")]
    room.run(steps, { ...stays(room), outer: 0, stdio: 32 })
    const lines = Object.fromEntries(
      readFileSync(room.path("status"), "utf8")
        .split("\n")
        .map((line) => [line.split(" ")[0], Number(line.split(" ")[1])]),
    )
    expect(readFileSync(`/proc/${lines.pid}/comm`, "utf8")).toBe("sleep\n")
    process.kill(lines.monitor ?? 0, "SIGKILL")
    await until(
      () => !existsSync(`/proc/${lines.pid}/exe`) || spawnSync("readlink", [`/proc/${lines.pid}/exe`]).status !== 0,
    )
  })
})

/** The header of a 64-bit ELF file for another machine. */
function elf(machine: number): Uint8Array {
  const bytes = new Uint8Array(64)
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  new DataView(bytes.buffer).setUint16(16, 2, true)
  new DataView(bytes.buffer).setUint16(18, machine, true)
  return bytes
}

describe("a container, whole", () => {
  /** The recipe: a user namespace, two layers seen with its ids, proc, sysfs, a /dev of its own, and the old root gone. */
  function container(
    room: Room,
    program: readonly Step[],
    { more = [], volume }: { more?: readonly Step[]; volume?: string } = {},
  ): readonly Step[] {
    const both = { uid: FIRST_ID, gid: FIRST_ID }
    const view = { op: "clone-mount", recursive: 0, set: 0, clear: 0, propagation: MS_PRIVATE } as const
    const point = (path: string): Step => step("child", { op: "mount-point", path, kind: 0, mode: 0o755 })
    const mount = (type: string, target: string, attributes = 0, options: string[] = []): Step =>
      step("child", { op: "new-mount", type, options, attributes, target })
    return [
      step(
        "host",
        { op: "mkdir", path: room.path("upper"), mode: 0o755, ...both },
        { undo: { op: "remove-tree", path: room.path("upper") } },
      ),
      step(
        "host",
        { op: "mkdir", path: room.path("work"), mode: 0o700 },
        { undo: { op: "remove-tree", path: room.path("work") } },
      ),
      step(
        "host",
        { op: "mkdir", path: room.path("root"), mode: 0o700 },
        { undo: { op: "rmdir", path: room.path("root") } },
      ),
      step(
        "host",
        { op: "mkdir", path: room.path("lower"), mode: 0o700 },
        { undo: { op: "rmdir", path: room.path("lower") } },
      ),
      step("host", { op: "private-mounts" }, { gives: "host mounts" }),
      step("host", { op: "new-mount", type: "tmpfs", options: ["mode=755"], attributes: 2 }, { gives: "dev" }),
      step("host", { op: "make-dir", at: "dev", name: ".", mode: 0o755, ...both }),
      step("host", { op: "make-node", at: "dev", name: "null", mode: 0o20666, major: 1, minor: 3, ...both }),
      step("host", { op: "make-dir", at: "dev", name: "pts", mode: 0o755, ...both }),
      step("host", { op: "make-dir", at: "dev", name: "shm", mode: 0o1777, ...both }),
      step("host", { op: "make-link", at: "dev", name: "ptmx", target: "pts/ptmx" }),
      step("host", { ...view, source: "/dev/null" }, { gives: "null" }),
      clone(NEW.user | NEW.mount | NEW.pid | NEW.network | NEW.ipc | NEW.uts),
      step("parent", { op: "map-ids", kind: 0, text: `0 ${FIRST_ID} 65536` }),
      step("parent", { op: "map-ids", kind: 1, text: `0 ${FIRST_ID} 65536` }),
      step("parent", { op: "open-namespace", name: "user" }, { gives: "userns" }),
      step("parent", { ...view, source: room.path("layers"), userns: "userns" }, { gives: "layers" }),
      step("parent", { op: "attach-mount", mount: "layers", target: room.path("lower") }),
      step(
        "parent",
        {
          op: "overlay",
          layers: "layers",
          lower: ["app", "base"],
          upper: room.path("upper"),
          work: room.path("work"),
          options: [],
          target: room.path("root"),
        },
        { gives: "root" },
      ),
      step("parent", { op: "enter-mounts", namespace: "host mounts" }),
      ...(volume === undefined
        ? []
        : [step("parent", { ...view, source: volume, userns: "userns", propagation: MS_SLAVE }, { gives: "volume" })]),
      step("child", { op: "set-mount", target: "/", recursive: 1, set: 0, clear: 0, propagation: MS_SLAVE }),
      // Still with the host's ids: the container's root could not reach a directory of ours by its name.
      step("child", { op: "attach-mount", mount: "root", target: room.path("root") }),
      step("child", { op: "pivot", target: room.path("root") }),
      step("child", { op: "set-ids", uid: 0, gid: 0, groups: [] }),
      point("/proc"),
      mount("proc", "/proc"),
      point("/sys"),
      mount("sysfs", "/sys", 1),
      step("child", { op: "attach-mount", mount: "dev", target: "/dev" }),
      mount("devpts", "/dev/pts", 0, ["newinstance", "ptmxmode=0666", "mode=0620"]),
      ...(volume === undefined
        ? []
        : [point("/data/in"), step("child", { op: "attach-mount", mount: "volume", target: "/data/in" })]),
      ...more,
      step("child", { op: "new-mount", type: "tmpfs", options: ["size=4k"], attributes: 1 }, { gives: "empty" }),
      ...["/proc/kcore", "/proc/timer_list", "/proc/acpi", "/proc/nowhere"].map((path) =>
        step("child", { op: "mask", path, null: "null", empty: "empty" }, { ok: ["ENOENT"] }),
      ),
      step("child", { op: "leave-old-root" }),
      step("start", { op: "session" }),
      step("start", { op: "make-directory", path: "/home/new/place", mode: 0o755, uid: 3, gid: 4 }),
      step("start", { op: "chdir", path: "/home/new/place" }),
      ...program,
    ]
  }
  function layered(room: Room): void {
    room.rootfs("layers/base")
    mkdirSync(room.path("layers/app/etc"), { recursive: true })
    writeFileSync(room.path("layers/app/etc/motd"), "from the app\n")
    writeFileSync(room.path("layers/base/etc/motd"), "from the base\n")
    writeFileSync(room.path("layers/base/etc/only"), "below\n")
  }
  const run = (room: Room, script: string, given: Parameters<typeof container>[2] = {}, stay = 1) =>
    room.run(container(room, [sh(script)], given), { ...{ stay, outer: stay, stdio: 2 | 4 }, report: 3 })

  test("it has its own ids, layers, devices, processes and place; the host sees none of it, and nothing stays", () => {
    using room = newRoom()
    layered(room)
    const script =
      "pwd; cat /etc/motd /etc/only; stat -c '%u:%g %n' /etc/only . /; echo $$; id -u; ls /; ls -l /dev | grep -c '^c'; wc -c < /proc/kcore 2>/dev/null; ls /data 2>&1 | head -1; touch /new && stat -c %u /new"
    const { code, stdout, stderr, report } = run(room, script.replace("wc -c < /proc/kcore", "cat /proc/kcore"))
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout:
        "/home/new/place\nfrom the app\nbelow\n0:0 /etc/only\n3:4 .\n0:0 /\n1\n0\nbin\ndev\netc\nhome\nproc\nsys\ntmp\n1\nls: /data: No such file or directory\n0\n",
      stderr: "",
    })
    expect(report.map((line) => line.replace(/\d+$/, "N"))).toEqual(["started N", "exited N"])
    expect(readdirSync(room.directory)).toEqual(["layers"])
    expect(room.mounts()).toEqual([])
  })

  test("a volume's files belong inside to whom they belong outside; mounts of the old root are gone", () => {
    using room = newRoom()
    layered(room)
    mkdirSync(room.path("volume"))
    shell(`touch ${room.path("volume/by-1000")}; chown 1000:1000 ${room.path("volume/by-1000")}`)
    const script =
      "stat -c %u /data/in/by-1000; touch /data/in/made; while read a b c d e f; do echo $e; done < /proc/self/mountinfo"
    const [owner, ...points] = run(room, script, { volume: room.path("volume") })
      .stdout.trim()
      .split("\n")
    expect(owner).toBe("1000")
    expect(points.filter((point) => !point.startsWith("/proc/")).sort()).toEqual([
      "/",
      "/data/in",
      "/dev",
      "/dev/pts",
      "/proc",
      "/sys",
    ])
    expect(statSync(room.path("volume/made")).uid).toBe(0)
  })

  test("links of a hostile image lead nowhere else: not by .., not by /proc, not in place of /proc", () => {
    using room = newRoom()
    layered(room)
    mkdirSync(room.path("victim"))
    const link = (target: string, name: string): void => symlinkSync(target, room.path("layers/app", name))
    link("/..", "up")
    link("../../../../../../../../../..", "far")
    link("/run", "runlink")
    link("loop", "loop")
    link(room.directory, "absolute")
    const point = (path: string, kind = 0): Step => step("child", { op: "mount-point", path, kind, mode: 0o755 })
    const tmpfs = (target: string): Step =>
      step("child", { op: "new-mount", type: "tmpfs", options: [], attributes: 0, target })
    const before = shell(`ls -ai / ${room.directory} | grep -v -e ' upper' -e ' work' -e report`)
    // Each of these would be made, or found, on the host if a link led there.
    const more = [
      point(`/up${room.path("victim/1")}`),
      point("/far/made-by-a-test/2"),
      point("/runlink/deep/file", 1),
      point(`/absolute/3`),
      tmpfs("/far/made-by-a-test/2"),
    ]
    const { code, stdout, stderr } = run(
      room,
      `ls -d /run/deep/file /made-by-a-test ${room.path("3")} ${room.path("victim/1")}; grep -c made-by-a-test/2 /proc/self/mountinfo`,
      { more },
    )
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: `/made-by-a-test\n/run/deep/file\n${room.path("3")}\n${room.path("victim/1")}\n1\n`,
      stderr: "",
    })
    expect(readdirSync(room.path("victim"))).toEqual([])
    expect(existsSync("/made-by-a-test")).toBe(false)
    expect(shell(`ls -ai / ${room.directory} | grep -v -e ' upper' -e ' work' -e report`)).toBe(before)
    expect(run(room, "true", { more: [point("/loop/x")] }).report[0]).toContain(` ${ELOOP} 0 do mount-point`)

    rmSync(room.path("layers/base/proc"), { recursive: true })
    link("/etc", "proc")
    expect(run(room, "true").report[0]).toContain(` ${ELOOP} 0 do new-mount`)
    expect(lstatSync(room.path("layers/app/proc")).isSymbolicLink()).toBe(true)
  })

  test("a terminal is one of the container's own devpts", () => {
    using room = newRoom()
    layered(room)
    const open = step("child", { op: "open-terminal", uid: 0, gid: 0, rows: 31, columns: 97 }, { gives: "terminal" })
    const program = [
      step("start", { op: "take-terminal", terminal: "terminal" }),
      sh("tty; stat -c %u /dev/pts/0; exit 3"),
    ]
    const result = room.run(container(room, program, { more: [open] }), {
      stay: 1,
      outer: 1,
      stdio: 2 | 4 | 8,
      report: undefined,
    })
    expect(result).toMatchObject({ code: 3, stdout: "/dev/pts/0\r\n0\r\n" })
  })

  test("another program joins it: the same namespaces, ids, files; and it is not of the container's making", async () => {
    using room = newRoom()
    layered(room)
    room.run(container(room, [sh("echo here > /tmp/mark; exec sleep 1000")]), {
      stay: 1,
      outer: 1,
      stdio: 32,
      report: undefined,
      status: room.path("status"),
    })
    const [pid = 0, start = 0] = (/^pid (\d+) (\d+)$/m.exec(readFileSync(room.path("status"), "utf8")) ?? [])
      .slice(1)
      .map(Number)
    await until(() => existsSync(`/proc/${pid}/root/tmp/mark`))
    const all = NEW.user | NEW.mount | NEW.pid | NEW.network | NEW.ipc | NEW.uts
    const join = (...program: Step[]) =>
      room.run(
        [
          step("host", { op: "open-process", pid, start }, { gives: "container" }),
          step("clone", { op: "clone", flags: 0, join: ["container"], kinds: [all] }, { gives: "child" }),
          step("child", { op: "set-ids", uid: 0, gid: 0, groups: [] }),
          ...program,
        ],
        { stay: 2, stdio: 2 | 4, report: undefined },
      )
    expect(
      join(sh("cat /tmp/mark; id -u; for p in self 1; do readlink /proc/$p/ns/user; done | uniq | wc -l; exit 9")),
    ).toMatchObject({ code: 9, stdout: "here\n0\n1\n", stderr: "" })
    // Only at exec does it become something that the container's root may look into.
    expect(
      join(
        step("start", {
          op: "hook",
          path: "/bin/sh",
          argv: ["sh", "-c", "cat /proc/$PPID/environ; ls /proc/$PPID/fd"],
          env: [],
          before: "",
          after: "",
          timeout: 0,
        }),
        exec("true"),
      ),
    ).toMatchObject({ code: 125 })
    expect(join(exec("no-such-program"))).toMatchObject({ code: 127 })
    process.kill(Number(/^monitor (\d+)/m.exec(readFileSync(room.path("status"), "utf8"))?.[1]), "SIGKILL")
    await until(() => !existsSync(`/proc/${pid}`))
  })

  test("a fault at any step k is told with k, and leaves nothing behind", () => {
    using room = newRoom()
    layered(room)
    const steps = container(room, [sh("exit 0")], { volume: room.path("layers") })
    const look = (): string =>
      shell(
        `ls -1 ${room.directory} | grep -v report; grep -c . /proc/self/mountinfo; pgrep -f ' [r]un ${room.directory}'`,
      )
    const before = look()
    for (const stay of [0, 1])
      for (const [k, { op }] of steps.entries()) {
        const { code, report } = room.run(steps, { stay, outer: stay, stdio: 2 | 4, report: 3, fault: k })
        expect([stay, k, code, report]).toEqual([stay, k, 125, [`failed ${k} ${EIO} 0 do ${op}`]])
        expect([k, look()]).toEqual([k, before])
      }
  }, 60_000)

  test("an overlay takes hundreds of layers, and refuses more than the kernel would read", () => {
    using room = newRoom()
    layered(room)
    const names = Array.from({ length: 200 }, (_, i) => `layer-with-quite-a-long-name-${"x".repeat(40)}-${i}`)
    for (const name of names) mkdirSync(room.path("layers", name))
    const stack = (lower: string[]): Step[] =>
      container(room, [sh("cat /etc/motd")]).map((each) => (each.op === "overlay" ? { ...each, lower } : each))
    const stay = { stay: 1, outer: 1, stdio: 2 | 4, report: undefined }
    expect(room.run(stack([...names, "app", "base"]), stay)).toMatchObject({ code: 0, stdout: "from the app\n" })
    expect(room.run(stack(Array.from({ length: 501 }, () => "base")), { ...stay, report: 3 }).report[0]).toContain(
      ` ${constants.errno.E2BIG} 0 do overlay`,
    )
  })
})

test("nothing of the tests is still running", () => {
  expect(shell(`pgrep -f ' [r]un ${ROOMS}'`)).toBe("")
})
