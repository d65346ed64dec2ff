/**
 * The image of a container that is to be made: found, or put into the store first; and what it says, as part of the request.
 *
 *     request.image ──find──▶ entry ──▶ stack ──▶ request as if the caller had said it all; layers
 *
 * Read on: spec/image.ts; image/stacks.ts.
 */

import { EngineError } from "../base/errors.ts"
import { findImage, imageNotFound } from "../image/find.ts"
import { readIndex } from "../image/layout.ts"
import { readStack, type Stack } from "../image/stacks.ts"
import type { Descriptor } from "../model/image.ts"
import { canonical, HELLO, parseReference } from "../model/reference.ts"
import type { Request } from "../model/request.ts"
import type { ImageOf } from "../record/containers.ts"
import { withImage } from "../spec/image.ts"
import type { World } from "./world.ts"

export interface Imaged {
  /** With everything that the image says. */
  readonly request: Request
  readonly of: ImageOf
  /**
   * Called when the record names the layers: from here on nobody frees them.
   * @throws {EngineError} `IMAGE_NOT_FOUND` if somebody removed the image meanwhile.
   */
  readonly confirm: () => void
}

/**
 * @param put whether an image may be put into the store for it; who only looks must not.
 * @throws {EngineError} `IMAGE_NOT_FOUND`, `AMBIGUOUS_ID`, `INVALID_REFERENCE`.
 */
export async function imageFor(world: World, request: Request, { put }: { readonly put: boolean }): Promise<Imaged> {
  const word = request.image ?? ""
  const store = { root: world.roots.state }
  const entry = findImage(readIndex(store), word)?.entry ?? (put ? await builtIn(world, word) : undefined)
  if (!entry) throw isHello(word) ? notYet() : imageNotFound(word)
  const stack = readStack(store, entry.digest)
  if (!stack) throw notReady(word)
  return {
    request: withImage(request, stack.config),
    of: { name: word, id: stack.id, layers: stack.layers },
    confirm: () => {
      if (!isSame(readStack(store, entry.digest), stack)) throw imageNotFound(word)
    },
  }
}

const isSame = (now: Stack | undefined, then: Stack): boolean => now?.manifest === then.manifest

function isHello(word: string): boolean {
  try {
    return canonical(parseReference(word)) === HELLO
  } catch {
    return false
  }
}

const notYet = (): EngineError =>
  new EngineError(
    "IMAGE_NOT_FOUND",
    "cannot look at image hello: it is built in, and not in the store yet",
    "run it once: minicontainer run hello",
  )
const notReady = (word: string): EngineError =>
  new EngineError(
    "INVALID_IMAGE",
    `cannot use image ${word}: its layers are not unpacked here`,
    "remove it with rmi, and get it again",
  )

async function builtIn(world: World, word: string): Promise<Descriptor | undefined> {
  const { hello } = world
  if (hello === undefined || !isHello(word)) return undefined
  // With all that makes a layer, which a start has no use for.
  const { importHello } = await import("../image/hello.ts")
  return importHello(
    { ...world.store(), executor: world.executor() },
    hello,
    ARCHITECTURES[process.arch] ?? process.arch,
  )
}
/** Node's word → Go's, which images use. */
export const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" }
