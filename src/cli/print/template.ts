/**
 * Templates: `--format '{{.Names}}: {{.Status}}'`, in the language of Go's text/template as far as people use it here.
 *
 *     template(text) ── reads it once, or says where it is wrong
 *          └─▶ (data) ⇒ text
 *
 * What a name that is not there gives is Docker's: of a document with known fields it is an error, with the position and
 * the names there are; of a map, whose keys are the user's (labels), it is `<no value>`.
 * Read on: template-parse.ts; template-functions.ts; format.ts, who uses it.
 */

import { EngineError } from "../../base/errors.ts"
import { didYouMean } from "../nearest.ts"
import { entries, FUNCTIONS, isTrue, shown, type TemplateFunction } from "./template-functions.ts"
import { type At, type Node, type Operand, type Pipe, parseTemplate, TemplateFault } from "./template-parse.ts"

/**
 * @param functions by name; HEADER_FUNCTIONS for a table's heading.
 * @throws {EngineError} `INVALID_VALUE`, now or when the template meets its data.
 */
export function template(source: string, functions = FUNCTIONS): (data: unknown) => string {
  const nodes = pointing(source, () => parseTemplate(source))
  return (data) =>
    pointing(source, () => {
      const run = new Run(functions)
      run.all(nodes, data, new Scope([["", data]]))
      return run.written
    })
}

/**
 * A document with those of its objects made into maps whose keys are not fields but data: below these names.
 * @see Docker's types: they are map[string]… there.
 */
export function withMaps(document: unknown): unknown {
  if (Array.isArray(document)) return document.map(withMaps)
  if (document === null || typeof document !== "object" || document instanceof Uint8Array) return document
  const pairs = Object.entries(document).map(([name, value]) => {
    const inner = withMaps(value)
    const isMap = MAPS.has(name) && inner !== null && typeof inner === "object" && !Array.isArray(inner)
    return [name, isMap ? new Map(Object.entries(inner)) : inner] as const
  })
  return Object.fromEntries(pairs)
}
const MAPS = new Set(
  "Labels Annotations Sysctls Tmpfs StorageOpt Options Data Volumes ExposedPorts Ports PortBindings Networks DriverOpts Config.Config Controllers".split(
    " ",
  ),
)

function pointing<T>(source: string, act: () => T): T {
  try {
    return act()
  } catch (error) {
    if (!(error instanceof TemplateFault)) throw error
    const before = source.slice(0, error.at).split("\n")
    const line = before.length > 1 ? `line ${before.length}, ` : ""
    const place = `${line}column ${before.at(-1)!.length + 1}`
    throw new EngineError("INVALID_VALUE", `cannot use the template: ${error.message} (${place})`, error.hint)
  }
}

class Scope {
  private readonly own: Map<string, unknown>
  constructor(
    pairs: readonly (readonly [string, unknown])[],
    private readonly outer?: Scope,
  ) {
    this.own = new Map(pairs)
  }
  holder(name: string): Map<string, unknown> | undefined {
    return this.own.has(name) ? this.own : this.outer?.holder(name)
  }
  declare(name: string, value: unknown): void {
    this.own.set(name, value)
  }
}

type Signal = "break" | "continue" | undefined

class Run {
  written = ""
  constructor(private readonly functions: ReadonlyMap<string, TemplateFunction>) {}

  all(nodes: readonly Node[], dot: unknown, scope: Scope): Signal {
    for (const node of nodes) {
      const signal = this.one(node, dot, scope)
      if (signal) return signal
    }
    return undefined
  }

  private one(node: Node, dot: unknown, scope: Scope): Signal {
    switch (node.kind) {
      case "text":
        this.written += node.text
        return undefined
      case "output": {
        const value = this.pipe(node.pipe, dot, scope)
        if (node.pipe.names.length > 0) this.assign(node.pipe, [value], scope)
        else this.written += shown(value)
        return undefined
      }
      case "break":
      case "continue":
        return node.kind
      case "range":
        return this.range(node, dot, scope)
    }
    const inner = new Scope([], scope)
    const value = this.pipe(node.pipe, dot, inner)
    this.assign(node.pipe, [value], inner)
    if (!isTrue(value)) return this.all(node.otherwise, dot, inner)
    return this.all(node.then, node.kind === "with" ? value : dot, inner)
  }

