/**
 * What verbs are told besides a request: are the options of the kind they should be?
 *
 * The command line has parsed its words; a program in plain JavaScript may hand in anything, and should read which field is wrong, not
 * that some property of undefined cannot be read.
 *
 * Read on: types.ts, the same fields as types; spec/validate.ts, requests.
 */

import { EngineError } from "../base/errors.ts"
import { flag, list, map, mismatch, record, type Shape, text, whole } from "../model/shape.ts"

/** @throws {EngineError} `INVALID_VALUE`, naming the field. */
const checked =
  (what: string, fields: Readonly<Record<string, Shape>>) =>
  (options: unknown): void => {
    const wrong = mismatch(record(fields), options)
    if (wrong) throw new EngineError("INVALID_VALUE", `cannot ${what}: ${wrong}`)
  }

/** Infinity too: a grace without end. NaN is none. */
const milliseconds: Shape = {
  kind: "number",
  least: Number.NEGATIVE_INFINITY,
  most: Number.POSITIVE_INFINITY,
  whole: false,
  says: "",
}

export const checkStop = checked("stop a container", { graceMs: milliseconds, signal: text })
export const checkKill = checked("kill a container", { signal: text })
export const checkRm = checked("remove a container", { force: flag, volumes: flag })
export const checkPs = checked("list containers", {
  all: flag,
  filters: map(list(text)),
  last: whole(-1, Number.MAX_SAFE_INTEGER),
})
export const checkLogs = checked("read a log", {
  follow: flag,
  tail: whole(0, Number.MAX_SAFE_INTEGER),
  since: text,
  until: text,
})
export const checkOpen = checked("open an engine", { root: text, runRoot: text })
