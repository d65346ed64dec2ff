/**
 * A hostile root file system, a root inside who looks for a way out, and neighbours who share a volume.
 *
 * Every test is an attack that worked once, here or elsewhere. Where the host's root is root inside (`--userns host`) ids stop nobody,
 * so that is where most of them are tried.
 */

import { afterAll, expect, test } from "bun:test"
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
} from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

/** Who is root inside; each with the reason why it is a case of its own. */
const ROOTS: readonly (readonly string[])[] = [
  [],
  // Nothing but capabilities and the view of files is between this root and the host's.
  ["--userns", "host"],
  // Without a pid namespace there are more files: the groups, to be emptied at the end.
  ["--userns", "host", "--pid", "host"],
]

/** Descriptors that the executor could still hold when the program's name is looked up. */
const NUMBERS = Array.from({ length: 17 }, (_, index) => index + 3)

test("no program of the host can be run by way of a file that is still open (CVE-2024-21626)", () => {
  const outside = machine.directory("outside")
  copyFileSync("/bin/busybox", join(outside, "echo"))
  const up = "../".repeat(12)
  const answers = ROOTS.map((flags) =>
    NUMBERS.map((fd) => machine.inside(...flags, `/proc/self/fd/${fd}/${up}${outside}/echo`, "escaped").stdout),
  )
  expect(answers.flat().filter(Boolean)).toEqual([])
})

test("nor by exec, nor as a working directory", () => {
  const outside = machine.directory("outside")
  copyFileSync("/bin/busybox", join(outside, "echo"))
  const id = machine.must("run", "-d", "--rootfs", machine.rootfs, "sleep", "100").trim()
  for (const fd of NUMBERS) {
    expect(machine.run("exec", id, `/proc/self/fd/${fd}/${"../".repeat(12)}${outside}/echo`, "escaped").stdout).toBe("")
    expect(machine.run("exec", "-w", `/proc/self/fd/${fd}`, id, "echo", "escaped").stdout).toBe("")
    expect(machine.inside("-w", `/proc/self/fd/${fd}`, "echo", "escaped").stdout).toBe("")
  }
  machine.must("rm", "-f", id)
})

test("a root inside that kills whoever joins is told of as such", async () => {
  // The shell is process 1, which kill(-1) spares.
  const killer = "while :; do kill -KILL -1 2>/dev/null; done"
  const id = machine.must("run", "-d", "--rootfs", machine.rootfs, "sh", "-c", killer).trim()
  const { code, stderr } = machine.run("exec", id, "sleep", "100")
  machine.must("rm", "-f", id)
  if (code === 137) return // It was faster than the killer, and ran.
  expect({ code, stderr }).toEqual({
    code: 125,
    stderr: expect.stringMatching(/^minicontainer: cannot .* inside .*killed by SIGKILL/),
  })
})

test("process 1 of --init shows nothing of the caller's environment, nor a path of the host", () => {
  const { code, stdout } = machine.runWith(
    { env: { SECRET: "of-the-caller" } },
    ...["run", "--rm", "--init", "-e", "OWN=1", "--rootfs", machine.rootfs],
    ...["sh", "-c", "cat /proc/1/environ /proc/1/cmdline | tr -d '\\0'"],
  )
  expect({ code, stdout }).toEqual({ code: 0, stdout: "init" })
})

test("nor does the monitor hold the environment, as long as it lives", () => {
  const { stdout } = machine.runWith(
    { env: { SECRET: "of-the-caller" } },
    ...["run", "-d", "-e", "SECRET=of-the-container", "--rootfs", machine.rootfs, "sleep", "100"],
  )
  const id = stdout.trim()
  const status = readFileSync(join(machine.root, "containers", id, "status"), "utf8")
  const monitor = /^monitor (\d+)/m.exec(status)?.[1]
  const words = (file: string) => readFileSync(`/proc/${monitor}/${file}`, "utf8").replaceAll("\0", " ").trim()
  expect([words("environ"), words("cmdline")]).toEqual(["", expect.not.stringContaining("of-the-")])
  machine.must("rm", "-f", id)
})

test("the host's /dev/null stays as it is, wherever the container sees it", () => {
  const before = statSync("/dev/null")
  for (const path of ["/dev/stdin", "/dev/null", "/proc/timer_list", "/proc/keys"])
    machine.inside("--userns", "host", "sh", "-c", `chmod 600 ${path}; chown 1:1 ${path}`)
  const after = statSync("/dev/null")
  expect([after.mode, after.uid, after.gid, after.ctimeMs]).toEqual([
    before.mode,
    before.uid,
    before.gid,
    before.ctimeMs,
  ])
})

