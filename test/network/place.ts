/**
 * A place for tests of networks: a network namespace that plays the host, and beside it another machine on the same cable.
 *
 *     outside 203.0.113.9 ───────── uplink 203.0.113.1 host      (the containers' networks are the engine's)
 *
 * Everything under test runs inside `host`; the network of the machine that runs the tests is never touched.
 */

import { spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"

export interface Place extends Disposable {
  /** Names of network namespaces, for `ip netns exec`. */
  readonly host: string
  readonly outside: string
  /** The output of a program in one of the two; throws if it fails. */
  in(where: "host" | "outside", ...argv: readonly string[]): string
  /** The same, whatever becomes of it. */
  try(
    where: "host" | "outside",
    argv: readonly string[],
    input?: string | Uint8Array,
  ): { code: number; stdout: string; stderr: string }
}

function ip(...args: readonly string[]): void {
  const { status, stderr } = spawnSync("ip", args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`ip ${args.join(" ")}: ${stderr}`)
}

export function newPlace(): Place {
  const tag = randomBytes(3).toString("hex")
  const names = { host: `mct-h-${tag}`, outside: `mct-o-${tag}` }
  const attempt: Place["try"] = (where, argv, input = "") => {
    const { status, stdout, stderr } = spawnSync("ip", ["netns", "exec", names[where], ...argv], {
      input,
      timeout: 60_000,
      killSignal: "SIGKILL",
    })
    return { code: status ?? -1, stdout: stdout.toString(), stderr: stderr.toString() }
  }
  const must: Place["in"] = (where, ...argv) => {
    const { code, stdout, stderr } = attempt(where, argv)
    if (code !== 0) throw new Error(`${argv.join(" ")} in ${where} ended with ${code}: ${stderr}`)
    return stdout
  }
  const drop = (): void => {
    for (const name of Object.values(names)) spawnSync("ip", ["netns", "delete", name])
  }
  try {
    for (const name of Object.values(names)) ip("netns", "add", name)
    ip("link", "add", "uplink", "netns", names.host, "type", "veth", "peer", "name", "uplink", "netns", names.outside)
    for (const [where, address] of [
      ["host", "203.0.113.1/24"],
      ["outside", "203.0.113.9/24"],
    ] as const) {
      must(where, "ip", "link", "set", "lo", "up")
      must(where, "ip", "address", "add", address, "dev", "uplink")
      must(where, "ip", "link", "set", "uplink", "up")
    }
    must("host", "ip", "route", "add", "default", "via", "203.0.113.9")
  } catch (error) {
    drop()
    throw error
  }
  return { ...names, in: must, try: attempt, [Symbol.dispose]: drop }
}
