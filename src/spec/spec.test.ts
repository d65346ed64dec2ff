import { expect, test } from "bun:test"
import { FACTS, HOST, ID, path, REQUEST } from "../../test/fixtures/server.ts"
import type { EngineError } from "../base/errors.ts"
import { readConfig } from "../model/guards.ts"
import type { Request } from "../model/request.ts"
import { pathsOf, type SpecFacts, specify } from "./spec.ts"

const made = (request: Partial<Request> = {}, facts: Partial<SpecFacts> = {}) =>
  specify({ ...REQUEST, ...request }, { ...FACTS, ...facts })

/** JSON as a person would lay it out: what holds nothing but plain values stands on one line. */
const laidOut = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(/[{[][^{}[\]]*[}\]]/g, (flat) => flat.replace(/\s*\n\s*/g, " "))

test("the config.json of the least that one can ask for", () => {
  const { config } = made({}, { chosen: { ...FACTS.chosen, id: "0123456789abcdef" } })
  // The filter has a test of its own.
  const { seccomp, ...linux } = config.linux!
  expect(seccomp?.defaultAction).toBe("SCMP_ACT_ERRNO")
  expect(laidOut({ ...config, linux })).toMatchInlineSnapshot(`
    "{
      "ociVersion": "1.2.0",
      "process": {
        "user": {
          "uid": 0,
          "gid": 0,
          "additionalGids": [ 0 ]
        },
        "args": [ "/bin/sh" ],
        "env": [ "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=0123456789ab", "HOME=/root" ],
        "cwd": "/",
        "capabilities": {
          "bounding": [ "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP" ],
          "effective": [ "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP" ],
          "permitted": [ "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SETFCAP" ],
          "inheritable": [],
          "ambient": []
        },
        "rlimits": [
          { "type": "RLIMIT_NOFILE", "soft": 1024, "hard": 524288 }
        ]
      },
      "root": { "path": "/srv/rootfs" },
      "hostname": "0123456789ab",
      "mounts": [
        {
          "destination": "/proc",
          "type": "proc",
          "source": "proc",
          "options": [ "nosuid", "noexec", "nodev" ]
        },
        {
          "destination": "/dev",
          "type": "tmpfs",
          "source": "tmpfs",
          "options": [ "nosuid", "strictatime", "mode=755", "size=65536k" ]
        },
        {
          "destination": "/sys",
          "type": "sysfs",
          "source": "sysfs",
          "options": [ "nosuid", "noexec", "nodev", "ro" ]
        },
        {
          "destination": "/dev/pts",
          "type": "devpts",
          "source": "devpts",
          "options": [ "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" ]
        },
        {
          "destination": "/dev/mqueue",
          "type": "mqueue",
          "source": "mqueue",
          "options": [ "nosuid", "noexec", "nodev" ]
        },
        {
          "destination": "/dev/shm",
          "type": "tmpfs",
          "source": "shm",
          "options": [ "nosuid", "noexec", "nodev", "mode=1777", "size=67108864" ]
        },
        {
          "destination": "/etc/hosts",
          "type": "bind",
          "source": "/var/lib/minicontainer/containers/0123456789abcdef/hosts",
          "options": [ "bind", "rprivate" ]
        },
        {
          "destination": "/etc/hostname",
          "type": "bind",
          "source": "/var/lib/minicontainer/containers/0123456789abcdef/hostname",
          "options": [ "bind", "rprivate" ]
        },
        {
          "destination": "/etc/resolv.conf",
          "type": "bind",
          "source": "/var/lib/minicontainer/containers/0123456789abcdef/resolv.conf",
          "options": [ "bind", "rprivate" ]
        },
        {
          "destination": "/sys/fs/cgroup",
          "type": "cgroup",
          "source": "cgroup",
          "options": [ "nosuid", "noexec", "nodev", "ro" ]
        }
      ],
      "linux": {
        "namespaces": [
          { "type": "mount" },
          { "type": "network" },
          { "type": "uts" },
          { "type": "pid" },
          { "type": "ipc" },
          { "type": "cgroup" },
          { "type": "user" }
        ],
        "uidMappings": [
          { "containerID": 0, "hostID": 1073741824, "size": 65536 }
        ],
        "gidMappings": [
          { "containerID": 0, "hostID": 1073741824, "size": 65536 }
        ],
        "devices": [
          { "type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0 },
          { "type": "c", "path": "/dev/zero", "major": 1, "minor": 5, "fileMode": 438, "uid": 0, "gid": 0 },
          { "type": "c", "path": "/dev/full", "major": 1, "minor": 7, "fileMode": 438, "uid": 0, "gid": 0 },
          { "type": "c", "path": "/dev/random", "major": 1, "minor": 8, "fileMode": 438, "uid": 0, "gid": 0 },
          { "type": "c", "path": "/dev/urandom", "major": 1, "minor": 9, "fileMode": 438, "uid": 0, "gid": 0 },
          { "type": "c", "path": "/dev/tty", "major": 5, "minor": 0, "fileMode": 438, "uid": 0, "gid": 0 }
        ],
        "cgroupsPath": "/minicontainer/0123456789abcdef",
        "resources": {
          "devices": [
            { "allow": false, "access": "rwm" },
            { "allow": true, "type": "c", "access": "m" },
            { "allow": true, "type": "b", "access": "m" },
            { "allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm" },
            { "allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm" },
            { "allow": true, "type": "c", "major": 1, "minor": 7, "access": "rwm" },
            { "allow": true, "type": "c", "major": 1, "minor": 8, "access": "rwm" },
            { "allow": true, "type": "c", "major": 1, "minor": 9, "access": "rwm" },
            { "allow": true, "type": "c", "major": 5, "minor": 0, "access": "rwm" },
            { "allow": true, "type": "c", "major": 5, "minor": 2, "access": "rwm" },
            { "allow": true, "type": "c", "major": 136, "access": "rwm" },
            { "allow": true, "type": "c", "major": 10, "minor": 200, "access": "rwm" }
          ]
        },
        "sysctl": { "net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 65535" },
        "maskedPaths": [ "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware" ],
        "readonlyPaths": [ "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger" ]
      }
    }"
  `)
})
test("its /etc/hosts and its neighbours", () => {
  expect(made().files).toEqual({
    hosts: `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
127.0.1.1\t3f4e8a1c5b7d
`,
    hostname: "3f4e8a1c5b7d\n",
    "resolv.conf": "nameserver 192.0.2.53\nsearch example.org\n",
  })
})
test("the plan is told which files are the container's own", () => {
  const { placement, config } = made()
  expect(placement.ownFiles).toEqual(
    ["hosts", "hostname", "resolv.conf"].map((name) => `/var/lib/minicontainer/containers/${ID}/${name}`),
  )
  expect(config.mounts?.flatMap(({ source }) => (placement.ownFiles.includes(source ?? "") ? [source] : []))).toEqual([
    ...placement.ownFiles,
  ])
})
test("an ordinary request warns of nothing", () => expect(made().warnings).toEqual([]))

