/** Networks that a person makes: kept apart, without a way out, removed with all that was theirs. */

import { expect, test } from "bun:test"
import { existsSync, readdirSync, renameSync } from "node:fs"
import { join } from "node:path"
import { newHost } from "./host.ts"

test("what is made is listed and looked at; nothing of it is in the kernel before its first container", () => {
  using host = newHost()
  const { machine, place } = host
  const id = machine
    .must("network", "create", "--subnet", "10.90.3.0/24", "--gateway", "10.90.3.254", "--label", "tier=back", "back")
    .trim()
  expect(id).toMatch(/^[0-9a-f]{64}$/)
  expect(machine.must("network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Labels}}")).toBe(
    "back bridge tier=back\nhost host \nnone null \n",
  )
  expect(place.in("host", "ip", "-o", "link", "show", "type", "bridge")).toBe("")
  machine.must("run", "-d", "--name", "web", "--network", "back", "--rootfs", machine.rootfs, "sleep", "100")
  const [network] = JSON.parse(machine.must("network", "inspect", "back"))
  expect(network).toMatchObject({
    Name: "back",
    Id: id,
    Internal: false,
    IPAM: { Config: [{ Subnet: "10.90.3.0/24", Gateway: "10.90.3.254" }] },
  })
  const [container] = Object.values(network.Containers) as { Name: string; IPv4Address: string }[]
  expect(container).toMatchObject({ Name: "web", IPv4Address: expect.stringMatching(/^10\.90\.3\.\d+\/24$/) })
  expect(machine.must("inspect", "--format", "{{.NetworkSettings.Networks.back.Gateway}}", "web")).toBe("10.90.3.254\n")

  const refused = machine.run("network", "rm", id.slice(0, 12))
  expect([refused.code, refused.stderr]).toEqual([
    1,
    "minicontainer: cannot remove the network back: container web has an address of it [NETWORK_IN_USE]\n  hint: remove the container first: rm\n",
  ])
  expect(machine.must("exec", "web", "ip", "route")).toContain("default via 10.90.3.254")
  machine.must("rm", "-f", "web")
  expect(machine.must("network", "rm", "back")).toBe("back\n")
  expect(place.in("host", "ip", "-o", "link", "show", "type", "bridge")).toBe("")
  expect(place.in("host", "nft", "list", "ruleset")).not.toContain("10.90.3")
  expect(readdirSync(join(machine.root, "networks"))).toEqual([])
})

test("networks do not reach each other; an internal one reaches nothing, and is reached by nobody", () => {
  using host = newHost()
  const { machine, place } = host
  machine.must("network", "create", "front")
  machine.must("network", "create", "--internal", "vault")
  for (const network of ["front", "vault"])
    machine.must("run", "-d", "--name", network, "--network", network, "--rootfs", machine.rootfs, "sleep", "100")
  const address = (name: string): string =>
    machine.must("inspect", "--format", "{{.NetworkSettings.IPAddress}}", name).trim()
  const reach = (network: string, to: string): boolean =>
    machine.run("run", "--rm", "--network", network, "--rootfs", machine.rootfs, "ping", "-c1", "-W1", to).code === 0
  expect(reach("front", address("front"))).toBe(true)
  expect(reach("vault", address("vault"))).toBe(true)
  expect(reach("front", "203.0.113.9")).toBe(true)
  expect(reach("bridge", address("front"))).toBe(false)
  expect(reach("front", address("vault"))).toBe(false)
  // Also with a route of its own making.
  const out = [
    "sh",
    "-c",
    "ip route add default via $(ip -o -4 addr show eth0 | sed 's/.*inet \\([0-9]*\\.[0-9]*\\)\\..*/\\1.0.1/'); ping -c1 -W1 203.0.113.9",
  ]
  const tried = machine.run(
    "run",
    "--rm",
    "--network",
    "vault",
    "--cap-add",
    "NET_ADMIN",
    "--rootfs",
    machine.rootfs,
    ...out,
  )
  expect(tried.code).toBe(1)
  expect(tried.stdout).toContain("100% packet loss")
  place.in("outside", "ip", "route", "add", "10.0.0.0/8", "via", "203.0.113.1")
  expect(place.try("outside", ["busybox", "ping", "-c1", "-W1", address("vault")]).code).not.toBe(0)
}, 30_000)

