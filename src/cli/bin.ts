/**
 * The shipped command: `dist/minicontainer`, and the same from source, `bun src/cli/bin.ts`.
 *
 * The executor travels inside, and the program of the built-in image. Compiled, the import below is a path that only this process can read and nobody can
 * execute; from source it is the file itself. Which of the two it is, the build says: it defines the file's hash, under
 * which open.ts extracts it, once. Node has no such imports; its door is node.ts. Read on: main.ts.
 */

import executor from "../../build/executor" with { type: "file" }
import hello from "../../build/hello" with { type: "file" }
import { stdio } from "./io.ts"
import { main } from "./main.ts"

/** Hexadecimal; defined by the build (Makefile). */
declare const EXECUTOR_SHA256: string | undefined

process.exitCode = await main(process.argv.slice(2), stdio(), async (roots) => {
  const { open } = await import("../engine/open.ts")
  return open({
    ...roots,
    hello,
    executor: { path: executor, ...(typeof EXECUTOR_SHA256 === "string" && { sha256: EXECUTOR_SHA256 }) },
  })
})
