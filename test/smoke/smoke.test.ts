/**
 * The same run through every way to start the command: the shipped executable, the source under Bun, the library's
 * command under Node. What a door does not share with the others would show here.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { type Machine, newMachine } from "../machine.ts"

const ROOT = join(import.meta.dirname, "../..")
const pinned = (directory: string, prefix: string, program: string): string => {
  const name = readdirSync(join(ROOT, directory)).find((entry) => entry.startsWith(prefix))
  return join(ROOT, directory, name ?? "missing", "bin", program)
}
const BUN = pinned("node_modules/@oven", "bun-linux-", "bun")

/** How the command can be started. */
const EXECUTABLE = [join(ROOT, "dist/minicontainer")] as const
const SOURCE = [BUN, join(ROOT, "src/cli/bin.ts")] as const
const NODE = [pinned("node_modules", "node-linux-", "node"), join(ROOT, "dist/lib/cli/node.js")] as const
const DOORS = { "dist/minicontainer": EXECUTABLE, "bun src/cli/bin.ts": SOURCE, "node dist/lib/cli/node.js": NODE }

let machine: Machine
beforeAll(() => {
  machine = newMachine()
})
afterAll(() => machine[Symbol.dispose]())

function start(door: readonly string[], args: readonly string[], given: { cwd?: string; input?: string } = {}) {
  const [program = "", ...before] = door
  const { status, stdout, stderr } = spawnSync(program, [...before, ...args], {
    cwd: given.cwd ?? machine.directory("work"),
    input: given.input ?? "",
    encoding: "utf8",
    env: { PATH: "/usr/bin:/bin", MINICONTAINER_ROOT: machine.root, MINICONTAINER_RUN_ROOT: machine.runRoot },
  })
  return { status, stdout, stderr }
}
const run = (door: readonly string[], ...args: string[]) =>
  start(door, ["run", "--rm", "--rootfs", machine.rootfs, ...args])

for (const [name, door] of Object.entries(DOORS))
  describe(name, () => {
    test("a program's output and exit status come through", () => {
      const program = ["sh", "-c", "echo out; echo err >&2; exit 7"]
      expect(run(door, ...program)).toEqual({ status: 7, stdout: "out\n", stderr: "err\n" })
    })
    test("stdin reaches it with -i, and ends", () => {
      const args = ["run", "--rm", "-i", "--rootfs", machine.rootfs, "cat"]
      expect(start(door, args, { input: "a line\n" })).toEqual({ status: 0, stdout: "a line\n", stderr: "" })
    })
    test("it is process 1, root, and alone", () => {
      expect(run(door, "sh", "-c", "echo $$ $(id -u) /proc/[0-9]*").stdout).toMatch(/^1 0 \/proc\/1( \/proc\/\d+)?\n$/)
    })
    test("a program that is not there: 127, and a sentence that names it", () => {
      const { status, stdout, stderr } = run(door, "nothing-of-that-name")
      expect({ status, stdout }).toEqual({ status: 127, stdout: "" })
      expect(stderr).toContain("nothing-of-that-name")
      expect(stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2)
    })
    test("a mistake on the command line: 125", () => {
      const { status, stdout } = run(door, "--no-such-flag", "sh")
      expect({ status, stdout }).toEqual({ status: 125, stdout: "" })
    })
    test("a signal that ends it: 128 + n", () => {
      expect(run(door, "--init", "sh", "-c", "kill -TERM $$").status).toBe(143)
    })
    test("it leaves no record", () => {
      expect(start(door, ["ps", "-aq"])).toEqual({ status: 0, stdout: "", stderr: "" })
    })
  })

test("all doors say the same of themselves", () => {
  const same = (...args: string[]) => new Set(Object.values(DOORS).map((door) => JSON.stringify(start(door, args))))
  expect(same("--version").size).toBe(1)
  expect(same("run", "--help").size).toBe(1)
})

describe("a hostile working directory", () => {
  function trapped(name: string): string {
    const directory = machine.directory(name)
    const ran = JSON.stringify(join(directory, "ran"))
    const trap = `require("node:fs").writeFileSync(${ran}, "")`
    mkdirSync(join(directory, "node_modules/trap"), { recursive: true })
    const files: Readonly<Record<string, string>> = {
      "trap.ts": trap,
      "node_modules/trap/index.js": trap,
      ".env": "TRAP=from-dotenv\nBUN_OPTIONS=--preload ./trap.ts\nNODE_OPTIONS=--require ./trap.ts\n",
      ".env.local": "TRAP=from-dotenv-local\n",
      ".env.production": "TRAP=from-dotenv-production\n",
      "bunfig.toml": 'preload = ["./trap.ts"]\n[run]\npreload = ["./trap.ts"]\n',
      "tsconfig.json": '{ "compilerOptions": { "paths": { "node:fs": ["./trap.ts"], "*": ["./trap.ts"] } } }\n',
      "package.json": '{ "type": "commonjs", "main": "./trap.ts", "imports": { "#*": "./trap.ts" } }\n',
    }
    for (const [file, content] of Object.entries(files)) writeFileSync(join(directory, file), content)
    return directory
  }

  // The source under Bun is for those who develop it, in a directory of their own.
  for (const [name, door] of Object.entries({ executable: EXECUTABLE, node: NODE }))
    test(`${name} runs none of it`, () => {
      const cwd = trapped(`hostile-${name}`)
      const print = 'echo "TRAP is <$TRAP>"'
      const args = ["run", "--rm", "--rootfs", machine.rootfs, "-e", "TRAP", "sh", "-c", print]
      expect(start(door, args, { cwd })).toEqual({ status: 0, stdout: "TRAP is <>\n", stderr: "" })
      expect(existsSync(join(cwd, "ran"))).toBe(false)
    })

  test("the traps are real: a command that was compiled without our flags falls for them", () => {
    const built = join(machine.directory("control"), "command")
    writeFileSync(`${built}.ts`, 'console.log(process.env.TRAP ?? "unset")\n')
    expect(spawnSync(BUN, ["build", "--compile", "--outfile", built, `${built}.ts`]).status).toBe(0)
    const cwd = trapped("control-trapped")
    expect(spawnSync(built, [], { cwd, encoding: "utf8", env: { PATH: "/usr/bin" } }).stdout).toStartWith("from-dotenv")
    expect(existsSync(join(cwd, "ran"))).toBe(true)
  })
})
