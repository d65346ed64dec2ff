import { expect, test } from "bun:test"
import { check, violations } from "./check.ts"
import type { Call, Frame, Phase, Plan, Step } from "./step.ts"
import { LIMITS } from "./wire.ts"

const frame: Frame = {
  stay: 0,
  outer: 0,
  stdio: 0,
  uid: 0,
  gid: 0,
  logBytes: 0,
  logFiles: 0,
  detachKeys: new Uint8Array(),
  failed: [],
  rows: 0,
  columns: 0,
}
type Rest = Partial<Pick<Step, "does" | "why" | "gives" | "undo" | "ok" | "must">>
const step = (phase: Phase, call: Call, rest: Rest = {}): Step => ({
  ...call,
  phase,
  does: `do ${call.op}`,
  why: "a test",
  ...rest,
})
const open = (phase: Phase, gives: string): Step => step(phase, { op: "open", path: "/x", flags: 0 }, { gives })
const use = (phase: Phase, mount: string): Step => step(phase, { op: "attach-mount", mount, target: "/x" })
const clone = step("clone", { op: "clone", flags: 0, join: [], kinds: [] }, { gives: "child" })
const exec = step("start", { op: "exec", argv: ["/bin/true"], env: [], path: [] })
const hostname = (name: string, rest: Rest = {}): Step => step("child", { op: "hostname", name }, rest)

const found = (steps: readonly Step[], rest: Partial<Plan> = {}) => violations({ frame, steps, warnings: [], ...rest })
/** What is wrong with a plan that is right but for these steps. */
const wrong = (given: Partial<Record<Phase, readonly Step[]>>) =>
  found([
    ...(given.host ?? []),
    ...(given.clone ?? [clone]),
    ...(given.parent ?? []),
    ...(given.child ?? []),
    ...(given.start ?? [exec]),
    ...(given.started ?? []),
    ...(given.exit ?? []),
  ])

test("a plan that can be carried out has no violations", () => {
  expect(wrong({})).toEqual([])
  expect(
    wrong({ host: [open("host", "a")], parent: [use("parent", "a"), open("parent", "b")], child: [use("child", "b")] }),
  ).toEqual([])
  expect(found([open("host", "a"), use("host", "a")])).toEqual([])
  expect(() => check({ frame, steps: [clone, exec], warnings: ["one line"] })).not.toThrow()
})

test("phases stand in their order", () => {
  expect(found([clone, hostname("a"), step("parent", { op: "umask", mask: 0 }), exec])).toEqual([
    "step 3 (do umask): phase parent comes after phase child",
  ])
})

test("there is one clone and one exec, and exec is the last of start", () => {
  expect(found([clone, { ...clone, gives: "other" }, exec])).toEqual(["there are 2 clones; a plan makes one process"])
  expect(found([clone])).toEqual(["the last step of phase start is missing, not exec"])
  expect(wrong({ start: [exec, exec] })).toEqual(["there are 2 execs; after the first there is nobody to do the next"])
  expect(wrong({ start: [exec, step("start", { op: "umask", mask: 0 })] })).toEqual([
    "the last step of phase start is umask, not exec",
  ])
})

test("a plan without a clone is the executor's alone", () => {
  expect(found([hostname("a")])).toEqual(["phase child needs a child, and no step clones one"])
  expect(found([step("parent", { op: "umask", mask: 0 })])).toEqual([
    "phase parent needs a child, and no step clones one",
  ])
})

test("a slot is given before it is taken, and once", () => {
  expect(wrong({ host: [use("host", "a"), open("host", "a")] })).toEqual([
    "step 1 (do attach-mount): takes $a, which no earlier step gives",
  ])
  expect(wrong({ host: [open("host", "a"), open("host", "a")] })).toEqual([
    "step 2 (do open): gives $a, which is given already",
  ])
})

test("a slot is taken where it is seen", () => {
  expect(wrong({ child: [open("child", "a"), use("child", "a")], exit: [use("exit", "a")] })).toEqual([
    "step 5 (do attach-mount): takes $a, which phase child gives and phase exit does not see",
  ])
  expect(wrong({ child: [step("child", { op: "signal", process: "child", signal: 9 })] })).toEqual([
    "step 2 (do signal): takes $child, which phase clone gives and phase child does not see",
  ])
  expect(wrong({ parent: [step("parent", { op: "signal", process: "child", signal: 9 })] })).toEqual([])
})

test("an undo runs in the executor, and may take what its own step gave", () => {
  const signal = { op: "signal", process: "a", signal: 9, does: "end it" } as const
  expect(
    wrong({ host: [step("host", { op: "open-process", pid: 1, start: 1 }, { gives: "a", undo: signal })] }),
  ).toEqual([])
  expect(wrong({ host: [step("host", { op: "rmdir", path: "/x" }, { undo: signal })] })).toEqual([
    "step 1 (do rmdir): takes $a, which no earlier step gives",
  ])
})

