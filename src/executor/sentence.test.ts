import { expect, test } from "bun:test"
import type { Step } from "../plan/step.ts"
import { errnoName, errnoWords } from "./errno.ts"
import { NO_FORMAT, stepError, stepWarning, toldFrom, toldOf, toldWords } from "./sentence.ts"

/** A failed step of a plan of 37, in which step 36 (the last) is exec. */
const said = (op: string, errno: number, does: string, index = 13) => {
  const ops = Array.from({ length: 37 }, (_, at) => (at === 36 ? "exec" : at === index ? op : "mkdir"))
  const { code, message, hint } = stepError({ index, errno, detail: 0, does }, { ops, program: "sh" })
  return { code, message, ...(hint !== undefined && { hint }) }
}
const ran = (program: string, errno: number, detail = 0) => {
  const { code, message, answer } = stepError(
    { index: 0, errno, detail, does: `run ${program}` },
    { ops: ["exec"], program },
  )
  return `${answer.exit} ${code}: ${message}`
}

test("a failed step is named, with the kernel's word and the errno", () => {
  expect(said("new-mount", 13, "mount proc on /proc")).toEqual({
    code: "STEP_FAILED",
    message: "cannot mount proc on /proc: permission denied (EACCES, step 14 of 37)",
  })
})

test("where the kernel's word misleads, the sentence says what it means", () => {
  expect(said("new-mount", 28, "mount proc on /proc")).toEqual({
    code: "STEP_FAILED",
    message: "cannot mount proc on /proc: too many mounts (ENOSPC, step 14 of 37)",
    hint: "raise /proc/sys/fs/mount-max; the disk is not full",
  })
  // A user namespace that cannot be made is never left out in silence: who wants that says so.
  for (const errno of [1, 22, 28, 87]) expect(said("clone", errno, "clone a process").hint).toContain("--userns host")
  expect(said("attach-cgroup", 28, "put the process into its group").message).toBe(
    "cannot put the process into its group: the group has no CPUs or no memory nodes (ENOSPC, step 14 of 37)",
  )
})

test("a process that was killed at a step is not a call that failed", () => {
  const failure = { index: 1, errno: 130, does: "run sh" }
  const told = { ops: ["mkdir", "exec"], program: "sh" }
  const killed = stepError({ ...failure, detail: 9 }, told)
  expect(killed.message).toBe("cannot run sh: the container's process was killed by SIGKILL (EOWNERDEAD, step 2 of 2)")
  expect(killed.hint).toBe("if nobody did it, the kernel did, for want of memory: raise --memory")
  expect(stepError({ ...failure, detail: 0 }, told).message).toContain("process was killed (EOWNERDEAD")
})

test("an errno that nobody knows is still a sentence", () => {
  expect(said("mkdir", 4095, "make /a").message).toBe("cannot make /a: an unknown error (errno 4095, step 14 of 37)")
})

test("a program that is not there: 127", () => {
  expect(ran("nosuch", 2)).toBe(`127 COMMAND_NOT_FOUND: cannot run "nosuch": not found in the container's PATH`)
  expect(ran("/bin/nosuch", 2)).toBe(`127 COMMAND_NOT_FOUND: cannot run "/bin/nosuch": no such file in the container`)
  expect(ran("/etc/passwd/x", 20)).toBe(
    `127 COMMAND_NOT_FOUND: cannot run "/etc/passwd/x": no such file in the container`,
  )
  expect(ran("./script", 2, 2)).toBe(
    `127 COMMAND_NOT_FOUND: cannot run "./script": it is there, but the interpreter that it asks for is not`,
  )
})

test("a program that cannot be executed: 126", () => {
  expect(ran("/etc", 13, 1)).toBe(`126 COMMAND_NOT_EXECUTABLE: cannot run "/etc": is a directory`)
  expect(ran("/etc/passwd", 13)).toBe(
    `126 COMMAND_NOT_EXECUTABLE: cannot run "/etc/passwd": permission denied: the file is not executable`,
  )
  expect(ran("./tool", 8, 183)).toBe(
    `126 COMMAND_NOT_EXECUTABLE: cannot run "./tool": it is made for another processor (aarch64)`,
  )
  expect(ran("./notes", 8, NO_FORMAT)).toBe(
    `126 COMMAND_NOT_EXECUTABLE: cannot run "./notes": it is neither a program nor a script with a #! line`,
  )
  expect(ran("./loop", 40)).toBe(
    `126 COMMAND_NOT_EXECUTABLE: cannot run "./loop": too many levels of symbolic links (ELOOP)`,
  )
})

test("a hook that fails says how", () => {
  const failure = { index: 0, errno: 125, does: "run the prestart hook /h" }
  const told = { ops: ["hook"] as const, program: "sh" }
  expect(stepError({ ...failure, detail: 3 }, told).message).toBe(
    "cannot run the prestart hook /h: it ended with 3 (ECANCELED, step 1 of 1)",
  )
  expect(stepError({ ...failure, detail: 137 }, told).message).toContain(": it was ended by SIGKILL (ECANCELED")
  expect(stepError({ ...failure, errno: 110, detail: 0 }, told).message).toContain(
    ": it took longer than its timeout, and was killed (ETIMEDOUT",
  )
})

test("what a plan tells survives two words of an argv", () => {
  const steps: Step[] = [
    { phase: "host", op: "mkdir", path: "/a", mode: 0o755, does: "make /a", why: "" },
    { phase: "start", op: "exec", argv: ["a b", "c"], env: [], path: [], does: "run a b", why: "" },
  ]
  expect(toldFrom(...toldWords(toldOf({ steps })))).toEqual({ ops: ["mkdir", "exec"], program: "a b" })
})

test("a warning is a sentence without a step number", () => {
  const steps: Step[] = [{ phase: "host", op: "rmdir", path: "/a", does: "remove /a", why: "" }]
  expect(stepWarning({ index: 0, errno: 39 }, { steps })).toBe("cannot remove /a: directory not empty (ENOTEMPTY)")
})

test("names and words are those of the C library", () => {
  expect([1, 95, 110, 111, 133].map((n) => `${errnoName(n)} ${errnoWords(n)}`)).toEqual([
    "EPERM operation not permitted",
    "EOPNOTSUPP operation not supported",
    "ETIMEDOUT connection timed out",
    "ECONNREFUSED connection refused",
    "EHWPOISON memory page has hardware error",
  ])
})
