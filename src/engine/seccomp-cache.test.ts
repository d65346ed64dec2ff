import { expect, test } from "bun:test"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Host } from "../model/host.ts"
import type { Config } from "../model/oci.ts"
import { compileSeccomp } from "../plan/seccomp.ts"
import { compiledPolicy } from "./seccomp-cache.ts"
import type { World } from "./world.ts"

const host = { arch: "x86_64" } as Host
const configOf = (name: string): Config => ({
  ociVersion: "1.2.0",
  linux: {
    seccomp: {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_X86_64"],
      syscalls: [{ names: ["read", name], action: "SCMP_ACT_ALLOW" }],
    },
  },
})
function withRoot(work: (world: World, directory: string) => void): void {
  const state = mkdtempSync(join(tmpdir(), "mc-seccomp-"))
  try {
    work({ roots: { state, run: state } } as World, join(state, "cache/seccomp"))
  } finally {
    rmSync(state, { recursive: true })
  }
}

test("a policy is compiled once, and comes back the same", () =>
  withRoot((world, directory) => {
    const config = configOf("write")
    const made = compiledPolicy(world, config, host)
    expect(made.seccomp).toEqual(compileSeccomp(config.linux!.seccomp!, host))
    expect(readdirSync(directory)).toHaveLength(1)
    expect(compiledPolicy(world, config, host)).toEqual(made)
  }))
test("an entry of another policy, or half of one, does not count", () =>
  withRoot((world, directory) => {
    const [asked, other] = [configOf("write"), configOf("close")]
    compiledPolicy(world, asked, host)
    const [name = ""] = readdirSync(directory)
    compiledPolicy(world, other, host)
    const foreign = readFileSync(join(directory, readdirSync(directory).find((entry) => entry !== name) ?? name))
    for (const bytes of [foreign, foreign.subarray(0, 5), foreign.subarray(0, 40), Buffer.alloc(0)]) {
      writeFileSync(join(directory, name), bytes)
      expect(compiledPolicy(world, asked, host).seccomp).toEqual(compileSeccomp(asked.linux!.seccomp!, host))
    }
  }))
test("no policy, no program", () =>
  withRoot((world) => expect(compiledPolicy(world, { ociVersion: "1.2.0" }, host)).toEqual({})))
