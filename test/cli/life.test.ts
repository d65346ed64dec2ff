/**
 * A container's life as its owner sees it: run -d, ps, logs, exec, stop, rm, inspect.
 */

import { afterAll, expect, test } from "bun:test"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const detached = (name: string, script: string, ...flags: string[]): string =>
  machine.must("run", "-d", "--name", name, ...flags, "--rootfs", machine.rootfs, "sh", "-c", script).trim()
const until = async (what: () => boolean): Promise<void> => {
  const deadline = performance.now() + 10_000
  while (!what()) {
    if (performance.now() > deadline) throw new Error("waited in vain")
    await Bun.sleep(20)
  }
}
const state = (name: string): Record<string, unknown> => JSON.parse(machine.must("inspect", name))[0].State

test("run -d prints the id and returns; ps shows it; stop and rm end it", () => {
  const id = detached("web", "sleep 1000")
  expect(id).toMatch(/^[0-9a-f]{64}$/)
  const row = machine.must("ps").trimEnd().split("\n")
  expect(row[0]).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$/)
  expect(row[1]).toMatch(new RegExp(`^${id.slice(0, 12)} .*"sh -c 'sleep 1000'" .* Up .* web$`))
  expect(machine.must("ps", "-q").trim()).toBe(id.slice(0, 12))
  expect(machine.must("stop", "-t", "1", "web")).toBe("web\n")
  expect(machine.must("ps", "-q")).toBe("")
  expect(machine.must("ps", "-a", "--format", "{{.Names}} {{.Status}}")).toMatch(/^web Exited \(137\)/)
  expect(machine.must("rm", "web")).toBe("web\n")
  expect(machine.traces()).toEqual([])
}, 30_000)

test("stop asks first: a program that listens ends with its own code", () => {
  detached("polite", "trap 'exit 9' TERM; while :; do sleep 0.05; done")
  machine.must("stop", "polite")
  expect(state("polite").ExitCode).toBe(9)
  machine.must("rm", "polite")
})

test("a running container is not removed without force", () => {
  detached("busy", "sleep 1000")
  const { code, stderr } = machine.run("rm", "busy")
  expect(code).toBe(1)
  expect(stderr).toMatch(/busy.*running[\s\S]*-f/)
  machine.must("rm", "-f", "busy")
  expect(machine.traces()).toEqual([])
})

test("several names: all are tried, all failures told", () => {
  detached("one", "sleep 1000")
  const { code, stdout, stderr } = machine.run("stop", "-t", "0", "nope", "one", "nada")
  expect({ code, stdout }).toEqual({ code: 1, stdout: "one\n" })
  machine.must("rm", "one")
  expect(stderr).toContain("nope")
  expect(stderr).toContain("nada")
})

test("logs tell stdout and stderr apart, of foreground containers too", () => {
  machine.run(
    "run",
    "--name",
    "talk",
    "--rootfs",
    machine.rootfs,
    "sh",
    "-c",
    "echo out; echo err >&2; printf unfinished",
  )
  expect(machine.run("logs", "talk")).toEqual({ code: 0, stdout: "out\nunfinished", stderr: "err\n" })
  expect(machine.must("logs", "--tail", "1", "talk")).toBe("unfinished")
  expect(machine.must("logs", "-t", "--tail", "1", "talk")).toMatch(
    /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z unfinished$/,
  )
  machine.must("rm", "talk")
})

test("logs of binary output and of very long lines come back byte for byte", () => {
  const script = "head -c 300000 /bin/busybox; printf '\\n\\0\\n'; head -c 100000 /dev/zero | tr '\\0' x"
  const { stdout } = machine.run("run", "--name", "binary", "--rootfs", machine.rootfs, "sh", "-c", script)
  expect(machine.must("logs", "binary")).toBe(stdout)
  machine.must("rm", "binary")
})

