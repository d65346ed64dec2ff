/**
 * What an image says of its containers, and what the caller says instead.
 *
 *     image      Entrypoint  Cmd   Env   User   WorkingDir   Labels   StopSignal
 *                    │        │     │     │         │           │         │
 *     request    entrypoint  args  env   user    workdir     labels   stopSignal
 *                    │        │     │     └─────────┴───────────┴─────────┴──── the caller's wins; labels key by key
 *                    │        │     └── the image's first, then the caller's over them
 *                    └────────┴── an entry point of the caller's clears the image's Cmd: it was made for the other program
 *
 * Where the image wants a volume and the caller mounts nothing, the container gets one of its own. The
 * result is a request like any other, which names all of it itself: nothing later needs the image again.
 *
 * Read on: process.ts. OCI image-spec config.md, "Properties"; conversion.md, the same to a config.json.
 */

import posix from "node:path/posix"
import { EngineError } from "../base/errors.ts"
import type { RunConfig } from "../model/image.ts"
import type { Request } from "../model/request.ts"

/**
 * The request with everything that the image says and the caller does not. Doing it twice changes nothing but the order of Env.
 * @throws {EngineError} `INVALID_VALUE` if neither names a program.
 */
export function withImage(request: Request, image: RunConfig): Request {
  const own = request.entrypoint !== undefined
  const entrypoint = own ? request.entrypoint : image.Entrypoint
  const args = request.args.length > 0 || own ? request.args : (image.Cmd ?? [])
  if (args.length === 0 && !entrypoint?.length)
    throw new EngineError(
      "INVALID_VALUE",
      `cannot run image ${request.image}: it names no command, and neither do you`,
      "put a command behind the image's name",
    )
  const env = [...(image.Env ?? []), ...(request.env ?? [])]
  const user = request.user ?? image.User
  const workdir = request.workdir ?? (image.WorkingDir ? posix.resolve("/", image.WorkingDir) : undefined)
  const labels = { ...image.Labels, ...request.labels }
  const mounts = [...(request.mounts ?? []), ...ownVolumes(request, image)]
  const stopSignal = request.stopSignal ?? image.StopSignal
  return {
    ...request,
    args,
    ...(entrypoint?.length && { entrypoint }),
    ...(env.length > 0 && { env }),
    ...(user && { user }),
    ...(workdir !== undefined && { workdir }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(mounts.length > 0 && { mounts }),
    ...(stopSignal && { stopSignal }),
  }
}

/** An anonymous volume for each path of Volumes at which the caller mounts nothing. */
function ownVolumes({ mounts = [] }: Request, { Volumes = {} }: RunConfig): NonNullable<Request["mounts"]> {
  const taken = new Set(mounts.map(({ target }) => posix.resolve("/", target)))
  return Object.keys(Volumes)
    .map((path) => posix.resolve("/", path))
    .filter((target) => !taken.has(target))
    .map((target) => ({ kind: "volume", target }) as const)
}
