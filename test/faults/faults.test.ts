/**
 * A failure at any step leaves nothing: a fault is injected at every step k of plans that together use every room, and the host is
 * compared before and after.
 *
 *     host … start     the error names the step; or, where a step may fail, it is a warning and the program runs
 *     started …        the program has run: its exit code is told, and what the last steps left goes at the next look
 *
 * Hooks, a gate and a bundle's own root are in bundle.test.ts.
 */

import { afterAll, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { EngineError } from "../../src/base/errors.ts"
import { preview } from "../../src/engine/prepare.ts"
import { ps } from "../../src/engine/ps.ts"
import { run } from "../../src/engine/run.ts"
import { makeWorld } from "../../src/engine/world.ts"
import type { Request } from "../../src/model/request.ts"
import { newMachine } from "../machine.ts"
import { anonymous, hostState } from "./host.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const executor = { path: process.env.EXECUTOR ?? join(import.meta.dir, "../../build/executor") }
const world = makeWorld({ root: machine.root, runRoot: machine.runRoot, executor })
const volume = machine.directory("volume")
writeFileSync(join(volume, "file"), "")

/** Everything that a request can say, at once; what it makes is looked at by the program. */
const everything: Request = {
  rootfs: machine.rootfs,
  args: [
    "sh",
    "-c",
    `[ "$(id -u) $(id -G)" = "1000 1000 2000" ] && [ -t 0 ] && [ "$(pwd)" = /made ] && [ "$(hostname)" = box ] &&
      [ -f /one/file ] && ! touch /v/x 2>/dev/null && touch /t/x && [ -c /dev/a/b ] && [ -c /opt/null ] && [ -w /opt/null ] &&
      ! touch /x 2>/dev/null && [ "$(ulimit -c)" = 0 ] && [ "$(cat /proc/self/oom_score_adj)" = 500 ] && [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] &&
      [ "$LAST" = word ] && grep -q "10.1.2.3.*friend" /etc/hosts`,
  ],
  env: ["LAST=word"],
  name: "faulty",
  labels: { kind: "test" },
  remove: true,
  init: true,
  readOnly: true,
  tty: true,
  user: "user",
  groupAdd: ["extra"],
  workdir: "/made",
  hostname: "box",
  domainname: "example.org",
  addHosts: [{ name: "friend", address: "10.1.2.3" }],
  dns: ["10.1.2.4"],
  memoryBytes: 64 << 20,
  memoryReservationBytes: 32 << 20,
  cpus: 0.5,
  cpuShares: 100,
  pidsLimit: 50,
  cpusetCpus: "0",
  cpusetMems: "0",
  shmBytes: 1 << 20,
  mounts: [
    { kind: "bind", source: volume, target: "/v", readOnly: true },
    { kind: "bind", source: join(volume, "file"), target: "/one/file", propagation: "rslave" },
    { kind: "tmpfs", target: "/t", sizeBytes: 1 << 20, mode: 0o1777 },
  ],
  devices: [
    { host: "/dev/null", container: "/dev/a/b", access: "rwm" },
    { host: "/dev/null", container: "/opt/null", access: "rw" },
  ],
  deviceRules: ["c 10:200 rwm"],
  sysctls: { "net.ipv4.ip_forward": "1" },
  ulimits: [{ name: "core", soft: 0, hard: 0 }],
  oomScoreAdj: 500,
  capAdd: ["NET_ADMIN"],
  capDrop: ["MKNOD"],
}
const VARIANTS: Readonly<Record<string, Request>> = {
  "everything, in a user namespace of its own": everything,
  "everything, with the host's users and no new privileges": { ...everything, userns: "host", noNewPrivileges: true },
}

for (const [name, request] of Object.entries(VARIANTS)) {
  const { plan } = await preview(world, request)
  const { steps } = plan
  describe(name, () => {
    // Once without a fault: it must work, and it makes what is made once.
    test("the plan itself runs", async () => {
      const { exited } = await run(world, request)
      expect(await exited).toBe(0)
      expect(machine.traces()).toEqual([])
    }, 20_000)

    for (const [index, { phase, op, must, does }] of steps.entries())
      test(`step ${index + 1}, ${phase}: ${anonymous(does, machine)}`, async () => {
        const before = hostState(machine)
        const late = phase === "started" || phase === "exit" || phase === "end"
        let failure: unknown
        let code: number | undefined
        try {
          const { exited } = await run(world, request, { fault: index })
          code = await exited
        } catch (error) {
          failure = error
        }
        if (late || must === false) {
          expect(failure).toBeUndefined()
          expect(code).toBe(0)
        } else {
          expect(failure).toBeInstanceOf(EngineError)
          expect(anonymous((failure as EngineError).message, machine)).toBe(
            op === "exec"
              ? 'cannot run "sh": input/output error (EIO)'
              : `cannot ${anonymous(does, machine)}: input/output error (EIO, step ${index + 1} of ${steps.length})`,
          )
        }
        // What an end step did not remove is found and removed by whoever looks next; nothing else may need that.
        if (phase === "end") expect((await ps(world, { all: true })).containers).toEqual([])
        expect(hostState(machine)).toEqual(before)
      }, 20_000)
  })
}
