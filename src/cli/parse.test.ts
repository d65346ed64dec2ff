import { expect, test } from "bun:test"
import { EngineError } from "../base/errors.ts"
import { bool, bytes, choice, type Flags, integer, list, map, seconds, text } from "./flags.ts"
import { nearest } from "./nearest.ts"
import { parse } from "./parse.ts"

const FLAGS = {
  interactive: bool({ short: "i", about: "Keep stdin open" }),
  tty: bool({ short: "t", about: "Make a terminal" }),
  proxy: bool({ otherwise: true, about: "Pass signals on" }),
  env: list({ short: "e", about: "Set a variable" }),
  label: map({ short: "l", bare: "", about: "Set a label" }),
  sysctl: map({ about: "Set a kernel parameter" }),
  name: text({ also: ["nom"], about: "Name it" }),
  memory: bytes({ short: "m", min: 6 * 2 ** 20, unlimited: true, about: "Limit memory" }),
  pids: integer({ min: -1, about: "Limit processes" }),
  time: seconds({ otherwise: 10, about: "Wait" }),
  ipc: choice({ of: ["none", "private", "host"], others: { "container:": "joining is not built yet" }, about: "IPC" }),
  restart: text({ refuse: "nothing restarts yet", harmless: ["no"], about: "Restart" }),
} satisfies Flags

type Values = Partial<ReturnType<typeof read>["options"]>
const read = (line: string, optionsEnd: "first" | "anywhere" = "first") =>
  parse(line === "" ? [] : line.split(" "), FLAGS, { command: "run", optionsEnd })

/** What a line sets, besides what is so anyway, and the words that are left. */
function check(line: string, set: Values, words = "", optionsEnd: "first" | "anywhere" = "first") {
  test(`run ${line}`, () => {
    const got = read(line, optionsEnd)
    expect(got.options).toEqual({ ...read("").options, ...set })
    expect(got.words.join(" ")).toBe(words)
    expect(got.help).toBe(false)
  })
}
function fails(line: string, message: string, hint?: string, code = "INVALID_VALUE") {
  test(`run ${line} fails`, () => {
    let error: unknown
    try {
      read(line)
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(EngineError)
    const { message: said, hint: hinted, code: coded } = error as EngineError
    expect([said, hinted, coded]).toEqual([message, hint, code])
  })
}

check("", {})
check("-it", { interactive: true, tty: true })
check("-i -t sh -c x", { interactive: true, tty: true }, "sh -c x")
check("-ite A=b sh", { interactive: true, tty: true, env: ["A=b"] }, "sh")
check("-eA=b", { env: ["A=b"] })
check("-e=A=b", { env: ["A=b"] })
check("-e A=b -e C --env=D= --env E", { env: ["A=b", "C", "D=", "E"] })
check("-e= x", { env: ["="] }, "x")
check("-t=false -i=T", { tty: false, interactive: true })
check("--tty=false", { tty: false })
check("--tty false", { tty: true }, "false")
check("--proxy=0", { proxy: false })
check("--name a --name=b", { name: "b" })
check("--nom a", { name: "a" })
check("--name=", { name: "" })
check("--name=a=b", { name: "a=b" })
check("-l a -l b=c=d -l a=2", { label: { a: "2", b: "c=d" } })
check("--memory 1.5g", { memory: 1610612736 })
check("--memory -1", { memory: -1 })
check("-m512m", { memory: 536870912 })
check("--memory 0", { memory: 0 })
check("--time 3", { time: 3 })
check("--ipc host", { ipc: "host" })
check("--restart no", {})
check("--name -it x", { name: "-it" }, "x")
check("a -i", {}, "a -i")
check("a -i", { interactive: true }, "a", "anywhere")
check("a -- -i", {}, "a -i", "anywhere")
check("a -- -i", {}, "a -- -i")
check("-- -i", {}, "-i")
check("-", {}, "-")

for (const line of ["--help", "-h", "-ih", "-i --help --nonsense"])
  test(`run ${line} asks for help`, () => expect(read(line).help).toBe(true))
test("help belongs to the program once options ended", () => expect(read("sh --help").help).toBe(false))

fails("--memroy 1", "cannot use --memroy: unknown flag", "did you mean --memory?", "USAGE")
fails("--mem 1", "cannot use --mem: unknown flag", "did you mean --memory?", "USAGE")
fails("--banana", "cannot use --banana: unknown flag", "all options: minicontainer run --help", "USAGE")
fails("-ix", "cannot use -x in -ix: unknown flag", "all options: minicontainer run --help", "USAGE")
fails("--name", "cannot use --name: its value is missing", "Name it (minicontainer run --help)", "USAGE")
fails("-ite", "cannot use -e: its value is missing", "Set a variable (minicontainer run --help)", "USAGE")
fails("--tty=maybe", "cannot use --tty maybe: neither true nor false")
fails(
  "--memory banana",
  "cannot use --memory banana: not a size",
  "write a number and perhaps b, k, m or g: 512m, 1.5g",
)
fails("--memory 1", "cannot use --memory 1: less than 6m, the least that works")
fails("--memory=", 'cannot use --memory "": not a size', "write a number and perhaps b, k, m or g: 512m, 1.5g")
fails("--pids x", "cannot use --pids x: not a whole number")
fails("--pids -2", "cannot use --pids -2: less than -1, the least that works")
fails("--time 1.5", "cannot use --time 1.5: not a whole number of seconds")
fails("--ipc foo", "cannot use --ipc foo: not a value that it knows", "it takes none, private or host")
fails(
  "--ipc container:x",
  "cannot use --ipc container:x: joining is not built yet",
  "it takes none, private or host",
  "UNSUPPORTED",
)
fails("--restart always", "cannot use --restart: nothing restarts yet", undefined, "UNSUPPORTED")
fails("--sysctl a", "cannot use --sysctl a: it has no =", "write KEY=VALUE")
fails("--sysctl =a", "cannot use --sysctl =a: it has no name before the =")

const COMMANDS = ["run", "ps", "rm", "stop", "logs", "exec", "explain", "inspect", "version"]
const near = (word: string, expected: string) =>
  test(`${word} may be ${expected || "nothing"}`, () => expect(nearest(word, COMMANDS).join(" ")).toBe(expected))
near("rn", "run rm")
near("stpo", "stop")
near("insepct", "inspect")
near("exp", "explain")
near("pull", "")
near("x", "")
