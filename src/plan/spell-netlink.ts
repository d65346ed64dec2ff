/**
 * Netlink messages as the command that would send them: `ip link set lo up`.
 *
 *     nlmsghdr   u32 length  u16 type  u16 flags  u32 sequence  u32 port, then the type's header, then attributes
 *     attribute  u16 length  u16 type  content, padded to 4
 *
 * Only what plans send is read in full; any other message comes out as its name and its length. Bytes that are no message at
 * all come out as their number: this is for reading, it never throws.
 *
 * Read on: formats/netlink/route.ts, which writes them. Linux man-pages netlink(7), rtnetlink(7).
 */

const NETLINK_ROUTE = 0
const NETLINK_NETFILTER = 12
/** NFNL_SUBSYS_NFTABLES in the high byte of a type. */
const NFTABLES = 10

const ROUTE_TYPES: Readonly<Record<number, string>> = {
  16: "RTM_NEWLINK",
  17: "RTM_DELLINK",
  19: "RTM_SETLINK",
  20: "RTM_NEWADDR",
  21: "RTM_DELADDR",
  24: "RTM_NEWROUTE",
  25: "RTM_DELROUTE",
  28: "RTM_NEWNEIGH",
}
/** NFT_MSG_*, by number. */
const NFT_TYPES = [
  "add table",
  "get table",
  "delete table",
  "add chain",
  "get chain",
  "delete chain",
  "add rule",
  "get rule",
  "delete rule",
  "add set",
  "get set",
  "delete set",
  "add element",
  "get element",
  "delete element",
]

interface Message {
  readonly type: number
  readonly body: Uint8Array
}

/** One line for each message; equal neighbours of nf_tables are counted. */
export function spellNetlink(protocol: number | bigint, bytes: Uint8Array): readonly string[] {
  const messages = split(bytes)
  if (messages.length === 0) return [`send(netlink ${protocol}, ${bytes.length} bytes)`]
  if (Number(protocol) === NETLINK_ROUTE) return messages.map(route)
  if (Number(protocol) === NETLINK_NETFILTER) return nftables(messages)
  return messages.map(({ type, body }) => `send(netlink ${protocol}, type ${type}, ${body.length} bytes)`)
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

function split(bytes: Uint8Array): readonly Message[] {
  const messages: Message[] = []
  for (let at = 0; at + 16 <= bytes.length; ) {
    const length = view(bytes).getUint32(at, true)
    if (length < 16 || at + length > bytes.length) return []
    messages.push({ type: view(bytes).getUint16(at + 4, true), body: bytes.subarray(at + 16, at + length) })
    at += (length + 3) & ~3
  }
  return messages
}

/** The attributes after a header of `start` bytes; the low 14 bits of a type are its number. */
function attributes(bytes: Uint8Array, start: number): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>()
  for (let at = start; at + 4 <= bytes.length; ) {
    const length = view(bytes).getUint16(at, true)
    if (length < 4 || at + length > bytes.length) break
    found.set(view(bytes).getUint16(at + 2, true) & 0x3fff, bytes.subarray(at + 4, at + length))
    at += (length + 3) & ~3
  }
  return found
}

const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0.*$/s, "")
const device = (index: number): string => (index === 1 ? "lo" : `if${index}`)
function address(bytes: Uint8Array): string {
  if (bytes.length !== 16) return [...bytes].join(".")
  return Array.from({ length: 8 }, (_, index) =>
    view(bytes)
      .getUint16(2 * index)
      .toString(16),
  )
    .join(":")
    .replace(/(^|:)0(:0)+(:|$)/, "::")
}

/** Each reads the header of its own kind: ifinfomsg, ifaddrmsg, rtmsg. Undefined: this one is not among what we know. */
const ROUTE: Readonly<Record<number, (body: Uint8Array) => string | undefined>> = {
  16: link,
  19: link,
  17: (body) => (body.length < 16 ? undefined : `ip link delete ${named(body)}`),
  20: (body) => assigned("add", body),
  21: (body) => assigned("delete", body),
  24: (body) => routed("add", body),
  25: (body) => routed("delete", body),
}

