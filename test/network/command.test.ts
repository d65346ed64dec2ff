/** Networks as a person uses them: a host, another machine beside it, containers on a bridge. */

import { expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { newHost } from "./host.ts"

/** Until it says so, or time is up. */
function eventually(what: () => string, expected: string | RegExp): void {
  const deadline = performance.now() + 5000
  const fits = (text: string): boolean => (typeof expected === "string" ? text === expected : expected.test(text))
  let said = what()
  for (; !fits(said) && performance.now() < deadline; said = what()) Bun.sleepSync(20)
  expect(said).toMatch(expected)
}

/** Answers every TCP connection with who has called. */
const SERVE = "while true; do nc -l -p 80 -e sh -c 'echo served to $NCAT_REMOTE_ADDR'; done"
const ASK = ["busybox", "nc", "-w", "2"]

test("the first instruction has an address, a name for it, and the world", () => {
  using host = newHost()
  const { stdout, stderr } = host.run("sh", "-c", "ip -o -4 address show eth0; hostname -i; ping -c1 -W2 203.0.113.9")
  expect(stderr).toMatch(/^(|minicontainer: warning: this host becomes a router: .*\n)$/)
  const [, address] = /inet (10\.88\.\d+\.\d+)\/16/.exec(stdout) ?? []
  expect(stdout).toContain(`\n${address}\n`)
  expect(stdout).toContain("1 packets received")
  // It comes as the host: there is no route back to the container's own address.
  expect(host.place.try("outside", ["ip", "route", "get", address!]).code).not.toBe(0)
  expect(host.leases()).toEqual([])
})

test("a published port is reached from outside, from the host, from localhost, and from a container; when it ends, by nobody", () => {
  using host = newHost()
  const { machine, place } = host
  const args = ["-p", "8080:80", "-p", "203.0.113.1:8081:80", "--rootfs", machine.rootfs, "sh", "-c", SERVE]
  const id = machine.must("run", "-d", "--name", "web", ...args).trim()
  const ask =
    (where: "host" | "outside", address: string, port = "8080") =>
    () =>
      place.try(where, [...ASK, address, port]).stdout
  eventually(ask("outside", "203.0.113.1"), /^served/)
  eventually(ask("outside", "203.0.113.1", "8081"), /^served/)
  eventually(ask("host", "203.0.113.1"), /^served/)
  eventually(ask("host", "127.0.0.1"), /^served/)
  eventually(() => host.run(...ASK.slice(1), "203.0.113.1", "8080").stdout, /^served/)
  eventually(() => machine.run("exec", "web", "nc", "-w", "2", "203.0.113.1", "8080").stdout, /^served/)

  expect(machine.must("ps", "--format", "{{.Ports}}")).toBe("0.0.0.0:8080->80/tcp, 203.0.113.1:8081->80/tcp\n")
  const again = machine.run("run", "--rm", "-p", "127.0.0.1:8080:1", "--rootfs", machine.rootfs, "true")
  expect([again.code, again.stderr]).toEqual([
    125,
    "minicontainer: cannot publish port 8080/tcp: container web has it [PORT_TAKEN]\n  hint: choose another port of the host, or leave it out: -p CONTAINER-PORT\n",
  ])
  // The monitor is killed: the next that looks takes the ports back.
  const monitor = /^monitor (\d+)/m.exec(readFileSync(join(machine.root, "containers", id, "status"), "utf8"))![1]!
  process.kill(Number(monitor), "SIGKILL")
  eventually(() => machine.must("ps", "-a", "--format", "{{.Status}}"), /^Exited \(137\)/)
  expect(place.in("host", "nft", "list", "ruleset")).not.toContain("elements = { tcp . 8080")
  expect(machine.run("run", "--rm", "-p", "8080:80", "--rootfs", machine.rootfs, "true").code).toBe(0)
})

test("a port that a program of the host has is refused, and nothing remains", () => {
  using host = newHost()
  const server = spawn("nsenter", [`--net=/run/netns/${host.place.host}`, "--", "busybox", "nc", "-l", "-p", "9999"])
  try {
    eventually(() => host.place.in("host", "cat", "/proc/net/tcp6", "/proc/net/tcp"), /:270F /)
    const { code, stderr } = host.run("-p", "9999:80", "true")
    expect(code).toBe(125)
    expect(stderr).toContain("cannot hold port 9999/tcp: a program on this host has it (EADDRINUSE")
    expect(host.leases()).toEqual([])
    expect(host.place.in("host", "nft", "list", "ruleset")).not.toContain("tcp . 9999")
  } finally {
    server.kill("SIGKILL")
  }
})

test("what is not published is not reached from outside, not even with a route, but from the host and its neighbours", () => {
  using host = newHost()
  const { machine, place } = host
  machine.must("run", "-d", "--name", "web", "--network", "bridge", "--rootfs", machine.rootfs, "sh", "-c", SERVE)
  const [address = ""] = host.leases()
  place.in("outside", "ip", "route", "add", "10.88.0.0/16", "via", "203.0.113.1")
  eventually(() => place.try("host", [...ASK, address, "80"]).stdout, /^served/)
  expect(place.try("outside", [...ASK, address, "80"]).stdout).toBe("")
  expect(host.run("nc", "-w", "2", address, "80").stdout).toMatch(/^served/)
})

test("thirty starts at once get thirty addresses, one bridge and one table", async () => {
  using host = newHost()
  const { machine } = host
  const started = Array.from({ length: 30 }, () => {
    const child = machine.start(
      { stdio: ["ignore", "pipe", "pipe"] },
      "run",
      "-d",
      "--network",
      "bridge",
      "--rootfs",
      machine.rootfs,
      "sleep",
      "100",
    )
    let errors = ""
    child.stderr!.on("data", (chunk) => {
      errors += chunk
    })
    return new Promise<string>((resolve) =>
      child.on("close", (code) => resolve(`${code} ${errors.replace(/.*becomes a router.*\n/, "")}`)),
    )
  })
  expect(new Set(await Promise.all(started))).toEqual(new Set(["0 "]))
  expect(host.leases().length).toBe(30)
  expect(host.place.in("host", "ip", "-o", "link", "show", "type", "bridge").trim().split("\n").length).toBe(1)
  expect(host.place.in("host", "nft", "list", "tables").trim().split("\n").length).toBe(1)
  expect(host.run("true").code).toBe(0)
})

test("a bridge that was deleted and a table that was flushed come back", () => {
  using host = newHost()
  expect(host.run("true").code).toBe(0)
  const bridge = host.place.in("host", "ip", "-o", "link", "show", "type", "bridge").split(":")[1]!.trim()
  host.place.in("host", "ip", "link", "delete", bridge)
  host.place.in("host", "nft", "flush", "ruleset")
  expect(host.run("ping", "-c1", "-W2", "203.0.113.9").code).toBe(0)
})

test("a range of addresses that the host has a route to is left alone", () => {
  using host = newHost()
  host.place.in("host", "ip", "route", "add", "10.88.7.0/24", "dev", "uplink")
  expect(host.run("ip", "-o", "-4", "address", "show", "eth0").stdout).toContain("inet 10.89.")
})

test("an address can be asked for by number; host-gateway is the host; port says where ports are reached", () => {
  using host = newHost()
  const { machine } = host
  const args = ["--network", "bridge", "--ip", "10.88.9.9", "--rootfs", machine.rootfs]
  machine.must(
    "run",
    "-d",
    "--name",
    "web",
    "-p",
    "8080:80",
    "-p",
    "8081:80",
    "-p",
    "53:53/udp",
    ...args,
    "sleep",
    "100",
  )
  const other = machine.run("run", "--rm", ...args, "true")
  expect([other.code, other.stderr]).toEqual([
    125,
    expect.stringMatching(/cannot use the address 10\.88\.9\.9 of the network bridge: container [0-9a-f]{12} has it/),
  ])
  const none = machine.run(
    "run",
    "--rm",
    "--network",
    "bridge",
    "--ip",
    "10.99.0.1",
    "--rootfs",
    machine.rootfs,
    "true",
  )
  expect(none.stderr).toContain("it is none of 10.88.0.0/16")
  expect(host.leases()).toEqual(["10.88.9.9"])
  expect(host.run("--add-host", "beyond:host-gateway", "grep", "beyond", "/etc/hosts").stdout).toBe(
    "10.88.0.1\tbeyond\n",
  )
  expect(machine.must("port", "web")).toBe("80/tcp -> 0.0.0.0:8080\n80/tcp -> 0.0.0.0:8081\n53/udp -> 0.0.0.0:53\n")
  expect(machine.must("port", "web", "80")).toBe("0.0.0.0:8080\n0.0.0.0:8081\n")
  expect(machine.run("port", "web", "81").stderr).toContain("cannot say where 81/tcp of container web is reached")
  machine.must("stop", "-t", "0", "web")
  expect(machine.must("port", "web")).toBe("")
  // It has its address again, and its ports.
  machine.must("start", "web")
  expect(machine.must("inspect", "--format", "{{.NetworkSettings.IPAddress}}", "web")).toBe("10.88.9.9\n")
  expect(machine.must("port", "web", "53/udp")).toBe("0.0.0.0:53\n")
})
