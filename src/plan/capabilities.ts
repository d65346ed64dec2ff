/**
 * Capabilities: what being root means, in 41 pieces, of which a container gets 14.
 *
 * A process has five sets, and `execve` computes the new ones from the old ones and the file's:
 *
 *     bounding      what may ever be had again, by anyone below
 *     permitted     what may be switched on                        root's after execve:  inheritable | bounding
 *     effective     what is switched on: the kernel asks this one  others' after execve: ambient | what the file gives
 *     inheritable   what a file may pass on
 *     ambient       what a program that is not root keeps
 *
 * So for a container whose user is root the bounding set decides, and it must shrink first, while we still may. For another
 * user, `setresuid` would empty the permitted set unless it is told to keep it; it always empties the effective one:
 *
 *     bounding ─▶ keep-capabilities ─▶ set-ids ─▶ capabilities ─▶ ambient ─▶ exec
 *
 * In a new user namespace a process has all of them, over what belongs to that namespace. Without one nobody can give
 * what he does not have himself.
 *
 * Read on: process.ts. Linux man-pages capabilities(7), "Transformation of capabilities during execve()".
 */

import { EngineError } from "../base/errors.ts"
import { CAPABILITIES, type Capability } from "../model/capabilities.ts"
import type { Host } from "../model/host.ts"
import type { Capabilities } from "../model/oci.ts"
import type { Step } from "./step.ts"

/** What kernels that we still meet lack. @see Linux include/uapi/linux/capability.h, its history */
const SINCE: Readonly<Partial<Record<Capability, Host["kernel"]>>> = {
  CAP_PERFMON: [5, 8],
  CAP_BPF: [5, 8],
  CAP_CHECKPOINT_RESTORE: [5, 9],
}

const bit = (index: number): bigint => 1n << BigInt(index)
const ALL = bit(CAPABILITIES.length) - 1n

/** The names in a mask, in the kernel's order. */
export const names = (mask: bigint): readonly Capability[] =>
  CAPABILITIES.filter((_, index) => (mask & bit(index)) !== 0n)

/**
 * A set as the kernel takes it: `mask(["CAP_CHOWN", "CAP_KILL"])` is `0b100001n`.
 * @throws {EngineError} `INVALID_CONFIG` for a name that no kernel we know has.
 */
export function mask(list: readonly string[]): bigint {
  return list.reduce((all, name) => {
    const index = CAPABILITIES.indexOf(name as Capability)
    if (index < 0)
      throw new EngineError(
        "INVALID_CONFIG",
        `cannot give the capability "${name}": there is none of this name`,
        "names look like CAP_NET_ADMIN; capabilities(7) lists them",
      )
    return all | bit(index)
  }, 0n)
}

export interface Credentials {
  /** Before the ids change: phase start. */
  readonly before: readonly Step[]
  /** After the ids have changed. */
  readonly after: readonly Step[]
  readonly warnings: readonly string[]
}

/**
 * The steps around `set-ids` that leave exactly the sets of the config.
 *
 * What cannot be given is left out with a warning and is never an error: so says config.md of the OCI runtime specification.
 * @param uid the container's user as it is named inside.
 * @param userNamespace the container has a user namespace that is not the host's.
 */
export function capabilities(
  asked: Capabilities | undefined,
  { uid, userNamespace, host }: { uid: number; userNamespace: boolean; host: Pick<Host, "kernel" | "capabilities"> },
): Credentials {
  const warnings = new Set<string>()
  const withheld = (name: string, because: string): void => {
    warnings.add(`${name} is not given: ${because}`)
  }
  const [major, minor] = host.kernel
  const set = (list: readonly string[] = []): bigint =>
    list.reduce((all, name) => {
      const index = CAPABILITIES.indexOf(name as Capability)
      const since = SINCE[name as Capability]
      if (index < 0) withheld(name, "there is no capability of this name")
      else if (since && (major < since[0] || (major === since[0] && minor < since[1])))
        withheld(name, `it needs Linux ${since.join(".")}`)
      else if (!userNamespace && (host.capabilities & bit(index)) === 0n) withheld(name, "we do not have it ourselves")
      else return all | bit(index)
      return all
    }, 0n)
  /** What the kernel would refuse: a set that is not within another. */
  const within = (inner: bigint, outer: bigint, what: string): bigint => {
    const outside = inner & ~outer
    if (outside === 0n) return inner
    for (const name of names(outside)) withheld(name, `the config makes it ${what}`)
    return inner & outer
  }

  const bounding = set(asked?.bounding)
  const permitted = set(asked?.permitted)
  const inheritable = within(set(asked?.inheritable), bounding, "inheritable but does not let it be had (bounding)")
  const effective = within(set(asked?.effective), permitted, "effective but not permitted")
  const ambient = within(set(asked?.ambient), permitted & inheritable, "ambient but not permitted and inheritable")
  const nobody = uid !== 0 && permitted !== 0n

  return {
    before: [
      {
        phase: "start",
        op: "bounding",
        mask: bounding,
        does: bounding === 0n ? "give up every capability for ever" : `give up all but ${count(bounding)} for ever`,
        why: "what has left the bounding set no set-uid program below can bring back",
      },
      ...(nobody
        ? [
            {
              phase: "start",
              op: "keep-capabilities",
              does: "keep the permitted set when the user changes",
              why: "leaving user 0 would empty it",
            } as const,
          ]
        : []),
    ],
    after: [
      {
        phase: "start",
        op: "capabilities",
        effective,
        permitted,
        inheritable,
        does: `switch on ${count(effective)}`,
        why: "from here on the kernel refuses everything else that only root may do",
      },
      {
        phase: "start",
        op: "ambient",
        mask: ambient,
        does: ambient === 0n ? "empty the ambient set" : `pass ${count(ambient)} on to programs that are not root`,
        why:
          ambient === 0n
            ? "a program that is not root starts with none, whatever our caller had"
            : "the config wants them to outlive execve without a file that gives them",
      },
    ],
    warnings: [...warnings],
  }
}

function count(set: bigint): string {
  const some = names(set & ALL)
  const [only] = some
  if (only === undefined) return "no capability"
  return some.length === 1 ? only : `${some.length} capabilities`
}