test("what has an fd gives it, what has none does not", () => {
  expect(wrong({ host: [step("host", { op: "open", path: "/x", flags: 0 })] })).toEqual([
    "step 1 (do open): open gives nothing to nobody",
  ])
  expect(wrong({ host: [step("host", { op: "rmdir", path: "/x" }, { gives: "a" })] })).toEqual([
    "step 1 (do rmdir): rmdir has no fd to give",
  ])
})

test("an undo stands only where something is left behind", () => {
  const undo = { op: "rmdir", path: "/x", does: "remove /x" } as const
  expect(wrong({ host: [step("host", { op: "mkdir", path: "/x", mode: 0o755 }, { undo })] })).toEqual([])
  expect(wrong({ child: [hostname("a", { undo })] })).toEqual([
    "step 2 (do hostname): phase child leaves nothing on the host, so there is nothing to undo",
  ])
  expect(
    wrong({ host: [step("host", { op: "rmdir", path: "/x" }, { undo: { op: "pivot", target: "/", does: "turn" } })] }),
  ).toEqual(["step 1 (do rmdir): pivot undoes nothing"])
})

test("an op stands where it makes sense", () => {
  expect(wrong({ parent: [step("parent", { op: "hostname", name: "a" })] })).toEqual([
    "step 2 (do hostname): hostname does not belong into phase parent: the executor's is the host's",
  ])
  expect(wrong({ host: [step("host", { op: "map-ids", kind: 0, text: "0 1 1" })] })).toEqual([
    "step 1 (do map-ids): map-ids does not belong into phase host: there must be a child, and it must be waiting",
  ])
  expect(wrong({ clone: [clone, step("clone", { op: "umask", mask: 0 })] })).toEqual([
    "step 2 (do umask): umask is not what phase clone is for",
  ])
})

test.each([
  ["mounts proc", 'does begins with "mounts", not with an infinitive'],
  ["mounting proc", 'does begins with "mounting", not with an infinitive'],
  ["Mount proc", 'does begins with "Mount", not with an infinitive'],
  ["", 'does begins with "", not with an infinitive'],
  ["mount proc.", "does ends with a full stop"],
  ["mount\nproc", "does is not one line"],
])("%j does not read well behind `cannot`", (does, message) => {
  expect(wrong({ child: [hostname("a", { does })] })).toContain(`step 2 (${does}): ${message}`)
})

test("`pass`, `bring` and `focus` are infinitives", () => {
  for (const does of ["pass it on", "bring it up", "focus on it"])
    expect(wrong({ child: [hostname("a", { does })] })).toEqual([])
})

test("a step has a reason, in one line", () => {
  expect(wrong({ child: [hostname("a", { why: " " })] })).toEqual(["step 2 (do hostname): has no reason"])
  expect(wrong({ child: [hostname("a", { why: "one\ntwo" })] })).toEqual([
    "step 2 (do hostname): the reason is not one line",
  ])
})

test("the wire can carry every argument", () => {
  expect(wrong({ child: [hostname("a\0b")] })).toEqual(["step 2 (do hostname): name is not a text without NUL"])
  expect(wrong({ child: [step("child", { op: "umask", mask: -1 })] })).toEqual([
    "step 2 (do umask): mask is not a whole number from 0 to 2^64-1",
  ])
  expect(wrong({ child: [step("child", { op: "umask", mask: 2n ** 64n })] })).toEqual([
    "step 2 (do umask): mask is not a whole number from 0 to 2^64-1",
  ])
  expect(wrong({ start: [{ ...exec, op: "exec", argv: ["a\0"], env: [], path: [] }] })).toEqual([
    `step 2 (do exec): argv is not at most ${LIMITS.list} texts without NUL`,
  ])
  expect(found([clone, exec], { frame: { ...frame, log: "a\0" } })).toEqual(["frame: log is not a text without NUL"])
})

test("a warning is one line", () => {
  expect(found([clone, exec], { warnings: ["one\ntwo", ""] })).toEqual([
    'warnings: not one line: "one\\ntwo"',
    'warnings: not one line: ""',
  ])
})

test("the executor's limits hold", () => {
  const many = Array.from({ length: LIMITS.steps }, () => hostname("a"))
  expect(wrong({ child: many })).toEqual([
    `there are ${LIMITS.steps + 2} steps and undos; the executor takes ${LIMITS.steps}`,
  ])
  const slots = Array.from({ length: LIMITS.slots }, (_, index) => open("host", `a${index}`))
  expect(wrong({ host: slots })).toEqual([`there are ${LIMITS.slots + 1} slots; the executor takes ${LIMITS.slots}`])
  expect(wrong({ child: [hostname("a".repeat(LIMITS.wire))] })[0]).toContain("the executor takes 8388608")
})

test("check throws all of it", () => {
  expect(() => check({ frame, steps: [clone], warnings: [""] })).toThrow(
    'the plan cannot be carried out:\n  the last step of phase start is missing, not exec\n  warnings: not one line: ""',
  )
})
