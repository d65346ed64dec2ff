import { expect, test } from "bun:test"
import type { Request } from "../model/request.ts"
import { type HostFiles, isIPv4, isIPv6, ownFiles } from "./files.ts"

const RESOLV = `# made by a network manager
nameserver 127.0.0.53
nameserver ::1
 nameserver 192.0.2.53
nameserver 2001:db8::53
search example.org corp.example.org
options edns0
`
const made = (
  request: Partial<Request>,
  files: HostFiles = { resolvConf: RESOLV, hosts: "127.0.0.1 localhost\n\n192.0.2.7 server\n" },
  ipv6 = false,
) =>
  ownFiles(
    { rootfs: "/r", args: ["sh"], ...request },
    files,
    { hostname: "box", ...(request.domainname && { domainname: request.domainname }) },
    ipv6,
  )
const check = (name: string, actual: string, expected: string) => test(name, () => expect(actual).toBe(expected))

check("the name", made({}).hostname, "box\n")
check("localhost and the own name", made({}).hosts, "127.0.0.1\tlocalhost\n127.0.1.1\tbox\n")
check(
  "with a domain",
  made({ domainname: "example.org" }).hosts,
  "127.0.0.1\tlocalhost\n127.0.1.1\tbox.example.org box\n",
)
check(
  "with IPv6",
  made({}, {}, true).hosts,
  `127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
fe00::	ip6-localnet
ff00::	ip6-mcastprefix
ff02::1	ip6-allnodes
ff02::2	ip6-allrouters
127.0.1.1	box
`,
)
check(
  "further hosts",
  made({
    addHosts: [
      { name: "db", address: "192.0.2.1" },
      { name: "db6", address: "2001:db8::1" },
    ],
  }).hosts,
  "127.0.0.1\tlocalhost\n127.0.1.1\tbox\n192.0.2.1\tdb\n2001:db8::1\tdb6\n",
)
check(
  "on the host's network, the host's hosts",
  made({ network: "host", addHosts: [{ name: "db", address: "192.0.2.1" }] }).hosts,
  "127.0.0.1 localhost\n192.0.2.7 server\n192.0.2.1\tdb\n",
)

check(
  "the host's name servers, without those on its loopback",
  made({})["resolv.conf"],
  "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org corp.example.org\noptions edns0\n",
)
check(
  "on the host's network, all of them",
  made({ network: "host" })["resolv.conf"],
  "nameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch example.org corp.example.org\noptions edns0\n",
)
check(
  "other ones",
  made({ dns: ["192.0.2.1", "127.0.0.1"], dnsSearch: ["a.example", "b.example"], dnsOptions: ["ndots:1", "rotate"] })[
    "resolv.conf"
  ],
  "nameserver 192.0.2.1\nnameserver 127.0.0.1\nsearch a.example b.example\noptions ndots:1 rotate\n",
)
check(
  "no search list",
  made({ dnsSearch: ["."] })["resolv.conf"],
  "nameserver 192.0.2.53\nnameserver 2001:db8::53\noptions edns0\n",
)
check("a host without a resolv.conf", made({}, {})["resolv.conf"], "")

const refused = (request: Partial<Request>, message: string) =>
  test(message, () => expect(() => made(request)).toThrow(message))
refused({ addHosts: [{ name: "a b", address: "192.0.2.1" }] }, "cannot add the host a b: it is not a host name")
refused({ addHosts: [{ name: "db", address: "192.0.2" }] }, "cannot add the host db: 192.0.2 is not an IP address")
refused(
  { addHosts: [{ name: "db", address: "host-gateway" }] },
  "cannot add the host db: without a network there is no gateway",
)
refused({ dns: ["localhost"] }, 'cannot use the name server "localhost": it is not an IP address')
refused(
  { dnsSearch: ["a\nnameserver 192.0.2.66"] },
  'cannot use the search domain "a\nnameserver 192.0.2.66": it is not a domain name',
)
refused({ dnsOptions: ["a b"] }, 'cannot use the resolver option "a b": it is not one word')

test("addresses", () => {
  const four = ["0.0.0.0", "255.255.255.255", "256.0.0.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.4 ", ""]
  expect(four.map(isIPv4)).toEqual([true, true, false, false, false, false, false, false])
  const good = [
    "::",
    "::1",
    "1::",
    "2001:db8::1",
    "1:2:3:4:5:6:7:8",
    "::ffff:192.0.2.1",
    "fe80::1%eth0",
    "1:2:3:4:5:6:192.0.2.1",
  ]
  expect(good.filter((address) => !isIPv6(address))).toEqual([])
  const bad = [
    "",
    ":",
    ":::",
    "1",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "12345::",
    "g::",
    "::1%",
    "::1%a b",
    "1:2:3:4:5:6:7:192.0.2.1",
    "::192.0.2",
    "1:2:3:4::5:6:7:8",
  ]
  expect(bad.filter(isIPv6)).toEqual([])
})
