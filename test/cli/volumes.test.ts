/**
 * Volumes for real: what outlives a container, what two of them share, and who may remove it.
 */

import { expect, test } from "bun:test"
import { mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Machine, newMachine } from "../machine.ts"

const names = (machine: Machine): string[] => machine.must("volume", "ls", "-q").split("\n").filter(Boolean)
const inspected = (machine: Machine, ...args: string[]) => JSON.parse(machine.must(...args))[0]

test("a named volume is made by the first who wants it, and outlives him", () => {
  using machine = newMachine()
  machine.inside("-v", "data:/srv", "sh", "-c", "echo hello > /srv/a; chown 1000:2000 /srv/a")
  expect(names(machine)).toEqual(["data"])
  expect(
    machine.inside("-v", "data:/elsewhere:ro", "sh", "-c", "cat /elsewhere/a; stat -c %u:%g /elsewhere/a").stdout,
  ).toBe("hello\n1000:2000\n")
  expect(machine.inside("-v", "data:/x:ro", "touch", "/x/b").code).toBe(1)
  const volume = inspected(machine, "volume", "inspect", "data")
  expect(volume).toMatchObject({
    Name: "data",
    Driver: "local",
    Scope: "local",
    Mountpoint: `${machine.root}/volumes/data/_data`,
  })
  expect(machine.must("volume", "rm", "data")).toBe("data\n")
  expect(names(machine)).toEqual([])
  expect(machine.run("volume", "inspect", "data")).toMatchObject({ code: 1, stdout: "[]\n" })
})

test("a volume that a container has is not removed, and the refusal names the container", () => {
  using machine = newMachine()
  machine.must("run", "--name", "user", "--rootfs", machine.rootfs, "-v", "data:/srv", "true")
  const refused = machine.run("volume", "rm", "data")
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain("cannot remove volume data: user has it [VOLUME_IN_USE]")
  expect(machine.must("ps", "-aq", "--filter", "volume=data").trim()).toHaveLength(12)
  expect(machine.must("volume", "ls", "-q", "--filter", "dangling=true")).toBe("")
  expect(inspected(machine, "inspect", "user").Mounts).toEqual([
    {
      Type: "volume",
      Name: "data",
      Source: `${machine.root}/volumes/data/_data`,
      Destination: "/srv",
      Driver: "local",
      Mode: "",
      RW: true,
      Propagation: "",
    },
  ])
  machine.must("rm", "user")
  expect(machine.must("volume", "rm", "data")).toBe("data\n")
})

test("an empty volume gets what the image has there, with owners and modes; one with files is left alone", () => {
  using machine = newMachine()
  const data = join(machine.rootfs, "data/sub")
  mkdirSync(data, { recursive: true })
  writeFileSync(join(data, "file"), "content", { mode: 0o640 })
  symlinkSync("../../../etc/passwd", join(machine.rootfs, "data/link"))
  machine.inside("-v", "new:/data", "true")
  const look = "cd /mnt; stat -c '%n %a %F' sub sub/file; readlink link; cat sub/file"
  expect(machine.inside("-v", "new:/mnt", "sh", "-c", look).stdout).toBe(
    "sub 755 directory\nsub/file 640 regular file\n../../../etc/passwd\ncontent",
  )
  rmSync(join(machine.rootfs, "data"), { recursive: true })
  mkdirSync(join(machine.rootfs, "data"), { mode: 0o700 })
  writeFileSync(join(machine.rootfs, "data/other"), "")
  expect(machine.inside("-v", "new:/data:ro", "ls", "/data").stdout).toBe("link\nsub\n")
  expect(machine.inside("-v", "readonly:/data:ro", "ls", "/data").stdout).toBe("other\n")
  expect(machine.inside("-v", "none:/data:nocopy", "ls", "/data").stdout).toBe("")
  expect(machine.inside("--mount", "type=volume,src=none,dst=/data,volume-nocopy", "ls", "/data").stdout).toBe("")
  machine.must("volume", "rm", "new", "readonly", "none")
})

