/**
 * How long does a cold `run --rm … /bin/true` take, next to the C and Go runtimes that do the same, and to the bare system calls?
 *
 *     bun bench/start.ts [rounds]
 *
 * Ours includes what a runtime leaves to an engine: flags, a record, an overlay, ids of its own, a log, a monitor.
 */

import { join } from "node:path"
import { contest, Ground, hideHybrid } from "./lib/contest.ts"

hideHybrid()
using ground = new Ground(["/bin/true"])
const { base, bundle, rootfs } = ground
contest("run --rm of /bin/true", Number(process.argv[2] ?? 60), {
  minicontainer: [...ground.ours, "run", "--rm", "--rootfs", rootfs, "/bin/true"],
  runc: ["runc", "--root", join(base, "runc"), "run", "--bundle", bundle, "bench"],
  crun: ["crun", "--root", join(base, "crun"), "run", "--bundle", bundle, "bench"],
  unshare: ["unshare", "-mpnuif", "/bin/true"],
})