  private range(node: Extract<Node, { kind: "if" | "with" | "range" }>, dot: unknown, scope: Scope): Signal {
    const many = this.pipe(node.pipe, dot, scope)
    if (typeof many === "string" || typeof many === "boolean")
      throw new TemplateFault(`range cannot go over ${shown(many)}`, node.pipe.at)
    const items = entries(many)
    if (items.length === 0) return this.all(node.otherwise, dot, new Scope([], scope))
    for (const [key, item] of items) {
      const inner = new Scope([], scope)
      this.assign(node.pipe, node.pipe.names.length > 1 ? [key, item] : [item], inner)
      if (this.all(node.then, item, inner) === "break") break
    }
    return undefined
  }

  private assign({ names, sets, at }: Pipe, values: readonly unknown[], scope: Scope): void {
    for (const [index, name] of names.entries()) {
      if (!sets) scope.declare(name, values[index])
      else this.variables(name, scope, at).set(name, values[index])
    }
  }

  private variables(name: string, scope: Scope, at: At): Map<string, unknown> {
    const holder = scope.holder(name)
    if (!holder) throw new TemplateFault(`there is no variable $${name}`, at)
    return holder
  }

  private pipe({ commands }: Pipe, dot: unknown, scope: Scope): unknown {
    let last: readonly unknown[] = []
    for (const command of commands) last = [this.command(command, last, dot, scope)]
    return last[0]
  }

  private command(
    [first, ...rest]: readonly Operand[],
    piped: readonly unknown[],
    dot: unknown,
    scope: Scope,
  ): unknown {
    const { at } = first!
    const value = (operand: Operand) => this.operand(operand, dot, scope)
    if (first!.kind === "function") {
      const { name } = first!
      if (name === "and" || name === "or")
        return shortest(name, [...rest.map((one) => () => value(one)), ...piped.map((one) => () => one)], at)
      const called = this.functions.get(name)
      if (!called)
        throw new TemplateFault(`there is no function ${name}`, at, didYouMean(name, [...this.functions.keys()]))
      return applied(name, called, [...rest.map(value), ...piped], at)
    }
    const given = this.operand(first!, dot, scope)
    const args = [...rest.map(value), ...piped]
    if (typeof given === "function") return applied("it", given as TemplateFunction, args, at)
    if (args.length > 0) throw new TemplateFault("a value that is no function has arguments", at)
    return given
  }

  private operand(operand: Operand, dot: unknown, scope: Scope): unknown {
    if (operand.kind === "literal") return operand.value
    if (operand.kind === "function") return this.command([operand], [], dot, scope)
    const { from, path, at } = operand
    const start =
      from === "dot"
        ? dot
        : "variable" in from
          ? this.variables(from.variable, scope, at).get(from.variable)
          : this.pipe(from.pipe, dot, scope)
    return path.reduce((value, name) => field(value, name, at), start)
  }
}

function field(value: unknown, name: string, at: At): unknown {
  if (value instanceof Map) return value.get(name)
  if (value === undefined || value === null)
    throw new TemplateFault(`there is nothing that .${name} could be taken of`, at)
  if (typeof value !== "object" || Array.isArray(value))
    throw new TemplateFault(
      `${typeof value === "string" ? JSON.stringify(value) : shown(value)} has no field ${name}`,
      at,
    )
  if (Object.hasOwn(value, name)) return (value as Record<string, unknown>)[name]
  const names = Object.keys(value)
  throw new TemplateFault(`there is no field ${name}`, at, didYouMean(name, names) ?? `there are ${names.join(", ")}`)
}

function applied(name: string, called: TemplateFunction, args: readonly unknown[], at: At): unknown {
  if (args.length < called.length)
    throw new TemplateFault(
      `${name} needs ${called.length} ${called.length === 1 ? "argument" : "arguments"}, not ${args.length}`,
      at,
    )
  try {
    return called(...args)
  } catch (error) {
    if (error instanceof TemplateFault || error instanceof EngineError) throw error
    throw new TemplateFault(`${name}: ${(error as Error).message}`, at)
  }
}

/** The first value that settles it; the last, if none does. */
function shortest(name: "and" | "or", values: readonly (() => unknown)[], at: At): unknown {
  if (values.length === 0) throw new TemplateFault(`${name} needs arguments`, at)
  let value: unknown
  for (const next of values) {
    value = next()
    if (isTrue(value) === (name === "or")) break
  }
  return value
}
