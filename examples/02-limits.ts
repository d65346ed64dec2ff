/**
 * Limits, and what a program sees of them: the kernel's own files, read-only, where every runtime looks for them.
 *
 *     node examples/02-limits.ts [ROOTFS]
 *
 * prints:
 *     pids: 32
 *     files: 256
 *     writing there: refused
 */

import { open } from "minicontainer"

const script = `
cat /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null | sed 's/^/pids: /'
echo files: $(ulimit -n)
echo max 2>/dev/null >$(ls /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max 2>/dev/null) && echo "writing there: works" || echo "writing there: refused"
`
const engine = await open()
const { stdout, stderr, exited } = await engine.run({
  rootfs: process.argv[2] ?? "/",
  args: ["sh", "-c", script],
  pidsLimit: 32,
  ulimits: [{ name: "nofile", soft: 256, hard: 256 }],
  remove: true,
})
stdout?.pipe(process.stdout)
stderr?.resume()
process.exitCode = await exited
