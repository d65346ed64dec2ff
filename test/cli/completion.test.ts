/**
 * Completion in the real shells: the script is loaded, a key is pressed, and what the shell would offer is read.
 */

import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { symlinkSync } from "node:fs"
import { join } from "node:path"
import { type Machine, newMachine } from "../machine.ts"

/** A word that has no end yet is the one that is completed. */
type Press = (machine: Machine, line: string) => readonly string[]

function shell(machine: Machine, program: string, args: readonly string[]): readonly string[] {
  const bin = machine.directory("bin")
  try {
    symlinkSync(machine.command[0]!, join(bin, "minicontainer"))
  } catch {
    // It is there from the key before.
  }
  const { stdout, stderr, status } = spawnSync(program, args, {
    encoding: "utf8",
    env: {
      PATH: `${bin}:${process.env.PATH}`,
      HOME: machine.base,
      TERM: "dumb",
      MINICONTAINER_ROOT: machine.root,
      MINICONTAINER_RUN_ROOT: machine.runRoot,
    },
  })
  if (status !== 0) throw new Error(`${program}: ${stderr}`)
  return stdout.split("\n").filter(Boolean)
}

const bash: Press = (machine, line) =>
  shell(machine, "bash", [
    "-c",
    `source <(minicontainer completion bash); COMP_WORDS=(); for word in ${line}; do COMP_WORDS+=("$word"); done
    [[ ${JSON.stringify(line)} == *" " ]] && COMP_WORDS+=(""); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _minicontainer
    printf '%s\\n' "\${COMPREPLY[@]}"`,
  ])
/** compadd exists only while a key is being handled; here it prints. */
const zsh: Press = (machine, line) =>
  shell(machine, "zsh", [
    "-fc",
    `compdef() { : }; compadd() { shift; print -l -- "$@" }; _files() { : }; source <(minicontainer completion zsh)
    words=(${line}); [[ ${JSON.stringify(line)} == *" " ]] && words+=(""); CURRENT=$#words; _minicontainer`,
  ])
const fish: Press = (machine, line) =>
  shell(machine, "fish", [
    "--no-config",
    "-c",
    `minicontainer completion fish | source; complete -C ${JSON.stringify(line)}`,
  ])

for (const [name, press] of Object.entries({ bash, zsh, fish })) {
  test(`${name} completes commands, flags, what they take, and names`, () => {
    using machine = newMachine()
    for (const container of ["web-one", "web-two", "other"])
      machine.must("run", "--name", container, "--rootfs", machine.rootfs, "true")
    machine.must("volume", "create", "data")
    expect(press(machine, "minicontainer ver")).toEqual(["version"])
    expect(press(machine, "minicontainer volume i")).toEqual(["inspect"])
    expect(press(machine, "minicontainer rm web-")).toEqual(["web-one", "web-two"])
    expect(press(machine, "minicontainer rm web-one web-")).toEqual(["web-two"])
    expect(press(machine, "minicontainer run --volumes-f")).toEqual(["--volumes-from"])
    expect(press(machine, "minicontainer run --ipc h")).toEqual(["host"])
    expect(press(machine, "minicontainer run --volumes-from oth")).toEqual(["other"])
    expect(press(machine, "minicontainer volume rm ")).toEqual(["data"])
    expect(press(machine, "minicontainer completion f")).toEqual(["fish"])
    machine.must("rm", "--all")
    machine.must("volume", "rm", "data")
  })
}
