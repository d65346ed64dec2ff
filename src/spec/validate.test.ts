import { expect, test } from "bun:test"
import { REQUEST } from "../../test/fixtures/server.ts"
import { EngineError } from "../base/errors.ts"
import type { ExecRequest, Request } from "../model/request.ts"
import { checkExec, checkRequest } from "./validate.ts"

/** What plain JavaScript may hand in. */
const check = (given: object | null, wrong: string) =>
  test(wrong, () => {
    const request = (given === null ? given : { ...REQUEST, ...given }) as Request
    expect(() => checkRequest(request)).toThrow(new EngineError("INVALID_VALUE", `cannot make a container: ${wrong}`))
  })

check(null, "the document is not an object")
check({ args: undefined }, "args is missing")
check({ mounts: [{ kind: undefined, target: "/x" }] }, "mounts[0].kind is missing")
check({ args: "sh -c true" }, "args is not a list")
check({ args: ["a\0b"] }, "args[0] holds a NUL byte")
check({ rootfs: 7 }, "rootfs is not a text")
check({ env: { A: "1" } }, "env is not a list")
check({ memoryBytes: "512m" }, "memoryBytes is not a whole number from -9007199254740991 to 9007199254740991")
check({ cpus: "1" }, "cpus is not a number")
check({ cpus: Number.NaN }, "cpus is not a number")
check({ privileged: "yes" }, "privileged is neither true nor false")
check({ network: 7 }, "network is not a text")
check(
  { publish: [{ protocol: "icmp", hostPort: 1, containerPort: 1 }] },
  `publish[0].protocol is "icmp", none of tcp, udp, sctp`,
)
check(
  { publish: [{ protocol: "tcp", hostPort: 65536, containerPort: 1 }] },
  "publish[0].hostPort is not a whole number from 0 to 65535",
)
check({ ipc: "public" }, `ipc is "public", none of host, private, none, shareable`)
check({ userns: "auto" }, `userns is "auto", none of host`)
check({ mounts: [{ kind: "npipe", target: "/x" }] }, `mounts[0].kind is "npipe", none of bind, tmpfs, volume`)
check(
  {
    mounts: [
      { kind: "tmpfs", target: "/t" },
      { kind: "bind", target: "/x" },
    ],
  },
  "mounts[1].source is missing",
)
check({ labels: { a: 1 } }, "labels.a is not a text")
check({ labels: { "a\0": "b" } }, `labels["a\\u0000"] holds a NUL byte`)
check({ memorybytes: 64 }, 'there is no field "memorybytes"')
check({ seccomp: "default" }, "seccomp is not an object")
check({ seccomp: { path: "/x" } }, "seccomp.json is missing")
check({ stopTimeoutSeconds: -2 }, "stopTimeoutSeconds is not a whole number from -1 to 2147483647")
check({ oomScoreAdj: 1001 }, "oomScoreAdj is not a whole number from -1000 to 1000")
check({ log: { driver: "syslog" } }, `log.driver is "syslog", none of json-file, none`)
check({ attach: ["stdlog"] }, `attach[0] is "stdlog", none of stdin, stdout, stderr`)

test("a field that is undefined is absent", () =>
  expect(() => checkRequest({ ...REQUEST, name: undefined } as unknown as Request)).not.toThrow())
test("an exec", () => {
  expect(() => checkExec({ args: ["sh"], tty: 1 } as unknown as ExecRequest)).toThrow(
    "cannot run another program: tty is neither true nor false",
  )
})
