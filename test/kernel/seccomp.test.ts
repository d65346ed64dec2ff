/** The default policy, loaded into the kernel. Needs root and gcc. */

import { afterAll, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { compileSeccomp } from "../../src/plan/seccomp.ts"
import { defaultSeccomp } from "../../src/spec/seccomp-default.ts"
import { buildFiltered } from "./filtered.ts"

const filtered = buildFiltered()
afterAll(() => filtered[Symbol.dispose]())

const policy = defaultSeccomp({ capabilities: ["CAP_SYS_CHROOT"], arch: "x86_64", kernel: [6, 1] })
const { program, flags } = compileSeccomp(policy, { arch: "x86_64" })
const file = join(filtered.directory, "default")
writeFileSync(file, program)
const answers = (...calls: string[]) =>
  filtered
    .run("seccomp", file, `${flags}`, ...calls)
    .trim()
    .split("\n")

// Numbers of x86_64: the test reads as the kernel sees it.
describe.skipIf(process.arch !== "x64")("under the default policy", () => {
  test("what may not be is EPERM, before the kernel looks at an argument", () => {
    const [keyctl, unshareUser, mount, ioUring, bpf, addKey, setns] = [
      "250",
      "272,0x10000000",
      "165",
      "425",
      "321",
      "248",
      "308",
    ]
    expect(answers(keyctl!, unshareUser!, mount!, ioUring!, bpf!, addKey!, setns!)).toEqual(
      [keyctl, unshareUser, mount, ioUring, bpf, addKey, setns].map((call) => `${call} EPERM`),
    )
  })
  test("clone3, and calls newer than the policy, are as if this kernel did not have them", () => {
    expect(answers("435", "999", "0x3fffffff")).toEqual(["435 ENOSYS", "999 ENOSYS", "0x3fffffff ENOSYS"])
  })
  test("a clone into a namespace is refused, and an upper half does not help", () => {
    expect(answers("56,0x10000000", "56,0x110000000")).toEqual(["56,0x10000000 EPERM", "56,0x110000000 EPERM"])
  })
  test("TIOCSTI and TIOCLINUX are refused whatever the upper half says; others reach the kernel", () => {
    expect(
      answers(
        "16,999,0x5412",
        "16,999,0x100005412",
        "16,999,0x541c",
        "16,999,0xffffffff0000541c",
        "16,999,0x5401",
        "16,999,0xffffffff80045430",
      ),
    ).toEqual([
      "16,999,0x5412 EPERM",
      "16,999,0x100005412 EPERM",
      "16,999,0x541c EPERM",
      "16,999,0xffffffff0000541c EPERM",
      "16,999,0x5401 EBADF",
      "16,999,0xffffffff80045430 EBADF",
    ])
  })
  test("AF_VSOCK and AF_ALG are refused; UNIX and INET are not", () => {
    expect(answers("41,40,1", "41,0x100000028,1", "41,38,5", "41,1,1", "41,2,1")).toEqual([
      "41,40,1 EPERM",
      "41,0x100000028,1 EPERM",
      "41,38,5 EPERM",
      "41,1,1 ok",
      "41,2,1 ok",
    ])
  })
  test("personality may be asked for, and set to few values", () => {
    expect(answers("135,0xffffffff", "135,0x0", "135,0x0040000")).toEqual([
      "135,0xffffffff ok",
      "135,0x0 ok",
      "135,0x0040000 EPERM",
    ])
  })
  test("a call through the 32-bit door has its own numbers", () => {
    const [getpid, keyctl, mount, clone3, ioctl] = ["32:20", "32:288", "32:21", "32:435", "32:54,999,0x5412"]
    let said: readonly string[]
    try {
      said = answers(getpid!, keyctl!, mount!, clone3!, ioctl!)
    } catch (error) {
      // A kernel without 32-bit calls kills who tries.
      expect(String(error)).toContain("SIGSEGV")
      return
    }
    expect(said).toEqual([`${getpid} ok`, `${keyctl} EPERM`, `${mount} EPERM`, `${clone3} ENOSYS`, `${ioctl} EPERM`])
  })
})
