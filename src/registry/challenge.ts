/**
 * Challenges: what a registry that answers 401 wants to see.
 *
 *     WWW-Authenticate: Bearer realm="https://auth.docker.io/token",service="registry.docker.io", Basic realm="x"
 *                       ─┬────  ─┬─── …                                                           ─┬───
 *                        scheme  parameters, quoted or not                                         the next challenge
 *
 * A comma stands between parameters and between challenges: a word without `=` behind it begins a new one.
 * @see RFC 9110, 11.6.1
 */

export interface Challenge {
  /** In lower case. */
  readonly scheme: string
  /** Names in lower case. */
  readonly parameters: Readonly<Record<string, string>>
}

const MOST_CHARACTERS = 16 * 1024
const PART =
  /\s*(?:,\s*)*([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|(?![\w!#$%&'*+.^`|~-]|\s*=))/gy

/** All of them, in order; what cannot be read ends the list. */
export function parseChallenges(header: string): readonly Challenge[] {
  const all: { scheme: string; parameters: Record<string, string> }[] = []
  for (const [, name = "", quoted, plain] of header.slice(0, MOST_CHARACTERS).matchAll(PART)) {
    const value = quoted === undefined ? plain : quoted.replace(/\\(.)/g, "$1")
    if (value === undefined) all.push({ scheme: name.toLowerCase(), parameters: {} })
    else {
      const last = all.at(-1)
      if (last && !Object.hasOwn(last.parameters, name.toLowerCase())) last.parameters[name.toLowerCase()] = value
    }
  }
  return all
}
