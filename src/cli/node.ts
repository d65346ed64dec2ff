/**
 * The command under Node: `node dist/lib/cli/node.js`. It is the shipped command in all but its start: the executor
 * and the built-in image's program lie beside the library, as files. Read on: bin.ts, main.ts.
 */

import { fileURLToPath } from "node:url"
import { stdio } from "./io.ts"
import { main } from "./main.ts"

const path = fileURLToPath(new URL("../native/executor", import.meta.url))
const hello = fileURLToPath(new URL("../native/hello", import.meta.url))

process.exitCode = await main(process.argv.slice(2), stdio(), async (roots) => {
  const { open } = await import("../engine/open.ts")
  return open({ ...roots, hello, executor: { path } })
})
