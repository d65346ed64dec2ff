/**
 * The door for programs. It differs from the command's doors in what it knows of the world: nothing but where its own
 * executor lies, which is beside it, in `dist/lib/native/`. Read on: index.ts; engine/types.ts, what an engine can do.
 */

import { fileURLToPath } from "node:url"
import type { Engine, OpenOptions } from "./engine/types.ts"

/**
 * Opens an engine. Opening changes nothing on this machine; the first verb that needs a directory makes it.
 * @param options where containers are kept, if not in `/var/lib/minicontainer`; another executor, for tests.
 */
export async function open(options: Partial<OpenOptions> = {}): Promise<Engine> {
  const { open: openEngine } = await import("./engine/open.ts")
  const path = fileURLToPath(new URL("native/executor", import.meta.url))
  return openEngine({ executor: { path }, ...options })
}
