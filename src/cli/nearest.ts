/**
 * The words that somebody may have meant: close in spelling, or begun and not ended.
 *
 * Distance is Damerau's (optimal string alignment): one letter added, dropped, changed, or two neighbours swapped.
 */

/** At most three, the closest first; those that merely begin with `word` come last. */
export function nearest(word: string, candidates: readonly string[]): string[] {
  // One slip in a short word, more in a longer one: "rn" is "run", but "pull" is not "ps".
  const tolerance = Math.max(1, Math.floor(word.length / 3))
  const scored = candidates.flatMap((candidate) => {
    const away = distance(word, candidate)
    if (away <= tolerance && away < candidate.length) return [{ candidate, away }]
    return word.length > 1 && candidate.startsWith(word) ? [{ candidate, away: tolerance + 1 }] : []
  })
  return scored
    .toSorted((a, b) => a.away - b.away)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}

/** "did you mean --memory?", or undefined if nothing is near. */
export function didYouMean(word: string, candidates: readonly string[]): string | undefined {
  const near = nearest(word, candidates)
  return near.length === 0 ? undefined : `did you mean ${near.join(" or ")}?`
}

function distance(a: string, b: string): number {
  let [before, last] = [[] as number[], Array.from({ length: b.length + 1 }, (_, i) => i)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    ;[before, last] = [last, row]
  }
  return last[b.length]!
}
