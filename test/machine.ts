/**
 * A small machine for tests of the whole command: private roots, a root file system of busybox, and a look at what is left.
 *
 *     using machine = newMachine()
 *     machine.run("run", "--rm", "--rootfs", machine.rootfs, "echo", "hi")   →   { code: 0, stdout: "hi\n", stderr: "" }
 *
 * When a machine is disposed of, everything that it made must be gone: containers that a test left are removed with `rm -f`, and
 * anything else that is still there fails the test.
 */

import { type ChildProcess, type SpawnOptions, spawn, spawnSync } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** The command under test: the built executable, or what the environment names (a path, and arguments in front). */
export const COMMAND: readonly string[] = (
  process.env.MINICONTAINER ?? join(import.meta.dirname, "../dist/minicontainer")
).split(" ")

export interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface Machine extends Disposable {
  readonly command: readonly string[]
  /** The directory in which everything of the machine lies. */
  readonly base: string
  readonly root: string
  readonly runRoot: string
  /** A directory with busybox and its applets, /etc/passwd and /etc/group. */
  readonly rootfs: string
  /** A fresh directory that goes with the machine. */
  directory(name: string): string
  run(...args: readonly string[]): Result
  /** The same with stdin, environment or working directory. */
  runWith(
    options: { input?: string | Uint8Array; env?: Record<string, string>; cwd?: string; timeoutMs?: number },
    ...args: readonly string[]
  ): Result
  /** Started and not waited for. */
  start(options: SpawnOptions, ...args: readonly string[]): ChildProcess
  /** `run --rootfs` of the machine's root file system. */
  inside(...args: readonly string[]): Result
  /** The output of a command that must succeed. */
  must(...args: readonly string[]): string
  /** What the machine's engine has on this host now: processes, cgroups, mounts, files of both roots. Sorted. */
  traces(): readonly string[]
}

const APPLETS =
  "sh ash cat echo ls ps id env hostname mount umount grep sleep true false head tail yes dd wc touch rm mkdir chmod chown stat stty tty kill trap test [ seq printf tr sed awk cut sort uname ulimit nproc df find date ln cp mv readlink ip ifconfig ping nc su mknod sha256sum vi top timeout pwd whoami xargs mkfifo od free setsid unshare nslookup hexdump base64 tee uniq"

/** @param within words in front of the command: a program that runs it in some other place. Roots lie in /var/tmp: an overlay's upper cannot be on an overlay, and /tmp may be a tmpfs. */
export function newMachine(within: readonly string[] = []): Machine {
  const base = mkdtempSync(join(existsSync("/var/tmp") ? "/var/tmp" : tmpdir(), "mctest-"))
  const root = join(base, "state")
  const runRoot = join(base, "run")
  const rootfs = join(base, "rootfs")
  for (const directory of ["bin", "etc", "root", "tmp", "proc", "sys", "dev", "home/user", "usr/bin"])
    mkdirSync(join(rootfs, directory), { recursive: true })
  cpSync("/bin/busybox", join(rootfs, "bin/busybox"))
  for (const applet of APPLETS.split(" ")) symlinkSync("busybox", join(rootfs, "bin", applet))
  const put = (path: string, text: string): void => writeFileSync(join(rootfs, path), text)
  put("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
  put("etc/group", "root:x:0:\nuser:x:1000:\nextra:x:2000:user\n")

  const env = {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    MINICONTAINER_ROOT: root,
    MINICONTAINER_RUN_ROOT: runRoot,
    TERM: "dumb",
  }
  const [program = "", ...front] = [...within, ...COMMAND]
  const runWith: Machine["runWith"] = ({ input, env: more, cwd, timeoutMs = 60_000 }, ...args) => {
    const { status, signal, stdout, stderr, error } = spawnSync(program, [...front, ...args], {
      input: input ?? "",
      env: { ...env, ...more },
      cwd: cwd ?? base,
      timeout: timeoutMs,
      maxBuffer: 1 << 30,
      killSignal: "SIGKILL",
    })
    if (error && !("code" in error && error.code === "EPIPE")) throw error
    return { code: status ?? (signal ? 128 : -1), stdout: stdout.toString(), stderr: stderr.toString() }
  }
  const run: Machine["run"] = (...args) => runWith({}, ...args)
  const traces = (): readonly string[] => look(base, root)
  return {
    command: COMMAND,
    base,
    root,
    runRoot,
    rootfs,
    runWith,
    run,
    traces,
    directory(name) {
      const path = join(base, name)
      mkdirSync(path, { recursive: true })
      return path
    },
    start: (options, ...args) =>
      spawn(program, [...front, ...args], { cwd: base, ...options, env: { ...env, ...options.env } }),
    inside: (...args) => run("run", "--rm", "--rootfs", rootfs, ...args),
    must(...args) {
      const { code, stdout, stderr } = run(...args)
      if (code !== 0) throw new Error(`minicontainer ${args.join(" ")} ended with ${code}: ${stderr}${stdout}`)
      return stdout
    },
    [Symbol.dispose]() {
      if (existsSync(join(root, "containers"))) {
        const all = run("ps", "-aq", "--no-trunc").stdout.split("\n").filter(Boolean)
        if (all.length > 0) run("rm", "-f", ...all)
      }
      const deadline = performance.now() + 3000
      let left = traces()
      while (left.length > 0 && performance.now() < deadline) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
        left = traces()
      }
      // Their names carry the root's id, which is a file below the base.
      const parents = cgroupParents(root)
      rmSync(base, { recursive: true, force: true })
      for (const parent of parents) rmdirQuietly(parent)
      if (left.length > 0) throw new Error(`left behind:\n${left.join("\n")}`)
    },
  }
}

