/**
 * The cgroup rooms against the kernel that runs the tests, whichever version of cgroups it has: the plan's own steps are
 * carried out by hand, and a shell in a new user namespace enters the group as the container's first process does.
 *
 * Here that is version 1; in the test host (see README) version 2.
 */

import { afterAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { readHost } from "../../src/host/host.ts"
import type { Cgroups } from "../../src/model/host.ts"
import type { Resources } from "../../src/model/oci.ts"
import { cgroups } from "../../src/plan/cgroups.ts"
import type { Grouped } from "../../src/plan/cgroups-limits.ts"
import { cgroupsV1, joinCgroupsV1 } from "../../src/plan/cgroups-v1.ts"
import type { Phase, Step } from "../../src/plan/step.ts"

const host = readHost([])
const v1 = host.cgroups.mode === "v1"
const PARENT = `/mctest-${process.pid}`
const MONITORS = `${PARENT}/monitors`
let made = 0

/** Makes a container's groups, lets `use` look at them, and takes them back. */
function container(
  resources: Resources,
  use: (given: Grouped & { readonly path: string }) => void,
  own?: Cgroups["own"],
): void {
  const path = `${PARENT}/c${++made}`
  const facts = own ? { ...host.cgroups, own } : host.cgroups
  const grouped = (v1 ? cgroupsV1 : cgroups)({
    resources,
    path,
    monitors: MONITORS,
    host: { kernel: host.kernel, cgroups: facts },
  })
  const done: Step[] = []
  try {
    for (const step of grouped.steps.filter(({ phase }) => phase === "host")) if (perform(step)) done.push(step)
    use({ ...grouped, path })
  } finally {
    for (const { undo } of done.toReversed()) if (undo?.op === "remove-cgroup") remove(undo.path)
  }
}

/** One step of phase host, as the executor does it. False: an errno in `ok`, so nothing was done. */
function perform(step: Step): boolean {
  try {
    if (step.op === "mkdir") mkdirSync(step.path, Number(step.mode))
    else if (step.op === "write") writeFileSync(step.path, step.text, { flag: "r+" })
    else if (step.op === "copy-file") {
      if (readFileSync(step.to, "utf8").trim() === "")
        writeFileSync(step.to, readFileSync(step.from, "utf8"), { flag: "r+" })
    }
    // To open the group, and to move ourselves there, is left to the shell: this process has many threads.
    else if (step.op !== "open" && step.op !== "attach-self")
      throw new Error(`no step of this kind was expected: ${step.op}`)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (step.ok?.some((name) => name === code) || step.must === false) return false
    throw new Error(`cannot ${step.does}`, { cause: error })
  }
}

function remove(group: string): void {
  if (!existsSync(group)) return
  for (const { name } of readdirSync(group, { withFileTypes: true }).filter((entry) => entry.isDirectory()))
    remove(join(group, name))
  for (let tries = 0; ; tries++)
    try {
      return rmdirSync(group)
    } catch (error) {
      // A process that has just ended can still be counted.
      if (tries === 200) throw error
      Bun.sleepSync(10)
    }
}

/** The files through which a process enters: in v2 only the shell needs one, since a plan's child is born inside. */
const doors = ({ steps, groups }: Grouped, phase: Phase = "child"): readonly string[] =>
  v1
    ? steps.flatMap((step) => (step.op === "attach-self" && step.phase === phase ? [step.path] : []))
    : [`${groups.unified}/cgroup.procs`]

/** Runs a script in the groups, as the root of a new user namespace that has no ids yet. */
function inside(given: Grouped, script: string, unshare: readonly string[] = ["--user"]) {
  const enter = doors(given).map((path) => `echo 0 > ${path} || exit 99`)
  const { status, signal, stdout, stderr } = spawnSync(
    "unshare",
    [...unshare, "sh", "-c", [...enter, script].join("\n")],
    {
      encoding: "utf8",
      timeout: 60_000,
    },
  )
  return { status, signal, stdout, stderr }
}

const read = (directory: string | undefined, file: string): string =>
  readFileSync(`${directory}/${file}`, "utf8").trim()
const MIB = 1 << 20

afterAll(() => {
  for (const mount of new Set([...Object.values(host.cgroups.controllers), host.cgroups.unified ?? "/nowhere"])) {
    const base = host.cgroups.base[mount] ?? "/"
    remove(join(mount, base, PARENT))
  }
})

test("the kernel takes every text as it is written, and shows it again", () => {
  const swap = existsSync("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes") ? 96 * MIB : 64 * MIB
  const resources: Resources = {
    memory: { limit: 64 * MIB, swap, reservation: 32 * MIB },
    cpu: { shares: 512, quota: 50_000, period: 100_000, cpus: "0", mems: "0" },
    pids: { limit: 20 },
  }
  container(resources, ({ groups, warnings }) => {
    expect(warnings).toEqual([])
    if (v1) {
      expect(read(groups.memory, "memory.limit_in_bytes")).toBe(String(64 * MIB))
      expect(read(groups.memory, "memory.soft_limit_in_bytes")).toBe(String(32 * MIB))
      expect(read(groups.cpu, "cpu.shares")).toBe("512")
      expect(read(groups.cpu, "cpu.cfs_quota_us")).toBe("50000")
    } else {
      expect(read(groups.unified, "memory.max")).toBe(String(64 * MIB))
      expect(read(groups.unified, "memory.low")).toBe(String(32 * MIB))
      expect(read(groups.unified, "cpu.weight")).toBe("59")
      expect(read(groups.unified, "cpu.max")).toBe("50000 100000")
    }
    expect(read(groups.cpuset, "cpuset.cpus")).toBe("0")
    expect(read(groups.pids, "pids.max")).toBe("20")
  })
})

test("the child of a new user namespace is in all of its groups, and a cgroup namespace made then begins there", () => {
  container({}, (given) => {
    const script = "cat /proc/self/cgroup; echo ---; unshare --cgroup cat /proc/self/cgroup"
    expect(inside(given, "true")).toMatchObject({ status: 0, stderr: "" })
    // A program loses its power over the namespace at execve unless it is root there; the executor's child has not come to that yet.
    const { stdout, stderr, status } = inside(given, script, ["--user", "--map-root-user"])
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 })
    const [before = "", after = ""] = stdout.split("---\n")
    const parse = (text: string) =>
      new Map(
        text
          .trim()
          .split("\n")
          .map((line) => [line.split(":")[1] ?? "", line.split(":")[2] ?? ""]),
      )
    const names = v1
      ? ["memory", "cpu", "cpuset", "pids", "devices", "freezer"].filter((name) => given.groups[name])
      : [""]
    const group = (text: string) =>
      names.map((name) => [...parse(text)].find(([controllers]) => controllers.split(",").includes(name))?.[1])
    expect(group(before)).toEqual(names.map(() => given.path))
    expect(group(after)).toEqual(names.map(() => "/"))
  })
})

