/**
 * `minicontainer report`, which nobody types: the last act of a command whose container could not be made.
 *
 *     run ── becomes ──▶ executor ── a step fails ──▶ undo ── becomes ──▶ report --ops mkdir,… --arg0 sh 13 1 0 "mount proc on /proc"
 *
 * The executor knows numbers, not words; so the terminal gets its sentence, and the caller its exit status, from here.
 * What stands before the numbers is put there by engine/prepare.ts.
 *
 * If the step has shown that the host is not what it seemed, and the words of the `run` or `start` that failed are among ours, the same is tried
 * once more with what is known now. That plan has no such words in it: a second failure is told, whatever it is.
 * Read on: executor/sentence.ts, engine/corrections.ts.
 */

import { EngineError } from "../../base/errors.ts"
import { page } from "../command.ts"
import { list, text } from "../flags.ts"
import { quoted } from "../parse.ts"

export const report = page({
  name: "report",
  usage: "[--] [WORD...] INDEX ERRNO DETAIL DOES",
  about: "Say which step of a plan failed",
  details:
    "The executor calls it. INDEX counts from 0; ERRNO and DETAIL are numbers; DOES says what the step was to do. WORDs are those of the run that failed: it is tried once more if the step proves one of the --facts wrong.",
  examples: ['--ops mkdir,new-mount,exec --arg0 sh 1 1 0 "mount proc on /proc"'],
  options: {
    ops: text({ otherwise: "", value: "LIST", about: "The ops of all steps, with commas between" }),
    arg0: text({ otherwise: "", about: "The program that was to run" }),
    fact: list({
      value: "INDEX=FACT",
      about: "What a step would prove wrong: a path that shows other ids, or cgroups",
    }),
  },
  optionsEnd: "first",
  words: [4],
  run: async ({ io, open, globals, options: { ops, arg0, fact }, words }) => {
    const [index, errno, detail, does] = words.slice(-4)
    const again = words.slice(0, -4)
    const { correctionIn, reported } = await import("../../engine/words.ts")
    const failure = { index: number(index!), errno: number(errno!), detail: number(detail!), does: does! }
    const correction = again.length > 0 ? correctionIn(failure, ops, fact) : undefined
    if (!correction) throw reported(failure, ops, arg0)
    const [name, ...argv] = again
    const { tryAgain } = name === "start" ? await import("./start.ts") : await import("./run.ts")
    return tryAgain(argv, { io, open, globals }, correction)
  },
})

/** The executor writes decimal numbers only; anything else did not come from it. */
function number(given: string): number {
  if (/^\d{1,10}$/.test(given)) return Number(given)
  throw new EngineError("USAGE", `cannot report: ${quoted(given)} is not a number`)
}