/** Directories of cgroups named after this machine's state root. Names carry the id of the root. */
function cgroupParents(root: string): string[] {
  const scope = quietly(() => readFileSync(join(root, "id"), "utf8").trim(), "")
  if (scope === "") return []
  return hierarchies()
    .map((hierarchy) => join(hierarchy, `minicontainer-${scope.slice(0, 6)}`))
    .filter((path) => existsSync(path))
}
const hierarchies = (): string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(" ")[4] ?? "")

function rmdirQuietly(path: string): void {
  for (const child of quietly(() => readdirSync(path, { withFileTypes: true }), []))
    if (child.isDirectory()) spawnSync("rmdir", [join(path, child.name)])
  spawnSync("rmdir", [path])
}

/** What of one engine is on this host: its containers' groups, processes, mounts, records, leases and run directories. */
function look(base: string, root: string): readonly string[] {
  const seen: string[] = []
  for (const parent of cgroupParents(root))
    for (const entry of readdirSync(parent, { withFileTypes: true }))
      if (entry.isDirectory() && entry.name !== "monitors") seen.push(`cgroup ${parent}/${entry.name}`)
  for (const parent of cgroupParents(root)) {
    const pids = quietly(() => readFileSync(join(parent, "monitors/cgroup.procs"), "utf8").trim(), "")
    if (pids) seen.push(`monitors ${pids.replaceAll("\n", " ")}`)
  }
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)) {
    const words = quietly(() => readFileSync(`/proc/${pid}/cmdline`, "latin1"), "")
    if (words.includes(base)) seen.push(`process ${pid} ${words.replaceAll("\0", " ").trimEnd()}`)
  }
  for (const line of readFileSync("/proc/self/mountinfo", "utf8").split("\n"))
    if (line.includes(base)) seen.push(`mount ${line.split(" ")[4]}`)
  for (const directory of ["containers", "names", "ids"])
    for (const name of quietly(() => readdirSync(join(root, directory)), [])) seen.push(`${directory}/${name}`)
  for (const network of quietly(() => readdirSync(join(root, "networks")), []))
    for (const lease of quietly(() => readdirSync(join(root, "networks", network, "leases")), []))
      seen.push(`networks/${network}/leases/${lease}`)
  for (const name of quietly(() => readdirSync(join(base, "run")), [])) seen.push(`run/${name}`)
  return seen.sort()
}

function quietly<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch {
    return otherwise
  }
}
