import { expect, test } from "bun:test"
import { EngineError } from "../base/errors.ts"
import { canonical, familiar, familiarName, isDigest, parseReference } from "./reference.ts"

const SHA = `sha256:${"0123456789abcdef".repeat(4)}`
const SHA512 = `sha512:${"0123456789abcdef".repeat(8)}`

const check = (text: string, whole: string, short: string) =>
  test(`${text} is ${whole}, in short ${short}`, () => {
    expect(canonical(parseReference(text))).toBe(whole)
    expect(familiar(parseReference(text))).toBe(short)
  })
check("alpine", "docker.io/library/alpine:latest", "alpine:latest")
check("alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20")
check("library/alpine", "docker.io/library/alpine:latest", "alpine:latest")
check("docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest")
check("index.docker.io/team/app", "docker.io/team/app:latest", "team/app:latest")
check("team/app:v1", "docker.io/team/app:v1", "team/app:v1")
check("docker.io/library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest")
check("localhost/x", "localhost/x:latest", "localhost/x:latest")
check("docker.io/localhost/x", "docker.io/localhost/x:latest", "docker.io/localhost/x:latest")
check("localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1")
check("quay.io/a/b/c", "quay.io/a/b/c:latest", "quay.io/a/b/c:latest")
check("Host/x", "Host/x:latest", "Host/x:latest")
check("[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest")
check("[2001:db8::1]/x:v", "[2001:db8::1]/x:v", "[2001:db8::1]/x:v")
check(`alpine@${SHA}`, `docker.io/library/alpine@${SHA}`, `alpine@${SHA}`)
check(`alpine:3@${SHA}`, `docker.io/library/alpine:3@${SHA}`, `alpine:3@${SHA}`)
check(`a.b/c@${SHA512}`, `a.b/c@${SHA512}`, `a.b/c@${SHA512}`)
check("a__b/c-----d_e.f:A_b.C-d", "docker.io/a__b/c-----d_e.f:A_b.C-d", "a__b/c-----d_e.f:A_b.C-d")
check(
  `${"a".repeat(64)}x:${"t".repeat(128)}`,
  `docker.io/library/${"a".repeat(64)}x:${"t".repeat(128)}`,
  `${"a".repeat(64)}x:${"t".repeat(128)}`,
)

const no = (text: string, cause: string) =>
  test(`${text.slice(0, 80)} is refused: ${cause}`, () => expect(() => parseReference(text)).toThrow(`: ${cause}`))
no("", "it is empty")
no("Alpine", 'the repository "Alpine" is not in lower case')
no("docker.io/Alpine", 'the repository "Alpine" is not in lower case')
no("https://quay.io/a", "it is a URL")
no("a".repeat(64), "64 hexadecimal digits are an id, and could not be told from one")
no("x".repeat(781), "it is longer than 780 characters")
no(`a.b/${"x".repeat(256)}`, "the repository is longer than 255 characters")
no(`${"a".repeat(256)}.b/x`, `${JSON.stringify(`${"a".repeat(57)}...`)} is no host`)
no("alpine:", '"" is no tag')
no("alpine:.a", '".a" is no tag')
no(`alpine:${"t".repeat(129)}`, `${JSON.stringify(`${"t".repeat(57)}...`)} is no tag`)
no("alpine:a:b", '"a:b" is no tag')
no("alpine@", '"" is no digest')
no("alpine@sha256:12", '"sha256:12" is no digest')
no(
  `alpine@${SHA.toUpperCase()}`,
  `${JSON.stringify(`SHA256:${"0123456789ABCDEF".repeat(4).slice(0, 50)}...`)} is no digest`,
)
no(`alpine@constructor:${"a".repeat(64)}`, `${JSON.stringify(`constructor:${"a".repeat(45)}...`)} is no digest`)
no(`a@${SHA}@${SHA}`, "it has more than one @")
no("a//b", '"a//b" is no repository')
no("/a", '"/a" is no repository')
no("a/", '"a/" is no repository')
no("../a", '".." is no host')
no("a/../b", '"a/../b" is no repository')
no("-a", '"-a" is no repository')
no("a___b", '"a___b" is no repository')
no("a b", '"a b" is no repository')
no("a\0b", '"a\\u0000b" is no repository')
no("a.b:99999/x", "99999 is no port")
no("a.b:0/x", "0 is no port")
no("a.b:123456/x", '"a.b:123456" is no host')
no("-.b/x", '"-.b" is no host')
no("[::1/x", '"[::1" is no host')
no("quay.io/", "it has no repository")
no("é/a", '"é/a" is no repository')

test("a digest has one form", () => {
  expect([SHA, SHA512].map(isDigest)).toEqual([true, true])
  expect([`${SHA}0`, SHA.slice(0, -1), "sha256:", ":", "", "md5:d41d8cd98f00b204e9800998ecf8427e"].some(isDigest)).toBe(
    false,
  )
})

/** A generator of numbers that is the same every time: numerical recipes' LCG. */
function dice(seed: number): (sides: number) => number {
  let state = seed
  return (sides) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * sides)
  }
}
const pick = <T>(roll: (sides: number) => number, from: readonly T[]): T => from[roll(from.length)]!

test("a name that was read is read back from both of its forms as the same", () => {
  const roll = dice(1)
  const hosts = [
    "",
    "docker.io/",
    "index.docker.io/",
    "localhost/",
    "localhost:5000/",
    "A/",
    "a.b/",
    "[::1]:1/",
    "1.2.3.4/",
  ]
  const words = ["a", "library", "localhost", "a-b", "a__b", "x.y", "0", "f".repeat(64)]
  for (let round = 0; round < 20_000; round++) {
    const path = Array.from({ length: 1 + roll(3) }, () => pick(roll, words)).join("/")
    const text = `${pick(roll, hosts)}${path}${pick(roll, ["", ":latest", ":T-1.x_"])}${pick(roll, ["", `@${SHA}`])}`
    const reference = attempt(text)
    if (reference === undefined) continue
    expect(parseReference(canonical(reference))).toEqual(reference)
    expect(parseReference(familiar(reference))).toEqual(reference)
    expect(familiar(reference).length).toBeLessThanOrEqual(canonical(reference).length)
    expect(familiar(reference).startsWith(familiarName(reference))).toBe(true)
  }
})

test("fuzz: whatever the bytes, it is a reference with no strange character in it, or one kind of error", () => {
  const roll = dice(2)
  const alphabet = [..."abcAZ019./:@-_[]\0\n é%?#\\~", "sha256:", SHA, "docker.io/", "localhost", "//", "..", "::"]
  for (let round = 0; round < 50_000; round++) {
    const text = Array.from({ length: roll(12) }, () => pick(roll, alphabet)).join("")
    const reference = attempt(text)
    if (reference === undefined) continue
    expect(canonical(reference)).toMatch(/^[A-Za-z0-9.:[\]-]+(\/[a-z0-9._-]+)+(:[\w.-]{1,128})?(@sha\d+:[0-9a-f]+)?$/)
    expect(canonical(reference).split("/")).not.toContain("..")
  }
})

test("a long hostile name takes no longer than a short one: no pattern backtracks", () => {
  for (const text of ["a-".repeat(380), `${"a_".repeat(125)}!`, `${"-".repeat(700)}.a/x`, `a/${"a/".repeat(120)}!`])
    expect(attempt(text)).toBeUndefined()
})

function attempt(text: string) {
  try {
    return parseReference(text)
  } catch (error) {
    expect(error).toBeInstanceOf(EngineError)
    expect((error as EngineError).code).toBe("INVALID_REFERENCE")
    return undefined
  }
}
