import { expect, test } from "bun:test"
import { EngineError } from "../base/errors.ts"
import { nestsDeeper, readConfig } from "./guards.ts"

/** The smallest config the schema allows, with more. */
const config = (more: object): string => JSON.stringify({ ociVersion: "1.2.0", ...more })
const withProcess = (more: object): string => config({ process: { cwd: "/", user: { uid: 0, gid: 0 }, ...more } })
const withResources = (resources: object): string => config({ linux: { resources } })

const refusal = (json: unknown): string => {
  try {
    readConfig(json)
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError)
    return `${(error as EngineError).code} ${(error as EngineError).message}`
  }
  throw new Error("it was accepted")
}
const check = (json: unknown, cause: string) =>
  test(cause, () => expect(refusal(json)).toBe(`INVALID_CONFIG cannot read config.json: ${cause}`))

// The document itself.
check(7, "the document is not an object")
check("[]", "the document is not an object")
check("null", "the document is not an object")
check("{}", "ociVersion is missing")
check(undefined, "the document is not an object")
check(`{"ociVersion":"1.2.0","process":null}`, "process is not an object")
check(`{"ociVersion":"two"}`, `ociVersion is "two", not a version like 1.2.0`)
check(`${"[".repeat(10_000)}${"]".repeat(10_000)}`, "it nests deeper than 200 levels")
check(`{"ociVersion":"1.2.0","x":${`{"a":`.repeat(10_000)}1${"}".repeat(10_001)}`, "it nests deeper than 200 levels")
check(" ".repeat(8 * 1024 * 1024 + 1), "it is larger than 8 MiB")
test("text that is not JSON", () =>
  expect(refusal(`{"ociVersion":`)).toStartWith("INVALID_CONFIG cannot read config.json: it is not JSON ("))
test("the next major version", () =>
  expect(refusal(`{"ociVersion":"2.0.0"}`)).toBe(
    "UNSUPPORTED cannot read config.json: ociVersion is 2.0.0, and this engine knows version 1 of the specification",
  ))

// Fields: type, range, form, words, presence.
check(withProcess({ user: { uid: -1, gid: 0 } }), "process.user.uid is not a whole number from 0 to 4294967295")
check(withProcess({ user: { uid: 2 ** 32, gid: 0 } }), "process.user.uid is not a whole number from 0 to 4294967295")
check(withProcess({ user: { uid: 1.5, gid: 0 } }), "process.user.uid is not a whole number from 0 to 4294967295")
check(withProcess({ user: { uid: "0", gid: 0 } }), "process.user.uid is not a whole number from 0 to 4294967295")
check(
  withProcess({ user: { uid: 0, gid: 0, additionalGids: [1, null] } }),
  "process.user.additionalGids[1] is not a whole number from 0 to 4294967295",
)
check(config({ process: { user: { uid: 0, gid: 0 } } }), "process.cwd is missing")
check(withProcess({ args: "sh" }), "process.args is not a list")
check(withProcess({ args: ["sh", 1] }), "process.args[1] is not a text")
check(withProcess({ args: ["sh", "a\0b"] }), "process.args[1] holds a NUL byte")
check(withProcess({ terminal: 1 }), "process.terminal is neither true nor false")
check(
  withProcess({ rlimits: [{ type: "NOFILE", soft: 1, hard: 1 }] }),
  `process.rlimits[0].type is "NOFILE", not a limit like RLIMIT_NOFILE`,
)
check(withProcess({ rlimits: [{ type: "RLIMIT_NOFILE", soft: 1 }] }), "process.rlimits[0].hard is missing")
check(withProcess({ oomScoreAdj: -1001 }), "process.oomScoreAdj is not a whole number from -1000 to 1000")
check(
  withProcess({ ioPriority: { class: "RT" } }),
  `process.ioPriority.class is "RT", none of IOPRIO_CLASS_RT, IOPRIO_CLASS_BE, IOPRIO_CLASS_IDLE`,
)
check(withProcess({ scheduler: { nice: 1 } }), "process.scheduler.policy is missing")
check(
  withProcess({ execCPUAffinity: { initial: "0-x" } }),
  `process.execCPUAffinity.initial is "0-x", not a list of CPUs like 0-3,7`,
)
check(config({ root: {} }), "root.path is missing")
check(config({ mounts: [{ source: "/a" }] }), "mounts[0].destination is missing")
check(
  config({ mounts: [{ destination: "/a", uidMappings: [{ containerID: 0, hostID: 0 }] }] }),
  "mounts[0].uidMappings[0].size is missing",
)
check(
  config({ hooks: { poststop: [{ path: "/x", timeout: 0 }] } }),
  "hooks.poststop[0].timeout is not a whole number from 1 to 9007199254740991",
)
check(config({ annotations: { "a b": 1 } }), `annotations["a b"] is not a text`)
check(config({ linux: { sysctl: { "net.x": 1 } } }), `linux.sysctl["net.x"] is not a text`)
check(
  config({ linux: { namespaces: [{ type: "pid" }, { type: "PID" }] } }),
  `linux.namespaces[1].type is "PID", none of mount, pid, network, uts, ipc, user, cgroup, time`,
)
check(config({ linux: { devices: [{ path: "/dev/x" }] } }), "linux.devices[0].type is missing")
check(config({ linux: { seccomp: {} } }), "linux.seccomp.defaultAction is missing")
check(
  config({
    linux: { seccomp: { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: [], action: "SCMP_ACT_ERRNO" }] } },
  }),
  "linux.seccomp.syscalls[0].names is empty",
)
check(
  config({
    linux: {
      seccomp: {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["a"], action: "SCMP_ACT_ERRNO", args: [{ index: 0, value: 2 ** 60, op: "SCMP_CMP_EQ" }] }],
      },
    },
  }),
  "linux.seccomp.syscalls[0].args[0].value is not a whole number from 0 to 9007199254740991 (larger ones cannot be kept exactly)",
)
check(withResources({ pids: {} }), "linux.resources.pids.limit is missing")
check(
  withResources({ memory: { limit: "1g" } }),
  "linux.resources.memory.limit is not a whole number from -9223372036854775808 to 9223372036854775807",
)
check(
  withResources({ cpu: { shares: -1 } }),
  "linux.resources.cpu.shares is not a whole number from 0 to 18446744073709551615",
)
check(withResources({ devices: [{ access: "rwm" }] }), "linux.resources.devices[0].allow is missing")
// The specification's own example of a bad config.
check(
  withResources({ hugepageLimits: [{ limit: 1234123, pageSize: "64kB" }] }),
  `linux.resources.hugepageLimits[0].pageSize is "64kB", not a page size like 2MB`,
)
check(
  withResources({ rdma: { mlx5_1: { hcaHandles: "not a uint32" } } }),
  "linux.resources.rdma.mlx5_1.hcaHandles is not a whole number from 0 to 4294967295",
)

