/**
 * The same run through every way to start the command: the shipped executable, the source under Bun, the library's
 * command under Node. What a door does not share with the others would show here.
 */

import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const ROOT = join(import.meta.dirname, "../..")
const pinned = (directory: string, prefix: string, program: string): string => {
  const name = readdirSync(join(ROOT, directory)).find((entry) => entry.startsWith(prefix))
  return join(ROOT, directory, name ?? "missing", "bin", program)
}

/** How the command can be started. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  "dist/minicontainer": [join(ROOT, "dist/minicontainer")],
  "bun src/cli/bin.ts": [pinned("node_modules/@oven", "bun-linux-", "bun"), join(ROOT, "src/cli/bin.ts")],
  "node dist/lib/cli/node.js": [pinned("node_modules", "node-linux-", "node"), join(ROOT, "dist/lib/cli/node.js")],
}

let base: string
let rootfs: string

beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), "smoke-"))
  // A container's root reaches it by name; the engine's own directories in it stay 0700.
  chmodSync(base, 0o755)
  rootfs = join(base, "rootfs")
  for (const name of ["bin", "dev", "etc", "proc", "sys", "tmp"]) mkdirSync(join(rootfs, name), { recursive: true })
  copyFileSync("/bin/busybox", join(rootfs, "bin/busybox"))
  for (const name of ["sh", "cat", "echo", "id"]) symlinkSync("busybox", join(rootfs, "bin", name))
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

function start(
  door: string,
  args: readonly string[],
  given: { cwd?: string; input?: string; env?: Record<string, string> } = {},
) {
  const [program = "", ...before] = DOORS[door] ?? []
  const { status, stdout, stderr } = spawnSync(program, [...before, ...args], {
    cwd: given.cwd ?? base,
    input: given.input ?? "",
    encoding: "utf8",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", MINICONTAINER_ROOT: join(base, "state"), ...given.env },
  })
  return { status, stdout, stderr }
}
const run = (door: string, ...args: string[]) => start(door, ["run", "--rm", "--rootfs", rootfs, ...args])

for (const door of Object.keys(DOORS))
  describe(door, () => {
    test("a program's output and exit status come through", () => {
      expect(run(door, "sh", "-c", "echo out; echo err >&2; exit 7")).toEqual({
        status: 7,
        stdout: "out\n",
        stderr: "err\n",
      })
    })
    test("stdin reaches it with -i, and ends", () => {
      expect(start(door, ["run", "--rm", "-i", "--rootfs", rootfs, "cat"], { input: "a line\n" })).toEqual({
        status: 0,
        stdout: "a line\n",
        stderr: "",
      })
    })
    test("it is process 1, root, and alone", () => {
      expect(run(door, "sh", "-c", "echo $$ $(id -u) /proc/[0-9]*").stdout).toBe("1 0 /proc/1\n")
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

test("all doors say the same about themselves and plan the same", () => {
  const names = Object.keys(DOORS)
  const same = (...args: string[]) => new Set(names.map((door) => start(door, args).stdout))
  expect(same("version", "--format", "{{.Client.Version}}").size).toBe(1)
  expect(same("run", "--help").size).toBe(1)
})

describe("a hostile working directory", () => {
  const traps = (directory: string): void => {
    const ran = join(directory, "ran")
    mkdirSync(join(directory, "node_modules/trap"), { recursive: true })
    const files: Record<string, string> = {
      "trap.ts": `require("node:fs").writeFileSync(${JSON.stringify(ran)}, "by preload")`,
      ".env":
        "TRAP=from-dotenv\nBUN_OPTIONS=--preload ./trap.ts\nNODE_OPTIONS=--require ./trap.ts\nMINICONTAINER_ROOT=/nonexistent\n",
      ".env.local": "TRAP=from-dotenv-local\n",
      ".env.production": "TRAP=from-dotenv-production\n",
      "bunfig.toml": 'preload = ["./trap.ts"]\n[run]\npreload = ["./trap.ts"]\n',
      "tsconfig.json": '{ "compilerOptions": { "paths": { "node:fs": ["./trap.ts"], "*": ["./trap.ts"] } } }\n',
      "package.json":
        '{ "type": "commonjs", "main": "./trap.ts", "imports": { "#*": "./trap.ts" }, "scripts": { "run": "touch ran" } }\n',
      "node_modules/trap/index.js": `require("node:fs").writeFileSync(${JSON.stringify(ran)}, "by resolution")`,
    }
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), content)
  }
  // The source under Bun is for those who develop it, in their own directory.
  for (const door of ["dist/minicontainer", "node dist/lib/cli/node.js"])
    test(`${door} runs none of it`, () => {
      const directory = mkdtempSync(join(base, "hostile-"))
      traps(directory)
      const args = [
        "run",
        "--rm",
        "--rootfs",
        rootfs,
        "-e",
        "TRAP",
        "sh",
        "-c",
        '[ -n "$TRAP" ] && echo $TRAP || echo unset',
      ]
      expect(start(door, args, { cwd: directory })).toEqual({ status: 0, stdout: "unset\n", stderr: "" })
      expect(existsSync(join(directory, "ran"))).toBe(false)
    })

  test("the traps are real: a command that was compiled without our flags falls for them", () => {
    const directory = mkdtempSync(join(base, "control-"))
    const source = join(base, "control.ts")
    writeFileSync(source, 'console.log(process.env.TRAP ?? "unset")\n')
    const bun = DOORS["bun src/cli/bin.ts"]![0]!
    const built = spawnSync(bun, ["build", "--compile", "--outfile", join(base, "control"), source], {
      encoding: "utf8",
    })
    expect(built.status).toBe(0)
    traps(directory)
    const { stdout } = spawnSync(join(base, "control"), [], {
      cwd: directory,
      encoding: "utf8",
      env: { PATH: "/usr/bin" },
    })
    expect(stdout).toStartWith("from-dotenv")
    expect(existsSync(join(directory, "ran"))).toBe(true)
  })
})
