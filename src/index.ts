/**
 * The library on a card: one function that opens an engine, the verbs that it has, the words they speak, the errors they throw.
 *
 *     import { open } from "minicontainer"
 *
 *     const engine = await open()
 *     const { stdout, exited } = await engine.run({ rootfs: "/srv/alpine", args: ["echo", "hello"] })
 *     stdout?.pipe(process.stdout)
 *     process.exitCode = await exited
 */

export { EngineError, type ErrorCode } from "./base/errors.ts"
export { VERSION } from "./base/version.ts"
export type {
  BecomeOptions,
  Broken,
  Engine,
  Explained,
  HistoryStep,
  ImageSummary,
  ImportOptions,
  Info,
  Inspected,
  Loaded,
  LogLine,
  LogOptions,
  OpenOptions,
  PsOptions,
  Removed,
  Running,
  RunOptions,
  Status,
  StopOptions,
  Summary,
} from "./engine/types.ts"
export { open } from "./library.ts"
export type { ExecRequest, MountRequest, Request } from "./model/request.ts"
