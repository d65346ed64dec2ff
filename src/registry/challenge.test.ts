import { expect, test } from "bun:test"
import { parseChallenges } from "./challenge.ts"

const check = (header: string, ...expected: [string, Record<string, string>][]) =>
  test(header.slice(0, 100), () =>
    expect(parseChallenges(header)).toEqual(expected.map(([scheme, parameters]) => ({ scheme, parameters }))),
  )
check('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"', [
  "bearer",
  { realm: "https://a/t", service: "s", scope: "repository:x:pull,push" },
])
check(
  'Basic realm="x", Bearer realm=y , service="a\\"b"',
  ["basic", { realm: "x" }],
  ["bearer", { realm: "y", service: 'a"b' }],
)
check("Negotiate, Basic realm=x", ["negotiate", {}], ["basic", { realm: "x" }])
check('bearer realm="1", realm="2"', ["bearer", { realm: "1" }])
check('realm="nobody\'s"')
check('Bearer realm="open', ["bearer", {}])
check("")
check(`Bearer ${",".repeat(20_000)}`, ["bearer", {}])
