/**
 * Reading a template: text with actions in double braces, as Go's text/template has them.
 *
 *     {{range .Mounts}}{{.Source}} -> {{.Destination | upper}}{{"\n"}}{{else}}none{{end}}
 *     ───────┬───────  ─────┬───── ── ────────────┬──────────                 ──┬─  ──┬──
 *     a block begins   a pipeline     text        a pipeline of two commands    text  and ends
 *
 * A pipeline is commands with `|` between; each one's result is the last argument of the next. A command is an operand,
 * or a function (or a field that is one) and its arguments. `{{-` and `-}}` take the blanks beside them away.
 * Read on: template.ts, which carries it out.
 * @see https://pkg.go.dev/text/template
 */

/** Where something stands: an offset into the template, so that an error can point at it. */
export type At = number

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "output"; readonly pipe: Pipe }
  | {
      readonly kind: "if" | "with" | "range"
      readonly pipe: Pipe
      readonly then: readonly Node[]
      readonly otherwise: readonly Node[]
    }
  | { readonly kind: "break" | "continue" }

export interface Pipe {
  /** `$i, $x :=`: the names, without `$`. `sets`: they exist already (`=`). */
  readonly names: readonly string[]
  readonly sets: boolean
  readonly commands: readonly (readonly Operand[])[]
  readonly at: At
}

export type Operand = { readonly at: At } & (
  | { readonly kind: "literal"; readonly value: unknown }
  | { readonly kind: "function"; readonly name: string }
  /** `.`, `$x` or a pipeline in parentheses, and the fields that are taken of it. */
  | {
      readonly kind: "value"
      readonly from: "dot" | { readonly variable: string } | { readonly pipe: Pipe }
      readonly path: readonly string[]
    }
)

/** What is wrong, and where: template.ts says it with line and column. */
export class TemplateFault extends Error {
  override readonly name = "TemplateFault"
  constructor(
    message: string,
    readonly at: At,
    readonly hint?: string,
  ) {
    super(message)
  }
}

interface Token {
  readonly kind: "string" | "number" | "variable" | "field" | "dot" | "word" | "mark"
  readonly text: string
  readonly at: At
  readonly end: At
}

/** In the order in which they are tried. */
const TOKENS: readonly (readonly [Token["kind"], RegExp])[] = [
  ["string", /"(?:\\.|[^"\\\n])*"|`[^`]*`|'(?:\\.|[^'\\\n])'/y],
  ["number", /[+-]?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/y],
  ["variable", /\$\w*/y],
  ["field", /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ["dot", /\./y],
  ["word", /[\p{L}_][\p{L}\p{N}_]*/uy],
  ["mark", /:=|[=|(),]/y],
]
const BLANKS = /\s*/y
const END = /(?:\s-)?\}\}/y
const COMMENT = /\/\*[\s\S]*?\*\//y

function match(pattern: RegExp, source: string, at: number): string | undefined {
  pattern.lastIndex = at
  return pattern.exec(source)?.[0]
}

type Piece = { readonly text: string } | { readonly tokens: readonly Token[]; readonly at: At }

