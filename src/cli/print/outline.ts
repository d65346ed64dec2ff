/**
 * A document as an outline: names and values, what belongs together indented.
 *
 *     Kernel: 6.1.0
 *     Cgroups:
 *       Mode: v2
 *       Controllers: cpu memory pids
 */

import { visible } from "./table.ts"

/** @returns lines, each ending in a newline. Absent values are left out. */
export function outline(document: Readonly<Record<string, unknown>>, indent = ""): string {
  return Object.entries(document)
    .map(([name, value]) => entry(name, value, indent))
    .join("")
}

function entry(name: string, value: unknown, indent: string): string {
  if (value === undefined || value === null) return ""
  const deeper = `${indent}  `
  if (Array.isArray(value) && value.some((item) => item !== null && typeof item === "object")) {
    return `${indent}${name}:\n${value.map((item, at) => entry(String(at), item, deeper)).join("")}`
  }
  if (Array.isArray(value)) return `${`${indent}${name}: ${value.map(text).join(" ")}`.trimEnd()}\n`
  if (typeof value === "object") return `${indent}${name}:\n${outline(value as Record<string, unknown>, deeper)}`
  return `${indent}${name}: ${text(value)}\n`
}

const text = (value: unknown) => visible(String(value))
