import { expect, test } from "bun:test"
import { constants } from "node:os"
import type { Host, PathFacts } from "../model/host.ts"
import type { Call, Step } from "../plan/step.ts"
import { corrected, correctionOf, factsIn, factsOf, factWords } from "./corrections.ts"

const { EPERM, EINVAL, EBUSY, EROFS, EIO, ENOSPC, EUSERS, EOPNOTSUPP } = { ...constants.errno, EUSERS: 87 }
const MOUNT = "/sys/fs/cgroup"
const facts: PathFacts = { kind: "directory", filesystem: "ext4", mode: 0o755, uid: 0, gid: 0, locked: 0 }
const host = (nested: boolean): Host => ({
  arch: "x86_64",
  kernel: [6, 1],
  kernelRelease: "6.1.0",
  hostname: "h",
  bootId: "b",
  uid: 0,
  capabilities: 0n,
  cpus: 1,
  memory: 1,
  cgroups: { mode: "v2", unified: MOUNT, controllers: {}, base: { [MOUNT]: "/" }, ...(nested && { nested }) },
  userNamespaces: true,
  hardLimits: {},
  lsm: { apparmor: false, selinux: false },
  ipv6: true,
  seccomp: true,
  paths: {
    "/root": facts,
    "/data": {
      ...facts,
      submounts: [
        { path: "/data/a", filesystem: "xfs" },
        { path: "/data/b", filesystem: "tmpfs" },
      ],
    },
  },
})
const step = (call: Call): Step => ({ phase: "host", ...call, does: `do ${call.op}`, why: "a test" }) as Step
/** What a failure of this one step leads to. */
const fact = (call: Call, errno: number, nested = true): string | undefined =>
  correctionOf({ index: 0, errno, does: "x" }, call.op, factsOf({ steps: [step(call)] }, host(nested)))?.fact

const shift: Call = {
  op: "clone-mount",
  source: "/data",
  recursive: 1,
  userns: "userns",
  set: 0,
  clear: 0,
  propagation: 0,
}
const { userns: _, ...plain } = shift
const clone = (cgroup?: string): Call => ({ op: "clone", flags: 0, join: [], kinds: [], ...(cgroup && { cgroup }) })
const limit: Call = { op: "write", path: `${MOUNT}/minicontainer/c/memory.max`, text: "1" }

test("a mount that the kernel will not show with other ids is bound as it is; a clone with the same ids has no such way out", () => {
  expect([EPERM, EINVAL, EOPNOTSUPP].map((errno) => fact(shift, errno))).toEqual(["/data", "/data", "/data"])
  expect(fact(shift, EIO)).toBeUndefined()
  expect(fact(plain, EPERM)).toBeUndefined()
})

test("isolation is never given up because it cannot be had: a clone that fails is an error", () => {
  for (const errno of [EPERM, ENOSPC, EINVAL, EUSERS]) expect(fact(clone("cgroup"), errno)).toBeUndefined()
})

test("without limits only in somebody's tree, where the design says so", () => {
  const move: Call = { op: "move-processes", from: MOUNT, to: `${MOUNT}/init` }
  expect([fact(move, EBUSY), fact(limit, EROFS), fact(clone("cgroup"), EBUSY)]).toEqual(Array(3).fill("cgroups"))
  expect(fact(limit, EINVAL)).toBeUndefined()
  expect(fact(clone(), EBUSY)).toBeUndefined()
  expect(fact({ ...limit, path: "/proc/sys/net/x" }, EROFS)).toBeUndefined()
  expect([fact(move, EBUSY, false), fact(limit, EROFS, false), fact(clone("cgroup"), EBUSY, false)]).toEqual(
    Array(3).fill(undefined),
  )
})

test("the corrected host: of a recursive clone every mount, of a single one that mount", () => {
  const after = (path: string) => corrected(host(false), { fact: path, does: "x", errno: "EPERM" }).paths
  const unshown = { idmap: false }
  expect(after("/data")["/data"]).toMatchObject({ ...unshown, submounts: [unshown, unshown] })
  expect(after("/data")["/root"]).toEqual(facts)
  expect(after("/data/b")["/data"]?.submounts).toEqual([
    { path: "/data/a", filesystem: "xfs" },
    { path: "/data/b", filesystem: "tmpfs", idmap: false },
  ])
  expect(after("/data/b")["/data"]?.idmap).toBeUndefined()
  expect(corrected(host(true), { fact: "cgroups", does: "move them", errno: "EBUSY" }).cgroups).toEqual({
    mode: "none",
    why: "the one that we are in cannot be divided (we could not move them: EBUSY)",
    controllers: {},
    base: {},
  })
})

test("facts travel as words of an argv; what is none is passed over", () => {
  const known = new Map([
    [3, "/a=b c"],
    [12, "cgroups"],
  ])
  const words = factWords(known)
  expect(words).toEqual(["--fact", "3=/a=b c", "--fact", "12=cgroups"])
  expect(factsIn(words.filter((word) => word !== "--fact"))).toEqual(known)
  expect(factsIn(["x=1", "", "=y"])).toEqual(new Map())
})
