/**
 * Runs a container with a fault in each step that concerns its network, and prints a line of JSON for each: the step, what was said, and what
 * this network namespace has afterwards. Started inside the namespace of a test, with the machine's roots as arguments.
 */

import { spawnSync } from "node:child_process"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { preview } from "../../src/engine/prepare.ts"
import { ps } from "../../src/engine/ps.ts"
import { run } from "../../src/engine/run.ts"
import { makeWorld } from "../../src/engine/world.ts"
import type { Request } from "../../src/model/request.ts"

const [root = "", runRoot = "", rootfs = "", executor = ""] = process.argv.slice(2)
const world = makeWorld({ root, runRoot, executor: { path: executor } })
const request: Request = {
  rootfs,
  args: ["true"],
  remove: true,
  network: "bridge",
  publish: [
    { protocol: "tcp", hostPort: 8080, containerPort: 80 },
    { protocol: "udp", hostAddress: "203.0.113.1", hostPort: 53, containerPort: 53 },
  ],
}
const text = (...argv: string[]): string => spawnSync(argv[0]!, argv.slice(1), { encoding: "utf8" }).stdout

/** Interfaces of containers, elements of the maps, leases. The bridge and the table belong to the network. */
const left = (): readonly string[] => [
  ...text("ip", "-o", "link", "show", "type", "veth")
    .split("\n")
    .filter((line) => /: mc[0-9a-f]{12}/.test(line)),
  ...(text("nft", "list", "maps").match(/elements = .*/g) ?? []),
  ...readdirSync(join(root, "networks/bridge/leases")),
]

const { exited } = await run(world, request)
await exited
const { steps } = (await preview(world, request)).plan
for (const [index, { op, phase, does }] of steps.entries()) {
  const concerns =
    op === "netlink" || op === "hold-port" || does.includes("network namespace") || does.includes("leave by")
  if (!concerns) continue
  const said = await run(world, request, { fault: index }).then(
    () => "it ran",
    (error: Error) => error.message,
  )
  // The kernel takes an interface away some time after its namespace.
  const deadline = performance.now() + 5000
  while (left().length > 0 && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
  console.log(
    JSON.stringify({ phase, does, said, left: left(), containers: (await ps(world, { all: true })).containers.length }),
  )
}
