/**
 * When things go wrong: each is one clear line, with the fix where there is one, and leaves nothing.
 */

import { afterAll, expect, test } from "bun:test"
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

/** Everything that ends with 125 and one sentence. Paths of the machine are written ROOTFS and BASE. */
function refuses(name: string, args: readonly string[], message: RegExp, code = 125): void {
  test(name, () => {
    const result = machine.run(...args)
    expect(result.stderr).toMatch(message)
    expect({ code: result.code, stdout: result.stdout, lines: result.stderr.trimEnd().split("\n").length }).toEqual({
      code,
      stdout: "",
      lines: /hint: /.test(result.stderr) ? 2 : 1,
    })
    expect(result.stderr).toMatch(/^minicontainer: /)
    expect(machine.traces()).toEqual([])
  })
}
const run = (...flags: string[]): string[] => ["run", "--rm", "--rootfs", machine.rootfs, ...flags, "true"]
const empty = machine.directory("empty")
const file = join(machine.directory("files"), "file")
writeFileSync(file, "")
const noShell = machine.directory("no-shell")
mkdirSync(join(noShell, "etc"))

refuses(
  "a rootfs that does not exist",
  ["run", "--rootfs", "/no/such/rootfs", "true"],
  /cannot .*\/no\/such\/rootfs.*no such directory/,
)
refuses("a rootfs that is a file", ["run", "--rootfs", file, "true"], /cannot .*files\/file.*not a directory/)
refuses("a rootfs that is empty", ["run", "--rootfs", empty, "true"], /cannot .*\/empty.*empty/)
refuses(
  "a rootfs without a shell",
  ["run", "--rm", "--rootfs", noShell, "/bin/sh"],
  /cannot run "\/bin\/sh": no such file/,
  127,
)
refuses(
  "a volume whose source is missing",
  run("-v", "/no/such/volume:/v"),
  /cannot .*\/no\/such\/volume.*does not exist/,
)
refuses("a volume with a relative source", run("-v", "some/where:/v"), /some\/where.*absolute/)
refuses("a volume with a relative target", run("-v", "/tmp:v"), /cannot .*absolute/)
refuses(
  "two volumes on one target",
  run("-v", "/tmp:/v", "-v", "/var/tmp:/v"),
  /cannot .*\/v.*(twice|two|both|already)/,
)
refuses("a volume that would hide /proc", run("-v", "/tmp:/proc"), /cannot mount \/tmp on \/proc: it would hide/)
refuses(
  "a device whose name is too long",
  run("--device", `/dev/${"x".repeat(300)}`),
  /cannot look at .*x: its name is too long/,
)
refuses(
  "a cidfile without its directory",
  run("--cidfile", "no/such/dir"),
  /id to no\/such\/dir: there is no such directory/,
)
refuses("--memory 1", run("--memory", "1"), /memory.*(6 ?m|6291456|6 MiB)/i)
refuses("--memory banana", run("--memory", "banana"), /memory.*banana/)
refuses("--cpus 0", run("--cpus", "0"), /cpus.*0/)
refuses("--cpus 0.001", run("--cpus", "0.001"), /cpus.*0\.01/)
refuses("--cpus -1", run("--cpus", "-1"), /cpus.*-1/)
refuses("--pids-limit -2", run("--pids-limit", "-2"), /pids-limit.*-2/)
refuses("an unknown flag, with the nearest one", run("--memroy", "1g"), /--memroy: unknown flag[\s\S]*--memory\?/)
refuses("a name with a slash", run("--name", "a/b"), /name.*a\/b/)
refuses("an unknown user", run("-u", "nobodyknows"), /cannot .*nobodyknows/)
refuses("a uid beyond the range", run("-u", "70000"), /70000/)
refuses("an unknown capability", run("--cap-add", "FLY"), /FLY/)
refuses("an unknown signal", run("--stop-signal", "SIGNOPE"), /SIGNOPE/)
refuses("a sysctl of the whole kernel", run("--sysctl", "kernel.panic=1"), /kernel\.panic/)
refuses("an unknown command, with the nearest one", ["rnu"], /rnu[\s\S]*run/)
refuses("a container that is not there", ["rm", "nosuch"], /nosuch/, 1)
refuses("a container to stop that is not there", ["stop", "nosuch"], /nosuch/, 1)

