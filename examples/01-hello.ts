/**
 * Run a program in a container and read what it says.
 *
 *     node examples/01-hello.ts [ROOTFS]
 *
 * prints:
 *     container, this is process 1
 *     exit code 0
 */

import { text } from "node:stream/consumers"
import { open } from "minicontainer"

const engine = await open()
const { stdout, exited } = await engine.run({
  rootfs: process.argv[2] ?? "/",
  args: ["sh", "-c", "echo $(hostname), this is process $$"],
  hostname: "container",
  remove: true,
})
if (stdout) process.stdout.write(await text(stdout))
process.stdout.write(`exit code ${await exited}\n`)