test("logs -f follows until the end", async () => {
  detached("counter", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done")
  expect(machine.run("logs", "-f", "counter").stdout).toBe("1\n2\n3\n4\n5\n")
  machine.must("rm", "counter")
}, 20_000)

test("exec is inside the container's cgroup, filter, capabilities and user namespace", () => {
  detached("host", "sleep 1000", "--memory", "64m")
  const view =
    "cat /proc/self/uid_map /proc/self/cgroup; grep -E '^(Cap|Seccomp:|NoNew)' /proc/self/status; for n in mnt pid net ipc uts user cgroup; do readlink /proc/self/ns/$n; done"
  const first = machine.must("exec", "host", "sh", "-c", view)
  expect(first).toContain("CapEff:\t00000000a80425fb")
  expect(first).toContain("Seccomp:\t2")
  const same = machine.must(
    "exec",
    "host",
    "sh",
    "-c",
    "for n in mnt pid net ipc uts user cgroup; do [ $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) ] || echo other $n; done",
  )
  expect(same).toBe("")
  expect(
    machine
      .must(
        "exec",
        "host",
        "sh",
        "-c",
        "cmp -s /proc/1/cgroup /proc/self/cgroup; diff /proc/1/cgroup /proc/self/cgroup 2>/dev/null; cat /proc/self/cgroup",
      )
      .split("\n")
      .filter((line) => line && !line.endsWith(":/")),
  ).toEqual([])
  expect(machine.run("exec", "host", "sh", "-c", "exit 42").code).toBe(42)
  expect(machine.run("exec", "host", "nosuch").code).toBe(127)
  expect(
    machine.must(
      "exec",
      "-e",
      "A=b",
      "-w",
      "/tmp",
      "-u",
      "1000:1000",
      "host",
      "sh",
      "-c",
      "echo $A $PWD $(id -u):$(id -g)",
    ),
  ).toBe("b /tmp 1000:1000\n")
  expect(machine.runWith({ input: "to cat" }, "exec", "-i", "host", "cat").stdout).toBe("to cat")
  expect(machine.must("exec", "--privileged", "host", "sh", "-c", "grep CapEff /proc/self/status")).not.toContain(
    "a80425fb",
  )
  machine.must("rm", "-f", "host")
}, 30_000)

test("exec -d returns at once and the program goes on", async () => {
  detached("bg", "sleep 1000")
  machine.must("exec", "-d", "bg", "sh", "-c", "sleep 0.2; echo done > /tmp/done")
  await until(() => machine.run("exec", "bg", "cat", "/tmp/done").stdout === "done\n")
  machine.must("rm", "-f", "bg")
}, 20_000)

test("exec in a stopped container is refused", () => {
  machine.run("run", "--name", "over", "--rootfs", machine.rootfs, "true")
  const { code, stderr } = machine.run("exec", "over", "true")
  expect(code).not.toBe(0)
  expect(stderr).toMatch(/over.*not running/)
  machine.must("rm", "over")
})

test("inspect has Docker's field names", () => {
  const id = detached(
    "fields",
    "sleep 1000",
    "--memory",
    "64m",
    "--cpus",
    "0.5",
    "-e",
    "A=b",
    "--label",
    "x=y",
    "-v",
    `${machine.directory("vol")}:/v:ro`,
  )
  const [document] = JSON.parse(machine.must("inspect", "fields"))
  expect(document.Id).toBe(id)
  expect(document.Name).toBe("/fields")
  expect(document.State).toMatchObject({ Status: "running", Running: true, OOMKilled: false, ExitCode: 0 })
  expect(document.State.Pid).toBeGreaterThan(1)
  expect(document.HostConfig).toMatchObject({ Memory: 67108864, NanoCpus: 500000000 })
  expect(document.Config.Env).toContain("A=b")
  expect(document.Config.Labels).toMatchObject({ x: "y" })
  expect(document.Mounts).toMatchObject([{ Type: "bind", Destination: "/v", RW: false }])
  expect(document.GraphDriver.Data).toMatchObject({ UpperDir: expect.stringContaining(id) })
  expect(machine.must("inspect", "-f", "{{.State.Status}} {{.Config.Labels.x}}", "fields")).toBe("running y\n")
  machine.must("rm", "-f", "fields")
})

test("filters and formats of ps", () => {
  detached("red", "sleep 1000", "--label", "colour=red")
  detached("blue", "sleep 1000", "--label", "colour=blue")
  machine.run("run", "--name", "failed", "--rootfs", machine.rootfs, "sh", "-c", "exit 3")
  const names = (...args: string[]): string =>
    machine
      .must("ps", "--format", "{{.Names}}", ...args)
      .trim()
      .split("\n")
      .sort()
      .join(" ")
  expect(names("--filter", "label=colour=red")).toBe("red")
  expect(names("--filter", "name=bl")).toBe("blue")
  expect(names("-a", "--filter", "exited=3")).toBe("failed")
  expect(names("-a", "--filter", "status=exited")).toBe("failed")
  expect(names("-l")).toBe("failed")
  expect(names("-n", "2").split(" ")).toHaveLength(2)
  machine.must("rm", "-f", "red", "blue", "failed")
})

test("a container that ended by itself has its code in ps", async () => {
  detached("short", "exit 5")
  await until(() =>
    machine.must("ps", "-a", "--format", "{{.Status}}", "--filter", "name=short").startsWith("Exited (5)"),
  )
  machine.must("rm", "short")
})
