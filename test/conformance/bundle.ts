/**
 * Bundles, as any OCI tool makes them: a config.json and a root file system, and the executor that carries out the plan for them.
 *
 *     using bundle = newBundle()
 *     bundle.sees({ hostname: "box" }, "hostname")   →   "box\n"
 *     bundle.fails({ hooks: … })                     →   "cannot run the hook …"
 *
 * `sees` lives through every container twice, once with the monitor as its parent and once with nobody who stays, as an OCI runtime's
 * `create` leaves it, and both must see the same. After each life everything that the plan made must be gone.
 */

import { setDefaultTimeout } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { join, resolve } from "node:path"
import { EngineError } from "../../src/base/errors.ts"
import { parseReport } from "../../src/executor/report.ts"
import { stepError, stepWarning, toldOf } from "../../src/executor/sentence.ts"
import { readHost } from "../../src/host/host.ts"
import { readConfig } from "../../src/model/guards.ts"
import type { Host } from "../../src/model/host.ts"
import type { Config, Linux, Process } from "../../src/model/oci.ts"
import type { Placement } from "../../src/model/placement.ts"
import { STDIO } from "../../src/model/stdio.ts"
import { violations } from "../../src/plan/check.ts"
import { containerPlan, undoOf } from "../../src/plan/plan.ts"
import type { Plan } from "../../src/plan/step.ts"
import { encode } from "../../src/plan/wire.ts"
import { type Machine, newMachine } from "../machine.ts"

export const EXECUTOR = process.env.EXECUTOR ?? join(import.meta.dirname, "../../build/executor")
export const host = readHost([])
export const v1 = host.cgroups.mode === "v1"
const REPORT = 3
// A case lives through many containers, and a machine that is emulated takes its time.
setDefaultTimeout(60_000)
/** Below it lie the cgroups of all bundles of this process. */
const PARENT = `/mctest-bundle-${process.pid}`
/** Waiting, where there is no event to wait for. */
export const rest = (ms: number): unknown => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)

/** What differs from a plain config. `process` and `linux` are merged field by field, everything else is replaced. */
export type Change = Omit<Partial<Config>, "process" | "linux"> & {
  readonly process?: Partial<Process>
  readonly linux?: Partial<Linux>
}

/** What `runc spec` writes, without a terminal, without the ambient set that it does not make inheritable, and with a root that can be written. */
export function plain(change: Change = {}, script?: string): Config {
  const base = readConfig(readFileSync(join(import.meta.dirname, "configs/runc-spec.json"), "utf8"))
  return {
    ...base,
    ...change,
    root: { path: "rootfs", ...change.root },
    process: {
      ...base.process!,
      terminal: false,
      capabilities: { ...base.process!.capabilities, ambient: [] },
      ...(script !== undefined && { args: ["sh", "-c", script] }),
      ...change.process,
    },
    linux: { ...base.linux, ...change.linux },
  }
}

/** `plain` with more mounts. */
export const withMounts = (...mounts: NonNullable<Config["mounts"]>): Change => ({
  mounts: [...(plain().mounts ?? []), ...mounts],
})

export interface Life {
  /** Of the program; with nobody who stays it is not known: 0. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  /** Of the plan, and of steps that were no must. */
  readonly warnings: readonly string[]
  /** The sentence of the step that failed. */
  readonly failed?: string
}
export interface How {
  readonly stay?: Placement["stay"]
  readonly input?: string
  readonly placement?: Partial<Placement>
  readonly host?: Partial<Host>
  /** Called while the container runs; only with `stay: none`. */
  readonly meanwhile?: (pid: number, id: string) => void
  /** Called while it waits at its gate. */
  readonly created?: () => void
  /** The test itself has something mounted below the bundle. */
  readonly mounted?: boolean
}

export interface Bundle extends Disposable {
  readonly machine: Machine
  readonly directory: string
  readonly rootfs: string
  path(...names: string[]): string
  live(config: Config, how?: How): Life
  /** What the script writes to stdout, with either kind of parent. It must end with 0, say nothing on stderr, and cause no warning. */
  sees(change: Change, script: string, how?: How): string
  /** The sentence of the step that fails, with either kind of parent. */
  fails(change: Change, how?: How): string
  /** Gives the root file system to somebody else, and back when that is disposed of. */
  ownedBy(id: number): Disposable
  /** What the plan says instead of being one: `INVALID_CONFIG cannot …`. */
  refuses(change: Change, how?: How): string
  placementOf(stay: Placement["stay"], id: string): Placement
  /** The plan itself. */
  plan(config: Config, how?: How): Plan
}

