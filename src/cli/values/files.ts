/**
 * Files of variables and labels: `--env-file`, `--label-file`.
 *
 *     # a comment             not a shell: no quotes, no expansion, no continuation
 *     GREETING=hello "you"    the value is all that follows the first =, quotes and blanks included
 *     HOME                    the caller's, if it has one; in a file of labels: nothing
 *
 * @see Docker's cli, pkg/kvfile
 */

import { BadValue } from "../flags.ts"

/** A path of the caller's, relative or not. An empty one is a variable that was never set, and would mean the working directory. */
export function fileName(text: string): string {
  if (text === "") throw new BadValue("it names nothing", "is a variable empty?")
  return text
}

/** A line that cannot be understood. The caller knows the flag and the file. */
export class BadLine extends Error {
  override readonly name = "BadLine"
}

/**
 * `KEY=VALUE` of each line, in order.
 * @param inherit the value of a bare KEY; undefined drops it.
 * @throws {BadLine}
 */
export function keyValueLines(bytes: Uint8Array, inherit: (key: string) => string | undefined): string[] {
  return decoded(bytes)
    .split("\n")
    .flatMap((raw, at) => {
      const line = raw.replace(/\r$/, "").trimStart()
      if (line === "" || line.startsWith("#")) return []
      const equals = line.indexOf("=")
      const key = equals < 0 ? line.trimEnd() : line.slice(0, equals)
      if (key === "") throw new BadLine(`line ${at + 1} has no name before the =`)
      if (/\s/.test(key)) throw new BadLine(`line ${at + 1} has a blank in the name ${JSON.stringify(key)}`)
      const value = equals < 0 ? inherit(key) : line.slice(equals + 1)
      return value === undefined ? [] : [`${key}=${value}`]
    })
}

function decoded(bytes: Uint8Array): string {
  try {
    // Drops a byte order mark, which editors on Windows leave at the beginning.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes)
  } catch {
    throw new BadLine("it is not UTF-8 text")
  }
}