test("what makes no sense is refused, by name", () => {
  using host = newHost()
  const { machine, place } = host
  const fails = (...args: string[]): string => machine.run("network", ...args).stderr.split("\n")[0] ?? ""
  machine.must("network", "create", "--subnet", "10.90.0.0/16", "a")
  expect(fails("create", "a")).toBe(
    'minicontainer: cannot make the network "a": there is one of this name [NAME_TAKEN]',
  )
  expect(fails("create", "--subnet", "10.90.5.0/24", "b")).toContain(
    "10.90.5.0/24 overlaps 10.90.0.0/16 of the network a",
  )
  expect(fails("create", "--subnet", "203.0.113.0/25", "b")).toContain("this host has a route to 203.0.113.0/24")
  expect(fails("create", "--subnet", "10.91.0.1/24", "b")).toContain("10.91.0.1/24 is no range of addresses")
  expect(fails("create", "--subnet", "10.91.0.0/24", "--gateway", "10.92.0.1", "b")).toContain(
    "10.92.0.1 is no address in 10.91.0.0/24",
  )
  expect(fails("create", "host")).toContain("this name means something else")
  expect(fails("create", "../x")).toContain("a name is letters")
  expect(fails("rm", "zebra")).toBe('minicontainer: cannot find the network "zebra": there is none [NETWORK_NOT_FOUND]')
  expect(machine.run("run", "--rm", "--network", "zebra", "--rootfs", machine.rootfs, "true").stderr).toContain(
    "[NETWORK_NOT_FOUND]",
  )
  expect(machine.traces()).toEqual([])
  expect(place.in("host", "ip", "-o", "link", "show", "type", "bridge")).toBe("")
})

test("a removal that was cut short is done by the next that looks", () => {
  using host = newHost()
  const { machine, place } = host
  const id = machine.must("network", "create", "back").trim()
  machine.must("run", "--rm", "--network", "back", "--rootfs", machine.rootfs, "true")
  // As SIGKILL right after the rename leaves it.
  renameSync(join(machine.root, "networks/back"), join(machine.root, "networks", `.gone-${id}`))
  expect(machine.must("network", "ls", "-q")).toBe("host\nnone\n")
  expect(place.in("host", "ip", "-o", "link", "show", "type", "bridge")).toBe("")
  expect(existsSync(join(machine.root, "networks", `.gone-${id}`))).toBe(false)
})

test("prune leaves the default network, and those that are used", () => {
  using host = newHost()
  const { machine } = host
  for (const name of ["a", "b", "c"]) machine.must("network", "create", name)
  machine.must("run", "--rm", "--network", "bridge", "--rootfs", machine.rootfs, "true")
  machine.must("run", "-d", "--name", "web", "--network", "b", "--rootfs", machine.rootfs, "sleep", "100")
  expect(machine.must("network", "prune", "-f").split("\n").sort().join(" ").trim()).toBe("Deleted Networks: a c")
  expect(machine.must("network", "ls", "--format", "{{.Name}}")).toBe("b\nbridge\nhost\nnone\n")
})

test("containers find each other by name, alias and short id: also who came later, and not who was stopped", () => {
  using host = newHost()
  const { machine } = host
  const start = (name: string, ...more: string[]): string =>
    machine
      .must("run", "-d", "--name", name, "--network", "bridge", ...more, "--rootfs", machine.rootfs, "sleep", "100")
      .trim()
  const finds = (from: string, name: string): boolean =>
    machine.run("exec", from, "ping", "-c1", "-W1", name).code === 0
  start("web")
  const id = start("db", "--network-alias", "store")
  for (const name of ["db", "store", id.slice(0, 12)]) expect(finds("web", name)).toBe(true)
  expect(finds("db", "web")).toBe(true)
  machine.must("network", "create", "other")
  machine.must("run", "-d", "--name", "far", "--network", "other", "--rootfs", machine.rootfs, "sleep", "100")
  expect(machine.must("exec", "web", "cat", "/etc/hosts")).not.toContain("far")
  machine.must("exec", "web", "sh", "-c", "echo '10.9.8.7 mine' >> /etc/hosts")
  machine.must("stop", "-t", "0", "db")
  const hosts = machine.must("exec", "web", "cat", "/etc/hosts")
  expect(hosts).toContain("10.9.8.7 mine")
  expect(hosts).not.toContain("db")
  machine.must("rm", "db")
  start("cache")
  machine.must("rm", "-f", "cache")
  expect(machine.must("exec", "web", "cat", "/etc/hosts")).not.toContain("cache")
})

test("of twenty that start at once, each knows all others", async () => {
  using host = newHost()
  const { machine } = host
  const names = Array.from({ length: 20 }, (_, at) => `box-${at}`)
  const started = names.map((name) => {
    const args = ["run", "-d", "--name", name, "--network", "bridge", "--rootfs", machine.rootfs, "sleep", "100"]
    const child = machine.start({ stdio: "ignore" }, ...args)
    return new Promise<number | null>((resolve) => child.on("close", resolve))
  })
  expect(new Set(await Promise.all(started))).toEqual(new Set([0]))
  for (const name of names) {
    const hosts = machine.must("exec", name, "cat", "/etc/hosts")
    expect(names.filter((other) => other !== name && !hosts.includes(`\t${other}\t`))).toEqual([])
  }
})