/** Requests that use every field. */
const REQUESTS: readonly Partial<Request>[] = [
  {},
  { privileged: true },
  { userns: "host", user: "100000:100000" },
  { tty: true, interactive: true, hostname: "box", domainname: "example.org" },
  { network: "host", pid: "host", ipc: "host", uts: "host", cgroupns: "host" },
  {
    name: "web",
    entrypoint: "/bin/env",
    env: ["A=1"],
    labels: { a: "b" },
    mounts: [
      { kind: "bind", source: "/srv/data", target: "/data", readOnly: true },
      { kind: "tmpfs", target: "/tmp", sizeBytes: 1 << 20 },
    ],
    readOnly: true,
    workdir: "/data",
    user: "web",
    groupAdd: ["audio"],
    memoryBytes: 1 << 28,
    cpus: 0.5,
    cpuShares: 512,
    cpusetCpus: "0",
    pidsLimit: 10,
    ulimits: [{ name: "core", soft: -1, hard: -1 }],
    capAdd: ["NET_ADMIN"],
    capDrop: ["MKNOD"],
    noNewPrivileges: true,
    devices: [{ host: "/dev/snd", container: "/dev/snd", access: "rw" }],
    deviceRules: ["c 10:200 rwm"],
    sysctls: { "net.core.somaxconn": "1024" },
    init: true,
    remove: true,
    stopSignal: "QUIT",
    annotations: { "org.example": "x" },
    oomScoreAdj: 100,
    seccomp: "unconfined",
    dns: ["192.0.2.1"],
    addHosts: [{ name: "db", address: "192.0.2.1" }],
  },
]
for (const request of REQUESTS)
  test(`a valid config: ${Object.keys(request).join(" ") || "nothing asked"}`, () => {
    const { config } = made(request)
    expect(readConfig(JSON.stringify(config)) as unknown).toEqual(JSON.parse(JSON.stringify(config)))
  })
test("the same request gives the same bytes", () => {
  for (const request of REQUESTS) expect(JSON.stringify(made(request))).toBe(JSON.stringify(made(request)))
})

