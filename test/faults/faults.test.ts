/**
 * A failure at any step leaves nothing: a fault is injected at every step k of a plan that uses every room, and the host is compared
 * before and after.
 *
 * The last steps run when the program does, or after it: there a fault is a warning or no matter, and the container comes to its end.
 */

import { afterAll, expect, test } from "bun:test"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { EngineError } from "../../src/base/errors.ts"
import { preview } from "../../src/engine/prepare.ts"
import { run } from "../../src/engine/run.ts"
import { makeWorld } from "../../src/engine/world.ts"
import type { Request } from "../../src/model/request.ts"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const executor = { path: process.env.EXECUTOR ?? join(import.meta.dir, "../../build/executor") }
const world = makeWorld({ root: machine.root, runRoot: machine.runRoot, executor })
const volume = machine.directory("volume")
writeFileSync(join(volume, "file"), "")

/** Everything that this issue knows, at once. */
const request: Request = {
  rootfs: machine.rootfs, args: ["sh", "-c", "true"], remove: true, init: true, readOnly: true, tty: true, user: "user", workdir: "/made",
  hostname: "box", domainname: "example.org", memoryBytes: 64 << 20, cpus: 0.5, cpuShares: 100, pidsLimit: 50, cpusetCpus: "0",
  mounts: [
    { kind: "bind", source: volume, target: "/v", readOnly: true },
    { kind: "bind", source: join(volume, "file"), target: "/one/file" },
    { kind: "tmpfs", target: "/t", sizeBytes: 1 << 20 },
  ],
  devices: [{ host: "/dev/null", container: "/dev/a/b", access: "rwm" }], deviceRules: ["c 10:200 rwm"],
  sysctls: { "net.ipv4.ip_forward": "1" }, ulimits: [{ name: "core", soft: 0, hard: 0 }], oomScoreAdj: 500, capAdd: ["NET_ADMIN"],
}

/** What the host has of ours, besides what a start makes once for good: the state root's own directories, the parents of groups. */
function hostState(): readonly string[] {
  const files = (directory: string): string[] =>
    readdirSync(directory, { recursive: true, withFileTypes: true }).map((entry) => `${join(entry.parentPath, entry.name)}`)
  return [
    ...machine.traces(),
    ...files(machine.root), ...files(machine.runRoot),
    ...readFileSync("/proc/self/mountinfo", "utf8").split("\n"),
    ...readdirSync("/sys/class/net"),
  ].sort()
}
const nameOf = (index: number): string => steps[index]?.does ?? ""

// Once without a fault: it must work, and it makes what is made once.
const { plan } = await preview(world, request)
const steps = plan.steps

test("the plan itself runs", async () => {
  const { exited } = await run(world, request)
  expect(await exited).toBe(0)
  expect(machine.traces()).toEqual([])
}, 20_000)

for (const [index, { phase, op, must, does }] of steps.entries())
  test(`step ${index + 1}, ${phase}: ${does.replaceAll(machine.root, "STATE").replaceAll(machine.runRoot, "RUN").replaceAll(/0{64}/g, "ID")}`, async () => {
    const before = hostState()
    const early = phase !== "exit" && phase !== "end" && phase !== "started"
    let failure: unknown
    try {
      const { exited } = await run(world, request, { fault: index })
      await exited
    } catch (error) {
      failure = error
    }
    if (early && must !== false) {
      expect(failure).toBeInstanceOf(EngineError)
      expect((failure as EngineError).message).toContain(op === "exec" ? "sh" : "cannot ")
      if (op !== "exec") expect((failure as EngineError).message).toContain(`step ${index + 1} of ${steps.length}`)
    } else expect(failure).toBeUndefined()
    // What an end step did not remove is found and removed by whoever looks next.
    if (!early) machine.run("ps", "-a")
    expect(hostState()).toEqual(before)
    expect(nameOf(index)).not.toBe("")
  }, 20_000)
