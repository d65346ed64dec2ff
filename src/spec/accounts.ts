/**
 * Accounts: whom a program runs as.
 *
 *     --user web:staff
 *            │     └── /etc/group:  staff:x:50:…                   → gid 50
 *            └──────── /etc/passwd: web:x:33:33:web:/var/www:…     → uid 33, home /var/www
 *
 * The kernel knows numbers only. Names mean what the container's own /etc/passwd and /etc/group say, never the host's; a
 * number needs no entry there. The rules are Docker's: a number is never looked up as a name, the first entry wins, and
 * who names a group gets no others from /etc/group.
 *
 * @see passwd(5), group(5)
 */

import { EngineError } from "../base/errors.ts"

/** The texts of the container's /etc/passwd and /etc/group. Absent: there is no such file. They are hostile. */
export interface Accounts {
  readonly passwd?: string
  readonly group?: string
}

export interface Account {
  readonly uid: number
  readonly gid: number
  /** The primary group and all others, each once. */
  readonly additionalGids: readonly number[]
  /** Absolute; `/` for a uid without an entry. */
  readonly home: string
}

/** The largest id: beyond it 32-bit systems and the C library's `-1` begin. */
const MOST_ID = 2 ** 31 - 1
/** The largest id in a container's own user namespace: it holds 64K of them. */
const MOST_OWN_ID = 0xffff

/** Lines of a file in the style of passwd(5), in fields; comments and empty lines are left out. */
const entries = (text: string | undefined): readonly (readonly string[])[] =>
  (text ?? "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => line.split(":"))

/** undefined: a name. */
const numeral = (word: string | undefined): number | undefined =>
  word !== undefined && /^[+-]?\d+$/.test(word) ? Number(word) : undefined

/**
 * Who `user` is.
 * @param user `name|uid[:group|gid]`; empty: root.
 * @param groupAdd further groups, by name or number.
 * @param ownIds the container has its own user namespace, which holds the ids 0 to 65535.
 * @throws {EngineError} `INVALID_VALUE` for a name without an entry, or an id outside the range.
 */
export function resolveUser(user: string, groupAdd: readonly string[], accounts: Accounts, ownIds: boolean): Account {
  const refuse = (cause: string, hint?: string): EngineError =>
    new EngineError("INVALID_VALUE", `cannot run as ${user === "" ? "root" : user}: ${cause}`, hint)
  const inRange = (kind: "uid" | "gid", id: number): number => {
    if (!(id >= 0 && id <= MOST_ID)) throw refuse(`the ${kind} ${id} is not from 0 to ${MOST_ID}`)
    if (ownIds && id > MOST_OWN_ID) {
      const why = `the ${kind} ${id} is not from 0 to ${MOST_OWN_ID}, the ids of the container's user namespace`
      throw refuse(why, "--userns host")
    }
    return id
  }
  /** The first entry with this name, or with this number in its third field. */
  const find = (among: readonly (readonly string[])[], word: string): readonly string[] | undefined => {
    const id = numeral(word)
    return among.find((fields) => (id === undefined ? fields[0] === word : numeral(fields[2]) === id))
  }
  const idOf = (kind: "uid" | "gid", word: string, entry: readonly string[] | undefined): number => {
    const [noun, file] = kind === "uid" ? ["user", "/etc/passwd"] : ["group", "/etc/group"]
    const id = numeral(word) ?? numeral(entry?.[2])
    if (id === undefined) throw refuse(`unable to find ${noun} ${word}: no matching entry in the container's ${file}`)
    return inRange(kind, id)
  }

  const colon = user.indexOf(":")
  const userWord = (colon < 0 ? user : user.slice(0, colon)) || "0"
  const groupWord = colon < 0 ? "" : user.slice(colon + 1)
  const groups = entries(accounts.group)
  const gidOf = (word: string): number => idOf("gid", word, find(groups, word))

  const entry = find(entries(accounts.passwd), userWord)
  const uid = idOf("uid", userWord, entry)
  const gid = groupWord !== "" ? gidOf(groupWord) : inRange("gid", numeral(entry?.[3]) ?? 0)
  const member = entry?.[0]
  const memberOf = groups
    .filter((fields) => groupWord === "" && member !== undefined && (fields[3] ?? "").split(",").includes(member))
    .map((fields) => inRange("gid", numeral(fields[2]) ?? 0))
  return {
    uid,
    gid,
    // The primary group is in the list, as login(1) does it: without it, a program that drops to another primary group
    // would lose it, and files that deny this group would open.
    additionalGids: [...new Set([gid, ...memberOf, ...groupAdd.map(gidOf)])],
    home: entry?.[5]?.startsWith("/") ? entry[5] : "/",
  }
}

/** The home directory of a uid: that of its first entry in /etc/passwd, else `/`. */
export function homeOf(uid: number, accounts: Accounts): string {
  const home = entries(accounts.passwd).find((fields) => numeral(fields[2]) === uid)?.[5]
  return home?.startsWith("/") ? home : "/"
}
