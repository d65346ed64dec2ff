/**
 * Makes src/plan/seccomp-syscalls.ts: what every system call is numbered, on the five ABIs that our hosts run.
 *
 *     bun tools/syscalls.ts x86=/usr/include arm64=DIR arm=DIR
 *
 * x86 is the include directory of Debian's linux-libc-dev, the others those of linux-libc-dev-arm64-cross and
 * linux-libc-dev-armhf-cross (`apt-get download` and `dpkg -x` are enough). gcc only preprocesses.
 * Since number 424 a new call gets the same number everywhere; what is newer than Debian's headers is listed in NEWER.
 */

import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"

/** Linux 6.2 to 6.18, from number 451 on. arch/x86/entry/syscalls/syscall_64.tbl, scripts/syscall.tbl. */
const NEWER =
  `cachestat fchmodat2 map_shadow_stack futex_wake futex_wait futex_requeue statmount listmount lsm_get_self_attr
lsm_set_self_attr lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat open_tree_attr file_getattr file_setattr`
    .split(/\s+/)
    .map((name, index) => [name, 451 + index] as const)

/** x86_64 alone has gained these below 424 (Linux 6.11, 6.18). */
const NEWER_X86_64 = [
  ["uretprobe", 335],
  ["uprobe", 336],
] as const

type Table = Map<number, string>

const X32_BIT = 0x40000000
/** arch/arm/include/uapi/asm/unistd.h: calls of the ARM alone lie far above the others. */
const ARM_PRIVATE = 0x0f0000

function read(include: string, text: string, defines: readonly string[], base: number): Table {
  const arch = defines.map((name) => `-D${name}`)
  const macros = execFileSync("gcc", ["-E", "-dM", "-nostdinc", "-I", include, ...arch, "-x", "c", "-"], {
    input: text,
    encoding: "utf8",
  })
  const given = new Map(
    [...macros.matchAll(/^#define (__(?:ARM_)?NR\w*) (.+)$/gm)].map((match) => [match[1]!, match[2]!]),
  )
  const value = (expression: string): number => {
    const sum = expression
      .replaceAll(/[()]/g, " ")
      .split(/[+|]/)
      .map((word) => word.trim())
    return sum.reduce(
      (total, word) =>
        total +
        (/^\d|^0x/.test(word) ? Number(word) : word === "__X32_SYSCALL_BIT" ? X32_BIT : value(given.get(word) ?? "x")),
      0,
    )
  }
  const table: Table = new Map()
  for (const [macro, expression] of given) {
    const name = /^__(?:ARM_)?NR_(\w+)$/.exec(macro)?.[1]
    if (
      name === undefined ||
      ["syscalls", "arch_specific_syscall", "SYSCALL_BASE", "OABI_SYSCALL_BASE", "BASE", "SYSCALL_MASK"].includes(name)
    )
      continue
    const number = value(expression)
    if (Number.isNaN(number)) continue
    // Two names of one number (arm_sync_file_range, sync_file_range2): both must be found, joined by "=".
    const other = table.get(number - base)
    table.set(number - base, other === undefined || other === name ? name : [other, name].sort().join("="))
  }
  return table
}

/** `read write open @8 lseek`: names in order, `@N` where numbers jump. */
function pack(table: Table): string {
  let next = 0
  const words: string[] = []
  for (const [number, name] of [...table].sort(([a], [b]) => a - b)) {
    if (number !== next) words.push(`@${number}`)
    words.push(name)
    next = number + 1
  }
  return words.join(" ").replaceAll(/(.{100}\S*) /g, "$1 \\\n")
}

const places = Object.fromEntries(process.argv.slice(2).map((word) => word.split("=", 2) as [string, string]))
const { x86 = "/usr/include", arm64, arm } = places
if (arm64 === undefined || arm === undefined) throw new Error("usage: bun tools/syscalls.ts x86=DIR arm64=DIR arm=DIR")
const intel = `${x86}/x86_64-linux-gnu`

const tables: Record<string, Table> = {
  x86_64: read(intel, "#include <asm/unistd_64.h>", [], 0),
  x86: read(intel, "#include <asm/unistd_32.h>", [], 0),
  x32: read(intel, "#include <asm/unistd_x32.h>", [], X32_BIT),
  aarch64: read(arm64, "#include <asm/unistd.h>", ["__aarch64__", "__BITS_PER_LONG=64"], 0),
  arm: read(arm, "#include <asm/unistd.h>", ["__arm__", "__ARM_EABI__"], 0),
}
for (const [arch, table] of Object.entries(tables)) {
  for (const [name, number] of NEWER) table.set(number, name)
  if (arch === "x86_64" || arch === "x32") for (const [name, number] of NEWER_X86_64) table.set(number, name)
}
if (![...tables.arm!.keys()].some((number) => number > ARM_PRIVATE))
  throw new Error("the ARM's private calls are missing")

writeFileSync(
  new URL("../src/plan/seccomp-syscalls.ts", import.meta.url),
  `/**
 * The numbers of all system calls, per ABI. Made by tools/syscalls.ts; do not edit.
 *
 * One string per ABI: names in the order of their numbers, \`@N\` where the next number is N, \`a=b\` for two names of one
 * number. A string costs nothing until it is split, and a policy needs only the ABIs of its own host.
 */

/** x32 numbers stand here without their bit 30. */
export const SYSCALLS = {
${Object.entries(tables)
  .map(([arch, table]) => `  ${arch}: \`${pack(table)}\`,`)
  .join("\n")}
} as const
`,
)
