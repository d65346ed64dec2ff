/**
 * A container's files from outside: diff, export; running and stopped, with its own ids and with the host's.
 */

import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const CHANGES = `rm /etc/group; echo more >>/etc/passwd; mkdir /new /new/a; echo 1 >/new/a/f; ln /new/a/f /new/hard; ln -s /etc/passwd /new/link
  chown 1000:1000 /new/a/f; chmod 4755 /new/a/f; mkfifo /new/pipe; rm -r /home/user; mkdir /home/user; echo b >/home/user/b; touch -d '2001-02-03 04:05:06' /new/a/f`

beforeAll(() => {
  writeFileSync(join(machine.rootfs, "home/user/old"), "old")
  mkdirSync(join(machine.rootfs, "layers"))
  writeFileSync(join(machine.rootfs, "layers/kept"), "kept")
  const volume = machine.directory("volume")
  writeFileSync(join(volume, "secret"), "not exported")
  const start = (name: string, script: string, ...flags: string[]) =>
    machine.must(
      "run",
      "-d",
      "--name",
      name,
      ...flags,
      "-v",
      `${volume}:/vol`,
      "--rootfs",
      machine.rootfs,
      "sh",
      "-c",
      script,
    )
  start("running", `${CHANGES}; touch /ready; exec sleep 1000`)
  start("hosts-ids", `${CHANGES}; touch /ready; exec sleep 1000`, "--userns", "host")
  for (const name of ["running", "hosts-ids"]) {
    const deadline = performance.now() + 20_000
    while (machine.run("exec", name, "ls", "/ready").code !== 0) {
      if (performance.now() > deadline) throw new Error(`${name} is not ready`)
      Bun.sleepSync(50)
    }
  }
  machine.must(
    "run",
    "--name",
    "stopped",
    "-v",
    `${volume}:/vol`,
    "--rootfs",
    machine.rootfs,
    "sh",
    "-c",
    `${CHANGES}; touch /ready`,
  )
}, 60_000)

const DIFF = `C /etc
D /etc/group
C /etc/passwd
C /home
C /home/user
A /home/user/b
D /home/user/old
A /new
A /new/a
A /new/a/f
A /new/hard
A /new/link
A /new/pipe
A /ready
A /vol
`

for (const name of ["running", "hosts-ids", "stopped"]) {
  test(`diff tells what is changed, added and deleted (${name})`, () => {
    expect(machine.must("diff", name)).toBe(DIFF)
  })

  test(`export is a tar archive of all files as the container knows them (${name})`, () => {
    const path = join(machine.base, `${name}.tar`)
    machine.must("export", "-o", path, name)
    const tar = (...args: string[]) =>
      spawnSync("tar", args, { encoding: "utf8", env: { ...process.env, TZ: "UTC" } }).stdout
    const line = (wanted: string) =>
      tar("--numeric-owner", "--full-time", "-tvf", path)
        .split("\n")
        .filter((row) => row.includes(wanted))
        .map((row) => row.replaceAll(/ +/g, " "))
    // Of two links either may come first; both are the one file.
    expect(
      line("new/")
        .filter((row) => /\/f|hard/.test(row))
        .sort(),
    ).toEqual(
      expect.arrayContaining([expect.stringMatching(/^-rwsr-xr-x 1000\/1000 2 2001-02-03 04:05:06 new\/(a\/f|hard)$/)]),
    )
    expect(
      line("link to")
        .map((row) => row.replace(/^.*:\d\d /, ""))
        .join(),
    ).toMatch(/^new\/(a\/f|hard) link to new\/(a\/f|hard)$/)
    expect(line("new/link").join()).toMatch(/^lrwxrwxrwx 0\/0 0 .* new\/link -> \/etc\/passwd$/)
    expect(line(" new/pipe").join()).toMatch(/^prw-r--r-- 0\/0 0 /)
    expect(line("bin/busybox").find((row) => row.startsWith("-"))).toMatch(/^-rwxr-xr-x 0\/0 /)
    const names = tar("-tf", path).split("\n")
    expect(names).toContain("home/user/b")
    expect(names).toContain("vol/")
    for (const gone of ["home/user/old", "etc/group", "vol/secret", "proc/1/"]) expect(names).not.toContain(gone)
    expect(tar("-xOf", path, "layers/kept")).toBe("kept")
  })
}

test("export to a pipe is the same archive", () => {
  const [program = "", ...front] = machine.command
  const env = { ...process.env, MINICONTAINER_ROOT: machine.root, MINICONTAINER_RUN_ROOT: machine.runRoot }
  const { stdout } = spawnSync(program, [...front, "export", "stopped"], { env, maxBuffer: 1 << 30 })
  machine.must("export", "-o", join(machine.base, "again.tar"), "stopped")
  expect(stdout.equals(readFileSync(join(machine.base, "again.tar")))).toBe(true)
})

test("an archive that cannot be whole does not appear", () => {
  const path = join(machine.base, "none.tar")
  expect(machine.run("export", "-o", path, "nobody")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('cannot find container "nobody"'),
  })
  expect(existsSync(path)).toBe(false)
  expect(machine.run("export", "-o", "/nowhere/x.tar", "stopped").stderr).toContain(
    "cannot write /nowhere/x.tar: ENOENT",
  )
})

test("a container that never ran has changed nothing", () => {
  machine.must("create", "--name", "fresh", "--rootfs", machine.rootfs, "sh")
  expect(machine.run("diff", "fresh")).toMatchObject({ code: 0, stdout: "" })
  machine.must("rm", "fresh")
})