function route({ type, body }: Message): string {
  return (
    ROUTE[type]?.(body) ?? `send(NETLINK_ROUTE, ${ROUTE_TYPES[type] ?? `message ${type}`}, ${body.length + 16} bytes)`
  )
}

/** ifinfomsg: u8 family, u8, u16 type, i32 index, u32 flags, u32 change. */
const LINK_HEADER = 16
const IFLA = { address: 1, ifname: 3, mtu: 4, master: 10, linkinfo: 18, netns: 28 } as const
const IFF_UP = 1

function named(body: Uint8Array): string {
  const name = attributes(body, LINK_HEADER).get(IFLA.ifname)
  return name ? text(name) : device(view(body).getInt32(4, true))
}

function link(body: Uint8Array): string | undefined {
  if (body.length < LINK_HEADER) return undefined
  const has = attributes(body, LINK_HEADER)
  const [flags, change] = [view(body).getUint32(8, true), view(body).getUint32(12, true)]
  const number = (key: number): number | undefined => {
    const bytes = has.get(key)
    return bytes?.length === 4 ? view(bytes).getUint32(0, true) : undefined
  }
  const info = has.get(IFLA.linkinfo)
  const kind = info && attributes(info, 0).get(1)
  const peer = info && attributes(attributes(info, 0).get(2) ?? new Uint8Array(), 0).get(1)
  const [mtu, master] = [number(IFLA.mtu), number(IFLA.master)]
  return [
    kind ? `ip link add ${named(body)} type ${text(kind)}` : `ip link set ${named(body)}`,
    ...(peer && peer.length >= LINK_HEADER ? [`peer name ${named(peer)}`, ...hardware(peer)] : []),
    ...hardware(body),
    ...(info && attributes(info, 0).has(5) ? ["type bridge_slave hairpin on"] : []),
    ...(mtu === undefined ? [] : [`mtu ${mtu}`]),
    ...(master === undefined ? [] : [`master ${device(master)}`]),
    ...(change & IFF_UP ? [flags & IFF_UP ? "up" : "down"] : []),
  ].join(" ")
}

/** `address MAC`, and where the interface goes, if it goes. */
function hardware(body: Uint8Array): readonly string[] {
  const has = attributes(body, LINK_HEADER)
  const mac = has.get(IFLA.address)
  return [
    ...(mac ? [`address ${[...mac].map((byte) => byte.toString(16).padStart(2, "0")).join(":")}`] : []),
    ...(has.has(IFLA.netns) ? ["netns $netns"] : []),
  ]
}

/** ifaddrmsg: u8 family, u8 prefix length, u8 flags, u8 scope, u32 index. IFA_ADDRESS 1, IFA_LOCAL 2. */
function assigned(verb: string, body: Uint8Array): string | undefined {
  const has = body.length < 8 ? undefined : attributes(body, 8)
  const own = has?.get(2) ?? has?.get(1)
  return own && `ip address ${verb} ${address(own)}/${body[1]} dev ${device(view(body).getUint32(4, true))}`
}

/** rtmsg: 12 bytes, the second is the prefix length. RTA_DST 1, RTA_OIF 4, RTA_GATEWAY 5. */
function routed(verb: string, body: Uint8Array): string | undefined {
  if (body.length < 12) return undefined
  const has = attributes(body, 12)
  const [to, out, via] = [has.get(1), has.get(4), has.get(5)]
  return [
    `ip route ${verb} ${to ? `${address(to)}/${body[1]}` : "default"}`,
    ...(via ? [`via ${address(via)}`] : []),
    ...(out?.length === 4 ? [`dev ${device(view(out).getUint32(0, true))}`] : []),
  ].join(" ")
}

/** One line for a message; equal neighbours are counted. What begins and ends a batch is not said. */
function nftables(messages: readonly Message[]): readonly string[] {
  const words = messages.flatMap((message) => (message.type >> 8 === NFTABLES ? [nft(message)] : []))
  const lines: { what: string; times: number }[] = []
  for (const what of words) {
    const last = lines.at(-1)
    if (last?.what === what) last.times++
    else lines.push({ what, times: 1 })
  }
  return lines.map(({ what, times }) => (times === 1 ? what : `${what}  (${times} times)`))
}

