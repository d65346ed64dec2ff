/**
 * The lesson at the top of a source file: its first doc comment, as plain text.
 *
 * TypeScript and C have the same form: `/*`, lines that begin with a star, and the end. Two more spaces of indentation
 * than the text around are a picture, which Markdown shows as it is.
 */

/** The lesson without its stars; undefined if the file does not open with one. */
export function lesson(source: string): string | undefined {
  const match = /^(?:#!.*\n)?\/\*\*?\s*\n?([\s\S]*?)\*\//.exec(source)
  if (match === null) return undefined
  const lines = match[1]!.split("\n").map((line) => line.replace(/^\s*\* ?/, "").trimEnd())
  return lines.join("\n").trim()
}

/** The first sentence or clause: up to the first full stop at the end of a word, or the first empty line. */
export function firstSentence(text: string): string {
  const paragraph = text.split("\n\n", 1)[0]!.replaceAll("\n", " ")
  return /^.*?[.](?=\s|$)/.exec(paragraph)?.[0] ?? paragraph
}
