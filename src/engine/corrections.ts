/**
 * Corrections: what a failed step has taught us about the host, and how to plan again, once.
 *
 *     plan ─▶ step 31: show /srv/root with the container's ids ─▶ EPERM ─▶ undo
 *                                                                  │
 *     plan ◀── host, with "/srv/root cannot be shown with other ids" ◀── the row of clone-mount
 *
 * A Host says what should work here, by kernel and type. A security module, a filter around us or a file system of its own mind can still say
 * no, and only the attempt tells. Undo is complete, so the fact is corrected and the plan made again, as it would have been had it been known:
 * with the warning that the known case has. Then no more: a second failure is an error.
 *
 * The rule that holds: a correction leads only to where the design goes anyway for such a host. A container that was to have its own
 * user namespace never loses it because the namespace could not be made: that is an error, and its hint is `--userns host`.
 *
 * Read on: run.ts, words.ts. Design, "Values that are not known when the plan is made".
 */

import { errnoName } from "../executor/errno.ts"
import type { Failure } from "../executor/sentence.ts"
import type { Host, PathFacts } from "../model/host.ts"
import type { OpName, Plan, Step } from "../plan/step.ts"

/**
 * What can be wrong: an absolute path, which cannot be shown with other ids; or `cgroups`, which cannot be made. A text, so that it can
 * travel as a word of an argv.
 */
export type Fact = string
const CGROUPS = "cgroups"

/** A failed step, as the executor tells it by number, errno's name and the step's own words; and the fact that it has proved wrong. */
export interface Correction {
  readonly fact: Fact
  readonly does: string
  /** `EPERM`. */
  readonly errno: string
}

interface Row {
  readonly errnos: readonly string[]
  /** What a failure of this step says; undefined: nothing that could be corrected. */
  readonly fact: (step: never, host: Host) => Fact | undefined
}
type Rows = {
  readonly [N in OpName]?: Row & { fact(step: Extract<Step, { readonly op: N }>, host: Host): Fact | undefined }
}

/** In somebody's tree: there, and only there, the design has a container run without limits rather than not at all. */
const isDivided = (path: string, { cgroups }: Host): Fact | undefined =>
  cgroups.nested && Object.keys(cgroups.base).some((mount) => path.startsWith(`${mount}/`)) ? CGROUPS : undefined

const ROWS: Rows = {
  "clone-mount": {
    errnos: ["EPERM", "EINVAL", "EOPNOTSUPP", "ENOSYS"],
    fact: ({ source, userns }) => (userns === undefined ? undefined : source),
  },
  "move-processes": {
    errnos: ["EPERM", "EACCES", "EROFS", "EBUSY", "EOPNOTSUPP", "EAGAIN", "ENOENT"],
    fact: ({ from }, host) => isDivided(`${from}/`, host),
  },
  mkdir: { errnos: ["EPERM", "EACCES", "EROFS", "EAGAIN"], fact: ({ path }, host) => isDivided(path, host) },
  write: {
    errnos: ["EPERM", "EACCES", "EROFS", "EBUSY", "EOPNOTSUPP"],
    fact: ({ path }, host) => isDivided(path, host),
  },
  "copy-file": { errnos: ["EPERM", "EACCES", "EROFS"], fact: ({ to }, host) => isDivided(to, host) },
  "attach-self": { errnos: ["EPERM", "EACCES", "EROFS"], fact: ({ path }, host) => isDivided(path, host) },
  // Of clone3 only CLONE_INTO_CGROUP knows these; EPERM and EINVAL are about namespaces.
  clone: {
    errnos: ["EACCES", "EBUSY", "EOPNOTSUPP", "ENOENT"],
    fact: ({ cgroup }, { cgroups }) => (cgroup !== undefined && cgroups.nested ? CGROUPS : undefined),
  },
}

/** By the index of its step: what each step could prove wrong. */
export function factsOf({ steps }: Pick<Plan, "steps">, host: Host): ReadonlyMap<number, Fact> {
  const facts = new Map<number, Fact>()
  for (const [index, step] of steps.entries()) {
    // The row of an op takes exactly the steps of that op: what the mapped type says, and an index signature cannot.
    const row = ROWS[step.op] as { fact(step: Step, host: Host): Fact | undefined } | undefined
    const fact = row?.fact(step, host)
    if (fact !== undefined) facts.set(index, fact)
  }
  return facts
}

/** What a failed step has taught us, if it was one that can: else it is just an error. @param op of that step. */
export function correctionOf(
  { index, errno, does }: Pick<Failure, "index" | "errno" | "does">,
  op: string | undefined,
  facts: ReadonlyMap<number, Fact>,
): Correction | undefined {
  const fact = facts.get(index)
  const name = errnoName(errno)
  const row = op !== undefined && Object.hasOwn(ROWS, op) ? ROWS[op as OpName] : undefined
  return fact !== undefined && row?.errnos.includes(name) ? { fact, does, errno: name } : undefined
}

/** The host as it would have been described, had we known. */
export function corrected(host: Host, { fact, does, errno }: Correction): Host {
  if (fact === CGROUPS) {
    const why = `the one that we are in cannot be divided (we could not ${does}: ${errno})`
    return { ...host, cgroups: { mode: "none", why, controllers: {}, base: {} } }
  }
  const unshown = { idmap: false } as const
  const told = (facts: PathFacts, path: string): PathFacts => {
    const { submounts } = facts
    // Of a recursive clone it is not said which mount refused: all of them then.
    if (path === fact)
      return { ...facts, ...unshown, ...(submounts && { submounts: submounts.map((one) => ({ ...one, ...unshown })) }) }
    if (!submounts?.some((one) => one.path === fact)) return facts
    return { ...facts, submounts: submounts.map((one) => (one.path === fact ? { ...one, ...unshown } : one)) }
  }
  return {
    ...host,
    paths: Object.fromEntries(Object.entries(host.paths).map(([path, facts]) => [path, told(facts, path)])),
  }
}

/** As words of a report, after which the numbers of the failed step follow. */
export const factWords = (facts: ReadonlyMap<number, Fact>): readonly string[] =>
  [...facts].flatMap(([index, fact]) => ["--fact", `${index}=${fact}`])

/** The facts in the values of such words; what is none is passed over. */
export const factsIn = (words: readonly string[]): ReadonlyMap<number, Fact> =>
  new Map(
    words.flatMap((word) =>
      /^\d+=/.test(word) ? [[Number.parseInt(word, 10), word.slice(word.indexOf("=") + 1)]] : [],
    ),
  )
