/**
 * Compiled seccomp policies, kept: `STATE/cache/seccomp/KEY`.
 *
 *     u32 flags  u32 length of the text  the policy as text …  padding to 8  the program
 *
 * A policy of four hundred names becomes the same program every time, and making it costs more than everything else in a plan.
 * An entry holds the very policy that it was made from, and counts only if that is the one asked for: so it is right or
 * absent, never stale. The key only has to be different for different policies mostly; a digest would cost more than it saves.
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
const HEAD = 8

/** The program of the config's policy, from the cache if it is there. Nothing without a policy. */
export function compiledPolicy(world: World, config: Config, host: Host): { readonly seccomp?: Compiled } {
  const policy = config.linux?.seccomp
  if (policy === undefined) return {}
  const text = JSON.stringify([COMPILER, WIRE_VERSION, host.arch, policy])
  const directory = `${world.roots.state}/cache/seccomp`
  const path = `${directory}/${keyOf(text)}`
  const kept = read(path, text)
  if (kept !== undefined) return { seccomp: kept }
  const seccomp = compileSeccomp(policy, host)
  // Whoever only looks, before anything was made here, makes nothing.
  if (!existsSync(world.roots.state)) return { seccomp }
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeFileSync(`${path}.${process.pid}`, entry(text, seccomp), { mode: 0o600 })
    renameSync(`${path}.${process.pid}`, path)
  } catch {
    // A full or read-only disk costs time here, nothing else; where it matters, it is said elsewhere.
  }
  return { seccomp }
}

/** Length, and every so many characters: what one capability more or less changes. */
function keyOf(text: string): string {
  let sum = text.length
  for (let at = 0; at < text.length; at += 61) sum = (Math.imul(sum, 31) + text.charCodeAt(at)) | 0
  return `${text.length}-${(sum >>> 0).toString(16)}`
}

const programAt = (length: number): number => (HEAD + length + 7) & ~7

function entry(text: string, { program, flags }: Compiled): Uint8Array {
  const words = Buffer.from(text)
  const bytes = Buffer.alloc(programAt(words.length) + program.length)
  bytes.writeUInt32LE(flags, 0)
  bytes.writeUInt32LE(words.length, 4)
  bytes.set(words, HEAD)
  bytes.set(program, programAt(words.length))
  return bytes
}

function read(path: string, text: string): Compiled | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(path)
  } catch {
    // Not compiled yet.
    return undefined
  }
  if (bytes.length < HEAD) return undefined
  const length = bytes.readUInt32LE(4)
  const program = bytes.subarray(programAt(length))
  // A whole number of instructions of 8 bytes each.
  if (program.length === 0 || program.length % 8 !== 0 || bytes.toString("utf8", HEAD, HEAD + length) !== text)
    return undefined
  return { flags: bytes.readUInt32LE(0), program: new Uint8Array(program) }
}
