/**
 * Runs suites, one after the other, and adds up: `bun tools/test.ts check kernel`.
 *
 *     check     the rows of CHECK          kernel, cli …  one row by name
 *     test      CHECK and KERNEL           asan           the rows of ASAN
 *
 * The last line is `N passed, N failed`. A suite that breaks off, runs no case, takes too long or leaves something on
 * the machine counts as a failure, whatever its cases said. Read on: suites.ts, leftovers.ts.
 */

import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { left, look } from "./leftovers.ts"
import { ASAN, CHECK, KERNEL, type Suite } from "./suites.ts"

process.chdir(join(import.meta.dirname, ".."))

/** The one program that a platform package of npm brings. */
function pinned(directory: string, prefix: string, program: string): string {
  const name = existsSync(directory) ? readdirSync(directory).find((entry) => entry.startsWith(prefix)) : undefined
  if (name === undefined)
    throw new Error(`cannot find ${program}: no ${directory}/${prefix}*: run tools/setup.sh build`)
  return join(directory, name, "bin", program)
}
const PROGRAM: Record<string, () => string> = {
  bun: () => pinned("node_modules/@oven", "bun-linux-", "bun"),
  node: () => pinned("node_modules", "node-linux-", "node"),
}

function argv({ kind, run, seconds }: Suite, report: string): string[] {
  switch (kind) {
    case "command":
      return run.map((word, index) => (index === 0 ? (PROGRAM[word]?.() ?? word) : word))
    case "bun":
      // `./`: a path, not a filter on names. The limit of a case is wide: this machine may be busy.
      return [
        PROGRAM.bun!(),
        "test",
        "--timeout",
        String(Math.min(seconds, 120) * 1000 * patience),
        "--reporter=junit",
        `--reporter-outfile=${report}`,
        ...run.map((path) => `./${path}`),
      ]
    case "node":
      return [
        PROGRAM.node!(),
        "--test",
        "--test-reporter=spec",
        "--test-reporter-destination=stdout",
        "--test-reporter=junit",
        `--test-reporter-destination=${report}`,
        ...run,
      ]
  }
}

interface Outcome {
  passed: number
  failed: number
  skipped: number
}

/** Counts in a JUnit report: both runners write one `testcase` for each case, with what went wrong inside. */
export function counted(junit: string): Outcome {
  const cases = junit.match(/<testcase\b/g)?.length ?? 0
  const failed = junit.match(/<(failure|error)\b/g)?.length ?? 0
  const skipped = junit.match(/<skipped\b/g)?.length ?? 0
  return { passed: cases - failed - skipped, failed, skipped }
}

/** The suite that runs now, to be ended when we are. Negative: a process group. */
let running: number | undefined
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
  process.on(signal, () => {
    if (running !== undefined) process.kill(-running, "SIGKILL")
    process.exit(130)
  })

/** A slow machine (an emulated one) needs more of it: a factor for all times. */
const patience = Number(process.env.PATIENCE ?? 1)

/** The exit status; undefined if the time was up. */
function execute(words: readonly string[], env: NodeJS.ProcessEnv, seconds: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    // A group of its own, so that the end of its time ends all of it.
    const child = spawn(words[0]!, words.slice(1), { env, stdio: ["ignore", "inherit", "inherit"], detached: true })
    running = child.pid
    let late = false
    const timer = setTimeout(
      () => {
        late = true
        if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
      },
      seconds * 1000 * patience,
    )
    child.on("error", reject)
    child.on("exit", (code) => {
      clearTimeout(timer)
      running = undefined
      resolve(late ? undefined : (code ?? 128))
    })
  })
}

async function runSuite(suite: Suite): Promise<Outcome> {
  const temporary = mkdtempSync(join(tmpdir(), `mc-${suite.name}-`))
  const reports = mkdtempSync(join(tmpdir(), "mc-report-"))
  const report = join(reports, "junit.xml")
  const before = look(temporary)
  const started = performance.now()
  process.stdout.write(`\n── ${suite.name}: ${suite.about}\n`)

  const status = await execute(argv(suite, report), { ...process.env, TMPDIR: temporary, ...suite.env }, suite.seconds)

  const outcome: Outcome =
    suite.kind === "command"
      ? { passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 }
      : existsSync(report)
        ? counted(readFileSync(report, "utf8"))
        : { passed: 0, failed: 0, skipped: 0 }
  const complain = (why: string): void => {
    outcome.failed += 1
    process.stdout.write(`✗ ${suite.name}: ${why}\n`)
  }
  if (status === undefined) complain(`not done after ${suite.seconds * patience} s`)
  else if (status !== 0 && outcome.failed === 0) complain(`broke off with status ${status}`)
  else if (outcome.passed + outcome.failed === 0) complain("ran no case")

  const things = await left(before, temporary, 5000 * patience)
  if (things.length > 0) complain(`left behind:\n    ${things.slice(0, 20).join("\n    ")}`)
  // What is still mounted below it must not be emptied with it.
  if (!things.some((thing) => thing.startsWith(`mount ${temporary}/`)))
    rmSync(temporary, { recursive: true, force: true })
  rmSync(reports, { recursive: true, force: true })

  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  process.stdout.write(`   ${suite.name}: ${sentence(outcome)} (${seconds} s)\n`)
  return outcome
}

const sentence = ({ passed, failed, skipped }: Outcome): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`

function chosen(name: string): readonly Suite[] {
  if (name === "check") return CHECK
  if (name === "asan") return ASAN
  if (name === "test") return [...CHECK, ...KERNEL]
  const suite = [...CHECK, ...KERNEL, ...ASAN].find((row) => row.name === name)
  if (suite === undefined) throw new Error(`cannot run ${name}: no such suite`)
  return [suite]
}

if (import.meta.main) {
  const total: Outcome = { passed: 0, failed: 0, skipped: 0 }
  const suites = process.argv.slice(2).flatMap(chosen)
  for (const suite of suites) {
    if (suite.needs !== undefined && !existsSync(suite.needs)) continue
    const { passed, failed, skipped } = await runSuite(suite)
    total.passed += passed
    total.failed += failed
    total.skipped += skipped
  }
  process.stdout.write(`\n${sentence(total)}\n`)
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
}
