import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { left, look } from "./leftovers.ts"
import { firstSentence, lesson } from "./lesson.ts"
import { counted } from "./test.ts"

/** A file with one case of each kind, run by the runner itself. */
const CASES = (module: string) => `import { test } from "${module}"
test("good", () => {})
test("bad", () => { throw new Error("bad") })
test.skip("off", () => {})
`

function reported(argv: (report: string, file: string) => string[], module: string): string {
  const directory = mkdtempSync(join(tmpdir(), "counted-"))
  try {
    const file = join(directory, "three.test.mjs")
    const report = join(directory, "report.xml")
    writeFileSync(file, CASES(module))
    const [program = "", ...args] = argv(report, file)
    spawnSync(program, args, { cwd: directory, stdio: "ignore", env: { PATH: process.env.PATH } })
    return readFileSync(report, "utf8")
  } finally {
    rmSync(directory, { recursive: true })
  }
}

test("a report of Bun's runner is counted by case", () => {
  const junit = reported(
    (report, file) => [process.execPath, "test", "--reporter=junit", `--reporter-outfile=${report}`, file],
    "bun:test",
  )
  expect(counted(junit)).toEqual({ passed: 1, failed: 1, skipped: 1 })
})

test("a report of Node's runner is counted by case", () => {
  const junit = reported(
    (report, file) => ["node", "--test", "--test-reporter=junit", `--test-reporter-destination=${report}`, file],
    "node:test",
  )
  expect(counted(junit)).toEqual({ passed: 1, failed: 1, skipped: 1 })
})

test("a file that a suite forgets is told, and one that goes away in time is not", async () => {
  const directory = mkdtempSync(join(tmpdir(), "left-"))
  try {
    const before = look(directory)
    writeFileSync(join(directory, "forgotten"), "")
    expect(await left(before, directory, 0)).toContain(`file ${directory}/forgotten`)
    setTimeout(() => rmSync(join(directory, "forgotten")), 50)
    expect((await left(before, directory, 5000)).filter((thing) => thing.includes(directory))).toEqual([])
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test("the lesson of a file is its first comment, without the stars, and only if it comes first", () => {
  expect(lesson("/**\n * Overlay: many layers.\n *\n *     picture\n */\nimport x from 'y'\n")).toBe(
    "Overlay: many layers.\n\n    picture",
  )
  expect(lesson("/*\n * C has it too.\n */\n#include <x.h>\n")).toBe("C has it too.")
  expect(lesson("import x from 'y'\n/** late */\n")).toBeUndefined()
})

test("the first sentence ends at a full stop, not at a dot inside a word", () => {
  expect(firstSentence("step.ts has the words. It comes first.\n\nMore.")).toBe("step.ts has the words.")
})
