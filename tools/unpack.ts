/**
 * Unpacks one layer, to look at or to measure: `bun tools/unpack.ts LAYER.tar[.gz|.zst] DIRECTORY`.
 *
 * What it does is exactly what a pull does with a blob; DIRECTORY gets DIFFID/tree and DIFFID/index.json.
 */

import { createReadStream } from "node:fs"
import { join } from "node:path"
import { unpackLayer } from "../src/image/unpack.ts"

const [layer, directory] = process.argv.slice(2)
if (layer === undefined || directory === undefined) throw new Error("usage: bun tools/unpack.ts LAYER DIRECTORY")
const executor = process.env.EXECUTOR ?? join(import.meta.dirname, "../build/executor")
const { implied, symlinks, ...index } = await unpackLayer(
  { layers: directory, executor },
  { stream: createReadStream(layer, { highWaterMark: 1 << 20 }) },
)
process.stdout.write(`${JSON.stringify({ ...index, implied: implied.length, symlinks: symlinks.length })}\n`)
