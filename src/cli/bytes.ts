/**
 * Words that are no text: the kernel hands over bytes, the runtime makes strings of them.
 *
 *     caf\xe9  ──UTF-8?──▶  "caf\ufffd"      no: what cannot be decoded has become a question mark, and its bytes are lost
 *
 * A container given the question mark would run with other words than were typed, and nobody would know. So that is refused. The
 * character itself may well be typed; which of the two it is, only the kernel's copy of the words tells.
 *
 * Read on: main.ts. proc_pid_cmdline(5); encoding.spec.whatwg.org, "UTF-8 decoder".
 */

import { readFileSync } from "node:fs"
import { EngineError } from "../base/errors.ts"

/**
 * @param argv the last words of this process's own.
 * @throws {EngineError} `USAGE` if one of them was not UTF-8.
 */
export function refuseBytes(argv: readonly string[]): void {
  const typed = readFileSync("/proc/self/cmdline", "latin1").split("\0").slice(0, -1).slice(-argv.length)
  const at = argv.findIndex((word, index) => Buffer.from(word).toString("latin1") !== typed[index])
  if (at < 0) return
  throw new EngineError(
    "USAGE",
    `cannot read word ${at + 1} of the command line: it is not UTF-8`,
    "what is not text can reach a program through a file, or its stdin",
  )
}
