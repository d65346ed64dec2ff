/**
 * Exit codes and streams: what scripts rely on.
 */

import { afterAll, expect, test } from "bun:test"
import { createHash } from "node:crypto"
import { chmodSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

/** [what is run, exit code, stdout, stderr] */
const codes: readonly (readonly [string, readonly string[], number, string, string | RegExp])[] = [
  ["the command's own code", ["sh", "-c", "exit 7"], 7, "", ""],
  ["zero", ["true"], 0, "", ""],
  ["a signal is 128 and its number", ["sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], 143, "", /Terminated/],
  ["nobody inside can kill process 1", ["sh", "-c", "kill -9 $$; echo alive"], 0, "alive\n", ""],
  ["a missing program is 127 and named", ["nosuch"], 127, "", /^minicontainer: cannot run "?nosuch"?: .*not found.*\n/],
  ["a missing path is 127 and named", ["/no/such"], 127, "", /\/no\/such/],
  ["a directory is 126", ["/etc"], 126, "", /\/etc.*directory/],
  ["a file that is not executable is 126", ["/etc/passwd"], 126, "", /\/etc\/passwd/],
  ["stdout and stderr stay apart", ["sh", "-c", "echo out; echo err >&2"], 0, "out\n", "err\n"],
]
for (const [name, args, code, stdout, stderr] of codes)
  test(name, () => {
    const result = machine.inside(...args)
    expect({ code: result.code, stdout: result.stdout }).toEqual({ code, stdout })
    if (typeof stderr === "string") expect(result.stderr).toBe(stderr)
    else expect(result.stderr).toMatch(stderr)
  })

test("with --init the program is not process 1, and dies of its signals", () => {
  const { code } = machine.run("run", "--rm", "--init", "--rootfs", machine.rootfs, "sh", "-c", "kill -KILL $$")
  expect(code).toBe(137)
})

test("a program of another architecture is 126 and says so", () => {
  const header = Buffer.alloc(64)
  header.write("\x7fELF\x02\x01\x01", "latin1")
  header.writeUInt16LE(2, 16)
  header.writeUInt16LE(process.arch === "x64" ? 183 : 62, 18)
  writeFileSync(join(machine.rootfs, "bin/foreign"), header)
  chmodSync(join(machine.rootfs, "bin/foreign"), 0o755)
  const { code, stderr } = machine.inside("foreign")
  expect(code).toBe(126)
  expect(stderr).toMatch(process.arch === "x64" ? /aarch64/ : /x86_64/)
})

test("stdin from a pipe, to its end", () => {
  expect(machine.runWith({ input: "one\ntwo\n" }, "run", "--rm", "-i", "--rootfs", machine.rootfs, "cat")).toEqual({
    code: 0,
    stdout: "one\ntwo\n",
    stderr: "",
  })
})

test("stdin from a file, to its end", () => {
  const [program = "", ...front] = [...machine.command, "--root", machine.root, "--run-root", machine.runRoot]
  const { stdout } = Bun.spawnSync([
    "sh",
    "-c",
    `exec "$@" < /etc/passwd`,
    "sh",
    program,
    ...front,
    "run",
    "--rm",
    "-i",
    "--rootfs",
    machine.rootfs,
    "cat",
  ])
  expect(stdout.toString()).toBe(readFileSync("/etc/passwd", "utf8"))
})

test("a closed stdin is an empty one", () => {
  const [program = "", ...front] = [...machine.command, "--root", machine.root, "--run-root", machine.runRoot]
  const { stdout } = Bun.spawnSync([
    "sh",
    "-c",
    `exec "$@" <&-`,
    "sh",
    program,
    ...front,
    "run",
    "--rm",
    "-i",
    "--rootfs",
    machine.rootfs,
    "sh",
    "-c",
    "cat; echo end",
  ])
  expect(stdout.toString()).toBe("end\n")
})

test("without -i stdin is empty", () => {
  expect(machine.runWith({ input: "one\n" }, "run", "--rm", "--rootfs", machine.rootfs, "cat")).toEqual({
    code: 0,
    stdout: "",
    stderr: "",
  })
})

test("binary through stdin and stdout is not changed", () => {
  const bytes = Buffer.alloc(3_000_000)
  for (let index = 0; index < bytes.length; index++) bytes[index] = (index * 7919) & 0xff
  const { stdout } = machine.runWith({ input: bytes }, "run", "--rm", "-i", "--rootfs", machine.rootfs, "sha256sum")
  expect(stdout).toBe(`${createHash("sha256").update(bytes).digest("hex")}  -\n`)
})

test("a gigabyte through stdout", () => {
  const [program = "", ...front] = [...machine.command]
  const { stdout } = Bun.spawnSync(
    [
      "sh",
      "-c",
      `"$@" | wc -c`,
      "sh",
      program,
      ...front,
      "--root",
      machine.root,
      "--run-root",
      machine.runRoot,
      "run",
      "--rm",
      "--log-driver",
      "none",
      "--rootfs",
      machine.rootfs,
      "dd",
      "if=/dev/zero",
      "bs=1M",
      "count=1024",
    ],
    { stderr: "ignore" },
  )
  expect(stdout.toString().trim()).toBe(String(1 << 30))
}, 120_000)

test("yes | head ends at once, with 141", () => {
  const [program = "", ...front] = [...machine.command]
  const { stdout } = Bun.spawnSync(
    [
      "bash",
      "-c",
      `"$@" | head -1; echo \${PIPESTATUS[0]}`,
      "bash",
      program,
      ...front,
      "--root",
      machine.root,
      "--run-root",
      machine.runRoot,
      "run",
      "--rm",
      "--rootfs",
      machine.rootfs,
      "yes",
    ],
    { stderr: "ignore" },
  )
  expect(stdout.toString()).toBe("y\n141\n")
}, 30_000)

test("signals reach the container", () => {
  for (const signal of ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "WINCH"]) {
    const [program = "", ...front] = [...machine.command]
    const script = `trap 'echo got ${signal}; exit 3' ${signal}; echo ready; while :; do sleep 0.05; done`
    const { stdout } = Bun.spawnSync(
      [
        "bash",
        "-c",
        `exec 3< <(exec "$@"); pid=$!; read -u 3 line; kill -${signal} $pid; cat <&3; wait $pid; echo $?`,
        "bash",
        program,
        ...front,
        "--root",
        machine.root,
        "--run-root",
        machine.runRoot,
        "run",
        "--rm",
        "--rootfs",
        machine.rootfs,
        "sh",
        "-c",
        script,
      ],
      { stderr: "inherit" },
    )
    expect(stdout.toString()).toBe(`got ${signal}\n3\n`)
  }
}, 60_000)

test("an out-of-memory kill is 137 and told", () => {
  const hog = "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo survived"
  const { code } = machine.run("run", "--name", "hog", "--memory", "32m", "--rootfs", machine.rootfs, "sh", "-c", hog)
  expect(code).toBe(137)
  const [document] = JSON.parse(machine.must("inspect", "hog"))
  expect({ OOMKilled: document.State.OOMKilled, ExitCode: document.State.ExitCode }).toEqual({
    OOMKilled: true,
    ExitCode: 137,
  })
  machine.must("rm", "hog")
}, 60_000)
