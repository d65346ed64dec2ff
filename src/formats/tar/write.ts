/**
 * Writing an archive: the same entries always give the same bytes.
 *
 *     (PAX header: what does not fit) header │ content, which the caller writes │ padding │ … │ two blocks of zeros
 *
 * Everything a reader of today needs is ustar; what ustar cannot say (a long name, one that is not ASCII, nanoseconds, xattrs, a number
 * with too many digits) is said in PAX records, which every tar reads.
 *
 * Read on: entry.ts, pax.ts.
 */

import { BLOCK, padding, type TarEntry, type TarType, unbinary } from "./entry.ts"
import { record, xattrRecord } from "./pax.ts"

const LETTER: Readonly<Record<TarType, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
}
const MOST = { name: 100, prefix: 155, id: 0o7777777, size: 0o77777777777 }
const isAscii = (text: string): boolean => ![...text].some((char) => char > "\x7f")

/** What stands before an entry's content. */
export function tarHeader(entry: TarEntry): Uint8Array {
  const records: string[] = []
  const say = (key: string, value: string | number): void => {
    records.push(record(key, String(value)))
  }
  const split = splitName(entry.path)
  if (!split || !isAscii(entry.path)) say("path", entry.path)
  if (entry.link.length > MOST.name || !isAscii(entry.link)) say("linkpath", entry.link)
  if (entry.size > MOST.size) say("size", entry.size)
  if (entry.uid > MOST.id) say("uid", entry.uid)
  if (entry.gid > MOST.id) say("gid", entry.gid)
  if (entry.nanoseconds !== 0 || entry.seconds < 0 || entry.seconds > MOST.size) say("mtime", time(entry))
  for (const name of [...entry.xattrs.keys()].sort()) records.push(xattrRecord(name, entry.xattrs.get(name)!))

  const [prefix, name] = split ?? ["", entry.path.slice(0, MOST.name)]
  const own = ustar(entry, prefix, name, entry.link.slice(0, MOST.name), LETTER[entry.type])
  if (records.length === 0) return own
  const body = unbinary(records.join(""))
  const base = entry.path.replace(/\/+$/, "").split("/").at(-1) ?? ""
  const about = { ...entry, mode: 0o644, uid: 0, gid: 0, size: body.length, seconds: 0, major: 0, minor: 0 }
  const head = ustar(about, "PaxHeaders", base.slice(0, MOST.name), "", "x")
  const bytes = new Uint8Array(head.length + body.length + padding(body.length) + own.length)
  bytes.set(head)
  bytes.set(body, head.length)
  bytes.set(own, bytes.length - own.length)
  return bytes
}

/** What follows an entry's content. */
export const tarPadding = (size: number): Uint8Array => new Uint8Array(padding(size))
/** What ends an archive. */
export const tarEnd = (): Uint8Array => new Uint8Array(2 * BLOCK)

/** At a slash, so that both halves fit; undefined if there is none that does. */
function splitName(path: string): readonly [prefix: string, name: string] | undefined {
  if (path.length <= MOST.name) return ["", path]
  const slash = path.indexOf("/", path.length - MOST.name - 1)
  return slash > 0 && slash <= MOST.prefix && slash < path.length - 1
    ? [path.slice(0, slash), path.slice(slash + 1)]
    : undefined
}

function time({ seconds, nanoseconds }: TarEntry): string {
  if (nanoseconds === 0) return String(seconds)
  const negative = seconds < 0
  const fraction = String(negative ? 1e9 - nanoseconds : nanoseconds).padStart(9, "0")
  return `${negative ? "-" : ""}${negative ? -seconds - 1 : seconds}.${fraction.replace(/0+$/, "")}`
}

/** Numbers that do not fit are 0 here: a record says them. */
function ustar(entry: TarEntry, prefix: string, name: string, link: string, letter: string): Uint8Array {
  const block = new Uint8Array(BLOCK)
  const put = (at: number, text: string): void => block.set(unbinary(text), at)
  const octal = (at: number, length: number, value: number): void => {
    const digits = Math.max(0, value).toString(8)
    put(at, `${(digits.length < length ? digits : "0").padStart(length - 1, "0")}\0`)
  }
  put(0, name)
  octal(100, 8, entry.mode)
  octal(108, 8, entry.uid)
  octal(116, 8, entry.gid)
  octal(124, 12, entry.size)
  octal(136, 12, entry.seconds)
  put(148, "        ")
  put(156, letter)
  put(157, link)
  put(257, "ustar\x0000")
  octal(329, 8, entry.major)
  octal(337, 8, entry.minor)
  put(345, prefix)
  put(
    148,
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
  )
  return block
}
