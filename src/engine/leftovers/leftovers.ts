/**
 * Leftovers: what a crash may leave on this host, a class of resource a row.
 *
 *     row      find: what of it is there, and belongs to nobody who lives      fix: takes one thing away
 *
 * Every command repairs the containers that it looks at (reconcile.ts); what no container leads to any more is found here, by looking at
 * each kind of thing from the other side: the group, the lease, the file, and whether there is somebody whose it is.
 *
 * The rule that holds: what may belong to a process that lives is left alone; so it is safe at any moment, beside any other command.
 *
 * Read on: doctor.ts, which prints and fixes them; ../reconcile.ts.
 */

import { containers } from "./containers.ts"
import { files } from "./files.ts"
import { groups } from "./groups.ts"
import { images } from "./images.ts"
import type { Class } from "./types.ts"

/** In the order in which they are looked for and fixed: what leads to other things goes first. */
export const LEFTOVERS: Readonly<Record<string, Class>> = { ...containers, ...groups, ...files, ...images }
