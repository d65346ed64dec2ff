import { expect, test } from "bun:test"
import { HOST, ID, path } from "../../test/fixtures/server.ts"
import type { EngineError } from "../base/errors.ts"
import type { Host } from "../model/host.ts"
import type { Request } from "../model/request.ts"
import { hostname, namespaces, sysctls, userNamespace } from "./namespaces.ts"

const request = (more: Partial<Request>): Request => ({ rootfs: "/srv/rootfs", args: ["sh"], ...more })
const refusal = (does: () => unknown): string => {
  try {
    does()
  } catch (error) {
    const { code, message, hint } = error as EngineError
    return `${code} ${message}${hint ? ` (${hint})` : ""}`
  }
  throw new Error("it was accepted")
}

const check = (given: Partial<Request>, ownIds: boolean, expected: string) =>
  test(`${JSON.stringify(given)}: ${expected}`, () =>
    expect(
      namespaces(request(given), ownIds)
        .map(({ type }) => type)
        .join(" "),
    ).toBe(expected))
check({}, true, "mount network uts pid ipc cgroup user")
check({}, false, "mount network uts pid ipc cgroup")
check({ network: "none", ipc: "none", cgroupns: "private" }, false, "mount network uts pid ipc cgroup")
check({ ipc: "shareable" }, false, "mount network uts pid ipc cgroup")
check({ network: "host", uts: "host" }, true, "mount pid ipc cgroup user")
check({ pid: "host", ipc: "host", cgroupns: "host" }, true, "mount network uts user")

const own = (name: string, given: Partial<Request>, host: Partial<Host>, expected: ReturnType<typeof userNamespace>) =>
  test(name, () => expect(userNamespace(request(given), { ...HOST, ...host })).toEqual(expected))
const on = (filesystem: string) => ({ paths: { "/srv/rootfs": path({ filesystem }) } })
own("its own ids by default", {}, {}, { own: true, warnings: [] })
own("--userns host", { userns: "host" }, { userNamespaces: false }, { own: false, warnings: [] })
own("--privileged", { privileged: true }, { kernel: [4, 19] }, { own: false, warnings: [] })
const cannot = (filesystem: string) => ({
  own: false,
  warnings: [
    `/srv/rootfs lies on ${filesystem}, whose owners cannot be shifted: root in the container is root of the host (as with --userns host)`,
  ],
})
own("a root file system on overlay", {}, on("overlay"), cannot("overlay"))
own("on nfs", {}, on("nfs4"), cannot("nfs4"))
own("on tmpfs with an old kernel", {}, on("tmpfs"), cannot("tmpfs"))
own("on tmpfs with a newer one", {}, { ...on("tmpfs"), kernel: [6, 3] }, { own: true, warnings: [] })
own(
  "the host's network and its low ports",
  { network: "host" },
  {},
  {
    own: true,
    warnings: [
      "on the host's network, a container with its own user namespace cannot listen on ports below 1024 (--userns host can)",
    ],
  },
)
test("a kernel that is too old", () => {
  expect(refusal(() => userNamespace(request({}), { ...HOST, kernel: [5, 10], kernelRelease: "5.10.0" }))).toBe(
    "HOST_LACKS cannot give the container its own user namespace: kernel 5.10.0 is older than 5.19, the first that can shift the owners of a root file system (--userns host)",
  )
})
test("a host that allows none", () => {
  expect(refusal(() => userNamespace(request({}), { ...HOST, userNamespaces: false }))).toBe(
    "HOST_LACKS cannot give the container its own user namespace: this host does not allow user namespaces (user.max_user_namespaces is 0) (--userns host)",
  )
})

test("kernel parameters by default", () => {
  expect(sysctls(request({}), true)).toEqual({
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 65535",
  })
  expect(sysctls(request({}), false)).toEqual({
    "net.ipv4.ip_unprivileged_port_start": "0",
    "net.ipv4.ping_group_range": "0 2147483647",
  })
  expect(sysctls(request({ network: "host" }), true)).toEqual({})
})
test("kernel parameters of its own namespaces", () => {
  const asked = {
    "net.core.somaxconn": "4096",
    "net.ipv4.ping_group_range": "1 0",
    "kernel.shmmax": "1",
    "kernel.sem": "32000 1024000000 500 32000",
    "fs.mqueue.msg_max": "20",
    "net/ipv4/conf/eth0.100/forwarding": "1",
  }
  expect(sysctls(request({ sysctls: asked }), true)).toEqual({ "net.ipv4.ip_unprivileged_port_start": "0", ...asked })
})
const refusedSysctl = (name: string, value: string, more: Partial<Request>, cause: string) =>
  test(`${name}: ${cause}`, () =>
    expect(refusal(() => sysctls(request({ ...more, sysctls: { [name]: value } }), true))).toBe(
      `INVALID_VALUE cannot set the kernel parameter ${name}: ${cause}`,
    ))
const WHOLE_HOST = "it belongs to the whole host, not to a namespace (sysctl -w on the host sets it for all)"
refusedSysctl("kernel.panic", "1", {}, WHOLE_HOST)
refusedSysctl("kernel/hostname", "x", {}, "it has a flag of its own (use --hostname)")
refusedSysctl("kernel.shmmaxx", "1", {}, WHOLE_HOST)
refusedSysctl("vm.swappiness", "1", {}, WHOLE_HOST)
refusedSysctl("network.x", "1", {}, WHOLE_HOST)
refusedSysctl("net", "1", {}, "it is not a name like net.core.somaxconn")
refusedSysctl("net/../vm/swappiness", "1", {}, "it is not a name like net.core.somaxconn")
refusedSysctl("net..core", "1", {}, "it is not a name like net.core.somaxconn")
refusedSysctl("net.core.somaxconn", "1\n2", {}, "its value is more than one line")
refusedSysctl(
  "net.core.somaxconn",
  "1",
  { network: "host" },
  "the container uses the host's network namespace (leave out --network host)",
)
refusedSysctl(
  "kernel.msgmax",
  "1",
  { ipc: "host" },
  "the container uses the host's ipc namespace (leave out --ipc host)",
)

test("host names", () => {
  const name = (more: Partial<Request>) => hostname(request(more), ID, HOST)
  expect(name({})).toBe("3f4e8a1c5b7d")
  expect(name({ hostname: "web-1.example.org" })).toBe("web-1.example.org")
  expect(name({ network: "host" })).toBe("server")
  expect(name({ network: "host", hostname: "box" })).toBe("box")
  expect(name({ uts: "host" })).toBe("server")
  expect(refusal(() => name({ uts: "host", hostname: "box" }))).toBe(
    "INVALID_VALUE cannot name the container's host box: it uses the host's name (--uts host)",
  )
  for (const bad of ["", "-a", "a b", "a/b", "a\n", "x".repeat(65)])
    expect(refusal(() => name({ hostname: bad }))).toBe(
      `INVALID_VALUE cannot name the container's host ${bad}: a host name is 1 to 64 letters, digits, hyphens and dots`,
    )
})