test("a volume that nobody named goes with --rm and with rm -v, and stays after rm", () => {
  using machine = newMachine()
  machine.inside("-v", "/srv", "touch", "/srv/a")
  expect(names(machine)).toEqual([])
  const run = (name: string): void => {
    machine.must("run", "--name", name, "--rootfs", machine.rootfs, "-v", "/srv", "sh", "-c", "echo kept > /srv/a")
  }
  run("one")
  expect(names(machine)).toHaveLength(1)
  machine.must("rm", "-v", "one")
  expect(names(machine)).toEqual([])
  run("two")
  const [name = ""] = names(machine)
  expect(name).toMatch(/^[0-9a-f]{64}$/)
  machine.must("rm", "two")
  expect(names(machine)).toEqual([name])
  expect(machine.inside("-v", `${name}:/x`, "cat", "/x/a").stdout).toBe("kept\n")
  machine.must("volume", "create", "named")
  expect(machine.run("volume", "prune")).toMatchObject({ code: 125 })
  expect(machine.must("volume", "prune", "-f")).toMatch(
    new RegExp(`^Deleted Volumes:\n${name}\n\nTotal reclaimed space: [\\d.]+kB\n$`),
  )
  expect(machine.must("volume", "prune", "-af")).toStartWith("Deleted Volumes:\nnamed\n\nTotal reclaimed space: ")
})

test("--volumes-from shares what another has, and what was that one's alone outlives it", () => {
  using machine = newMachine()
  const host = machine.directory("host")
  const child = machine.start(
    { stdio: "ignore" },
    "run",
    "--rm",
    "--name",
    "first",
    "--rootfs",
    machine.rootfs,
    "-v",
    "/own",
    "-v",
    "named:/named",
    "-v",
    `${host}:/host`,
    "sleep",
    "1000",
  )
  const deadline = performance.now() + 20_000
  while (machine.run("exec", "first", "touch", "/own/a", "/named/b", "/host/c").code !== 0) {
    if (performance.now() > deadline) throw new Error("it never ran")
  }
  machine.must(
    "run",
    "--name",
    "second",
    "--volumes-from",
    "first:ro",
    "--rootfs",
    machine.rootfs,
    "sh",
    "-c",
    "ls /own /named /host; ! touch /own/d",
  )
  machine.must("rm", "-f", "first")
  child.kill()
  expect(names(machine)).toHaveLength(2)
  expect(machine.inside("--volumes-from", "second", "ls", "/own").stdout).toBe("a\n")
  machine.must("rm", "second")
  machine.must("volume", "prune", "-af")
})

test("a subpath is resolved inside its volume, whatever links the containers have put there", () => {
  using machine = newMachine()
  machine.inside(
    "-v",
    "data:/d",
    "sh",
    "-c",
    "mkdir /d/sub; touch /d/sub/here; ln -s /etc /d/out; ln -s ../../../../sub /d/up",
  )
  const ls = (subpath: string) =>
    machine.inside("--mount", `type=volume,src=data,dst=/mnt,volume-subpath=${subpath}`, "ls", "/mnt")
  expect(ls("sub").stdout).toBe("here\n")
  expect(ls("up").stdout).toBe("here\n")
  expect(ls("out").code).toBe(125)
  expect(ls("../x").stderr).toContain("is not a path inside the volume")
  machine.must("volume", "rm", "data")
})

test("of many that want one volume at once, all have the same", async () => {
  using machine = newMachine()
  const all = Array.from({ length: 6 }, (_, n) =>
    machine.start({ stdio: "ignore" }, "run", "--rm", "--rootfs", machine.rootfs, "-v", "data:/d", "touch", `/d/${n}`),
  )
  await Promise.all(all.map((child) => new Promise((done) => child.on("close", done))))
  expect(readdirSync(join(machine.root, "volumes"))).toEqual(["data"])
  expect(readdirSync(join(machine.root, "volumes/data/_data")).sort()).toEqual(["0", "1", "2", "3", "4", "5"])
  machine.must("volume", "rm", "data")
})

