import { expect, test } from "bun:test"
import { FACTS, HOST, REQUEST } from "../../test/fixtures/server.ts"
import type { EngineError } from "../base/errors.ts"
import { CAPABILITIES } from "../model/capabilities.ts"
import type { Config, Process } from "../model/oci.ts"
import type { ExecRequest } from "../model/request.ts"
import { execSpec } from "./exec.ts"
import { specify } from "./spec.ts"

const exec = (request: Partial<ExecRequest>, of = {}, change: (config: Config) => Config = (config) => config) => {
  const { config, placement } = specify({ ...REQUEST, ...of }, FACTS)
  return {
    before: config,
    after: execSpec(change(config), placement, FACTS.accounts, { args: ["id"], ...request }, HOST).config,
  }
}
const made = (request: Partial<ExecRequest>, of = {}): Process => exec(request, of).after.process!
const refusal = (does: () => unknown): string => {
  try {
    does()
  } catch (error) {
    return `${(error as EngineError).code} ${(error as EngineError).message}`
  }
  throw new Error("it was accepted")
}

test("only the process differs", () => {
  const { before, after } = exec({}, { tty: true, readOnly: true })
  expect({ ...after, process: before.process! }).toEqual({ ...before, process: before.process! })
  expect(after.process).toEqual({
    user: { uid: 0, gid: 0, additionalGids: [0] },
    args: ["id"],
    env: before.process!.env!,
    cwd: "/",
    capabilities: before.process!.capabilities!,
    rlimits: before.process!.rlimits!,
  })
})
test("what confines the container confines it too", () => {
  const { noNewPrivileges, rlimits, oomScoreAdj } = made(
    { privileged: true },
    { noNewPrivileges: true, oomScoreAdj: 7, ulimits: [{ name: "core", soft: 0, hard: 0 }] },
  )
  expect({ noNewPrivileges, rlimits, oomScoreAdj }).toEqual({
    noNewPrivileges: true,
    rlimits: [
      { type: "RLIMIT_NOFILE", soft: 1024, hard: 524_288 },
      { type: "RLIMIT_CORE", soft: 0, hard: 0 },
    ],
    oomScoreAdj: 7,
  })
})
test("another user has another home, groups, and no capabilities in use", () => {
  const { user, env, capabilities } = made({ user: "web" }, { capDrop: ["ALL"], capAdd: ["CHOWN"] })
  expect(user).toEqual({ uid: 33, gid: 33, additionalGids: [33, 29] })
  expect(env).toContain("HOME=/var/www")
  expect(capabilities).toEqual({ bounding: ["CAP_CHOWN"], effective: [], permitted: [], inheritable: [], ambient: [] })
})
test("root in a container of another user has the container's capabilities", () => {
  const { user, capabilities } = made({ user: "0" }, { user: "web", capDrop: ["ALL"], capAdd: ["CHOWN"] })
  expect([user.uid, capabilities?.effective]).toEqual([0, ["CAP_CHOWN"]])
})
test("a home that was chosen stays", () => {
  expect(made({ user: "web" }, { env: ["HOME=/data"] }).env).toContain("HOME=/data")
})
test("environment, terminal, directory", () => {
  const { env, terminal, cwd } = made(
    { tty: true, env: ["A=2", "PATH"], workdir: "/tmp/../srv" },
    { env: ["A=1"], workdir: "/opt" },
  )
  expect({ env, terminal, cwd }).toEqual({
    env: ["HOSTNAME=3f4e8a1c5b7d", "HOME=/root", "A=2", "TERM=xterm"],
    terminal: true,
    cwd: "/srv",
  })
  expect(made({}, { workdir: "/opt" }).cwd).toBe("/opt")
})
test("privileged has all there are", () => {
  expect(made({ privileged: true }).capabilities?.effective).toEqual(CAPABILITIES)
})
test("requests that make no sense", () => {
  expect(refusal(() => made({ args: [] }))).toBe("INVALID_VALUE cannot run another program: args is empty")
  expect(refusal(() => made({ args: [""] }))).toBe("INVALID_VALUE cannot run: the command is an empty word")
  expect(refusal(() => made({ user: "nobody" }))).toBe(
    "INVALID_VALUE cannot run as nobody: unable to find user nobody: no matching entry in the container's /etc/passwd",
  )
  expect(refusal(() => made({ workdir: "tmp" }))).toBe(
    "INVALID_VALUE cannot work in tmp: the working directory is not an absolute path",
  )
  const nothing = ({ process: _, ...config }: Config): Config => config
  expect(refusal(() => exec({}, {}, nothing))).toBe(
    "WRONG_STATE cannot run a program in brave_turing: its config.json has no process",
  )
})