test("without root there is one line that says so", () => {
  const base = machine.directory("rootless")
  const { exitCode, stderr } = Bun.spawnSync([
    "setpriv",
    "--reuid",
    "65534",
    "--clear-groups",
    ...machine.command,
    "--root",
    join(base, "s"),
    "--run-root",
    join(base, "r"),
    "run",
    "--rootfs",
    machine.rootfs,
    "true",
  ])
  expect(exitCode).toBe(125)
  expect(stderr.toString()).toMatch(/^minicontainer: cannot .*root/)
})

test("a plan may be looked at without root, also of a state root that is root's", () => {
  machine.must("run", "--rm", "--rootfs", machine.rootfs, "true")
  const explain = [...machine.command, "--root", machine.root, "explain", "--rootfs", "/", "true"]
  const { exitCode, stdout, stderr } = Bun.spawnSync(["setpriv", "--reuid", "65534", "--clear-groups", ...explain])
  expect([exitCode, stderr.toString()]).toEqual([0, ""])
  expect(stdout.toString()).toContain("let the host's file tree go")
})

test("an ambiguous id is said to be one", () => {
  const ids = Array.from({ length: 17 }, () => machine.must("run", "-d", "--rootfs", machine.rootfs, "true").trim())
  const digit = ids.map((id) => id[0]).find((first, index, all) => all.indexOf(first) !== index)
  expect(digit).toBeDefined()
  const { code, stderr } = machine.run("inspect", digit ?? "")
  expect(code).toBe(1)
  machine.must("rm", "-f", ...ids)
  expect(stderr).toMatch(/cannot tell which container .*ids begin with it/)
}, 60_000)

test("a corrupt record is named and skipped", () => {
  machine.must("run", "--name", "whole", "--rootfs", machine.rootfs, "true")
  machine.must("run", "--name", "broken", "--rootfs", machine.rootfs, "true")
  const id = JSON.parse(machine.must("inspect", "broken"))[0].Id as string
  writeFileSync(join(machine.root, "containers", id, "container.json"), '{"version": 1, "id": ')
  const { code, stdout, stderr } = machine.run("ps", "-a", "--format", "{{.Names}}")
  expect({ code, stdout }).toEqual({ code: 0, stdout: "whole\n" })
  expect(stderr).toContain(id.slice(0, 12))
  expect(machine.run("rm", "-f", id).code).toBe(0)
  machine.must("rm", "whole")
  expect(machine.traces()).toEqual([])
})

test("a state root that is a file", () => {
  const { code, stderr } = machine.run("--root", file, "run", "--rootfs", machine.rootfs, "true")
  expect(code).toBe(125)
  expect(stderr).toMatch(/cannot .*files\/file/)
})

test("a state root that is full", () => {
  const small = machine.directory("small")
  expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=16k,nr_inodes=4", "tmpfs", small]).exitCode).toBe(0)
  try {
    const { code, stderr } = machine.run("--root", join(small, "s"), "run", "--rootfs", machine.rootfs, "true")
    expect(code).toBe(125)
    expect(stderr).toMatch(/the disk is full/)
  } finally {
    Bun.spawnSync(["umount", small])
  }
})

test("a state root that is read-only", () => {
  const small = machine.directory("readonly")
  expect(Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", small]).exitCode).toBe(0)
  try {
    const { code, stderr } = machine.run("--root", join(small, "s"), "run", "--rootfs", machine.rootfs, "true")
    expect(code).toBe(125)
    expect(stderr).toMatch(/the file system is read-only/)
  } finally {
    Bun.spawnSync(["umount", small])
  }
})

test("a failing step is named, with its number", () => {
  const { code, stderr } = machine.run(
    "run",
    "--rm",
    "--rootfs",
    machine.rootfs,
    "--mount",
    "type=tmpfs,dst=/t,tmpfs-size=64m",
    "--sysctl",
    "net.ipv4.nosuch=1",
    "true",
  )
  expect(code).toBe(125)
  expect(stderr).toMatch(
    /^minicontainer: cannot set net\.ipv4\.nosuch to 1: .*\(ENOENT, step \d+ of \d+\) \[STEP_FAILED\]\n/,
  )
  expect(machine.traces()).toEqual([])
})
rmSync(empty, { recursive: true, force: true })
mkdirSync(empty)
