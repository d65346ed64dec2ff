/**
 * `--change`: lines of a Dockerfile that say how an image wants to be run, for `import` and `commit`.
 *
 *     CMD ["sh", "-c", "id"]     JSON: the words as they are
 *     CMD id -u                  anything else: ["/bin/sh", "-c", "id -u"]
 *     ENV A=1 B="two words"      LABEL, too
 *
 * Read on: image.ts, what follows from it. docs.docker.com/reference/dockerfile.
 */

import { EngineError } from "../base/errors.ts"
import type { RunConfig } from "../model/image.ts"

type Change = (config: RunConfig, text: string) => RunConfig | undefined

const command = (text: string): readonly string[] => jsonWords(text) ?? ["/bin/sh", "-c", text]
const nothing = <T>(words: Iterable<string>, before: T | undefined) => ({
  ...before,
  ...Object.fromEntries([...words].map((word) => [word, {}])),
})
const plain = (text: string): readonly string[] => text.split(/\s+/)

const CHANGES: Readonly<Record<string, Change>> = {
  CMD: (config, text) => ({ ...config, Cmd: command(text) }),
  // As in a Dockerfile: another entry point has no use for the words of the old one.
  ENTRYPOINT: ({ Cmd: _, ...config }, text) => ({ ...config, Entrypoint: command(text) }),
  ENV: (config, text) => {
    const pairs = pairsOf(text)
    if (!pairs) return undefined
    const names = pairs.map(([name]) => `${name}=`)
    const others = (config.Env ?? []).filter((entry) => !names.some((name) => entry.startsWith(name)))
    return { ...config, Env: [...others, ...pairs.map(([name, value]) => `${name}=${value}`)] }
  },
  LABEL: (config, text) => {
    const pairs = pairsOf(text)
    return pairs && { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs) } }
  },
  EXPOSE: (config, text) => ({
    ...config,
    ExposedPorts: nothing(
      plain(text).map((port) => (port.includes("/") ? port : `${port}/tcp`)),
      config.ExposedPorts,
    ),
  }),
  VOLUME: (config, text) => ({ ...config, Volumes: nothing(jsonWords(text) ?? plain(text), config.Volumes) }),
  USER: (config, text) => ({ ...config, User: text }),
  WORKDIR: (config, text) => ({ ...config, WorkingDir: text }),
  STOPSIGNAL: (config, text) => ({ ...config, StopSignal: text }),
}

/** @throws {EngineError} `INVALID_VALUE` for a line that is none of these. */
export function withChanges(config: RunConfig, lines: readonly string[]): RunConfig {
  return lines.reduce((now, line) => {
    const [, word = "", text = ""] = /^\s*(\w+)\s+([\s\S]*?)\s*$/.exec(line) ?? []
    const change = Object.hasOwn(CHANGES, word.toUpperCase()) ? CHANGES[word.toUpperCase()] : undefined
    const changed = text === "" ? undefined : change?.(now, text)
    if (changed) return changed
    throw new EngineError(
      "INVALID_VALUE",
      `cannot change an image by ${JSON.stringify(line.slice(0, 80))}: it is no line that can be used here`,
      `there are ${Object.keys(CHANGES).join(", ")}: CMD ["sh"], ENV A=1`,
    )
  }, config)
}

/** A JSON list of texts; undefined if it is none. */
function jsonWords(text: string): readonly string[] | undefined {
  if (!text.startsWith("[")) return undefined
  try {
    const words: unknown = JSON.parse(text)
    return Array.isArray(words) && words.every((word) => typeof word === "string") ? words : undefined
  } catch {
    return undefined
  }
}

/** `A=1 B="two words"`, or `A the rest`. */
function pairsOf(text: string): readonly (readonly [string, string])[] | undefined {
  const [, old, rest] = /^([^\s=]+)\s+([\s\S]+)$/.exec(text) ?? []
  if (old !== undefined) return [[old, rest!]]
  const pairs = [...text.matchAll(/([^\s="]+)=((?:"(?:[^"\\]|\\.)*"|\\.|[^\s"\\])*)(?:\s+|$)/g)]
  if (pairs.map(([all]) => all).join("") !== text) return undefined
  return pairs.map(([, name, value]) => [
    name!,
    value!.replaceAll(/"((?:[^"\\]|\\.)*)"/g, "$1").replaceAll(/\\(.)/g, "$1"),
  ])
}
