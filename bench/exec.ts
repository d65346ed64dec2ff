/**
 * How long does `exec` of /bin/true in a running container take, next to the C and Go runtimes, and to nsenter, which only enters?
 *
 *     bun bench/exec.ts [rounds]
 */

import { readFileSync } from "node:fs"
import { newMachine } from "../test/machine.ts"
import { bundleOf, contest, hideHybrid, must, ours } from "./lib/contest.ts"

hideHybrid()
using machine = newMachine()
const bundle = bundleOf(machine, ["/bin/sleep", "1000"])
const runtime = (name: string, ...words: readonly string[]): readonly string[] => [
  name,
  "--root",
  machine.directory(name),
  ...words,
]
const runtimes = ["runc", "crun"]
machine.must("run", "--detach", "--name", "bench", "--rootfs", machine.rootfs, "/bin/sleep", "1000")
try {
  for (const name of runtimes) {
    const started = Bun.spawnSync([...runtime(name, "run", "--detach", "--bundle", bundle, "bench")], {
      stdio: ["ignore", "ignore", "inherit"],
    })
    if (started.exitCode !== 0) throw new Error(`${name} cannot run a container`)
  }
  const pid = JSON.parse(must(runtime("crun", "state", "bench"))).pid as number
  // It may still be on its way to the program. The same program everywhere, or the numbers mean nothing.
  const deadline = performance.now() + 2000
  while (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("/bin/sleep")) {
    if (performance.now() > deadline) throw new Error("crun runs something else")
    await Bun.sleep(10)
  }
  contest("exec of /bin/true", Number(process.argv[2] ?? 60), {
    minicontainer: [...ours(machine), "exec", "bench", "/bin/true"],
    runc: runtime("runc", "exec", "bench", "/bin/true"),
    crun: runtime("crun", "exec", "bench", "/bin/true"),
    nsenter: ["nsenter", "-t", String(pid), "-m", "-p", "-n", "-u", "-i", "/bin/true"],
  })
} finally {
  for (const name of runtimes) Bun.spawnSync([...runtime(name, "delete", "--force", "bench")])
}
