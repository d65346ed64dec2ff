/**
 * How long does a cold `run --rm … /bin/true` take, next to the C and Go runtimes that do the same, and to the bare system calls?
 *
 *     bun bench/start.ts [rounds]
 *
 * Ours includes what a runtime leaves to an engine: flags, a record, an overlay, ids of its own, a log, a monitor.
 */

import { newMachine } from "../test/machine.ts"
import { bundleOf, contest, hideHybrid, ours } from "./lib/contest.ts"

hideHybrid()
using machine = newMachine()
const bundle = bundleOf(machine, ["/bin/true"])
contest("run --rm of /bin/true", Number(process.argv[2] ?? 60), {
  minicontainer: [...ours(machine), "run", "--rm", "--rootfs", machine.rootfs, "/bin/true"],
  runc: ["runc", "--root", machine.directory("runc"), "run", "--bundle", bundle, "bench"],
  crun: ["crun", "--root", machine.directory("crun"), "run", "--bundle", bundle, "bench"],
  unshare: ["unshare", "-mpnuif", "/bin/true"],
})
