import { expect, test } from "bun:test"
import { HOST } from "../../test/fixtures/server.ts"
import { CAPABILITIES } from "../model/capabilities.ts"
import type { Request } from "../model/request.ts"
import { environment, processOf, rlimits, UNLIMITED, workingDirectory } from "./process.ts"

const given = {
  account: { uid: 0, gid: 0, additionalGids: [0], home: "/root" },
  hostname: "box",
  capabilities: ["CAP_KILL"],
  limits: [],
}
const made = (request: Partial<Request>) => processOf({ rootfs: "/r", args: ["sh"], ...request }, given)

const check = (name: string, request: Partial<Request>, field: keyof ReturnType<typeof made>, expected: unknown) =>
  test(name, () => expect(made(request)[field]).toEqual(expected as never))
check("the entry point comes first", { entrypoint: "/bin/env", args: ["-i", "sh"] }, "args", ["/bin/env", "-i", "sh"])
check("an empty entry point is none", { entrypoint: "" }, "args", ["sh"])
check("the environment by default", {}, "env", [
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  "HOSTNAME=box",
  "HOME=/root",
])
check("TERM with a terminal", { tty: true, env: ["A=1", "HOME=/h"] }, "env", [
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  "HOSTNAME=box",
  "TERM=xterm",
  "HOME=/h",
  "A=1",
])
check("a terminal", { tty: true }, "terminal", true)
check("no terminal is not mentioned", {}, "terminal", undefined)
check("a working directory is cleaned", { workdir: "/a/../b//c/" }, "cwd", "/b/c")
check("no_new_privs", { noNewPrivileges: true }, "noNewPrivileges", true)
check("a score for the memory killer", { oomScoreAdj: -500 }, "oomScoreAdj", -500)
check("none unless asked: lowering it needs CAP_SYS_RESOURCE", {}, "oomScoreAdj", undefined)

test("a command is needed", () => {
  expect(() => made({ args: [] })).toThrow("cannot run: no command is given")
  expect(() => made({ args: ["", "x"] })).toThrow("cannot run: the command is an empty word")
  expect(() => workingDirectory("a/b")).toThrow("cannot work in a/b: the working directory is not an absolute path")
})
test("later values win and keep the place; a bare name takes one away", () => {
  expect(environment(["A=1", "B=2"], ["C=3", "A=4=5", "B", "C=6", "D="])).toEqual(["A=4=5", "C=6", "D="])
  expect(() => environment([], ["=x"])).toThrow(`cannot set the environment variable "=x": it has no name`)
})

const without = CAPABILITIES.indexOf("CAP_SYS_RESOURCE")
const weak = {
  ...HOST,
  capabilities: HOST.capabilities & ~(1n << BigInt(without)),
  hardLimits: { RLIMIT_NOFILE: 4096, RLIMIT_CORE: -1 },
}
const limit = (name: string, soft: number, hard: number) => [{ name, soft, hard }]

test("nofile is always set, since the runtime below us has raised its own", () => {
  expect(rlimits(undefined, HOST)).toEqual({
    limits: [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 524_288 }],
    warnings: [],
  })
})
test("without CAP_SYS_RESOURCE the default is lowered silently", () => {
  expect(rlimits(undefined, weak)).toEqual({
    limits: [{ type: "RLIMIT_NOFILE", soft: 1024, hard: 4096 }],
    warnings: [],
  })
})
test("and what was asked for with a warning", () => {
  expect(rlimits(limit("nofile", 8192, 8192), weak)).toEqual({
    limits: [{ type: "RLIMIT_NOFILE", soft: 4096, hard: 4096 }],
    warnings: [
      "the limit nofile is lowered to 4096, the engine's own: it may not exceed that without CAP_SYS_RESOURCE",
    ],
  })
})
test("a limit that the engine does not have itself is not lowered", () => {
  const { limits, warnings } = rlimits([...limit("core", -1, -1), ...limit("memlock", 65536, -1)], weak)
  expect(limits.slice(1)).toEqual([
    { type: "RLIMIT_CORE", soft: UNLIMITED, hard: UNLIMITED },
    { type: "RLIMIT_MEMLOCK", soft: 65536, hard: UNLIMITED },
  ])
  expect(warnings).toEqual([])
})
test("a limit given twice counts once, the last time", () => {
  expect(rlimits([...limit("NOFILE", 100, 200), ...limit("nofile", 300, 400)], HOST).limits).toEqual([
    { type: "RLIMIT_NOFILE", soft: 300, hard: 400 },
  ])
})
const refused = (name: string, soft: number, hard: number, message: string) =>
  test(message, () => expect(() => rlimits(limit(name, soft, hard), HOST)).toThrow(message))
refused("files", 1, 1, "cannot limit files: there is no such limit")
refused("nofile", 2, 1, "cannot limit nofile: the soft limit (2) is above the hard limit (1)")
refused("nofile", 63, 4096, "cannot limit nofile: 63 is too few: making the container takes 64")
refused("core", -1, 5, "cannot limit core: the soft limit (-1) is above the hard limit (5)")
refused("core", 0.5, 5, "cannot limit core: 0.5 is not a whole number, nor -1 for no limit")
refused("core", -2, 5, "cannot limit core: -2 is not a whole number, nor -1 for no limit")