test("a hostile text is quoted and cut in the answer", () => {
  expect(refusal(config({ linux: { namespaces: [{ type: `\u001b[2J${"x".repeat(5000)}` }] } }))).toBe(
    `INVALID_CONFIG cannot read config.json: linux.namespaces[0].type is "\\u001b[2J${"x".repeat(53)}...", none of mount, pid, network, uts, ipc, user, cgroup, time`,
  )
})
test("fields of a prototype are not fields", () =>
  expect(refusal(Object.create({ ociVersion: "1.2.0" }))).toContain("ociVersion is missing"))
test("a cycle in an unknown field is nobody's business", () => {
  const cyclic: Record<string, unknown> = { ociVersion: "1.2.0" }
  cyclic["x-self"] = cyclic
  expect(readConfig(cyclic)["x-self" as keyof object] as unknown).toBe(cyclic)
})
test("unknown fields are kept, at every level", () => {
  const json = config({
    "x-top": { deep: [1, { a: null }] },
    process: { cwd: "/", user: { uid: 1, gid: 2, "x-user": 1 } },
    solaris: { milestone: "m" },
  })
  expect(JSON.stringify(readConfig(json))).toBe(json)
})
test("a process that names no user is root", () => {
  expect(readConfig(config({ process: { cwd: "/" } })).process?.user).toEqual({ uid: 0, gid: 0 })
  expect(readConfig(config({ process: { cwd: "/", user: { uid: 7 } } })).process?.user).toEqual({ uid: 7, gid: 0 })
})
test("no limit, as Docker writes it, is read", () => {
  const json = `{"ociVersion":"1.0.2","process":{"cwd":"/","rlimits":[{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}]}}`
  expect(readConfig(json).process?.rlimits).toEqual([{ type: "RLIMIT_CORE", soft: 2 ** 64, hard: 2 ** 64 }])
})
test("brackets in strings do not nest", () => {
  expect(nestsDeeper(JSON.stringify(["[[[[[[", '\\"[[[[', "]]"]), 1)).toBe(false)
  expect(nestsDeeper("[[]]", 1)).toBe(true)
  expect(nestsDeeper("[[]]", 2)).toBe(false)
})
