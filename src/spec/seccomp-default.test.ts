import { expect, test } from "bun:test"
import { EngineError } from "../base/errors.ts"
import { defaultSeccomp, readDockerSeccomp, type SeccompFacts } from "./seccomp-default.ts"

const facts = (given: Partial<SeccompFacts> = {}): SeccompFacts => ({
  capabilities: [],
  arch: "x86_64",
  kernel: [6, 1],
  ...given,
})
const rules = (given: Partial<SeccompFacts>, name: string) =>
  (defaultSeccomp(facts(given)).syscalls ?? []).filter(({ names }) => names.includes(name))
/** The calls that one set of facts allows without looking at arguments, and the other does not. */
const more = (given: Partial<SeccompFacts>, than: Partial<SeccompFacts> = {}) => {
  const allowed = (of: Partial<SeccompFacts>) =>
    defaultSeccomp(facts(of)).syscalls?.find(({ args, action }) => !args && action === "SCMP_ACT_ALLOW")?.names ?? []
  const base = new Set(allowed(than))
  return allowed(given)
    .filter((name) => !base.has(name))
    .join(" ")
}

test("a capability brings the calls that it is about", () => {
  expect(more({ capabilities: ["CAP_SYS_CHROOT"] })).toBe("chroot")
  expect(more({ capabilities: ["CAP_SYS_TIME"] })).toBe("clock_settime clock_settime64 settimeofday stime")
  expect(more({ capabilities: ["CAP_SYSLOG"] })).toBe("syslog")
  expect(more({ capabilities: ["CAP_SYS_PTRACE"] })).toBe("kcmp pidfd_getfd process_madvise")
  expect(more({ capabilities: ["CAP_SYS_ADMIN"] })).toBe(
    "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
  )
})

test("a tracer could escape before Linux 4.8", () => {
  expect(more({ kernel: [4, 8] }, { kernel: [4, 7] })).toBe("process_vm_readv process_vm_writev ptrace")
})

test("each architecture has calls of its own, and brings its 32-bit ABI", () => {
  expect(more({}, { arch: "aarch64" })).toBe("arch_prctl modify_ldt")
  expect(more({ arch: "aarch64" })).toBe(
    "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
  )
  expect(defaultSeccomp(facts({ arch: "aarch64" })).architectures).toEqual(["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"])
})

test("without CAP_SYS_ADMIN clone makes no namespaces, and clone3 is as if it were not there", () => {
  expect(rules({}, "clone")).toEqual([
    {
      names: ["clone"],
      action: "SCMP_ACT_ALLOW",
      args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
    },
  ])
  expect(rules({}, "clone3")).toEqual([{ names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: 38 }])
})

test("keyrings, io_uring and new mounts are for nobody", () => {
  const { syscalls = [] } = defaultSeccomp(facts())
  const names = syscalls.flatMap((rule) => rule.names)
  expect(
    names.filter((name) =>
      /^(add_key|keyctl|request_key|io_uring.*|mount|pivot_root|kexec.*|init_module|bpf|unshare|setns|userfaultfd|perf_event_open)$/.test(
        name,
      ),
    ),
  ).toEqual([])
})

/** Whether the rules for a call, all of them "these bits are equal to", let a value of its argument pass. */
const passes = (name: "ioctl" | "socket", value: bigint): boolean =>
  COMPARED[name].some(({ mask, bits }) => (value & mask) === bits)
const compared = (name: string) =>
  rules({}, name).map(({ args: [arg] = [] }) => ({ mask: BigInt(arg!.value), bits: BigInt(arg!.valueTwo!) }))
const COMPARED = { ioctl: compared("ioctl"), socket: compared("socket") }

test("TIOCSTI and TIOCLINUX are refused, whatever the high half says, and nothing else is", () => {
  for (const high of [0n, 1n << 32n, 0xffffffffn << 32n])
    expect(
      Array.from({ length: 0x8000 }, (_, low) => low).filter((low) => !passes("ioctl", high | BigInt(low))),
    ).toEqual([0x5412, 0x541c])
  for (const value of [0n, 0x8912n, 0x12n, 0x1cn, 0xffffffffn, 0x80045430n, 0xffffffff80045430n, 0x80005412n])
    expect(passes("ioctl", value)).toBe(true)
})

