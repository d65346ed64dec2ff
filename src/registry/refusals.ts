/**
 * Refusals: what a registry that says no has said, as a sentence; and the language in which the files of this room ask.
 *
 * Its own words are kept, short: they are a stranger's, and the door shows nothing in them that a terminal would obey.
 * Read on: registry.ts. https://github.com/opencontainers/distribution-spec spec.md, "Error Codes"
 */

import { EngineError } from "../base/errors.ts"
import { readJson } from "../model/image-guards.ts"
import { familiar, type Reference } from "../model/reference.ts"
import { list, mismatch, record, text } from "../model/shape.ts"
import { deniedAt } from "./auth.ts"
import { type Means, readAll } from "./client.ts"
import { type Answer, type Ask, failed } from "./http.ts"

/** What the rest of the room asks through. */
export interface Session {
  /** A question about a repository. @param path below `/v2/REPOSITORY/`, or a whole address. */
  ask(
    reference: Reference,
    method: Ask["method"],
    path: string | URL,
    actions: string,
    more?: Partial<Ask>,
  ): Promise<Answer>
  readonly means: Means
}

export const wrongDigest = (what: string, url: URL, wanted: string, real: string): EngineError =>
  new EngineError(
    "DIGEST_MISMATCH",
    `cannot use ${what}: ${url.host} sent bytes whose digest is ${real}, not ${wanted}`,
    "somebody between here and there changed them, or the registry is damaged: do not use it",
  )

const MOST_ERROR = 64 * 1024
const ERRORS = record({ errors: list(record({ code: text, message: text })) })

/** Why a registry said no, in its own words if it has any. Reads the answer. */
export async function refusal(
  answer: Answer,
  reference: Reference,
  verb: "pull" | "push" = "pull",
): Promise<EngineError> {
  let said = ""
  try {
    const document = readJson(await readAll(answer, MOST_ERROR, "the error"), "the error", MOST_ERROR)
    if (mismatch(ERRORS, document) === undefined) {
      const [first] =
        (document as { readonly errors?: readonly { readonly message?: string; readonly code?: string }[] }).errors ??
        []
      said = (first?.message || first?.code || "").slice(0, 200)
    }
  } catch {
    // A page for people, or nothing: the status says it as well.
  }
  const words = said ? `: ${said}` : ""
  const name = familiar(reference)
  if (answer.status === 404 && verb === "pull")
    return new EngineError(
      "IMAGE_NOT_FOUND",
      `cannot find ${name}: ${answer.url.host} has no such image${words}`,
      "see whether the name is right; a private one wants minicontainer login",
    )
  if (answer.status === 401 || answer.status === 403)
    return deniedAt(answer.url, reference.host, `it does not let us ${verb} ${name}${words}`)
  return failed(answer.url, `it answers ${answer.status} to a ${verb} of ${name}${words}`)
}
