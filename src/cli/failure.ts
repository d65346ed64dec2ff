/**
 * How an error is told: one line of what, one of what to do, and an exit status. No stack trace.
 *
 *     minicontainer: cannot use --memory banana: not a size [INVALID_VALUE]
 *       hint: write a number and perhaps b, k, m or g: 512m, 1.5g
 *
 * The code in brackets is what scripts and docs/errors.md know it by. With MINICONTAINER_DEBUG set (or --debug) the stack follows.
 * @see base/errors.ts, the statuses
 */

import { EngineError } from "../base/errors.ts"
import { type Io, wantsColour } from "./io.ts"
import { paint } from "./print/colour.ts"
import { visible } from "./print/table.ts"

/** What a fault of our own answers: the engine's failure, as Docker's 125. */
const FAULT_EXIT = 125

/** Tells it on stderr; returns the exit status. */
export function tell(error: unknown, io: Io, debug = Boolean(io.env.MINICONTAINER_DEBUG)): number {
  if (error instanceof EngineError && error.code === "SEVERAL" && Array.isArray(error.cause)) {
    for (const one of error.cause) tell(one, io, debug)
    return error.answer.exit
  }
  const known = error instanceof EngineError
  const message = known ? error.message : `cannot go on: ${error instanceof Error ? error.message : String(error)}`
  const hint = known
    ? error.hint
    : debug
      ? undefined
      : "this is a fault of minicontainer; MINICONTAINER_DEBUG=1 shows where"
  say(io, "red", message, known ? ` ${brush(io).dim(`[${error.code}]`)}` : "")
  if (hint) io.write("stderr", `  ${brush(io).dim(`hint: ${visible(hint)}`)}\n`)
  if (debug && error instanceof Error) io.write("stderr", `${traces(error)}\n`)
  return known ? error.answer.exit : FAULT_EXIT
}

/** A line for people: the engine's warnings, and what does not stop a command. */
export function warn(io: Io, line: string): void {
  say(io, "yellow", `warning: ${line}`)
}

/** One line, whatever names and values of strangers stand in it. */
function say(io: Io, colour: "red" | "yellow", message: string, behind = ""): void {
  const { bold, [colour]: name } = brush(io)
  io.write("stderr", `${bold(name("minicontainer:"))} ${visible(message)}${behind}\n`)
}

const brush = (io: Io) => paint(wantsColour(io, "stderr"))

function traces(error: Error): string {
  const own = error.stack ?? String(error)
  return error.cause instanceof Error ? `${own}\ncaused by: ${traces(error.cause)}` : own
}
