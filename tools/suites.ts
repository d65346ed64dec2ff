/**
 * Every suite, as a row: what runs, where, and what it promises. Read on: test.ts, which runs them.
 */

import { join } from "node:path"

/** How a suite's result is read: by Bun's or Node's own report, case by case, or by the exit status alone, as one case. */
export type Kind = "bun" | "node" | "command"

export interface Suite {
  readonly name: string
  readonly kind: Kind
  /** bun, node: files and directories; command: an argv. `bun` and `node` stand for the pinned ones. */
  readonly run: readonly string[]
  /** Absent or not there: the suite is silently not part of the run. */
  readonly needs?: string
  readonly seconds: number
  readonly about: string
  readonly env?: Readonly<Record<string, string>>
}

const command = (name: string, seconds: number, about: string, ...run: string[]): Suite => ({
  name,
  kind: "command",
  run,
  seconds,
  about,
})

/** `make check`: no root, no kernel; about ten seconds. */
export const CHECK: readonly Suite[] = [
  command("style", 60, "formatting and lint", "node_modules/.bin/biome", "check", "--error-on-warnings", "."),
  command("types", 120, "TypeScript, strict", "node_modules/.bin/tsc", "-p", "."),
  command(
    "purity",
    60,
    "the pure rooms, compiled against a platform that has nothing",
    "node_modules/.bin/tsc",
    "-p",
    "test/tidy",
  ),
  command("generated", 60, "what is made from tables is as the tables say", "bun", "tools/generate.ts", "--check"),
  { name: "pure", kind: "bun", run: ["src", "tools"], seconds: 120, about: "plans, specs and formats, as text" },
  { name: "tidy", kind: "bun", run: ["test/tidy"], seconds: 60, about: "tests about the code itself" },
]

/** `make test`: root and this machine's kernel besides. Each row is one directory below test/, but for the first. */
export const KERNEL: readonly Suite[] = [
  {
    ...command(
      "fuzz",
      180,
      "the decoder, against bytes that nobody would send",
      "make",
      "-s",
      "-C",
      "native",
      "fuzz",
      "OUT=../build",
    ),
    needs: "native/fuzz",
  },
  {
    name: "conformance",
    kind: "bun",
    run: ["test/conformance"],
    needs: "test/conformance",
    seconds: 300,
    about: "what we make, against what others make of the same",
  },
  {
    name: "kernel",
    kind: "bun",
    run: ["test/kernel"],
    needs: "test/kernel",
    seconds: 600,
    about: "every room, against a real kernel",
  },
  {
    name: "network",
    kind: "bun",
    run: ["test/network"],
    needs: "test/network",
    seconds: 300,
    about: "networks, in namespaces that the test made",
  },
  {
    name: "registry",
    kind: "bun",
    run: ["test/registry"],
    needs: "test/registry",
    seconds: 120,
    about: "the registry's client, against real registries and against one that misbehaves",
  },
  {
    name: "faults",
    kind: "bun",
    run: ["test/faults"],
    needs: "test/faults",
    seconds: 600,
    about: "a failure at every step leaves nothing",
  },
  {
    name: "cli",
    kind: "bun",
    run: ["test/cli"],
    needs: "test/cli",
    seconds: 900,
    about: "the command, as a person types it",
  },
  {
    name: "smoke",
    kind: "bun",
    run: ["test/smoke"],
    needs: "test/smoke",
    seconds: 180,
    about: "one run through every door: executable, source, Node",
  },
  {
    name: "library",
    kind: "node",
    run: ["test/library/library.test.ts"],
    needs: "test/library",
    seconds: 120,
    about: "the library under Node",
  },
  { name: "examples", kind: "bun", run: ["examples"], needs: "examples", seconds: 300, about: "every example runs" },
]

/** Memory errors: the kernel and fault suites once more, with the executor built with AddressSanitizer and UBSan. */
export const ASAN: readonly Suite[] = KERNEL.filter(({ name }) => name === "kernel" || name === "faults").map(
  (suite) => ({
    ...suite,
    name: `${suite.name}-asan`,
    seconds: suite.seconds * 2,
    about: `${suite.about}, with AddressSanitizer`,
    env: { EXECUTOR: join(import.meta.dirname, "../build/executor-asan") },
  }),
)
