/**
 * Tables: columns as wide as their widest cell, as `docker ps` prints them.
 *
 *     CONTAINER ID   IMAGE     NAMES        a column is at least 10 wide and 3 away from the next;
 *     4e5b1b0a0b0c   /         quiet_fox    the last one is not padded
 *
 * Cells come from strangers (a command line, a label): what would move the cursor or break the line is shown, not sent.
 */

const GAP = 3
const NARROWEST = 10

/** @returns one line per row, each ending in a newline; nothing for no rows. */
export function table(rows: readonly (readonly string[])[]): string {
  const shown = rows.map((row) => row.map(visible))
  const widths: number[] = []
  for (const row of shown) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? NARROWEST, width(cell) + GAP)
    }
  }
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column < row.length - 1 ? pad(cell, widths[column]!) : cell)).join("")
  return shown.map((row) => `${line(row)}\n`).join("")
}

/** Left-aligned in `columns`; longer text is left alone. */
export function pad(text: string, columns: number): string {
  return text + " ".repeat(Math.max(0, columns - width(text)))
}

/** Words of `text` in lines of at most `columns`; a longer word gets a line of its own. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last !== undefined && width(last) + 1 + width(word) <= columns) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}

/** Control characters as `\x1b`, so that no name can move the cursor. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)
}

const width = (text: string) => [...text].length
