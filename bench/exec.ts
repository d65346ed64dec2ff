/**
 * How long does `exec` of /bin/true in a running container take, next to the C and Go runtimes, and to nsenter, which only enters?
 *
 *     bun bench/exec.ts [rounds]
 */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { contest, Ground, hideHybrid, must } from "./lib/contest.ts"

hideHybrid()
using ground = new Ground(["/bin/sleep", "1000"])
const { base, bundle, rootfs, ours } = ground
const runtime = (name: string, ...words: readonly string[]): readonly string[] => [
  name,
  "--root",
  join(base, name),
  ...words,
]
const runtimes = ["runc", "crun"]
must([...ours, "run", "--detach", "--name", "bench", "--rootfs", rootfs, "/bin/sleep", "1000"])
try {
  for (const name of runtimes) {
    const started = Bun.spawnSync([...runtime(name, "run", "--detach", "--bundle", bundle, "bench")], {
      stdio: ["ignore", "ignore", "inherit"],
    })
    if (started.exitCode !== 0) throw new Error(`${name} cannot run a container`)
  }
  const pid = JSON.parse(must(runtime("crun", "state", "bench"))).pid as number
  // The same kind of container everywhere, or the numbers mean nothing.
  if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("/bin/sleep"))
    throw new Error("crun runs something else")
  contest("exec of /bin/true", Number(process.argv[2] ?? 60), {
    minicontainer: [...ours, "exec", "bench", "/bin/true"],
    runc: runtime("runc", "exec", "bench", "/bin/true"),
    crun: runtime("crun", "exec", "bench", "/bin/true"),
    nsenter: ["nsenter", "-t", String(pid), "-m", "-p", "-n", "-u", "-i", "/bin/true"],
  })
} finally {
  must([...ours, "rm", "--force", "bench"])
  for (const name of runtimes) Bun.spawnSync([...runtime(name, "delete", "--force", "bench")])
}
