/**
 * Names and addresses: what the container is called, whom it knows, which keys leave it.
 */

import { BadValue } from "../flags.ts"

/** Two characters at least, as Docker has it: one letter alone could be the beginning of an id. */
export function containerName(text: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text)) return text
  throw new BadValue("a name is two or more letters, digits, _ . and -", "it begins with a letter or digit: web, db-1")
}

/** sethostname(2) takes 64 bytes. */
export function hostName(text: string): string {
  if (text.length <= 64 && /^[\x21-\x7e]*$/.test(text)) return text
  throw new BadValue("a host name is at most 64 letters, digits, dots and dashes")
}

/** `NAME:ADDRESS` or `NAME=ADDRESS`; an IPv6 address may stand in brackets. `host-gateway` is the host, as seen from the network. */
export function addHost(text: string): { readonly name: string; readonly address: string } {
  const [, name, written] = /^([^=:\s]+)[=:](.+)$/.exec(text) ?? []
  if (name === undefined) throw new BadValue("not of the form NAME:ADDRESS", "for example db:10.0.0.5")
  const address = written!.replace(/^\[(.*)\]$/, "$1")
  return { name, address: address === "host-gateway" ? address : ipAddress(address) }
}

/** IPv4 or IPv6, as it was written. */
export function ipAddress(text: string): string {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)
  if (v4?.slice(1).every((part) => Number(part) <= 255)) return text
  // A URL holds an IPv6 address only if it is one.
  if (/^[0-9a-fA-F:.]+$/.test(text) && text.includes(":") && URL.canParse(`http://[${text}]`)) return text
  throw new BadValue("not an IP address")
}

/** `ctrl-p,ctrl-q`: keys with commas between, each one character or `ctrl-` and a letter or one of @ [ \ ] ^ _. */
export function detachKeys(text: string): string {
  if (text === "" || text.split(",").every((key) => /^(?:[\x20-\x7e]|ctrl-[a-zA-Z@[\\\]^_])$/.test(key))) return text
  throw new BadValue("not a list of keys", "for example ctrl-p,ctrl-q or ctrl-@,x")
}

/** `KEY=VALUE`, or a KEY of the caller's environment. */
export function environment(text: string): string {
  if (text === "" || text.startsWith("=")) throw new BadValue("it has no name before the =")
  return text
}

/** Where output goes or input comes from, in the foreground. */
export function stream(text: string): "stdin" | "stdout" | "stderr" {
  const word = text.toLowerCase()
  if (word === "stdin" || word === "stdout" || word === "stderr") return word
  throw new BadValue("not a stream", "it takes stdin, stdout or stderr")
}