test("AF_ALG and AF_VSOCK are refused, every other family is not", () => {
  const refused = Array.from({ length: 64 }, (_, family) => family).filter(
    (family) => !passes("socket", BigInt(family)) || !passes("socket", BigInt(family) | (7n << 32n)),
  )
  expect(refused).toEqual([38, 40])
})

test("a file in OCI's form is taken as it is", () => {
  const policy = {
    defaultAction: "SCMP_ACT_ALLOW",
    architectures: ["SCMP_ARCH_X86_64"],
    flags: ["SECCOMP_FILTER_FLAG_LOG"],
    syscalls: [
      {
        names: ["mkdir"],
        action: "SCMP_ACT_ERRNO",
        errnoRet: 13,
        args: [{ index: 1, value: 7, valueTwo: 1, op: "SCMP_CMP_MASKED_EQ" }],
      },
    ],
  }
  expect(readDockerSeccomp(JSON.stringify(policy), facts())).toEqual(policy)
})

test("in Docker's form, rules depend on what the container has and where it runs", () => {
  const file = {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    archMap: [
      { architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86"] },
      { architecture: "SCMP_ARCH_AARCH64", subArchitectures: null },
    ],
    syscalls: [
      { names: ["a"], action: "SCMP_ACT_ALLOW", args: null, comment: "", includes: {}, excludes: {} },
      { name: "b", action: "SCMP_ACT_ALLOW", includes: { caps: ["CAP_SYS_ADMIN", "CAP_BPF"] } },
      { names: ["c"], action: "SCMP_ACT_ALLOW", excludes: { caps: ["CAP_SYS_ADMIN"] } },
      { names: ["d"], action: "SCMP_ACT_ALLOW", includes: { arches: ["amd64", "x32"] } },
      { names: ["e"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "5.10" } },
      { names: ["f"], action: "SCMP_ACT_ALLOW", excludes: { minKernel: "5.10" } },
    ],
  }
  const read = (given: Partial<SeccompFacts>) => {
    const { architectures = [], syscalls = [] } = readDockerSeccomp(JSON.stringify(file), facts(given))
    return `${architectures.join(" ")}: ${syscalls.flatMap(({ names }) => names).join(" ")}`
  }
  expect(read({})).toBe("SCMP_ARCH_X86_64 SCMP_ARCH_X86: a c d e")
  expect(read({ capabilities: ["CAP_SYS_ADMIN"] })).toBe("SCMP_ARCH_X86_64 SCMP_ARCH_X86: a d e")
  expect(read({ capabilities: ["CAP_SYS_ADMIN", "CAP_BPF"], arch: "aarch64", kernel: [4, 19] })).toBe(
    "SCMP_ARCH_AARCH64: a b f",
  )
})

test("what is wrong with a file is named", () => {
  const refusal = (policy: unknown): string => {
    try {
      readDockerSeccomp(typeof policy === "string" ? policy : JSON.stringify(policy), facts())
    } catch (error) {
      if (error instanceof EngineError) return error.message
      throw error
    }
    return "taken"
  }
  const rule = { names: ["a"], action: "SCMP_ACT_ALLOW" }
  const file = { defaultAction: "SCMP_ACT_ERRNO" }
  expect(refusal("{")).toStartWith("cannot read the seccomp policy: it is not JSON: ")
  expect(refusal([])).toBe("cannot read the seccomp policy: the policy is no object")
  expect(refusal({})).toBe("cannot read the seccomp policy: defaultAction is missing")
  expect(refusal({ ...file, syscalls: [{ ...rule, name: "b" }] })).toBe(
    "cannot read the seccomp policy: syscalls[0] has both name and names",
  )
  expect(refusal({ ...file, syscalls: [rule, { action: "SCMP_ACT_ALLOW" }] })).toBe(
    "cannot read the seccomp policy: syscalls[1] has no names",
  )
  expect(refusal({ ...file, syscalls: [{ ...rule, args: [{ index: 0, value: "1", op: "SCMP_CMP_EQ" }] }] })).toBe(
    'cannot read the seccomp policy: value is "1", not a number',
  )
  expect(refusal({ ...file, syscalls: [{ ...rule, includes: { minKernel: "new" } }] })).toBe(
    'cannot read the seccomp policy: minKernel is "new"',
  )
  expect(refusal({ ...file, architectures: ["SCMP_ARCH_X86"], archMap: [{ architecture: "SCMP_ARCH_X86_64" }] })).toBe(
    "cannot read the seccomp policy: it has both architectures and archMap",
  )
})