test("its own ids, and what they are mapped to", () => {
  const { linux } = made().config
  expect(linux?.uidMappings).toEqual([{ containerID: 0, hostID: 0x40000000, size: 65536 }])
  expect(linux?.gidMappings).toEqual(linux!.uidMappings!)
})
test("a root file system that cannot be shifted: the host's ids, and one warning", () => {
  const host = { ...HOST, paths: { ...HOST.paths, "/srv/rootfs": path({ filesystem: "overlay" }) } }
  const chosen = { ...FACTS.chosen, idBase: undefined }
  const { config, placement, warnings } = made(
    { mounts: [{ kind: "bind", source: "/srv/data", target: "/data" }] },
    { host, chosen },
  )
  expect(warnings).toEqual([
    "/srv/rootfs lies on overlay, whose owners cannot be shifted: root in the container is root of the host (as with --userns host)",
  ])
  expect(config.linux?.uidMappings).toBeUndefined()
  expect(config.linux?.namespaces?.map(({ type }) => type)).not.toContain("user")
  expect(config.mounts?.find(({ destination }) => destination === "/data")?.options).toEqual(["rbind", "rprivate"])
  expect(placement.leases).toEqual(["/var/lib/minicontainer/names/brave_turing"])
})
test("privileged: everything that confines is gone", () => {
  const { config } = made({ privileged: true })
  expect(config.linux?.resources?.devices).toEqual([{ allow: true, access: "rwm" }])
  expect(config.process?.capabilities?.effective?.length).toBe(41)
  expect(Object.keys(config.linux!)).toEqual(["namespaces", "devices", "cgroupsPath", "resources", "sysctl"])
})
test("the host's name is not set anew", () => {
  const { config, files } = made({ uts: "host" })
  expect(config.hostname).toBeUndefined()
  expect(files.hostname).toBe("server\n")
  expect(config.process?.env).toContain("HOSTNAME=server")
})
test("a host without cgroups", () => {
  const { config, placement } = made({}, { host: { ...HOST, cgroups: { mode: "none", controllers: {}, base: {} } } })
  expect([config.linux?.cgroupsPath, placement.cgroup]).toEqual([undefined, undefined])
})

const refused = (request: Partial<Request>, message: string, facts: Partial<SpecFacts> = {}) =>
  test(message, () => {
    try {
      made(request, facts)
    } catch (error) {
      const { code, message: said, hint } = error as EngineError
      return expect(`${code} ${said}${hint ? ` (${hint})` : ""}`).toBe(message)
    }
    throw new Error("it was accepted")
  })
refused({ rootfs: "/srv/missing" }, "ROOTFS_UNUSABLE cannot use the root file system /srv/missing: no such directory")
refused({ rootfs: "/srv/unknown" }, "ROOTFS_UNUSABLE cannot use the root file system /srv/unknown: no such directory")
refused({ rootfs: "/srv/file" }, "ROOTFS_UNUSABLE cannot use the root file system /srv/file: it is not a directory")
refused(
  { rootfs: "rootfs" },
  `ROOTFS_UNUSABLE cannot use the root file system rootfs: it is not an absolute path ("$PWD/rootfs" names it from here)`,
)
refused(
  { user: "70000" },
  "INVALID_VALUE cannot run as 70000: the uid 70000 is not from 0 to 65535, the ids of the container's user namespace (--userns host)",
)
refused({ args: [] }, "INVALID_VALUE cannot run: no command is given")
refused({ memoryBytes: 1 }, "INVALID_VALUE cannot limit memory: 1 bytes is less than the least, 6MiB")
test("an id range that was not leased is our own mistake", () => {
  expect(() => made({}, { chosen: { id: ID, name: "brave_turing", idBase: undefined } })).toThrow(TypeError)
})

test("what must be looked at before", () => {
  const request: Request = {
    ...REQUEST,
    mounts: [
      { kind: "bind", source: "/srv/data", target: "/a" },
      { kind: "bind", source: "relative", target: "/b" },
      { kind: "tmpfs", target: "/c" },
    ],
    devices: [{ host: "/dev/snd", container: "/dev/snd", access: "rwm" }],
    ipc: "host",
  }
  expect(pathsOf(request)).toEqual({
    paths: ["/srv/rootfs", "/srv/data", "/dev/snd", "/dev/shm", "/sys/devices/system/cpu/cpu0/thermal_throttle"],
    devicesBelow: ["/dev/snd"],
  })
  expect(pathsOf({ ...REQUEST, privileged: true }).devicesBelow).toEqual(["/dev"])
})