export function newBundle(): Bundle {
  const machine = newMachine()
  const { base: directory, rootfs } = machine
  const path = (...names: string[]): string => join(directory, ...names)
  let lives = 0

  const placementOf = (stay: Placement["stay"], id: string, more: Partial<Placement> = {}): Placement => ({
    id,
    name: id,
    directory: path(id),
    runDirectory: path(`${id}-run`),
    bundle: directory,
    leases: [],
    rootfs: { kind: "directory", path: rootfs },
    ...(host.cgroups.mode !== "none" && {
      cgroup: { path: `${PARENT}/${id}`, ...(stay === "monitor" && { monitors: `${PARENT}/monitors` }) },
    }),
    stay,
    init: false,
    remove: true,
    log: { maxBytes: 0, maxFiles: 1 },
    stdio: STDIO.stdin | STDIO.stdout | STDIO.stderr | STDIO.open,
    detachKeys: [],
    gate: false,
    ownFiles: [],
    ...more,
  })

  const plan = (config: Config, { stay = "none", placement, host: facts }: How = {}, id = "bundle"): Plan => {
    const sources = (config.mounts ?? []).flatMap(({ source = "", type, options = [] }) =>
      type === "bind" || options.includes("bind") || options.includes("rbind") ? [resolve(directory, source)] : [],
    )
    const made = containerPlan(
      config,
      placementOf(stay, id, placement),
      { ...readHost([...new Set([rootfs, ...sources])]), ...facts },
      { report: REPORT },
    )
    const wrong = violations(made)
    if (wrong.length > 0) throw new Error(wrong.join("\n"))
    return made
  }

  const live = (config: Config, how: How = {}): Life => {
    const { stay = "none", input = "", meanwhile } = how
    const id = `c${++lives}`
    // As it would come from the file.
    const made = plan(readConfig(JSON.stringify(config)), how, id)
    mkdirSync(path(id))
    mkdirSync(path(`${id}-run`))
    writeFileSync(path(id, "container.json"), "{}")
    writeFileSync(path(`${id}.wire`), encode(made))
    const out = (name: string): string => path(`${id}.${name}`)
    writeFileSync(out("in"), input)
    // Files, not pipes: without a monitor the container holds them, and nobody waits for it but us.
    const fds = [
      openSync(out("in"), "r"),
      ...["stdout", "stderr", "report"].map((name) => openSync(out(name), "a")),
    ] as const
    const { status } = spawnSync(EXECUTOR, ["run", path(`${id}.wire`)], {
      stdio: [...fds],
      timeout: 60_000,
      killSignal: "SIGKILL",
      cwd: "/",
    })
    for (const fd of fds) closeSync(fd)
    const reports = readFileSync(out("report"), "utf8")
      .split("\n")
      .flatMap((line) => parseReport(line) ?? [])
    const started = reports.find(({ kind }) => kind === "started")
    let wrong: unknown
    if (stay === "none" && started?.kind === "started") {
      how.created?.()
      if (how.placement?.gate) writeFileSync(path(`${id}-run`, "gate"), "x")
      try {
        meanwhile?.(started.pid, id)
      } catch (error) {
        wrong = error
        if (isAlive(started.pid)) process.kill(started.pid, "SIGKILL")
      }
      for (let waited = 0; existsSync(`/proc/${started.pid}/root`) && isAlive(started.pid); waited += 2) {
        if (waited > 60_000) throw new Error(`process ${started.pid} does not end`)
        rest(2)
      }
      const { frame, steps } = undoOf(made, { failed: false })
      const undo = { frame: { ...frame, report: 1, failed: [] }, steps, warnings: [] }
      const { stdout, stderr } = spawnSync(EXECUTOR, ["do"], { input: encode(undo) })
      const complaint = /^(warning|failed) .*/m.exec(stdout.toString())?.[0] ?? stderr.toString()
      if (complaint !== "") wrong ??= new Error(`delete says: ${complaint}`)
    }
    const failed = reports.find(({ kind }) => kind === "failed")
    const life: Life = {
      code: status ?? -1,
      stdout: readFileSync(out("stdout"), "utf8"),
      stderr: readFileSync(out("stderr"), "utf8"),
      warnings: [
        ...made.warnings,
        ...reports.flatMap((report) => (report.kind === "warning" ? [stepWarning(report, made)] : [])),
      ],
      ...(failed?.kind === "failed" && { failed: stepError(failed, toldOf(made)).message }),
    }
    for (const name of ["in", "stdout", "stderr", "report", "wire"]) rmSync(out(name), { force: true })
    if (wrong) throw wrong
    const mine = how.mounted ?? bindsBelow(config)
    const left = traces().filter((trace) => !(mine && trace.startsWith("mount ")))
    if (left.length > 0) throw new Error(`left behind by ${id}:\n${left.join("\n")}`)
    return life
  }

  /** Processes and mounts of this bundle, cgroups of containers, directories of theirs. */
  const traces = (): readonly string[] => [
    ...machine.traces(),
    ...groups(PARENT).flatMap((group) =>
      readdirSync(group).flatMap((name) => (/^c\d+$/.test(name) ? [`${group}/${name}`] : [])),
    ),
    ...readdirSync(directory).filter((name) => /^c\d+/.test(name)),
  ]

  const both = ["none", "monitor"] as const
  return {
    machine,
    directory,
    rootfs,
    path,
    live,
    plan,
    placementOf,
    refuses(change, how) {
      try {
        plan(plain(change, "true"), how)
      } catch (error) {
        if (error instanceof EngineError) return `${error.code} ${error.message}`
        throw error
      }
      return "nothing"
    },
    ownedBy(id) {
      const give = (owner: number): void => {
        const { status, stderr } = spawnSync("chown", ["-hR", `${owner}:${owner}`, rootfs])
        if (status !== 0) throw new Error(stderr.toString())
      }
      if (id !== 0) give(id)
      return { [Symbol.dispose]: () => give(0) }
    },
    sees(change, script, how = {}) {
      const [first, second] = both.map((stay) => {
        const life = live(plain(change, script), { stay, ...how })
        if (life.failed !== undefined) throw new Error(`${stay}: ${life.failed}`)
        if (life.code !== 0 || life.stderr !== "" || life.warnings.length > 0)
          throw new Error(`${stay}: ${JSON.stringify(life, undefined, 1)}`)
        return life.stdout
      })
      if (first !== second) throw new Error(`without a monitor it sees\n${first}\nwith one\n${second}`)
      return first!
    },
    fails(change, how = {}) {
      const [first, second] = both.map((stay) => {
        const { failed, ...life } = live(plain(change, "true"), { stay, ...how })
        if (failed === undefined) throw new Error(`${stay}: it runs: ${JSON.stringify(life, undefined, 1)}`)
        return failed.replace(/, step \d+ of \d+/, "")
      })
      if (first !== second) throw new Error(`without a monitor: ${first}; with one: ${second}`)
      return first!
    },
    [Symbol.dispose]() {
      machine[Symbol.dispose]()
      for (const group of groups(PARENT)) {
        for (const name of readdirSync(group)) if (name === "monitors") rmdirSync(join(group, name))
        rmdirSync(group)
      }
    },
  }
}

/** Whether sources lie in the bundle: then the test may have mounted something there. */
const BINDS = /mctest-/
const bindsBelow = ({ mounts = [] }: Config): boolean => mounts.some(({ source = "" }) => BINDS.test(source))

/** Not a zombie, which nobody may have waited for yet. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\tZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

/** Where a cgroup of this path is, in every hierarchy. */
export const groups = (path: string): readonly string[] =>
  [...new Set([...Object.values(host.cgroups.controllers), ...(host.cgroups.unified ? [host.cgroups.unified] : [])])]
    .map((mount) => `${mount}${host.cgroups.base[mount] === "/" ? "" : (host.cgroups.base[mount] ?? "")}${path}`)
    .filter((group) => existsSync(group))

/** The parts of a config that a user namespace needs. Ids are far from everybody's. */
export const FIRST_ID = 1_600_000_000
export const owned = (size = 65536): Partial<Linux> => ({
  uidMappings: [{ containerID: 0, hostID: FIRST_ID, size }],
  gidMappings: [{ containerID: 0, hostID: FIRST_ID, size }],
  namespaces: [...(plain().linux?.namespaces ?? []), { type: "user" }],
})
