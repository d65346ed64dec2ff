/** `minicontainer help`: the commands, or the page of one. */

import { EngineError } from "../../base/errors.ts"
import { page } from "../command.ts"
import { COMMANDS, find } from "../commands.ts"
import { mainHelp, pageHelp } from "../help.ts"
import { GLOBAL_FLAGS } from "../main.ts"
import { didYouMean } from "../nearest.ts"

export const help = page({
  name: "help",
  usage: "[COMMAND]",
  about: "Print help, also of one command",
  examples: ["run"],
  options: {},
  words: [0, 2],
  run: async ({ io, words }) => {
    if (words.length === 0) return io.write("stdout", mainHelp(GLOBAL_FLAGS))
    const found = find(words)
    if (!found) {
      const near = didYouMean(words[0]!, Object.keys(COMMANDS)) ?? "all commands: minicontainer help"
      throw new EngineError("USAGE", `cannot help with ${words.join(" ")}: there is no such command`, near)
    }
    io.write("stdout", pageHelp(await found.row.page()))
  },
})
