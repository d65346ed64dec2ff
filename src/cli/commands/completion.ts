/**
 * `minicontainer completion bash|zsh|fish`: a script for a shell, which asks this command what could be typed next.
 *
 *     shell ── minicontainer complete -- stop we ──▶ web
 *
 * The scripts know nothing of commands and flags: the rows do, and names are looked up when the key is pressed. So a script that was
 * installed once stays right.
 *
 * Read on: complete.ts. bash(1), "Programmable Completion"; zshcompsys(1); fish, complete(1).
 */

import { EngineError } from "../../base/errors.ts"
import { page } from "../command.ts"

const SCRIPTS = {
  bash: `_minicontainer() {
  mapfile -t COMPREPLY < <("\${COMP_WORDS[0]}" complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _minicontainer minicontainer
`,
  zsh: `#compdef minicontainer
_minicontainer() {
  local -a found
  found=("\${(@f)$("\${words[1]}" complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "\${found[1]}" ]]; then compadd -- "\${found[@]}"; else _files; fi
}
compdef _minicontainer minicontainer
`,
  fish: `function __minicontainer_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found ($words[1] complete -- $words[2..-1] 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c minicontainer -f -a '(__minicontainer_complete)'
`,
} as const
type Shell = keyof typeof SCRIPTS
const SHELLS = Object.keys(SCRIPTS) as readonly Shell[]

export const completion = page({
  name: "completion",
  usage: "bash|zsh|fish",
  about: "Print a script that completes command lines in a shell",
  details:
    "bash: source <(minicontainer completion bash), in ~/.bashrc. zsh: the same in ~/.zshrc, after compinit. fish: minicontainer completion fish > ~/.config/fish/completions/minicontainer.fish",
  examples: ["bash"],
  options: {},
  words: [1, 1],
  run: ({ io, words: [word] }) => {
    const shell = SHELLS.find((name) => name === word)
    if (shell === undefined)
      throw new EngineError("USAGE", `cannot complete for ${word}: it is no shell that we know`, SHELLS.join(", "))
    io.write("stdout", SCRIPTS[shell])
    return 0
  },
})