/** Text and actions in turn; blanks are trimmed already, comments are gone. */
function pieces(source: string): Piece[] {
  const found: Piece[] = []
  let at = 0
  let trimNext = false
  for (;;) {
    const open = source.indexOf("{{", at)
    const trimmed = open >= 0 && /^\{\{-\s/.test(source.slice(open, open + 4))
    let text = source.slice(at, open < 0 ? undefined : open)
    if (trimNext) text = text.trimStart()
    if (trimmed) text = text.trimEnd()
    if (text !== "") found.push({ text })
    if (open < 0) return found
    const action = lex(source, open + (trimmed ? 3 : 2), open)
    if (action.tokens.length > 0) found.push({ tokens: action.tokens, at: open })
    else if (!action.comment) throw new TemplateFault("an action is empty", open)
    at = action.end
    trimNext = action.trims
  }
}

function lex(source: string, start: number, open: At) {
  const tokens: Token[] = []
  let comment = false
  for (let at = start; ; ) {
    const close = match(END, source, at)
    if (close !== undefined) return { tokens, comment, end: at + close.length, trims: close.length > 2 }
    at += match(BLANKS, source, at)!.length
    const comments = match(COMMENT, source, at)
    if (comments !== undefined) {
      comment = true
      at += comments.length
      continue
    }
    const end = match(END, source, at)
    if (end !== undefined) return { tokens, comment, end: at + end.length, trims: false }
    if (at >= source.length) throw new TemplateFault("an action is not closed", open, "end it with }}")
    const token = nextToken(source, at)
    tokens.push(token)
    at = token.end
  }
}

function nextToken(source: string, at: At): Token {
  for (const [kind, pattern] of TOKENS) {
    const text = match(pattern, source, at)
    if (text !== undefined) return { kind, text, at, end: at + text.length }
  }
  throw new TemplateFault(
    /["'`]/.test(source[at]!) ? "a string is not closed" : `${JSON.stringify(source[at])} means nothing here`,
    at,
  )
}

/** @throws {TemplateFault} */
export function parseTemplate(source: string): readonly Node[] {
  const all = pieces(source)
  let next = 0

  /** Nodes up to an action that begins with one of `ends`; that action's tokens. */
  function block(
    ends: readonly string[],
    opened?: At,
  ): { readonly nodes: readonly Node[]; readonly end: readonly Token[] } {
    const nodes: Node[] = []
    for (;;) {
      const piece = all[next++]
      if (piece === undefined) {
        if (opened === undefined) return { nodes, end: [] }
        throw new TemplateFault("a block is not ended", opened, "end it with {{end}}")
      }
      if ("text" in piece) nodes.push({ kind: "text", text: piece.text })
      else {
        const [first] = piece.tokens
        const word = first!.kind === "word" ? first!.text : ""
        if (ends.includes(word)) return { nodes, end: piece.tokens }
        nodes.push(action(word, piece.tokens, piece.at))
      }
    }
  }

  function action(word: string, tokens: readonly Token[], at: At): Node {
    switch (word) {
      case "if":
      case "with":
      case "range":
        return control(word, tokens, at)
      case "break":
      case "continue":
        return { kind: word }
      case "end":
      case "else":
        throw new TemplateFault(`${word} ends no block`, at)
      case "define":
      case "template":
      case "block":
        throw new TemplateFault(`${word} cannot be used: there is one template only`, at)
    }
    return { kind: "output", pipe: wholePipe(tokens, at) }
  }

  function control(kind: "if" | "with" | "range", tokens: readonly Token[], at: At): Node {
    const pipe = wholePipe(tokens.slice(1), at)
    const { nodes: then, end } = block(["else", "end"], at)
    if (end[0]!.text === "end") return { kind, pipe, then, otherwise: [] }
    // `else if` and `else with` are a block within the else, which ends at the same `end`.
    const [, again, ...rest] = end
    if (again === undefined) return { kind, pipe, then, otherwise: block(["end"], at).nodes }
    if (again.text !== "if" && again.text !== "with")
      throw new TemplateFault(`else ${again.text} means nothing`, again.at)
    return { kind, pipe, then, otherwise: [control(again.text, [again, ...rest], again.at)] }
  }

  return block([]).nodes
}

function wholePipe(tokens: readonly Token[], at: At): Pipe {
  const reader = new Reader(tokens, at)
  const pipe = reader.pipe()
  const rest = reader.peek()
  if (rest) throw new TemplateFault(`${rest.text} means nothing here`, rest.at)
  return pipe
}

class Reader {
  private next = 0
  constructor(
    private readonly tokens: readonly Token[],
    private readonly start: At,
  ) {}

  peek(ahead = 0): Token | undefined {
    return this.tokens[this.next + ahead]
  }

  private isMark(text: string, ahead = 0): boolean {
    const token = this.peek(ahead)
    return token?.kind === "mark" && token.text === text
  }

  pipe(): Pipe {
    const at = this.peek()?.at ?? this.start
    const { names, sets } = this.declaration()
    const commands = [this.command()]
    while (this.isMark("|")) {
      this.next++
      commands.push(this.command())
    }
    return { names, sets, commands, at }
  }

  private declaration(): Pick<Pipe, "names" | "sets"> {
    const count = this.isMark(",", 1) ? 3 : 1
    const sets = this.isMark("=", count)
    if (!sets && !this.isMark(":=", count)) return { names: [], sets: false }
    const variables = this.tokens.slice(this.next, this.next + count).filter(({ kind }) => kind !== "mark")
    for (const { kind, text, at } of variables) {
      if (kind !== "variable" || text === "$") throw new TemplateFault(`${text} is not a variable`, at)
    }
    this.next += count + 1
    return { names: variables.map(({ text }) => text.slice(1)), sets }
  }

  private command(): readonly Operand[] {
    const operands: Operand[] = []
    for (;;) {
      const token = this.peek()
      if (!token || (token.kind === "mark" && token.text !== "(")) {
        if (operands.length > 0) return operands
        throw new TemplateFault(
          token ? `a value is missing before ${token.text}` : "a value is missing",
          token?.at ?? this.start,
        )
      }
      operands.push(this.operand())
    }
  }

  private operand(): Operand {
    const token = this.tokens[this.next++]!
    const { at, text } = token
    switch (token.kind) {
      case "string":
        return { kind: "literal", value: unquote(text), at }
      case "number":
        return { kind: "literal", value: Number(text), at }
      case "variable":
        return { kind: "value", from: { variable: text.slice(1) }, path: this.fields(token.end), at }
      case "field":
        return { kind: "value", from: "dot", path: [text.slice(1), ...this.fields(token.end)], at }
      case "dot":
        return { kind: "value", from: "dot", path: [], at }
      case "word":
        return text in CONSTANTS
          ? { kind: "literal", value: CONSTANTS[text], at }
          : { kind: "function", name: text, at }
    }
    const pipe = this.pipe()
    const close = this.peek()
    if (!this.isMark(")")) throw new TemplateFault("a parenthesis is not closed", at)
    this.next++
    return { kind: "value", from: { pipe }, path: this.fields(close!.end), at }
  }

  /** `.A.B` right behind, without a blank: with one, it would be another argument. */
  private fields(end: At): string[] {
    const path: string[] = []
    for (let behind = end, token = this.peek(); token?.kind === "field" && token.at === behind; token = this.peek()) {
      path.push(token.text.slice(1))
      behind = token.end
      this.next++
    }
    return path
  }
}

const CONSTANTS: Readonly<Record<string, unknown>> = Object.assign(Object.create(null), {
  true: true,
  false: false,
  nil: null,
})

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v" }
/** A Go string or, as its number, a character. */
function unquote(text: string): unknown {
  const inner = text.slice(1, -1)
  if (text.startsWith("`")) return inner
  const plain = inner.replace(/\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.)/g, (_, code: string) => {
    if (/^[xu]./.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    if (/^[0-7]{3}$/.test(code)) return String.fromCharCode(Number.parseInt(code, 8))
    return ESCAPES[code] ?? code
  })
  return text.startsWith("'") ? plain.codePointAt(0) : plain
}
