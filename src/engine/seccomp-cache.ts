/**
 * Compiled seccomp policies, kept: `STATE/cache/seccomp/HASH`.
 *
 * A policy of four hundred names becomes the same program every time, and making it costs more than everything else in a plan.
 * The name of the file is the hash of all that the program depends on, so an entry is right or absent, never stale.
 *
 * Read on: plan/seccomp.ts.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import type { Host } from "../model/host.ts"
import type { Config } from "../model/oci.ts"
import { type Compiled, compileSeccomp } from "../plan/seccomp.ts"
import { WIRE_VERSION } from "../plan/step.ts"
import type { World } from "./world.ts"

/** Goes up when plan/seccomp.ts makes other programs of the same policies. */
const COMPILER = 1

/** The program of the config's policy, from the cache if it is there. Nothing without a policy. */
export async function compiledPolicy(
  world: World,
  config: Config,
  host: Host,
): Promise<{ readonly seccomp?: Compiled }> {
  const policy = config.linux?.seccomp
  if (policy === undefined) return {}
  // The global crypto: loading node:crypto would cost a third as much as the whole start.
  const text = new TextEncoder().encode(JSON.stringify([COMPILER, WIRE_VERSION, host.arch, policy]))
  const hash = Buffer.from(await crypto.subtle.digest("SHA-256", text)).toString("hex")
  const directory = `${world.roots.state}/cache/seccomp`
  const path = `${directory}/${hash}`
  try {
    const bytes = readFileSync(path)
    // flags, then the program: a whole number of instructions of 8 bytes each.
    if (bytes.length >= 16 && bytes.length % 8 === 0)
      return { seccomp: { flags: bytes.readUInt32LE(0), program: new Uint8Array(bytes.subarray(8)) } }
  } catch {
    // Not compiled yet.
  }
  const seccomp = compileSeccomp(policy, host)
  // Whoever only looks, before anything was made here, makes nothing.
  if (!existsSync(world.roots.state)) return { seccomp }
  const bytes = Buffer.alloc(8 + seccomp.program.length)
  bytes.writeUInt32LE(seccomp.flags, 0)
  bytes.set(seccomp.program, 8)
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeFileSync(`${path}.${process.pid}`, bytes, { mode: 0o600 })
    renameSync(`${path}.${process.pid}`, path)
  } catch {
    // A full or read-only disk costs time here, nothing else; where it matters, it is said elsewhere.
  }
  return { seccomp }
}
