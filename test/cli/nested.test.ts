/**
 * A container in a container. The inner engine sees a cgroup tree whose root is none, perhaps read-only, and may be a root that is nobody
 * outside: it keeps its promises, or runs without limits and says so, or says in one line what is missing.
 *
 * The inner engine's roots lie on a volume: an overlay's upper cannot be on the outer container's own overlay.
 */

import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { readHost } from "../../src/host/host.ts"
import { COMMAND, newMachine, type Result } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())
const v2 = readHost([]).cgroups.mode === "v2"

const roots = machine.directory("inner")
const volumes = ["-v", `${machine.rootfs}:/rootfs`, "-v", `${roots}:/inner`]
/** Where the outer container sees the command. From source it is several words; then it is the same as outside. */
const program = COMMAND.length === 1 ? `/mc/${basename(COMMAND[0]!)}` : COMMAND.join(" ")
const outer = (...flags: readonly string[]): readonly string[] => [
  "run",
  ...flags,
  "--rootfs",
  "/",
  ...(COMMAND.length === 1 ? ["-v", `${dirname(COMMAND[0]!)}:/mc:ro`] : []),
  ...volumes,
]
const inner = (words: string): string => `${program} --root /inner/state --run-root /inner/run ${words}`
const nested = (flags: readonly string[], script: string): Result =>
  machine.run(...outer("--rm", ...flags), "sh", "-c", script)
/** The inner container's own words about its limits. */
const LIMITS = v2
  ? "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max"
  : "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max"

test("privileged: the inner container has its limits, and they hold", () => {
  const run = inner("run --rm --rootfs /rootfs --memory 64m --pids-limit 10")
  expect(nested(["--privileged"], `${run} sh -c '${LIMITS}'`)).toEqual({
    code: 0,
    stdout: "67108864\n10\n",
    stderr: "",
  })
  const hog = nested(["--privileged"], `${run} --memory-swap 64m dd if=/dev/zero of=/dev/null bs=200M count=1; echo $?`)
  expect(hog.stdout).toBe("137\n")
  const forks = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 3 & done"
  expect(nested(["--privileged"], `${run} sh -c '${forks}'`).stderr).toContain("can't fork")
})

test("privileged: it is killed for its own memory, not the outer one's, and both are told apart", () => {
  const script = `${inner("run --name hog --rootfs /rootfs --memory 32m --memory-swap 32m dd if=/dev/zero of=/dev/null bs=100M count=1")}; ${inner("inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' hog")}; ${inner("rm hog")}`
  const { stdout, code } = nested(["--privileged", "--memory", "1g"], script)
  expect({ stdout, code }).toEqual({ stdout: "true 137\nhog\n", code: 0 })
})

test("privileged: the outer container's limit is above all that is in it", () => {
  const script = `${inner("run --rm --rootfs /rootfs dd if=/dev/zero of=/dev/null bs=400M count=1")} 2>/dev/null; echo $?`
  expect(nested(["--privileged", "--memory", "200m", "--memory-swap", "200m"], script).stdout).toBe("137\n")
})

test("nothing of the inner one is left, and the outer one can be entered while it runs and afterwards", () => {
  const script = `${inner("run -d --name inside --rootfs /rootfs --memory 64m sleep 1000")} && touch /inner/up && exec sleep 1000`
  machine.must(...outer("-d", "--name", "outside", "--privileged"), "sh", "-c", script)
  for (const end = performance.now() + 30_000; !existsSync(join(roots, "up")) && performance.now() < end; )
    Bun.sleepSync(20)
  // Its own group passes controllers on by now and may hold nobody: where process 1 has gone, others can go.
  const enter = (script: string): Result => machine.run("exec", "outside", "sh", "-c", script)
  const groups = enter("cat /proc/self/cgroup").stdout
  if (v2) expect(groups).toBe("0::/init\n")
  const all = enter(inner("exec inside cat /proc/self/cgroup"))
  expect(all.code).toBe(0)
  expect(all.stdout).not.toContain("init")
  expect(enter(inner("rm -f inside"))).toEqual({ code: 0, stdout: "inside\n", stderr: "" })
  const left =
    "find /sys/fs/cgroup -mindepth 1 -type d -name '????????????????????????????????????????????????????????????????'"
  expect(enter(left)).toEqual({ code: 0, stdout: "", stderr: "" })
  expect(machine.must("rm", "-f", "outside")).toBe("outside\n")
})

