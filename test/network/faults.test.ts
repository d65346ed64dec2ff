/** A failure at any step that concerns the network leaves nothing of the container in it. */

import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { EXECUTOR } from "../kernel/native.ts"
import { newHost } from "./host.ts"

test("a fault at every step of the network names the step, and leaves no interface, element, lease or container", () => {
  using host = newHost()
  const { machine, place } = host
  const script = [join(import.meta.dirname, "faulty.ts"), machine.root, machine.runRoot, machine.rootfs, EXECUTOR]
  const { stdout, stderr } = spawnSync(
    "nsenter",
    [`--net=/run/netns/${place.host}`, "--", process.execPath, ...script],
    {
      encoding: "utf8",
      timeout: 60_000,
    },
  )
  const seen = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  expect(stderr).toBe("")
  expect(seen.length).toBeGreaterThan(9)
  for (const { phase, does, said, left, containers } of seen) {
    // The id and the address in it are another container's.
    expect(said).toContain(`cannot ${does.split(" ").slice(0, 2).join(" ")}`)
    expect(said).toMatch(/input\/output error \(EIO, step \d+ of \d+\)$/)
    expect({ phase, does, left, containers }).toEqual({ phase, does, left: [], containers: 0 })
  }
}, 60_000)
