/**
 * Words: what plans and their failures are called, for doors that print them.
 *
 * A door knows the engine and not the rooms below it; here is what it may borrow of their language. After `become` the
 * command is gone when a step fails, so all that the sentence needs travels as an argv: `failedWords` of prepare.ts writes it,
 * `reported` and `correctionIn` read it.
 * Read on: plan/explain.ts, executor/sentence.ts, corrections.ts, cli/commands/report.ts.
 */

import type { EngineError } from "../base/errors.ts"
import { type Failure, stepError, toldFrom } from "../executor/sentence.ts"
import { type Correction, correctionOf, factsIn } from "./corrections.ts"

export { explainPlan, planJson } from "../plan/explain.ts"

/** The error of a failed step, from the values of `--ops` and `--arg0` and what the executor told. */
export const reported = (failure: Failure, ops: string, program: string): EngineError =>
  stepError(failure, toldFrom(ops, program))

/** What a failed step has taught us, if a second try is worth it. @param facts the values of `--fact`. */
export const correctionIn = (failure: Failure, ops: string, facts: readonly string[]): Correction | undefined =>
  correctionOf(failure, toldFrom(ops, "").ops[failure.index], factsIn(facts))
