/**
 * Platforms: for which machine an image was made, and which of an index's images this machine can run.
 *
 *     arm/v7 runs   arm/v7, arm/v6, arm/v5          newest first
 *     arm64  runs   arm64, arm/v8 … arm/v5
 *     amd64  runs   amd64, 386                      amd64/v3 also amd64/v2
 *
 * The names are Go's; what the kernel calls x86_64 and aarch64 is understood as well.
 * @see https://github.com/containerd/platforms, the same preferences
 */

import { EngineError } from "../base/errors.ts"
import type { Descriptor, Platform } from "./image.ts"

/** Other names of an architecture: what it is, and which variant it implies. */
const ALIASES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ["amd64"],
  "x86-64": ["amd64"],
  i386: ["386"],
  i686: ["386"],
  aarch64: ["arm64"],
  armhf: ["arm", "v7"],
  armel: ["arm", "v6"],
}
/** The variant that is meant when none is named. */
const USUAL: Readonly<Record<string, string>> = { arm: "v7", arm64: "v8", amd64: "v1" }

/** With Go's names, and the usual variant of an architecture named. */
function whole({ os, architecture, variant }: Platform): Platform {
  const [name, implied] = Object.hasOwn(ALIASES, architecture) ? ALIASES[architecture]! : [architecture]
  const word = variant || implied || (Object.hasOwn(USUAL, name) ? USUAL[name] : undefined)
  const full = word !== undefined && /^\d+$/.test(word) ? `v${word}` : word
  return { os: os.toLowerCase(), architecture: name, ...(full !== undefined && { variant: full }) }
}

/**
 * `linux/arm64`, `linux/arm/v7`, or an architecture alone, which is Linux's.
 * @throws {EngineError} `INVALID_VALUE`.
 */
export function parsePlatform(text: string): Platform {
  const parts = text.split("/")
  const [first = "", architecture, variant] = parts
  if (parts.length > 3 || parts.some((part) => !/^[A-Za-z0-9_.-]{1,64}$/.test(part)))
    throw new EngineError(
      "INVALID_VALUE",
      `cannot read the platform "${text}": it is not OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT`,
      "like linux/amd64, linux/arm64, linux/arm/v7",
    )
  const given = architecture === undefined ? { os: "linux", architecture: first } : { os: first, architecture }
  return whole({ ...given, ...(variant !== undefined && { variant }) })
}

/** `linux/amd64`, `linux/arm/v7`: without the variant that is meant anyway. */
export function platformText(platform: Platform): string {
  const { os, architecture, variant } = whole(platform)
  const named = variant !== undefined && (architecture === "arm" || variant !== USUAL[architecture])
  return `${os}/${architecture}${named ? `/${variant}` : ""}`
}

/** What a machine of one platform can run, best first. */
function runs(platform: Platform): readonly Platform[] {
  const best = whole(platform)
  const { os, architecture, variant = "" } = best
  const newest = /^v(\d+)$/.exec(variant)?.[1]
  const down = (name: string, from: number, to: number): Platform[] =>
    Array.from({ length: Math.max(0, from - to + 1) }, (_, back) => ({
      os,
      architecture: name,
      variant: `v${from - back}`,
    }))
  if (newest === undefined) return [best]
  if (architecture === "arm") return down("arm", Math.min(Number(newest), 8), 5)
  if (architecture === "arm64") return [...down("arm64", Math.min(Number(newest), 9), 8), ...down("arm", 8, 5)]
  if (architecture === "amd64") return [...down("amd64", Math.min(Number(newest), 4), 1), { os, architecture: "386" }]
  return [best]
}

const same = (a: Platform, b: Platform): boolean =>
  a.os === b.os && a.architecture === b.architecture && (a.variant ?? "") === (b.variant ?? "")

/** Whether a machine of `wanted` can run what was made for `offered`. */
export const canRun = (wanted: Platform, offered: Platform): boolean =>
  runs(wanted).some((one) => same(one, whole(offered)))

/**
 * Of an index's entries, the one for a machine: its best match, and the first of equals. Entries without a platform are for none,
 * unless there is only one entry.
 */
export function choosePlatform(entries: readonly Descriptor[], wanted: Platform): Descriptor | undefined {
  if (entries.length === 1 && entries[0]!.platform === undefined) return entries[0]
  for (const one of runs(wanted)) {
    const found = entries.find(({ platform }) => platform !== undefined && same(one, whole(platform)))
    if (found) return found
  }
  return undefined
}
