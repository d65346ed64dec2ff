/**
 * `doctor` for real: it tells of every class of thing that a crash can leave, takes it away, and then finds nothing.
 */

import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Diagnosis } from "../../src/engine/types.ts"
import { type Machine, newMachine } from "../machine.ts"

const look = (machine: Machine, ...options: string[]): Diagnosis =>
  JSON.parse(machine.run("doctor", "--format", "json", ...options).stdout)
const left = (machine: Machine, ...options: string[]): string[] =>
  look(machine, ...options).leftovers.map((one) => `${one.class}: ${one.what}`)

const NOBODY = "a".repeat(64)
/** No process has this pid: pid_max is at most 2^22. */
const DEAD = 4_194_305

test("each check says what it found, and what follows where not all is well", () => {
  using machine = newMachine()
  machine.inside("true")
  const { checks } = look(machine)
  const byName = new Map(checks.map((check) => [check.name, check]))
  for (const name of [
    "kernel",
    "user namespaces",
    "cgroups",
    "overlay",
    "idmapped mounts",
    "seccomp",
    "capabilities",
    "room on disk",
    "executor",
    "nf_tables",
    "IPv4 forwarding",
  ])
    expect(byName.has(name)).toBe(true)
  expect(byName.get("kernel")!.found).toBe(readFileSync("/proc/sys/kernel/osrelease", "utf8").trim())
  expect(byName.get("executor")).toMatchObject({ state: "ok" })
  for (const { state, means } of checks) expect(state === "ok" || (means ?? "").length > 10).toBe(true)
  expect(machine.run("doctor").stdout).toContain("kernel: ")
})

test("what every kind of crash leaves is found and taken away, and then there is nothing", () => {
  using machine = newMachine()
  machine.must("run", "-d", "--name", "healthy", "--rootfs", machine.rootfs, "-v", "data:/d", "sleep", "1000")
  const { root, runRoot } = machine
  const put = (path: string): string => {
    mkdirSync(join(path, ".."), { recursive: true })
    writeFileSync(path, "")
    return path
  }
  const planted = [
    `containers: ${root}/containers/${NOBODY.replace("a", "b")}`,
    `drafts: ${root}/containers/.new-${DEAD}-1-${NOBODY}`,
    `leases: ${root}/names/ghost`,
    `leases: ${root}/ids/123`,
    `run directories: ${runRoot}/${NOBODY}`,
    `temporary files: ${put(`${root}/id.${DEAD}`)}`,
    `temporary files: ${put(`${root}/skeleton.${DEAD}/etc/hosts`).replace("/etc/hosts", "")}`,
    `temporary files: ${put(`${root}/bin/${NOBODY}.${DEAD}`)}`,
    `old executors: ${put(`${root}/bin/${NOBODY}`)}`,
    `volumes: ${root}/volumes/.new-${DEAD}-1-0`,
    `volumes: ${root}/volumes/.gone-${DEAD}-1-0`,
  ]
  mkdirSync(`${root}/containers/${NOBODY.replace("a", "b")}/upper/deep`, { recursive: true })
  mkdirSync(`${root}/containers/.new-${DEAD}-1-${NOBODY}`)
  symlinkSync(NOBODY, `${root}/names/ghost`)
  symlinkSync(NOBODY, `${root}/ids/123`)
  mkdirSync(`${runRoot}/${NOBODY}`)
  mkdirSync(`${root}/volumes/.new-${DEAD}-1-0/_data`, { recursive: true })
  mkdirSync(`${root}/volumes/.gone-${DEAD}-1-0/_data/x`, { recursive: true })
  const id = machine.must("inspect", "--format", "{{.Id}}", "healthy").trim()
  const groups = spawnSync("find", ["/sys/fs/cgroup", "-type", "d", "-name", id], { encoding: "utf8" })
    .stdout.trim()
    .split("\n")
    .filter(Boolean)
    .map((path) => path.replace(id, NOBODY))
  for (const group of groups) mkdirSync(group)
  const mounted = machine.directory("state/volumes/mounted")
  spawnSync("mount", ["-t", "tmpfs", "none", mounted])
  writeFileSync(join(mounted, "volume.json"), "{}")
  const all = [...planted, ...groups.map((path) => `cgroups: ${path}`), `mounts: ${mounted}`].sort()

  expect(left(machine).sort()).toEqual(all)
  expect(machine.run("doctor").code).toBe(1)
  expect(left(machine, "--fix").sort()).toEqual(all)
  expect(left(machine)).toEqual([])
  for (const line of all) if (!line.endsWith(mounted)) expect(existsSync(line.slice(line.indexOf("/")))).toBe(false)
  expect(machine.must("exec", "healthy", "echo", "still here")).toBe("still here\n")
  machine.must("rm", "-f", "healthy")
  spawnSync("rmdir", [mounted])
  machine.must("volume", "rm", "data")
})

test("the empty parent of another root's containers is a leftover once the last one is gone", () => {
  using machine = newMachine()
  machine.inside("true")
  const scope = readFileSync(join(machine.root, "id"), "utf8").slice(0, 6)
  const found = left(machine)
  expect(found.length).toBeGreaterThan(0)
  for (const line of found) expect(line).toEndWith(`/minicontainer-${scope}`)
  const { code } = machine.run("doctor", "--fix")
  expect([0, 1]).toContain(code)
  expect(left(machine)).toEqual([])
})

test("a container whose monitor was killed is found, and ends as a record that tells of it", () => {
  using machine = newMachine()
  machine.must("run", "-d", "--name", "web", "--rootfs", machine.rootfs, "sleep", "1000")
  const id = machine.must("inspect", "--format", "{{.Id}}", "web").trim()
  const { monitor } = JSON.parse(machine.must("inspect", "web"))[0]
  const status = readFileSync(join(machine.root, "containers", id, "status"), "utf8")
  const pid = Number(/monitor\D+(\d+)/.exec(status)?.[1] ?? monitor)
  process.kill(pid, "SIGKILL")
  const deadline = performance.now() + 10_000
  while (!left(machine).some((line) => line.startsWith("containers: ")))
    if (performance.now() > deadline) throw new Error("it is not found")
  expect(left(machine, "--fix")).toContain(`containers: ${machine.root}/containers/${id}`)
  expect(left(machine)).toEqual([])
  expect(machine.must("ps", "-a", "--format", "{{.Names}} {{.Status}}")).toStartWith("web Exited (137)")
  expect(readdirSync(join(machine.root, "containers"))).toEqual([id])
})
