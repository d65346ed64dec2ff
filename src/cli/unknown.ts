/**
 * A word that is no command: the nearest ones, or why Docker's command of that name is not here.
 *
 * Loaded only then. Read on: nearest.ts; commands.ts, what there is.
 */

import { EngineError } from "../base/errors.ts"
import { COMMANDS } from "./commands.ts"
import { didYouMean } from "./nearest.ts"
import { quoted } from "./parse.ts"

/** What Docker has besides, and why it is not here. */
const LATER: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    "build buildx commit login logout manifest pull push search"
      .split(" ")
      .map((name) => [name, "it is not built yet"]),
  ),
  ...Object.fromEntries("events stats top update".split(" ").map((name) => [name, "it is not built yet"])),
  compose: "what several containers are together is not built yet",
  connect: "a container is on one network, from its beginning",
  disconnect: "a container is on one network, to its end",
  swarm: "there is one machine, and no cluster",
}

/** @param words the command line from the first word on that is no option. */
export function unknown([first = "", second]: readonly string[]): EngineError {
  const names = Object.entries(COMMANDS).flatMap(([name, { group, also = [] }]) => (group ? [name, ...also] : []))
  // `container` and `system` are no commands of their own, but the first words of some.
  const below = names.filter((name) => name.startsWith(`${first} `))
  const grouped = below.length > 0
  const asked = [first, ...(grouped && second !== undefined ? [second] : [])]
  const word = asked.at(-1)!
  const heads = grouped
    ? below.map((name) => name.slice(first.length + 1))
    : names.filter((name) => !name.includes(" "))
  const all = grouped ? `after ${first} there are ${heads.join(", ")}` : "all commands: minicontainer help"
  const refuse = (code: "UNSUPPORTED" | "USAGE", cause: string, hint: string) =>
    new EngineError(code, `cannot run ${asked.map(quoted).join(" ")}: ${cause}`, hint)
  if (Object.hasOwn(LATER, word)) return refuse("UNSUPPORTED", LATER[word]!, all)
  return refuse("USAGE", "there is no such command", didYouMean(word, heads) ?? all)
}
