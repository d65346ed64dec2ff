/**
 * The door for programs. It knows two things of the world: where its own executor lies, which is beside it, in
 * `dist/lib/native/`; and the two variables that say where the command keeps its containers, so that a program and a
 * person see the same ones. Read on: index.ts; engine/types.ts, what an engine can do.
 */

import { fileURLToPath } from "node:url"
import type { Engine, OpenOptions } from "./engine/types.ts"

/**
 * Opens an engine. Opening changes nothing on this machine; the first verb that needs a directory makes it.
 * @param options where containers are kept, if not where MINICONTAINER_ROOT and MINICONTAINER_RUN_ROOT or the
 *   defaults say; another executor, for tests.
 */
export async function open(options: Partial<OpenOptions> = {}): Promise<Engine> {
  const { open: openEngine } = await import("./engine/open.ts")
  const { MINICONTAINER_ROOT: root, MINICONTAINER_RUN_ROOT: runRoot } = process.env
  const path = fileURLToPath(new URL("native/executor", import.meta.url))
  const hello = fileURLToPath(new URL("native/hello", import.meta.url))
  return openEngine({ hello, executor: { path }, ...(root && { root }), ...(runRoot && { runRoot }), ...options })
}