test("memory beyond the limit: killed, and the capture tells", () => {
  container({ memory: { limit: 16 * MIB, swap: 16 * MIB } }, (given) => {
    const { stdout } = inside(given, "dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; echo $?")
    expect(stdout.trim()).toBe("137")
    const capture = given.steps.find((step) => step.op === "capture" && step.name.startsWith("memory."))
    expect(capture).toMatchObject({ op: "capture", phase: "exit" })
    const text = capture?.op === "capture" ? readFileSync(capture.path, "utf8") : ""
    expect(Number(/^oom_kill (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(0)
  })
})

test("more processes than the limit: fork fails, and only inside", () => {
  container({ pids: { limit: 3 } }, (given) => {
    const { status, stderr } = inside(given, "for i in 1 2 3 4; do sleep 9 >/dev/null 2>&1 & done")
    expect(status).not.toBe(0)
    expect(stderr).toMatch(/fork/i)
    for (const path of new Set(Object.values(given.groups)))
      for (const pid of read(path, "cgroup.procs").split("\n").filter(Boolean)) process.kill(Number(pid), "SIGKILL")
  })
})

test("a new cpuset is filled in, so that somebody may enter it", () => {
  container({}, ({ groups }) => {
    const cpus = v1
      ? read(groups.cpuset, "cpuset.cpus")
      : readFileSync("/sys/fs/cgroup/cpuset.cpus.effective", "utf8").trim()
    expect(cpus).toMatch(/^[\d,-]+$/)
    if (v1) expect(cpus).toBe(read(dirname(dirname(groups.cpuset ?? "")), "cpuset.cpus"))
  })
})

test("the monitor leaves the caller's groups, and whom it clones starts where it is", () => {
  // Version 2: the executor makes the monitor there, by CLONE_INTO_CGROUP; its own tests tell.
  if (!v1) return
  container(
    {},
    (given) => {
      const enter = doors(given, "host").map((path) => `echo 0 > ${path} || exit 99`)
      expect(enter.length).toBeGreaterThan(0)
      const { stdout } = spawnSync("sh", ["-c", [...enter, "cat /proc/self/cgroup"].join("\n")], { encoding: "utf8" })
      const groups = stdout
        .trim()
        .split("\n")
        .filter((line) => !line.startsWith("0::"))
        .map((line) => line.split(":")[2])
      expect(new Set(groups)).toEqual(new Set([MONITORS]))
    },
    {},
  )
})

test("one more process: in by the monitor, which leaves again", () => {
  if (!v1) return
  container({}, (given) => {
    const joined = joinCgroupsV1({ resources: {}, path: given.path, monitors: MONITORS, host })
    for (const step of joined.steps.filter(({ op }) => op !== "attach-self")) perform(step)
    const script = [
      ...doors(joined, "host").map((path) => `echo 0 > ${path} || exit 99`),
      "sleep 30 & child=$!",
      ...doors(joined, "parent").map((path) => `echo 0 > ${path} || exit 98`),
      "grep :memory: /proc/$child/cgroup /proc/self/cgroup; kill -9 $child",
    ].join("\n")
    const { stdout } = spawnSync("sh", ["-c", script], { encoding: "utf8" })
    expect(
      stdout
        .trim()
        .split("\n")
        .map((line) => line.split(":").at(-1)),
    ).toEqual([given.path, MONITORS])
  })
})

test("what was made is gone, but for what containers share", () => {
  container({}, () => {})
  for (const mount of new Set(Object.values(host.cgroups.controllers))) {
    const shared = join(mount, host.cgroups.base[mount] ?? "/", PARENT)
    if (!existsSync(shared)) continue
    const left = readdirSync(shared, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    expect(left.map(({ name }) => name).filter((name) => name !== "monitors")).toEqual([])
  }
})
