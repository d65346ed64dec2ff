/**
 * Files: a tree of files written by the executor's `apply`, or read by its `read`, and never by a path of JavaScript's.
 *
 *     plan (its last step gives a directory) + ops ──stdin──▶ executor apply ──stdout──▶ done 1204 │ refused 17 28 usr/bin/x
 *     plan + `walk` … ──stdin──▶ executor read ──stdout──▶ ops, end after each walk
 *
 * Read on: plan/unpack.ts; native/apply.c, native/read.c.
 */

import type { ChildProcessByStdio } from "node:child_process"
import type { Readable, Writable } from "node:stream"
import type { Plan } from "../plan/step.ts"
import { type FileOp, FileOpReader, FileOpWriter } from "../plan/unpack.ts"
import { encode } from "../plan/wire.ts"
import { parseReport } from "./report.ts"
import { type Failure, stepError, toldOf } from "./sentence.ts"
import { broken } from "./spawn.ts"

/** The op that could not be carried out. */
export interface Refused {
  /** Of the op, from 0. */
  readonly index: number
  readonly errno: number
  /** Where: a binary string. ENODATA and EBADMSG: the stream was cut short, or is none. */
  readonly path: string
}

/** The first op that failed: a class, so that whoever made the stream can say it in its own words. */
export class ApplyRefused extends Error {
  constructor(readonly refused: Refused) {
    super(`op ${refused.index} failed with errno ${refused.errno}: ${refused.path}`)
  }
}

type Plain = Pick<Plan, "steps" | "frame">
type Child = ChildProcessByStdio<Writable, Readable, Readable>

/** The plan with a report on stdout; what follows it on stdin is the stream. */
function start(executor: string, use: "apply" | "read", plan: Plain): Child {
  const child = process
    .getBuiltinModule("node:child_process")
    .spawn(executor, [use], { stdio: ["pipe", "pipe", "pipe"] }) as Child
  // It may end before it has read everything: the exit says why.
  child.stdin.on("error", () => {})
  child.stdin.write(encode({ ...plan, frame: { ...plan.frame, failed: [], report: 1 }, warnings: [] }))
  return child
}

/** What it says on stderr, and its end. */
function watch(executor: string, child: Child): { readonly ended: Promise<number>; readonly errors: () => string } {
  let errors = ""
  child.stderr.setEncoding("utf8")
  child.stderr.on("data", (chunk: string) => {
    errors = (errors + chunk).slice(0, 4096)
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.on("error", (error) =>
      reject(broken(executor, (error as NodeJS.ErrnoException).code ?? error.message, error)),
    )
    child.on("close", (code, signal) =>
      code === null ? reject(broken(executor, `it was ended by ${signal}`)) : resolve(code),
    )
  })
  ended.catch(() => {})
  return { ended, errors: () => errors.trim() }
}

/** An `apply` that runs. Every call may wait until the executor has taken what came before. */
export interface Applying {
  /** Puts ops into the stream; when it returns true, await `drained` before more, so that memory stays bounded. */
  put(op: FileOp): boolean
  drained(): Promise<void>
  /** Bytes of a stream that is already encoded, as `read` answers them. */
  write(bytes: Uint8Array): Promise<void>
  /** Ends the stream and waits until all is done. @returns how many ops there were. @throws {ApplyRefused} @throws {EngineError} */
  finish(): Promise<number>
  /** Gives up: the stream ends without an end, and what was made stays half made. */
  abandon(): Promise<void>
}

export function startApply(executor: string, plan: Plain): Applying {
  const child = start(executor, "apply", plan)
  const { ended, errors } = watch(executor, child)
  let said = ""
  child.stdout.setEncoding("latin1")
  child.stdout.on("data", (chunk: string) => {
    said = (said + chunk).slice(0, 16_384)
  })
  let full = false
  const send = (bytes: Uint8Array): void => {
    if (!child.stdin.write(bytes)) full = true
  }
  const writer = new FileOpWriter(send)
  const drained = async (): Promise<void> => {
    if (!full) return
    full = false
    if (!child.stdin.writableNeedDrain || child.stdin.destroyed) return
    await new Promise<void>((resolve) => {
      const go = (): void => {
        child.stdin.off("drain", go)
        child.stdin.off("close", go)
        resolve()
      }
      child.stdin.on("drain", go)
      child.stdin.on("close", go)
    })
  }
  const result = async (): Promise<number> => {
    const code = await ended
    for (const line of said.split("\n")) {
      const [word, first, second] = line.split(" ")
      if (word === "done" && code === 0) return Number(first)
      if (word === "refused") {
        const path = line.split(" ").slice(3).join(" ")
        throw new ApplyRefused({ index: Number(first), errno: Number(second), path })
      }
      const report = parseReport(line)
      if (report?.kind === "failed") throw stepError(report as Failure, toldOf(plan))
    }
    throw broken(executor, errors() || `it ended with ${code}`)
  }
  return {
    put: (op) => {
      writer.put(op)
      return full
    },
    drained,
    write: async (bytes) => {
      writer.flush()
      send(bytes)
      await drained()
    },
    finish: () => {
      writer.put({ op: "end" })
      writer.flush()
      child.stdin.end()
      return result()
    },
    abandon: async () => {
      child.stdin.destroy()
      await ended.catch(() => {})
    },
  }
}

/** What is asked of `read`. */
export type Walk = Extract<FileOp, { op: "walk" }>

/**
 * Walks, one after the other; each answer ends with `end`. Memory stays bounded: it reads no faster than it is asked to.
 * @throws {EngineError} of a step of the plan, or `EXECUTOR_FAILED`.
 */
export async function* readFiles(executor: string, plan: Plain, walks: readonly Walk[]): AsyncGenerator<FileOp> {
  const reader = new FileOpReader()
  for await (const chunk of readBytes(executor, plan, walks)) yield* reader.push(chunk)
  if (!reader.whole) throw broken(executor, "its answer ends in the middle of a word")
}

/** The same, not taken apart. */
export async function* readBytes(executor: string, plan: Plain, walks: readonly Walk[]): AsyncGenerator<Uint8Array> {
  const child = start(executor, "read", plan)
  const { ended, errors } = watch(executor, child)
  const writer = new FileOpWriter((bytes) => child.stdin.write(bytes))
  for (const walk of walks) writer.put(walk)
  writer.flush()
  child.stdin.end()
  let first: Uint8Array | undefined
  try {
    for await (const chunk of child.stdout as AsyncIterable<Uint8Array>) {
      // "failed " is what a report begins with; a record begins with its length, below 1 MiB: its third byte is small.
      first ??= chunk
      if (first[0] === 0x66 && first[1] === 0x61 && first[2] === 0x69) continue
      yield chunk
    }
    const code = await ended
    const report = first && parseReport(new TextDecoder().decode(first).split("\n")[0] ?? "")
    if (report?.kind === "failed") throw stepError(report as Failure, toldOf(plan))
    if (code !== 0) throw broken(executor, errors() || `it ended with ${code}`)
  } finally {
    child.stdout.destroy()
    await ended.catch(() => {})
  }
}
