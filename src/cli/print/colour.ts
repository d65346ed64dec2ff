/**
 * Colour: the few SGR sequences that every terminal knows, or nothing.
 *
 * A paint is made once per output, so that no caller asks again whether there is a terminal.
 * @see ECMA-48, 8.3.117 SGR; https://no-color.org
 */

const SEQUENCES = { bold: [1, 22], dim: [2, 22], red: [31, 39], yellow: [33, 39], cyan: [36, 39] } as const

export type Paint = Readonly<Record<keyof typeof SEQUENCES, (text: string) => string>>

/** @param colour false: every brush gives back its text. */
export function paint(colour: boolean): Paint {
  const brushes = Object.entries(SEQUENCES).map(([name, [on, off]]) => [
    name,
    (text: string) => (colour && text !== "" ? `\x1b[${on}m${text}\x1b[${off}m` : text),
  ])
  return Object.fromEntries(brushes)
}
