/**
 * The accounts of a root file system: its /etc/passwd and /etc/group, read without following any link.
 *
 *     ROOT ──O_PATH──▶ fd ── /proc/self/fd/N/etc ──O_PATH, O_NOFOLLOW──▶ fd ── …/passwd ──O_PATH, O_NOFOLLOW──▶ fd, a file? ──▶ text
 *
 * A root file system may be hostile: its `etc` could be a link to the host's. So each component is opened by itself, below the fd of
 * the one before, and none may be a link; what is read must be a plain file of a sane size, and is asked before it is opened: to open
 * a device is to do something to it. Whatever else is there counts as missing: then names cannot be looked up, and numbers still work.
 *
 * Read on: spec/accounts.ts, which understands the texts. Linux man-pages open(2), "O_NOFOLLOW".
 */

import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync, readSync } from "node:fs"
import type { Accounts } from "../spec/accounts.ts"

const O_PATH = 0o10000000
/** A larger one is no list of accounts. */
const MOST_BYTES = 1 << 20

/** @param root a directory of the host. */
export function readAccounts(root: string): Accounts {
  const passwd = readBelow(root, ["etc", "passwd"])
  const group = readBelow(root, ["etc", "group"])
  return { ...(passwd !== undefined && { passwd }), ...(group !== undefined && { group }) }
}

/**
 * The accounts of an image: what its layers had as /etc/passwd and /etc/group was kept beside them when they were unpacked.
 * @param layers `layers/HEX/tree` below `state`, oldest first: the newest that has one counts.
 */
export function keptAccounts(state: string, layers: readonly string[]): Accounts {
  const newest = (name: string): string | undefined => {
    for (const layer of layers.toReversed()) {
      const path = `${state}/${layer.slice(0, layer.lastIndexOf("/"))}/${name}`
      if (existsSync(path)) return readFileSync(path, "utf8")
    }
    return undefined
  }
  const [passwd, group] = [newest("passwd"), newest("group")]
  return { ...(passwd !== undefined && { passwd }), ...(group !== undefined && { group }) }
}

function readBelow(root: string, parts: readonly string[]): string | undefined {
  const fds: number[] = []
  const open = (path: string, flags: number): number => {
    const fd = openSync(path, flags)
    fds.push(fd)
    return fd
  }
  try {
    let at = open(root, O_PATH | constants.O_DIRECTORY)
    for (const part of parts.slice(0, -1))
      at = open(`/proc/self/fd/${at}/${part}`, O_PATH | constants.O_NOFOLLOW | constants.O_DIRECTORY)
    const found = open(`/proc/self/fd/${at}/${parts.at(-1)}`, O_PATH | constants.O_NOFOLLOW)
    const about = fstatSync(found)
    if (!about.isFile() || about.size > MOST_BYTES) return undefined
    const file = open(`/proc/self/fd/${found}`, constants.O_RDONLY)
    const bytes = Buffer.alloc(MOST_BYTES)
    return bytes.toString("utf8", 0, readSync(file, bytes, 0, MOST_BYTES, 0))
  } catch {
    return undefined
  } finally {
    for (const fd of fds) closeSync(fd)
  }
}
