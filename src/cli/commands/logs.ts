/**
 * `minicontainer logs`: what a container has written, each byte on the stream that it was written to.
 *
 * With `-t` every line gets its time in front; a line that came in pieces gets one.
 */

import type { LogLine, LogOptions } from "../../engine/types.ts"
import { command } from "../command.ts"
import { warn } from "../failure.ts"
import { BadValue, bool, parsed, text } from "../flags.ts"

export const logs = command({
  name: "logs",
  usage: "CONTAINER",
  about: "Print what a container has written",
  examples: ["web", "-f --tail 20 web", "--since 10m -t web"],
  options: {
    details: bool({ about: "Accepted: lines carry no further details" }),
    follow: bool({ short: "f", about: "Go on until the container ends" }),
    since: text({
      value: "TIME",
      about: "Not what is older: 2026-01-02T13:23:37Z, a Unix time, or 10m for ten minutes ago",
    }),
    tail: parsed("NUMBER", tail)({ short: "n", about: "Only the last lines (default all)" }),
    timestamps: bool({ short: "t", about: "Print the time of each line in front of it" }),
    until: text({ value: "TIME", about: "Not what is newer" }),
  },
  words: [1, 1],
  run: async ({ engine, io, words: [container], options }) => {
    const chosen: LogOptions = {
      follow: options.follow,
      ...(options.tail !== undefined && options.tail !== "all" && { tail: options.tail }),
      ...(options.since && { since: options.since }),
      ...(options.until && { until: options.until }),
      warn: (line) => warn(io, line),
    }
    const stamp = options.timestamps ? stamper() : ({ bytes }: LogLine) => bytes
    for await (const line of engine.logs(container!, chosen)) io.write(line.stream, stamp(line))
  },
})

/** A number of lines; `all`, and with Docker any number below 0, for all of them. */
function tail(given: string): number | "all" {
  if (given === "all" || /^-\d+$/.test(given)) return "all"
  if (/^\d{1,15}$/.test(given)) return Number(given)
  throw new BadValue("neither a number of lines nor all")
}

const NEWLINE = 10

/** A stamp only where a line begins: what has no newline at its end goes on with the next piece of that stream. */
function stamper(): (line: LogLine) => Uint8Array {
  const within = new Set<LogLine["stream"]>()
  return ({ stream, time, bytes }) => {
    const goesOn = within.has(stream)
    if (bytes.at(-1) === NEWLINE) within.delete(stream)
    else within.add(stream)
    return goesOn ? bytes : Buffer.concat([Buffer.from(`${time} `), bytes])
  }
}
