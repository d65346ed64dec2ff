/**
 * `minicontainer explain`: the plan of a container, before there is one, or of one that is there.
 *
 * Takes all that `run` takes and does none of it: no lease is taken, nothing is written.
 * Read on: plan/explain.ts, how a step reads.
 */

import { EngineError } from "../../base/errors.ts"
import type { Engine, Explained } from "../../engine/types.ts"
import { command } from "../command.ts"
import { text } from "../flags.ts"
import { wantsColour } from "../io.ts"
import { printDocument } from "../print/format.ts"
import { requestOf } from "../request.ts"
import { RUN_FLAGS } from "../run-flags.ts"

/** What a page is made for, and what is assumed when stdout is no terminal. */
const READABLE = 100

export const explain = command({
  name: "explain",
  usage: "IMAGE [COMMAND [ARG...]] | --rootfs DIR ... | CONTAINER",
  about: "Print every step that run would take, taking none",
  details: "The options are those of run. With the name of a container alone: the steps that made it.",
  examples: ["--rootfs / sh", "--rootfs / --memory 512m --format json sh", "web"],
  options: {
    ...RUN_FLAGS,
    format: text({ value: "FORMAT", blank: true, about: "json, or a Go template for the plan" }),
  },
  optionsEnd: "first",
  words: [0],
  run: async ({ engine, io, options: { format, ...options }, words }) => {
    const [container, ...more] = words
    const explained =
      options.rootfs === undefined && container !== undefined && more.length === 0
        ? await existing(engine, container, () => engine.explain(requestOf(options, words, io)))
        : await engine.explain(requestOf(options, words, io))
    const { explainPlan, planJson } = await import("../../engine/words.ts")
    if (format !== undefined) {
      printDocument(io, format, planJson(explained.plan))
      return
    }
    const how = {
      columns: Math.max(READABLE, io.columns ?? 0),
      colour: wantsColour(io, "stdout"),
      assumed: explained.assumed,
    }
    const page = explainPlan(explained.plan, how)
    io.write("stdout", page.endsWith("\n") ? page : `${page}\n`)
  },
})

/** A container that has this name, or a new one of the image that has it. */
async function existing(engine: Engine, container: string, ofImage: () => Promise<Explained>): Promise<Explained> {
  try {
    return await engine.explainContainer(container)
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== "CONTAINER_NOT_FOUND") throw error
    try {
      return await ofImage()
    } catch (other) {
      const isNone = other instanceof EngineError && ["IMAGE_NOT_FOUND", "INVALID_REFERENCE"].includes(other.code)
      if (!isNone || container === "hello") throw other
    }
    throw new EngineError(
      error.code,
      error.message,
      "nor is there an image of this name; of a directory: minicontainer explain --rootfs DIR [COMMAND]",
      {
        cause: error,
      },
    )
  }
}