/** All that an engine needs, but for writable cgroups. */
const POWERS = ["--userns", "host", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined"]

test("cgroups that are read-only: without limits, and one line that says which and why", () => {
  const { code, stdout, stderr } = nested(
    POWERS,
    inner("run --rm --userns host --rootfs /rootfs --pids-limit 10 echo it runs"),
  )
  expect({ code, stdout }).toEqual({ code: 0, stdout: "it runs\n" })
  expect(stderr).toMatch(
    /^minicontainer: warning: the container has no cgroup of its own, because \/sys\/fs\/cgroup(\/memory)? is read-only: --pids-limit and device rules are not enforced\n$/,
  )
})

test.skipIf(!v2)("a tree that cannot be divided after all: planned again without limits, and it is said why", () => {
  machine.must(...outer("-d", "--name", "shared", "--privileged"), "sleep", "1000")
  const id = machine.must("inspect", "-f", "{{.Id}}", "shared").trim()
  const scope = readFileSync(join(machine.root, "id"), "utf8").slice(0, 6)
  // A process of ours, which nobody in there has a number for, and therefore nobody can move.
  const sleep = Bun.spawn(["sleep", "1000"])
  try {
    writeFileSync(`/sys/fs/cgroup/minicontainer-${scope}/${id}/cgroup.procs`, `${sleep.pid}`)
    const { code, stdout, stderr } = machine.run(
      "exec",
      "shared",
      "sh",
      "-c",
      inner("run --rm --rootfs /rootfs --pids-limit 10 echo it runs"),
    )
    expect({ code, stdout }).toEqual({ code: 0, stdout: "it runs\n" })
    expect(stderr).toBe(
      "minicontainer: warning: the container has no cgroup of its own, because the one that we are in cannot be divided (we could not move the processes of /sys/fs/cgroup to its group /init: EBUSY): --pids-limit is not enforced\n",
    )
  } finally {
    sleep.kill("SIGKILL")
    machine.must("rm", "-f", "shared")
  }
})

test("what is missing is named: power over the machine, CAP_SYS_ADMIN, CAP_NET_ADMIN", () => {
  const run = inner("run --rm --userns host --rootfs /rootfs true")
  const told = (...flags: string[]): string => nested(flags, run).stderr.replace(/^minicontainer: warning: .*\n/, "")
  const NEEDS = "  hint: if this is a container: start it with --privileged\n"
  const isRoot =
    "minicontainer: cannot run a container: we have no CAP_SYS_ADMIN, so we may not mount anything [HOST_LACKS]\n"
  expect(told("--userns", "host")).toBe(isRoot + NEEDS)
  expect(told("--userns", "host", "--cap-add", "SYS_ADMIN")).toMatch(
    /^minicontainer: cannot set the loopback interface up: network interfaces may not be changed here \(EPERM, .*\n {2}hint: .*CAP_NET_ADMIN; --network host does without\n$/,
  )
})

test("in a user namespace: one line, not a failure at some step", () => {
  const { code, stderr } = machine.run(
    "run",
    "--rm",
    "--rootfs",
    machine.rootfs,
    "-v",
    "/usr:/usr:ro",
    "-v",
    "/lib:/lib:ro",
    ...(existsSync("/lib64") ? ["-v", "/lib64:/lib64:ro"] : []),
    ...(COMMAND.length === 1 ? ["-v", `${dirname(COMMAND[0]!)}:/mc:ro`] : []),
    "--tmpfs",
    "/inner",
    "--tmpfs",
    "/rootfs",
    "sh",
    "-c",
    `mkdir /rootfs/bin; ${inner("run --rm --rootfs /rootfs true")} 2>&1 | cat >&2`,
  )
  if (COMMAND.length > 1) return
  expect(stderr.replaceAll(/^minicontainer: warning: .*\n/gm, "")).toBe(
    "minicontainer: cannot run a container: we are in a user namespace, whose root may neither mount a container's layers nor give it ids of its own [HOST_LACKS]\n  hint: if this is a container: start it with --privileged\n",
  )
  expect(code).toBe(0)
})

test("and nothing of all this is left on the host", () => {
  expect(machine.traces()).toEqual([])
})
