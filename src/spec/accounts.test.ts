import { expect, test } from "bun:test"
import { EngineError } from "../base/errors.ts"
import { type Accounts, homeOf, resolveUser } from "./accounts.ts"

const ACCOUNTS: Accounts = {
  passwd: `# a comment
root:x:0:0:root:/root:/bin/sh

web:x:33:33:Web:/var/www:/usr/sbin/nologin
  spaced:x:40:41::/home/spaced:/bin/sh
web:x:99:99:the second of its name:/nowhere:
1337:x:7:8:a name that is a number:/home/1337:
broken
halfway:x:50
letters:x:abc:def::/:
huge:x:70000:70000::/home/huge:
relative:x:60:60::home:
`,
  group: "root:x:0:\nwww:x:33:\nstaff:x:50:web,spaced\naudio:x:63:web\n#web:x:1:web\nhuge:x:70000:\nbroken:x\n",
}

const check = (user: string, expected: string, more: { groupAdd?: string[]; accounts?: Accounts } = {}) =>
  test(`"${user}"${more.groupAdd ? ` and ${more.groupAdd}` : ""}${more.accounts ? " without files" : ""}`, () => {
    const { uid, gid, additionalGids, home } = resolveUser(user, more.groupAdd ?? [], more.accounts ?? ACCOUNTS, true)
    expect(`${uid}:${gid} [${additionalGids}] ${home}`).toBe(expected)
  })

check("", "0:0 [0] /root")
check("", "0:0 [0] /", { accounts: {} })
check("root", "0:0 [0] /root")
check("web", "33:33 [33,50,63] /var/www")
check("33", "33:33 [33,50,63] /var/www")
check("web:", "33:33 [33,50,63] /var/www")
check("web:staff", "33:50 [50] /var/www")
check("web:1234", "33:1234 [1234] /var/www")
check(":staff", "0:50 [50] /root")
check("spaced", "40:41 [41,50] /home/spaced")
check("1000", "1000:0 [0] /")
check("1000:1000", "1000:1000 [1000] /")
check("1000:1000", "1000:1000 [1000] /", { accounts: {} })
check("1337", "1337:0 [0] /")
check("halfway", "50:0 [0] /")
check("relative", "60:60 [60] /")
check("65535:65535", "65535:65535 [65535] /")
check("web", "33:33 [33,50,63,7] /var/www", { groupAdd: ["audio", "7", "33"] })
check("1000", "1000:0 [0,63] /", { groupAdd: ["63"] })

const refused = (
  user: string,
  message: string,
  more: { groupAdd?: string[]; accounts?: Accounts; ownIds?: boolean } = {},
) =>
  test(message, () => {
    expect(() => resolveUser(user, more.groupAdd ?? [], more.accounts ?? ACCOUNTS, more.ownIds ?? true)).toThrow(
      new EngineError("INVALID_VALUE", message),
    )
  })
refused("nobody", "cannot run as nobody: unable to find user nobody: no matching entry in the container's /etc/passwd")
refused("root", "cannot run as root: unable to find user root: no matching entry in the container's /etc/passwd", {
  accounts: {},
})
refused(
  "letters",
  "cannot run as letters: unable to find user letters: no matching entry in the container's /etc/passwd",
)
refused("broken", "cannot run as broken: unable to find user broken: no matching entry in the container's /etc/passwd")
refused(
  "web:nogroup",
  "cannot run as web:nogroup: unable to find group nogroup: no matching entry in the container's /etc/group",
)
refused(
  "web:broken",
  "cannot run as web:broken: unable to find group broken: no matching entry in the container's /etc/group",
)
refused("web:", "cannot run as web:: unable to find group sound: no matching entry in the container's /etc/group", {
  groupAdd: ["sound"],
})
refused("-1", "cannot run as -1: the uid -1 is not from 0 to 2147483647")
refused(
  "99999999999999999999",
  "cannot run as 99999999999999999999: the uid 100000000000000000000 is not from 0 to 2147483647",
)
refused("0:2147483648", "cannot run as 0:2147483648: the gid 2147483648 is not from 0 to 2147483647")
refused("65536", "cannot run as 65536: the uid 65536 is not from 0 to 65535, the ids of the container's user namespace")
refused("huge", "cannot run as huge: the uid 70000 is not from 0 to 65535, the ids of the container's user namespace")
refused("", "cannot run as root: the gid 70000 is not from 0 to 65535, the ids of the container's user namespace", {
  groupAdd: ["huge"],
})

test("in the host's user namespace the ids go further", () => {
  expect(resolveUser("huge", [], ACCOUNTS, false)).toEqual({
    uid: 70000,
    gid: 70000,
    additionalGids: [70000],
    home: "/home/huge",
  })
})
test("a home is that of the first entry with the uid", () => {
  expect([homeOf(33, ACCOUNTS), homeOf(60, ACCOUNTS), homeOf(12345, ACCOUNTS), homeOf(0, {})]).toEqual([
    "/var/www",
    "/",
    "/",
    "/",
  ])
})
