/**
 * A container made of two steps, for tests of what holds it: clone, exec. It sees the host's own file system.
 *
 *     using held = hold({ argv: ["sh", "-c", "echo hi"] })
 *     await held.over()   →   { code: 0, stdout: "hi\n", stderr: "" }
 *
 * Everything lies in a directory of its own, which goes with the container; what still runs is killed first.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Frame, type Plan, STDIO, type Step } from "../../src/plan/step.ts"
import { encode } from "../../src/plan/wire.ts"

export const EXECUTOR = process.env.EXECUTOR ?? join(import.meta.dir, "../../build/executor")

/** CLONE_NEWPID: with it a SIGKILL to the monitor ends everything. */
const NEWPID = 0x2000_0000n

export interface Held {
  readonly argv: readonly string[]
  readonly frame?: Partial<Frame>
  /** Of the phase host. */
  readonly first?: readonly Step[]
  /** After exec, of the phases started, exit, end. */
  readonly steps?: readonly Step[]
  readonly terminal?: boolean
  /** CLONE_* of the container. Default: NEWPID. */
  readonly flags?: bigint
}

const TERMINAL: readonly Step[] = [
  { phase: "start", op: "session", does: "begin a session", why: "a terminal belongs to one" },
  {
    phase: "child",
    op: "open-terminal",
    uid: 0,
    gid: 5,
    rows: 24,
    columns: 80,
    gives: "terminal",
    does: "open a terminal",
    why: "-t",
  },
  { phase: "start", op: "take-terminal", terminal: "terminal", does: "take the terminal", why: "-t" },
]

/** The plan alone; paths of status, log and control lie in `directory`. */
export function planOf(
  { argv, frame, first = [], steps = [], terminal = false, flags = NEWPID }: Held,
  directory: string,
): Plan {
  const all: Step[] = [
    ...first,
    {
      phase: "clone",
      op: "clone",
      flags,
      join: [],
      kinds: [],
      gives: "process",
      does: "make the container's process",
      why: "test",
    },
    ...TERMINAL.filter(({ phase }) => terminal && phase === "child"),
    ...TERMINAL.filter(({ phase }) => terminal && phase === "start"),
    {
      phase: "start",
      op: "exec",
      argv,
      env: ["PATH=/usr/bin:/bin", "PS1=inside# ", "TERM=dumb"],
      path: ["/usr/bin", "/bin"],
      does: `run ${argv[0]}`,
      why: "test",
    },
    ...steps,
  ]
  return {
    frame: {
      stay: 1,
      outer: 1,
      stdio: STDIO.stdin | STDIO.stdout | STDIO.stderr | STDIO.signals | (terminal ? STDIO.terminal | STDIO.open : 0),
      uid: 0,
      gid: 0,
      status: join(directory, "status"),
      boot: "a-boot",
      log: join(directory, "log"),
      logBytes: 0,
      logFiles: 3,
      control: join(directory, "control"),
      detachKeys: new Uint8Array([16, 17]),
      failed: [],
      rows: 24,
      columns: 80,
      ...frame,
    },
    steps: all,
    warnings: [],
  }
}

export interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export class Hold implements Disposable {
  readonly directory = mkdtempSync(join(tmpdir(), "mchold-"))
  readonly #children: ChildProcess[] = []
  constructor(private readonly held: Held) {}

  path(name: string): string {
    return join(this.directory, name)
  }
  /** The argv that runs the plan, for a shell or a terminal. A wire is used once. */
  command(): readonly string[] {
    const wire = this.path(`wire${Math.random()}`)
    writeFileSync(wire, encode(planOf(this.held, this.directory)))
    return [EXECUTOR, "run", wire]
  }
  /** The same as a word of a shell script. */
  get shell(): string {
    return this.command().join(" ")
  }
  start(stdio: ("pipe" | "ignore" | number)[] = ["pipe", "pipe", "pipe"]): ChildProcess {
    const [program = "", ...args] = this.command()
    const child = spawn(program, args, { stdio })
    for (const stream of child.stdio) stream?.on("error", () => {})
    this.#children.push(child)
    return child
  }
  /** To the end, with `input` as stdin. */
  run(input: string | Uint8Array = ""): Result {
    const [program = "", ...args] = this.command()
    return result(spawnSync(program, args, { input, timeout: 60_000, maxBuffer: 1 << 28 }))
  }
  /** A shell script in which `$RUN` runs the plan. */
  script(text: string): Result {
    return result(
      spawnSync("bash", ["-c", text], {
        env: { ...process.env, RUN: this.shell, D: this.directory },
        timeout: 60_000,
        maxBuffer: 1 << 28,
      }),
    )
  }
  status(): Status {
    return parseStatus(readFileSync(this.path("status")))
  }
  /** The status, when a line of it says so. */
  async when(key: string, value: string): Promise<Status> {
    await until(() => existsSync(this.path("status")) && this.status().lines[key] === value)
    return this.status()
  }
  log(): readonly Entry[] {
    return parseLog(readFileSync(this.path("log")))
  }
  [Symbol.dispose](): void {
    for (const child of this.#children) if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL")
    if (existsSync(this.path("status")))
      for (const key of ["monitor", "pid"]) {
        const [pid, start] = (this.status().lines[key] ?? "").split(" ")
        if (pid && startTime(Number(pid)) === start) killQuietly(Number(pid))
      }
    rmSync(this.directory, { recursive: true, force: true })
  }
}
/** It may have ended by itself just now. */
function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL")
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error
  }
}
export const hold = (held: Held): Hold => new Hold(held)

const result = ({ status, signal, stdout, stderr }: ReturnType<typeof spawnSync>): Result => ({
  code: status ?? (signal === "SIGKILL" ? 137 : 128),
  stdout: String(stdout),
  stderr: String(stderr),
})

/** The exit code of a spawned front; 128 + n if a signal ended it. */
export const exited = (child: ChildProcess): Promise<number | string> =>
  new Promise((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode)
    child.on("exit", (code, signal) => resolve(code ?? signal ?? -1))
  })

/** Polls: what is waited for has no event of its own. */
export async function until(holds: () => boolean | Promise<boolean>, what = holds.toString()): Promise<void> {
  for (const deadline = performance.now() + 20_000; ; await Bun.sleep(10)) {
    if (await holds()) return
    if (performance.now() > deadline) throw new Error(`this did not come true in 20 s: ${what}`)
  }
}

/** Field 22 of /proc/PID/stat; undefined: there is no such process. */
export function startTime(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "utf8").replace(/.*\) /s, "").split(" ")[19]
  } catch {
    return undefined
  }
}

export interface Status {
  readonly lines: Readonly<Record<string, string>>
  readonly captures: Readonly<Record<string, string>>
}
export function parseStatus(bytes: Buffer): Status {
  const lines: Record<string, string> = {}
  const captures: Record<string, string> = {}
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at)
    const [key = "", ...words] = bytes.subarray(at, end).toString().split(" ")
    at = end + 1
    if (key !== "capture") lines[key] = words.join(" ")
    else {
      const length = Number(words.at(-1))
      captures[words.slice(0, -1).join(" ")] = bytes.subarray(at, at + length).toString()
      at += length + 1
    }
  }
  return { lines, captures }
}

export interface Entry {
  readonly time: string
  readonly stream: string
  readonly tag: string
  readonly bytes: Buffer
}
/** Every entry; throws on a torn one. */
export function parseLog(bytes: Buffer): readonly Entry[] {
  const entries: Entry[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at)
    const head = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z) (stdout|stderr) ([FP]) $/.exec(
      bytes.subarray(at, at + 40).toString("latin1"),
    )
    if (end < 0 || !head) throw new Error(`a torn entry at byte ${at}: ${bytes.subarray(at, at + 80)}`)
    entries.push({ time: head[1]!, stream: head[2]!, tag: head[3]!, bytes: bytes.subarray(at + 40, end) })
    at = end + 1
  }
  return entries
}
/** What was written to a stream, as the log tells it. */
export const written = (entries: readonly Entry[], stream: string): Buffer =>
  Buffer.concat(
    entries
      .filter((entry) => entry.stream === stream)
      .flatMap(({ tag, bytes }) => (tag === "F" ? [bytes, Buffer.from("\n")] : [bytes])),
  )

