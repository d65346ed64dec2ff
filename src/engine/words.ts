/**
 * Words: what plans and their failures are called, for doors that print them.
 *
 * A door knows the engine and not the rooms below it; here is what it may borrow of their language. After `become` the
 * command is gone when a step fails, so all that the sentence needs travels as an argv: `reportWords` writes it,
 * `reported` reads it.
 * Read on: plan/explain.ts, executor/sentence.ts, cli/commands/report.ts.
 */

import type { EngineError } from "../base/errors.ts"
import { type Failure, stepError, toldFrom, toldOf, toldWords } from "../executor/sentence.ts"
import type { Plan } from "../plan/step.ts"

export { explainPlan, planJson } from "../plan/explain.ts"

/** What follows `BecomeOptions.failed` in a plan's frame; the executor adds index, errno, detail and does. */
export function reportWords(plan: Pick<Plan, "steps">): readonly string[] {
  const [ops, program] = toldWords(toldOf(plan))
  return ["--ops", ops, "--arg0", program]
}

/** The error of a failed step, from the values of `--ops` and `--arg0` and what the executor told. */
export const reported = (failure: Failure, ops: string, program: string): EngineError =>
  stepError(failure, toldFrom(ops, program))
