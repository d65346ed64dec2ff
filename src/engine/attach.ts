/**
 * Attach: this process becomes one more front of a container that runs.
 *
 *     front of run ──┐
 *     attach         ├──▶ control socket ──▶ monitor        all see the same output; what each types arrives whole
 *     attach       ──┘
 *
 * Its end is no end of the container: only who started it in the foreground is waited for.
 *
 * Read on: native/front.c, native/clients.c; executor/front.ts.
 */

import { EngineError } from "../base/errors.ts"
import { become } from "../executor/become.ts"
import { frontWords } from "../executor/front.ts"
import { STDIO } from "../model/stdio.ts"
import { detachKeys } from "../spec/placement.ts"
import { see } from "./reconcile.ts"
import type { AttachOptions } from "./types.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `WRONG_STATE` if it does not run. */
export async function becomeAttach(world: World, reference: string, options: AttachOptions = {}): Promise<never> {
  const { stdin = true, signalProxy = true } = options
  const { record, state } = await see(world, reference)
  const { placement, request, name } = record
  if (state !== "running" || !placement)
    throw new EngineError("WRONG_STATE", `cannot attach to container ${name}: it is not running`, `start -a ${name}`)
  const has = placement.stdio & (STDIO.terminal | STDIO.open)
  const bits =
    STDIO.stdout |
    STDIO.stderr |
    (has & STDIO.terminal) |
    (stdin && has & STDIO.open ? STDIO.stdin : 0) |
    (signalProxy ? STDIO.signals : 0)
  const keys = detachKeys(options.detachKeys ?? request.detachKeys ?? "")
  return become(world.executor(), frontWords(`${placement.runDirectory}/control`, bits, keys))
}