test("a directory of the host can be a volume, and its removal leaves the directory", () => {
  using machine = newMachine()
  const host = machine.directory("host")
  machine.must("volume", "create", "-o", "type=none", "-o", "o=bind", "-o", `device=${host}`, "--label", "k=v", "here")
  machine.inside("-v", "here:/h", "sh", "-c", "echo x > /h/file")
  expect(readFileSync(join(host, "file"), "utf8")).toBe("x\n")
  expect(machine.must("volume", "ls", "--format", '{{.Name}} {{.Label "k"}}')).toBe("here v\n")
  machine.must("volume", "rm", "here")
  expect(readdirSync(host)).toEqual(["file"])
})

test("prune takes what dead containers have left, and on demand stopped ones and volumes; what runs stays", () => {
  using machine = newMachine()
  machine.must("run", "-d", "--name", "up", "--rootfs", machine.rootfs, "-v", "data:/d", "sleep", "1000")
  const stopped = (name: string, ...options: string[]): string => {
    const fill = "dd if=/dev/zero of=/srv/a bs=1M count=2 2>/dev/null"
    machine.must(
      "run",
      "--name",
      name,
      ...options,
      "--rootfs",
      machine.rootfs,
      "-v",
      "/srv",
      "sh",
      "-c",
      `${fill}; cp /srv/a /b`,
    )
    return machine.must("inspect", "--format", "{{.Id}}", name).trim()
  }
  const kept = stopped("kept", "--label", "keep")
  const gone = stopped("gone")
  const dead = "d".repeat(64)
  mkdirSync(join(machine.root, "containers", dead, "upper"), { recursive: true })
  writeFileSync(join(machine.root, "containers", dead, "upper/file"), "x".repeat(1_000_000))

  expect(machine.run("prune")).toMatchObject({ code: 125, stdout: "" })
  expect(machine.must("prune", "-f")).toMatch(
    new RegExp(`^Deleted Leftovers:\n${dead}\n\nTotal reclaimed space: 1\\.\\d+MB\n$`),
  )
  expect(machine.must("container", "prune", "-f", "--filter", "until=1h")).toBe("Total reclaimed space: 0B\n")
  expect(machine.must("container", "prune", "-f", "--filter", "label!=keep")).toMatch(
    new RegExp(`^Deleted Containers:\n${gone}\n\nTotal reclaimed space: 2\\.\\d+MB\n$`),
  )
  const last = machine.must("prune", "--all", "--volumes", "-f")
  expect(last).toMatch(
    /^Deleted Containers:\n[0-9a-f]{64}\n\nDeleted Volumes:\n[0-9a-f]{64}\n[0-9a-f]{64}\n\nTotal reclaimed space: 6\.\d+MB\n$/,
  )
  expect(last).toContain(kept)
  expect(machine.must("ps", "-a", "--format", "{{.Names}}")).toBe("up\n")
  expect(names(machine)).toEqual(["data"])
  machine.must("rm", "-f", "up")
  machine.must("volume", "rm", "data")
})

test("a fill that was cut short begins again, and explain changes nothing", () => {
  using machine = newMachine()
  mkdirSync(join(machine.rootfs, "data"))
  writeFileSync(join(machine.rootfs, "data/one"), "whole")
  writeFileSync(join(machine.rootfs, "data/two"), "")
  machine.must("volume", "create", "cut")
  const data = join(machine.root, "volumes/cut/_data")
  writeFileSync(join(data, ".being-filled"), "")
  writeFileSync(join(data, "one"), "wh")
  expect(machine.inside("-v", "cut:/data", "sh", "-c", "ls -A /data; cat /data/one").stdout).toBe("one\ntwo\nwhole")
  const before = readdirSync(machine.root, { recursive: true }).sort()
  const explained = machine.must("explain", "-v", "fresh:/data", "-v", "/own", "--rootfs", machine.rootfs, "true")
  expect(explained).toContain("fill the volume for /data, if it is empty")
  expect(readdirSync(machine.root, { recursive: true }).sort()).toEqual(before)
  machine.must("volume", "rm", "cut")
})
