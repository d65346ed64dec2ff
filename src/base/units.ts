/**
 * Units: what people write, what the kernel takes, what people read.
 *
 *     "512m"  ──parseBytes──▶  536870912  ──binarySize──▶  "512MiB"      memory: powers of 1024
 *     "10m"   ──parseBytes──▶   10000000  ──decimalSize─▶  "10MB"        disks, logs: powers of 1000 (`base`)
 *     "1m30s" ──parseSpan───▶   90000 ms  ──humanSpan───▶  "About a minute"
 *
 * The forms are Docker's (its package go-units) and Go's (time.ParseDuration), because scripts and fingers know them.
 * Every parser answers `undefined` to what it does not understand: the caller knows the flag or field to blame.
 * Read on: cli/flags.ts.
 */

const SIZE = /^(\d+(?:\.\d+)?) ?([bkmgtp]?)(?:i?b)?$/i
const PREFIXES = "bkmgtp"

/**
 * Bytes of `512`, `512b`, `64k`, `1.5g`, `10 MiB`: a number, perhaps a space, one letter in either case, perhaps `b` or `ib`.
 * @param base what `k` means: 1024 for memory, as with `--memory`; 1000 for sizes of log files.
 * @returns whole bytes, rounded down; undefined for anything else, also beyond 2^53.
 */
export function parseBytes(text: string, base: 1024 | 1000 = 1024): number | undefined {
  const [, digits, unit] = SIZE.exec(text.trim()) ?? []
  if (digits === undefined) return undefined
  const power = PREFIXES.indexOf((unit || "b").toLowerCase())
  const bytes = Math.floor(Number(digits) * base ** power)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** `1.5GiB`, `512MiB`, `0B`: four significant digits at most, powers of 1024. */
export const binarySize = (bytes: number): string =>
  size(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
/** `1.5GB`, `187kB`, `0B`: three significant digits at most in the style of `docker images`, powers of 1000. */
export const decimalSize = (bytes: number): string => size(bytes, 1000, ["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)

function size(bytes: number, base: number, names: readonly string[], digits: number): string {
  let [rest, power] = [bytes, 0]
  while (rest >= base && power < names.length - 1) {
    rest /= base
    power++
  }
  // 1023.99 KiB has more digits before the point than %.4g shows; Number() drops both exponent and trailing zeros.
  return `${Number(rest.toPrecision(digits))}${names[power]}`
}

const SPAN_UNITS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1e3,
  m: 60e3,
  h: 3600e3,
}
const SPAN = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h)(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))*$/
const SPAN_PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/**
 * Milliseconds of a span as Go writes it: `10s`, `1m30s`, `1.5h`, `300ms`, `-5m`, `0`.
 * A bare number has no unit and is refused, except 0.
 */
export function parseSpan(text: string): number | undefined {
  if (/^[+-]?0$/.test(text)) return 0
  if (!SPAN.test(text)) return undefined
  let ms = 0
  for (const [, digits, unit] of text.matchAll(SPAN_PART)) ms += Number(digits) * SPAN_UNITS[unit!]!
  return text.startsWith("-") ? -ms : ms
}

/**
 * A span as `docker ps` words it, without "ago": `Less than a second`, `47 seconds`, `About an hour`, `3 weeks`.
 * A negative span, from a clock that was set back, counts as none.
 */
export function humanSpan(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.round(ms / 3600e3)
  const days = Math.floor(hours / 24)
  if (seconds < 1) return "Less than a second"
  if (seconds === 1) return "1 second"
  if (seconds < 60) return `${seconds} seconds`
  if (minutes === 1) return "About a minute"
  if (minutes < 60) return `${minutes} minutes`
  if (hours === 1) return "About an hour"
  if (hours < 48) return `${hours} hours`
  if (days < 14) return `${days} days`
  if (days < 60) return `${Math.floor(days / 7)} weeks`
  if (days < 730) return `${Math.floor(days / 30)} months`
  return `${Math.floor(days / 365)} years`
}

/** CPUs of `--cpus`: a decimal number of at most nine places, as Docker's nano CPUs. Its range is the kernel's business. */
export function parseCpus(text: string): number | undefined {
  return /^(?:\d+\.?\d{0,9}|\.\d{1,9})$/.test(text) ? Number(text) : undefined
}
