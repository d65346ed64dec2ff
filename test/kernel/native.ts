/**
 * Plans written by hand, carried out for real by the built executor, and a look at what they leave behind.
 *
 *     using room = newRoom()
 *     room.run([...steps])   →   { code: 0, stdout: "…", stderr: "", report: ["started 1234"] }
 *     room.do([...steps])    →   the same for the use `do`: no clone, plan on stdin
 *
 * A room is a directory that goes with the test; mounts below it are a mistake that disposing of it reports.
 * EXECUTOR names another executable, for instance one built with AddressSanitizer.
 */

import { spawnSync } from "node:child_process"
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Call, Frame, Phase, Plan, Step, Undo } from "../../src/plan/step.ts"
import { encode } from "../../src/plan/wire.ts"

const ROOT = join(import.meta.dirname, "../..")
export const EXECUTOR = process.env.EXECUTOR ?? join(ROOT, "build/executor")

/** Makes the executor if it is stale: a no-op under `make test`, which has done so. A test machine runs what its host has built. */
export function build(): void {
  if (process.env.TESTHOST) return
  const target = EXECUTOR.endsWith("-asan") ? "asan" : "all"
  const { status, stderr } = spawnSync("make", ["-s", "-C", join(ROOT, "native"), "OUT=../build", target], {
    encoding: "utf8",
  })
  if (status !== 0) throw new Error(`make: ${stderr}`)
}

/** CLONE_NEW*, as in clone(2). */
export const NEW = {
  mount: 0x2_0000,
  cgroup: 0x200_0000,
  uts: 0x400_0000,
  ipc: 0x800_0000,
  user: 0x1000_0000,
  pid: 0x2000_0000,
  network: 0x4000_0000,
} as const

/** The first id of the user namespaces of tests: far from everybody's. */
export const FIRST_ID = 1_500_000_000

type More = Partial<Pick<Step, "gives" | "ok" | "must">> & { readonly undo?: Call & { readonly when?: "failure" } }

/** A step whose texts do not matter. */
export function step(phase: Phase, call: Call, more: More = {}): Step {
  const undo = more.undo && ({ ...more.undo, does: `undo ${call.op}` } as Undo)
  return { phase, ...call, does: `do ${call.op}`, why: "a test", ...more, undo } as unknown as Step
}
export const clone = (flags = NEW.pid | NEW.mount): Step =>
  step("clone", { op: "clone", flags, join: [], kinds: [] }, { gives: "child" })
export const exec = (...argv: string[]): Step =>
  step("start", { op: "exec", argv, env: ["PATH=/usr/bin:/bin"], path: ["/nowhere", "/usr/bin", "/bin"] })
export const sh = (script: string): Step => exec("sh", "-c", script)

export const frame = (given: Partial<Frame> = {}): Frame => ({
  stay: 0,
  outer: 0,
  stdio: 128,
  uid: 0,
  gid: 0,
  logBytes: 0,
  logFiles: 1,
  detachKeys: new Uint8Array(),
  failed: [],
  rows: 0,
  columns: 0,
  ...given,
})

export interface Result {
  /** Of the executor, not of the program: without a monitor nobody waits for that. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  readonly report: readonly string[]
}

export interface Room extends Disposable {
  readonly directory: string
  path(...names: string[]): string
  run(steps: readonly Step[], given?: Partial<Frame>): Result
  do(steps: readonly Step[], given?: Partial<Frame>): Result
  /** Any bytes as a wire. */
  runBytes(bytes: Uint8Array): Result
  /** A root file system of busybox at `name`. */
  rootfs(name: string): string
  /** What of this room the host's mount table shows. */
  mounts(): readonly string[]
}

/** What the paths of all rooms of this process begin with. */
export const ROOMS = `/var/tmp/mctest-${process.pid}-`

/** In /var/tmp: an overlay's upper cannot lie on an overlay, and a tmpfs cannot be idmapped before Linux 6.3. */
export function newRoom(): Room {
  const directory = mkdtempSync(ROOMS)
  const path = (...names: string[]): string => join(directory, ...names)
  const start = (args: readonly string[], input?: Uint8Array): Result => {
    const reports = openSync(path("report"), "a+")
    const { status, stdout, stderr } = spawnSync(EXECUTOR, args, {
      stdio: [input ? "pipe" : "ignore", "pipe", "pipe", reports],
      ...(input && { input }),
      timeout: 60_000,
      killSignal: "SIGKILL",
    })
    closeSync(reports)
    const report = readFileSync(path("report"), "utf8").split("\n").filter(Boolean)
    rmSync(path("report"))
    return { code: status, stdout: stdout.toString(), stderr: stderr.toString(), report }
  }
  const runBytes = (bytes: Uint8Array): Result => {
    writeFileSync(path("wire"), bytes)
    const result = start(["run", path("wire")])
    rmSync(path("wire"))
    return result
  }
  const planOf = (steps: readonly Step[], given: Partial<Frame>): Plan => ({ frame: frame(given), steps, warnings: [] })
  const mounts = (): readonly string[] =>
    readFileSync("/proc/self/mountinfo", "utf8")
      .split("\n")
      .map((line) => line.split(" ")[4] ?? "")
      .filter((point) => point.startsWith(directory))
  return {
    directory,
    path,
    mounts,
    runBytes,
    run: (steps, given = {}) => runBytes(encode(planOf(steps, { report: 3, ...given }))),
    do: (steps, given = {}) => start(["do"], encode(planOf(steps, given))),
    rootfs(name) {
      for (const each of ["bin", "proc", "sys", "dev", "tmp", "etc"]) mkdirSync(path(name, each), { recursive: true })
      writeFileSync(path(name, "bin/busybox"), readFileSync("/bin/busybox"), { mode: 0o755 })
      for (const applet of ["sh", "cat", "id", "ls", "stat", "echo", "sleep", "mount", "head", "tty", "test", "touch"])
        symlinkSync("busybox", path(name, "bin", applet))
      return path(name)
    },
    [Symbol.dispose]() {
      const left = mounts()
      rmSync(directory, { recursive: true, force: true })
      if (left.length > 0) throw new Error(`mounts left behind: ${left.join(" ")}`)
    },
  }
}
