/**
 * An image in Docker's words: `image inspect`, and `history`.
 *
 * Read on: inspect.ts, the same of a container. Docker Engine API, "ImageInspect".
 */

import { readConfiguration, readManifest } from "../image/documents.ts"
import { idOf, needImage } from "../image/find.ts"
import { NAME, readIndex } from "../image/layout.ts"
import { readStack } from "../image/stacks.ts"
import { familiar, familiarName, parseReference } from "../model/reference.ts"
import { NEVER } from "../record/time.ts"
import type { HistoryStep, Inspected } from "./types.ts"
import type { World } from "./world.ts"

export async function inspectImage(world: World, word: string): Promise<Inspected> {
  const store = { root: world.roots.state }
  const entries = readIndex(store)
  const { entry } = needImage(entries, word)
  const manifest = readManifest(store, entry.digest)
  const configuration = readConfiguration(store, manifest)
  const { author = "", architecture, os, variant, created = NEVER, config = {}, rootfs, history = [] } = configuration
  const same = entries.filter((other) => idOf(other) === idOf(entry))
  const names = same.flatMap((other) => other.annotations?.[NAME] ?? [])
  const stack = readStack(store, entry.digest)
  const layers = (stack?.layers ?? []).map((layer) => `${store.root}/${layer}`)
  return {
    Id: manifest.config.digest,
    // Inspected has it, Docker's document of an image has not.
    Name: names[0] ?? "",
    RepoTags: names.map((name) => shown(name, familiar)),
    RepoDigests: [
      ...new Set(
        same.flatMap(({ annotations, digest }) => {
          const name = annotations?.[NAME]
          return name === undefined ? [] : [`${shown(name, familiarName)}@${digest}`]
        }),
      ),
    ],
    Parent: "",
    Comment: history.at(-1)?.comment ?? "",
    Created: created,
    DockerVersion: "",
    Author: author,
    Config: {
      Hostname: "",
      Domainname: "",
      User: "",
      Env: null,
      Cmd: null,
      Image: "",
      Volumes: null,
      WorkingDir: "",
      Entrypoint: null,
      OnBuild: null,
      Labels: null,
      ...config,
    },
    Architecture: architecture,
    ...(variant && { Variant: variant }),
    Os: os,
    Size: stack?.size ?? 0,
    GraphDriver: {
      Name: "overlay",
      Data: { UpperDir: layers.at(-1) ?? "", LowerDir: layers.slice(0, -1).toReversed().join(":") },
    },
    RootFS: { Type: "layers", Layers: rootfs.diff_ids },
    Metadata: { LastTagTime: NEVER },
    Descriptor: { mediaType: entry.mediaType, digest: entry.digest, size: entry.size },
  }
}

const shown = (name: string, how: typeof familiar): string => {
  try {
    return how(parseReference(name))
  } catch {
    return name
  }
}

export async function history(world: World, word: string): Promise<readonly HistoryStep[]> {
  const store = { root: world.roots.state }
  const { entry } = needImage(readIndex(store), word)
  const manifest = readManifest(store, entry.digest)
  const steps = readConfiguration(store, manifest).history ?? []
  const layers = manifest.layers.values()
  return steps
    .map((step): HistoryStep => {
      const size = step.empty_layer ? 0 : (layers.next().value?.size ?? 0)
      const { created, created_by = "", comment = "" } = step
      return { ...(created && { created }), createdBy: created_by, comment, size }
    })
    .toReversed()
    .map((step, index) => (index === 0 ? { ...step, id: manifest.config.digest } : step))
}
