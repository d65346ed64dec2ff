/**
 * Times: RFC 3339 with nanoseconds in UTC, always of the same length, so that comparing the texts compares the times.
 *
 *     2026-11-24T14:05:41.123456789Z
 *
 * JavaScript's Date has milliseconds; the kernel's clock and the log have nanoseconds, which are kept as digits.
 */

const LENGTH = "2026-11-24T14:05:41.123456789Z".length
/** Docker's time for "never". */
export const NEVER = "0001-01-01T00:00:00Z"

export const timeOf = (date: Date): string => date.toISOString().replace("Z", "000000Z")

/** `1795529141.123456789`, seconds and nanoseconds as the monitor writes them. */
export function timeOfSeconds(text: string): string {
  const [seconds = "0", fraction = ""] = text.split(".")
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19)
  return `${whole}.${fraction.padEnd(9, "0").slice(0, 9)}Z`
}

/** Milliseconds since 1970. */
export const millisOf = (time: string): number => Date.parse(time.length === LENGTH ? `${time.slice(0, 23)}Z` : time)

/**
 * What a person gives as a time: RFC 3339 (`2026-11-24`, `2026-11-24T14:05`, with or without zone), or seconds since 1970 with or
 * without a fraction.
 * @returns undefined if it is neither. A time without a zone is UTC.
 */
export function parseTime(text: string): string | undefined {
  if (/^\d{1,11}(\.\d+)?$/.test(text)) return timeOfSeconds(text)
  const [, day, clock, fraction, zone] =
    /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d(?::\d\d){0,2})(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?)?$/i.exec(text) ?? []
  if (day === undefined) return undefined
  const full = `${clock ?? "00"}:00:00`.slice(0, 8)
  const millis = Date.parse(`${day}T${full}${zone?.toUpperCase() ?? "Z"}`)
  return Number.isNaN(millis) ? undefined : timeOfSeconds(`${millis / 1000}.${fraction ?? ""}`)
}