/** nfgenmsg: u8 family, u8 version, u16 number. NFTA_*: 1 is the table everywhere; of a chain the name is 3, of a rule the chain 2, of a set 2. */
const NFT_HEADER = 4
function nft({ type, body }: Message): string {
  const kind = NFT_TYPES[type & 0xff] ?? `message ${type & 0xff}`
  const has = attributes(body, NFT_HEADER)
  const part = (key: number): string => text(has.get(key) ?? NOTHING)
  if (!has.has(1)) return `nft ${kind}`
  const where = `nft ${kind} inet ${part(1)}`
  const [, noun] = kind.split(" ")
  if (noun === "chain") return `${where} ${part(3)}${hook(has.get(4), part(7))}`
  if (noun === "rule") return `${where} ${part(2)} ${program(has.get(4))}`.trimEnd()
  if (noun === "set") return `${where} ${part(2)}`
  if (noun === "element") return `${where} ${part(2)} { ${inSet(has.get(3))} }`
  return where
}

const NOTHING = new Uint8Array()
const be32 = (bytes: Uint8Array | undefined): number => (bytes?.length === 4 ? view(bytes).getInt32(0) : 0)
const HOOKS = ["prerouting", "input", "forward", "output", "postrouting"]

function hook(bytes: Uint8Array | undefined, type: string): string {
  if (!bytes) return ""
  const has = attributes(bytes, 0)
  return ` { type ${type} hook ${HOOKS[be32(has.get(1))] ?? "?"} priority ${be32(has.get(2))} ; }`
}

/** A list: its attributes may all have one number, so a map would keep the last alone. */
function list(bytes: Uint8Array): readonly Uint8Array[] {
  const found: Uint8Array[] = []
  for (let at = 0; at + 4 <= bytes.length; ) {
    const length = view(bytes).getUint16(at, true)
    if (length < 4 || at + length > bytes.length) break
    found.push(bytes.subarray(at + 4, at + length))
    at += (length + 3) & ~3
  }
  return found
}

/** A rule as the names of its instructions, with the sets that they look into. */
function program(bytes: Uint8Array | undefined): string {
  if (!bytes) return ""
  const names = list(bytes).map((one) => {
    const has = attributes(one, 0)
    const name = text(has.get(1) ?? NOTHING)
    return name === "lookup" ? `lookup @${text(attributes(has.get(2) ?? NOTHING, 0).get(1) ?? NOTHING)}` : name
  })
  return `(${names.join(", ")})`
}

function inSet(bytes: Uint8Array | undefined): string {
  return list(bytes ?? NOTHING)
    .map((one) => {
      const has = attributes(one, 0)
      const inner = (key: number) => attributes(has.get(key) ?? NOTHING, 0).get(1)
      const [key, to] = [inner(1), inner(2)]
      return `${key ? spelledKey(key) : "?"}${to ? ` : ${spelledValue(to)}` : ""}${has.has(3) ? " (end)" : ""}`
    })
    .join(", ")
}

const PROTOCOLS: Readonly<Record<number, string>> = { 6: "tcp", 17: "udp", 132: "sctp" }
const port = (bytes: Uint8Array): string => String(view(bytes).getUint16(0))
const service = (bytes: Uint8Array): string => `${PROTOCOLS[bytes[0]!] ?? bytes[0]} . ${port(bytes.subarray(4))}`
/** Our sets have keys of these lengths and no others; each part is padded to 4 bytes. */
const KEYS: Readonly<Record<number, (bytes: Uint8Array) => string>> = {
  4: address,
  8: service,
  12: (bytes) => `${address(bytes.subarray(0, 4))} . ${service(bytes.subarray(4))}`,
  16: (bytes) => `"${text(bytes)}"`,
  32: (bytes) => `"${text(bytes.subarray(0, 16))}" . "${text(bytes.subarray(16))}"`,
}
const spelledKey = (bytes: Uint8Array): string => KEYS[bytes.length]?.(bytes) ?? `${bytes.length} bytes`
const spelledValue = (bytes: Uint8Array): string =>
  bytes.length === 8 ? `${address(bytes.subarray(0, 4))} . ${port(bytes.subarray(4))}` : `${bytes.length} bytes`