test("whatever a root that is the host's makes, no device beyond the rules opens, the console of the machine neither", () => {
  const made = ["b 8 0", "b 7 0", "c 1 1", "c 1 11", "c 4 0", "c 5 1", "c 10 229", "c 136 0"]
  const { stdout } = machine.inside(
    ...["--userns", "host", "sh", "-c"],
    `i=0; for pair in "${made.join('" "')}"; do i=$((i+1)); mknod /tmp/$i $pair; timeout 1 cat /tmp/$i && echo opened $pair; done; ls /tmp | wc -l`,
  )
  expect(stdout).toBe(`${made.length}\n`)
})

test("on a host without cgroups an image's device nodes open nothing", () => {
  const rootfs = machine.directory("nodes")
  Bun.spawnSync(["cp", "-a", `${machine.rootfs}/.`, rootfs])
  Bun.spawnSync(["mknod", "-m", "666", join(rootfs, "random"), "c", "1", "8"])
  const run = `run --rm --rootfs ${rootfs} sh -c 'head -c 1 /dev/random | wc -c; head -c 1 /random | wc -c'`
  const { stdout, stderr } = Bun.spawnSync(
    ["unshare", "-m", "sh", "-c", `umount -R /sys/fs/cgroup && exec ${machine.command.join(" ")} ${run}`],
    {
      env: { MINICONTAINER_ROOT: machine.root, MINICONTAINER_RUN_ROOT: machine.runRoot, PATH: process.env.PATH ?? "" },
    },
  )
  expect(stdout.toString()).toBe("1\n0\n")
  expect(stderr.toString()).toContain("head: /random: Permission denied")
})

test("a start does not fail because somebody, anywhere on the machine, renames files all the time", async () => {
  // openat2(2) gives up (EAGAIN) when a rename happens while it resolves a `..` inside a root; /var/run → ../run is in many images.
  const rootfs = machine.directory("dotdot")
  Bun.spawnSync(["cp", "-a", `${machine.rootfs}/.`, rootfs])
  mkdirSync(join(rootfs, "run"))
  mkdirSync(join(rootfs, "var"))
  symlinkSync("../run", join(rootfs, "var/run"))
  const other = machine.directory("other")
  const loop =
    "for (;;) { require('fs').mkdirSync('a'); require('fs').renameSync('a', 'b'); require('fs').rmdirSync('b') }"
  const renaming = Bun.spawn([process.execPath, "-e", loop], { cwd: other })
  await Bun.sleep(100)
  const volume = machine.directory("volume")
  const results = Array.from({ length: 12 }, () =>
    machine.run("run", "--rm", "-v", `${volume}:/var/run/deep/x`, "-w", "/var/run/y", "--rootfs", rootfs, "true"),
  )
  renaming.kill("SIGKILL")
  await renaming.exited
  expect(results.filter(({ code }) => code !== 0)).toEqual([])
})

test("more than the executor takes is refused before there is a container", () => {
  const volume = machine.directory("volume")
  const volumes = Array.from({ length: 2000 }, (_, index) => ["-v", `${volume}:/v/${index}`]).flat()
  expect(machine.inside(...volumes, "true")).toEqual({
    code: 125,
    stdout: "",
    stderr: expect.stringMatching(
      /^minicontainer: cannot hand the plan to the executor: it has \d+ \w+.* (1024|8192) are the most/,
    ),
  })
  const words = Array.from({ length: 70_000 }, () => "x")
  expect(machine.inside("true", ...words).stderr).toMatch(/it has 70\d+ words in one list, and 65536 are the most/)
  expect(machine.traces()).toEqual([])
})

test("a root that others may write into is refused, and stays empty", () => {
  const theirs = machine.directory("theirs")
  const refused = (flag: string) => machine.run(flag, theirs, "run", "--rm", "--rootfs", machine.rootfs, "true")
  for (const flag of ["--root", "--run-root"]) {
    chownSync(theirs, 65534, 0)
    expect(refused(flag)).toMatchObject({ code: 125, stderr: expect.stringContaining("belongs to uid 65534") })
    chownSync(theirs, 0, 0)
    chmodSync(theirs, 0o777)
    expect(refused(flag)).toMatchObject({ code: 125, stderr: expect.stringContaining("others may write into it") })
    chmodSync(theirs, 0o755)
  }
  expect(readdirSync(theirs)).toEqual([])
})

test("a word that is not UTF-8 is refused, not replaced", () => {
  const words = [...machine.command, "run", "--rm", "--rootfs", machine.rootfs, "echo"]
  const typed = (bytes: string) =>
    Bun.spawnSync(["sh", "-c", `exec "$@" "$(printf '${bytes}')"`, "sh", ...words], {
      env: { MINICONTAINER_ROOT: machine.root, MINICONTAINER_RUN_ROOT: machine.runRoot, PATH: process.env.PATH ?? "" },
    })
  expect(typed("caf\\303\\251 \\357\\277\\275").stdout.toString()).toBe("café \ufffd\n")
  expect(typed("caf\\351").stderr.toString()).toMatch(
    /^minicontainer: cannot read word 6 of the command line: it is not UTF-8/,
  )
})
