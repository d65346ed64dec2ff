/**
 * A document as an outline: names and values, what belongs together indented.
 *
 *     Kernel: 6.1.0
 *     Cgroups:
 *       Mode: v2
 *       Controllers: cpu memory pids
 *     Warnings:
 *       what has blanks in it gets a line of its own
 */

import { visible } from "./table.ts"

/** @returns lines, each ending in a newline. Absent values and empty lists are left out. */
export function outline(document: Readonly<Record<string, unknown>>, indent = ""): string {
  return Object.entries(document)
    .map(([name, value]) => entry(name, value, indent))
    .join("")
}

function entry(name: string, value: unknown, indent: string): string {
  if (value === undefined || value === null) return ""
  const deeper = `${indent}  `
  if (Array.isArray(value)) {
    if (value.length === 0) return ""
    if (value.every(isPair)) return `${indent}${name}:\n${outline(Object.fromEntries(value), deeper)}`
    if (value.some((item) => item !== null && typeof item === "object"))
      return `${indent}${name}:\n${value.map((item, at) => entry(String(at), item, deeper)).join("")}`
    const items = value.map(text)
    if (items.some((item) => item.includes(" ")))
      return `${indent}${name}:\n${items.map((item) => `${deeper}${item}\n`).join("")}`
    return `${indent}${name}: ${items.join(" ")}\n`
  }
  if (typeof value === "object") return `${indent}${name}:\n${outline(value as Record<string, unknown>, deeper)}`
  return `${indent}${name}: ${text(value)}\n`
}

/** A name and its value, where the order of several matters: Docker's DriverStatus. */
const isPair = (item: unknown): item is readonly [string, unknown] =>
  Array.isArray(item) && item.length === 2 && typeof item[0] === "string"
const text = (value: unknown) => visible(String(value))
