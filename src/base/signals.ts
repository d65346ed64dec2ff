/**
 * Signals: names and numbers, as x86_64 and aarch64 number them (both use asm-generic/signal.h).
 *
 *     1 … 31    the classic ones, below
 *     32, 33    kept by the C library
 *     34 … 64   real-time: SIGRTMIN, SIGRTMIN+1 … SIGRTMAX
 *
 * @see signal(7)
 */

import { EngineError } from "./errors.ts"

/** The names without SIG; the index is the number. */
const NAMES = [
  "",
  "HUP",
  "INT",
  "QUIT",
  "ILL",
  "TRAP",
  "ABRT",
  "BUS",
  "FPE",
  "KILL",
  "USR1",
  "SEGV",
  "USR2",
  "PIPE",
  "ALRM",
  "TERM",
  "STKFLT",
  "CHLD",
  "CONT",
  "STOP",
  "TSTP",
  "TTIN",
  "TTOU",
  "URG",
  "XCPU",
  "XFSZ",
  "VTALRM",
  "PROF",
  "WINCH",
  "IO",
  "PWR",
  "SYS",
] as const
const OTHER_NAMES: Readonly<Record<string, number>> = { IOT: 6, CLD: 17, POLL: 29 }
const RTMIN = 34
const RTMAX = 64

/**
 * The number of a signal: `15`, `TERM`, `sigterm` and `SIGTERM` are the same; `RTMIN+3` and `RTMAX-1` count from the ends.
 * @throws {EngineError} `INVALID_VALUE`, also for 0, which is no signal.
 */
export function signalNumber(text: string): number {
  const word = text.trim().toUpperCase().replace(/^SIG/, "")
  const [, end, sign, distance] = /^RT(MIN|MAX)(?:([+-])(\d{1,2}))?$/.exec(word) ?? []
  const number = /^\d{1,2}$/.test(word)
    ? Number(word)
    : end
      ? (end === "MIN" ? RTMIN : RTMAX) + (sign === "-" ? -1 : 1) * Number(distance ?? 0)
      : (OTHER_NAMES[word] ?? NAMES.findIndex((name) => name === word && name !== ""))
  const known = (number >= 1 && number < NAMES.length) || (number >= RTMIN && number <= RTMAX)
  if (known && word !== "") return number
  throw new EngineError(
    "INVALID_VALUE",
    `cannot read the signal "${text}": it is neither a name like SIGTERM nor a number from 1 to ${RTMAX}`,
  )
}

/** The name of a signal: `SIGTERM`, `SIGRTMIN+3`; an unknown number as it is. */
export function signalName(number: number): string {
  const name = NAMES[number]
  if (name) return `SIG${name}`
  if (number === RTMAX) return "SIGRTMAX"
  if (number >= RTMIN && number < RTMAX) return number === RTMIN ? "SIGRTMIN" : `SIGRTMIN+${number - RTMIN}`
  return String(number)
}
