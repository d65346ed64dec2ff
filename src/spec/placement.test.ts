import { expect, test } from "bun:test"
import { FACTS, HOST, ID, REQUEST } from "../../test/fixtures/server.ts"
import type { Request } from "../model/request.ts"
import { STDIO } from "../model/stdio.ts"
import { detachKeys, placement } from "./placement.ts"

const made = (request: Partial<Request> = {}, { chosen = FACTS.chosen, scope = "", host = HOST } = {}) =>
  placement({ ...REQUEST, ...request }, host, chosen, { state: "/s", run: "/r" }, scope)
const bits = (request: Partial<Request>): string =>
  Object.entries(STDIO)
    .filter(([, bit]) => made(request).stdio & bit)
    .map(([name]) => name)
    .join(" ")

test("everything follows from the id, the name and the roots", () => {
  expect(made()).toEqual({
    id: ID,
    name: "brave_turing",
    directory: `/s/containers/${ID}`,
    runDirectory: `/r/${ID}`,
    leases: ["/s/names/brave_turing", "/s/ids/0"],
    rootfs: { kind: "overlay", layers: ["/srv/rootfs"], writable: `/s/containers/${ID}` },
    staging: "/s/staging",
    cgroup: { path: `/minicontainer/${ID}`, monitors: "/minicontainer/monitors" },
    stay: "monitor",
    init: false,
    remove: false,
    log: { path: `/s/containers/${ID}/log`, maxBytes: 10_000_000, maxFiles: 3 },
    stdio: STDIO.stdout | STDIO.stderr | STDIO.signals,
    detachKeys: [16, 17],
    gate: false,
    ownFiles: [],
  })
})
test("the third range of ids, the host's ids", () => {
  expect(made({}, { chosen: { ...FACTS.chosen, idBase: 0x40020000 } }).leases).toEqual([
    "/s/names/brave_turing",
    "/s/ids/2",
  ])
  expect(made({}, { chosen: { ...FACTS.chosen, idBase: undefined } }).leases).toEqual(["/s/names/brave_turing"])
})
test("another root has another cgroup", () => {
  expect(made({}, { scope: "a1b2c3" }).cgroup).toEqual({
    path: `/minicontainer-a1b2c3/${ID}`,
    monitors: "/minicontainer-a1b2c3/monitors",
  })
  expect(made({ cgroupParent: "batch/night/" }).cgroup).toEqual({
    path: `/batch/night/${ID}`,
    monitors: "/minicontainer/monitors",
  })
  expect(made({}, { host: { ...HOST, cgroups: { mode: "none", controllers: {}, base: {} } } }).cgroup).toBeUndefined()
})
test("detached, the id is announced", () => {
  expect(made({ detached: true }).announce).toBe(`${ID}\n`)
  expect(made({}).announce).toBeUndefined()
})
test("a log", () => {
  expect(made({ log: { driver: "none" } }).log).toEqual({ maxBytes: 10_000_000, maxFiles: 3 })
  expect(made({ log: { driver: "json-file", maxBytes: 5, maxFiles: 1 } }).log).toEqual({
    path: `/s/containers/${ID}/log`,
    maxBytes: 5,
    maxFiles: 1,
  })
})

const check = (request: Partial<Request>, expected: string) =>
  test(`${JSON.stringify(request)}: ${expected}`, () => expect(bits(request)).toBe(expected))
check({}, "stdout stderr signals")
check({ interactive: true }, "stdin stdout stderr open signals")
check({ interactive: true, tty: true }, "stdin stdout stderr terminal open signals")
check({ tty: true }, "stdout stderr terminal signals")
check({ detached: true }, "detached")
check({ detached: true, interactive: true, tty: true }, "terminal open detached")
check({ attach: ["stderr"] }, "stderr signals")
check({ attach: ["stdin", "stdout"], interactive: true }, "stdin stdout open signals")
check({ signalProxy: false }, "stdout stderr")

const keys = (text: string, expected: readonly number[]) =>
  test(`detach keys "${text}"`, () => expect(detachKeys(text)).toEqual(expected))
keys("", [16, 17])
keys("ctrl-p,ctrl-q", [16, 17])
keys("CTRL-A,d", [1, 100])
keys("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", [0, 27, 28, 29, 30, 31])

const refused = (request: Partial<Request>, message: string) =>
  test(message, () => expect(() => made(request)).toThrow(message))
for (const word of ["ctrl-", "ctrl-1", "ctrl-ab", "ab", "é"])
  refused(
    { detachKeys: word },
    `cannot detach with "${word}": "${word}" is neither a character nor ctrl- and one of a-z, @, [, \\, ], ^, _`,
  )
refused({ detached: true, attach: ["stdout"] }, "cannot run detached and attached at once")
refused(
  { stopSignal: "SIGFOO" },
  `cannot read the signal "SIGFOO": it is neither a name like SIGTERM nor a number from 1 to 64`,
)
refused({ log: { driver: "json-file", maxBytes: 0 } }, "cannot keep a log: max-size 0 is not a number of bytes")
refused(
  { log: { driver: "json-file", maxFiles: 0 } },
  "cannot keep a log: max-file 0 is not a whole number from 1 to 1000",
)
refused({ cgroupParent: "/a/../../b" }, "cannot use the cgroup parent /a/../../b: it leads upwards")
refused({ cgroupParent: "/" }, "cannot use the cgroup parent /: it is the root of the hierarchy")
refused(
  { cgroupParent: "user.slice" },
  "cannot use the cgroup parent user.slice: it is a systemd slice; this engine makes its cgroups itself",
)
for (const name of ["", "a", "a/b", "../x", "-x", ".x", "a b", "ä1", "x".repeat(256)])
  test(`the name ${JSON.stringify(name.slice(0, 9))}`, () => {
    expect(() => made({}, { chosen: { ...FACTS.chosen, name } })).toThrow(
      `cannot name a container ${JSON.stringify(name.slice(0, 80))}: a name is 2 to 255 letters, digits, "_", "." and "-", and begins with a letter or digit`,
    )
  })