/** Frames of the attach protocol, as native/executor.h numbers them. */
export const FRAME = {
  stdout: 1,
  stderr: 2,
  started: 3,
  exited: 4,
  failed: 5,
  warning: 6,
  message: 7,
  taken: 8,
  stdin: 16,
  stdinEnd: 17,
  resize: 18,
  signal: 19,
  detach: 20,
  closed: 21,
} as const

/** A client of the control socket that speaks the protocol itself. */
export class Client {
  readonly #socket: Socket
  #rest = Buffer.alloc(0)
  stdout = ""
  readonly messages: string[] = []
  started: number | undefined
  code: number | undefined
  closed = false
  taken = 0

  constructor(path: string) {
    this.#socket = connect(path)
    this.#socket.on("error", () => {})
    this.#socket.on("close", () => {
      this.closed = true
    })
    this.#socket.on("data", (chunk) => this.#read(chunk))
  }
  send(type: number, payload: Uint8Array = new Uint8Array()): void {
    const head = Buffer.alloc(8)
    head.writeUInt8(type, 0)
    head.writeUInt32LE(payload.length, 4)
    this.#socket.write(Buffer.concat([head, payload]))
  }
  pause(): void {
    this.#socket.pause()
  }
  resume(): void {
    this.#socket.resume()
  }
  end(): void {
    this.#socket.destroy()
  }
  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 8) {
      const length = this.#rest.readUInt32LE(4)
      if (this.#rest.length < 8 + length) return
      const type = this.#rest[0]
      const payload = this.#rest.subarray(8, 8 + length)
      this.#rest = this.#rest.subarray(8 + length)
      if (type === FRAME.stdout) this.stdout += payload.toString("latin1")
      else if (type === FRAME.started) this.started = payload.readInt32LE()
      else if (type === FRAME.exited) this.code = payload.readInt32LE()
      else if (type === FRAME.message) this.messages.push(payload.toString())
      else if (type === FRAME.taken) this.taken += payload.readUInt32LE()
    }
  }
}

/** A person at a terminal: a shell with the prompt `host$ ` in tmux, on a server of its own. */
export class Person implements Disposable {
  readonly #server = `mctest-${process.pid}-${Math.random().toString(36).slice(2)}`
  constructor() {
    this.#tmux(
      "-f",
      "/dev/null",
      "new-session",
      "-d",
      "-x",
      "100",
      "-y",
      "30",
      "env 'PS1=host$ ' bash --norc --noprofile",
    )
  }
  #tmux(...args: string[]): string {
    const { status, stdout, stderr } = spawnSync("tmux", ["-L", this.#server, ...args])
    if (status !== 0) throw new Error(`tmux ${args.join(" ")}: ${stderr}`)
    return String(stdout)
  }
  /** Literally, and Enter. */
  types(line: string): void {
    this.#tmux("send-keys", "-l", line)
    this.#tmux("send-keys", "Enter")
  }
  /** By tmux's names: `C-p`. */
  presses(...keys: string[]): void {
    this.#tmux("send-keys", ...keys)
  }
  resizes(columns: number, rows: number): void {
    this.#tmux("resize-window", "-x", String(columns), "-y", String(rows))
  }
  screen(): string {
    return this.#tmux("capture-pane", "-p", "-J").trimEnd()
  }
  async sees(what: string | RegExp): Promise<void> {
    let screen = ""
    const holds = (): boolean => {
      screen = this.screen()
      return typeof what === "string" ? screen.includes(what) : what.test(screen)
    }
    await until(holds, "").catch(() => {
      throw new Error(`nobody sees ${what} on the screen:\n${screen}`)
    })
  }
  [Symbol.dispose](): void {
    spawnSync("tmux", ["-L", this.#server, "kill-server"])
  }
}
