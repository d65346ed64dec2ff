import { expect, test } from "bun:test"
import { play, type World, withoutCodes, words } from "../../../test/cli/recorder.ts"
import type { Request } from "../../model/request.ts"

const WORLD: World = {
  env: { HOME: "/root", EMPTY: "" },
  files: {
    "/home/me/vars": 'A=1\r\n B=2 \n# no\n\nHOME\nNOPE\nQ=" x"\n',
    "/home/me/bad": "A B=1\n",
    "/home/me/nameless": "A=1\n=2\n",
    "/home/me/binary": new Uint8Array([0xff, 0xfe, 0xfd]),
    "/home/me/labels": "tier=front\nlone\n",
    "/home/me/policy.json": '{"defaultAction":"SCMP_ACT_ALLOW"}',
  },
}

/** What `run --rootfs / LINE true` asks for, besides the root and the program. */
function check(line: string, expected: Partial<Request>, world: World = WORLD) {
  test(`run ${line}`, async () => {
    const { request, stderr } = await play(["run", "--rootfs", "/", ...words(line), "true"], world)
    expect(stderr).toBe("")
    expect(request).toEqual({ rootfs: "/", args: ["true"], ...expected })
  })
}
/** The whole line, as it is; what is said, and the hint. */
function fails(line: string, message: string, hint?: string, status = 125) {
  test(`${line} fails`, async () => {
    const { stderr, status: exit, asked } = await play(words(line), WORLD)
    expect(stderr).toMatch(/^minicontainer: .* \[[A-Z_]+\]\n/)
    expect(withoutCodes(stderr)).toBe(`minicontainer: ${message}\n${hint === undefined ? "" : `  hint: ${hint}\n`}`)
    expect(exit).toBe(status)
    expect(asked).toEqual([])
  })
}
const runFails = (line: string, message: string, hint?: string) => fails(`run --rootfs / ${line} true`, message, hint)

// The program.
check("", {})
check("-it", { interactive: true, tty: true }, { ...WORLD, terminal: true })
check("-itd", { interactive: true, tty: true, detached: true })
check("-t", { tty: true })
check("--rm --init", { remove: true, init: true })
check("-w /srv -u 1000:100", { workdir: "/srv", user: "1000:100" })
check("-u 0", { user: "0" })
check("--entrypoint /bin/echo", { entrypoint: "/bin/echo" })
check('--entrypoint ""', {})
test("an empty text means that nothing was said, as with Docker", async () => {
  const flags =
    "name workdir user hostname stop-signal cpuset-cpus cpuset-mems network pid ipc uts userns cgroupns log-driver cidfile"
  const { request, stderr } = await play(
    ["run", "--rootfs", "/", ...flags.split(" ").map((flag) => `--${flag}=`), "true"],
    WORLD,
  )
  expect([stderr, request]).toEqual(["", { rootfs: "/", args: ["true"] }])
})
check("--sig-proxy=false", { signalProxy: false })
check("-a stdout -a STDERR", { attach: ["stdout", "stderr"] })
check("-it -a stdout", { interactive: true, tty: true, attach: ["stdout"] })
check("--stop-signal SIGINT --stop-timeout 3", { stopSignal: "SIGINT", stopTimeoutSeconds: 3 })
check("--detach-keys ctrl-a,d", { detachKeys: "ctrl-a,d" })
check("--name db-1 -h db.local --domainname lan", { name: "db-1", hostname: "db.local", domainname: "lan" })
for (const [line, rootfs, args] of [
  ["run --rootfs /", "/", ["sh"]],
  ["run --rootfs alpine", "/home/me/alpine", ["sh"]],
  ["run --rootfs ../x sh -c 'echo hi'", "/home/x", ["sh", "-c", "echo hi"]],
  ["run --rootfs=/ -- ls --rm", "/", ["ls", "--rm"]],
  ["run --rootfs / ls -- --rm", "/", ["ls", "--", "--rm"]],
  ["container run --rootfs / ls", "/", ["ls"]],
  ["explain --rootfs / ls", "/", ["ls"]],
] as const)
  test(line, async () => {
    const engine = { explain: async () => ({ plan: { frame: {}, steps: [], warnings: [] }, config: {} }) }
    const { request } = await play(words(line), { engine: engine as never })
    expect(request).toEqual({ rootfs, args } as Request)
  })
test("an entrypoint needs no command", async () => {
  const { request } = await play(words("run --rootfs / --entrypoint date"))
  expect(request).toEqual({ rootfs: "/", entrypoint: "date", args: [] })
})

// Variables and labels.
check("-e A=b -eC=d -e=E=f -e G=", { env: ["A=b", "C=d", "E=f", "G="] })
check("-e HOME -e NOPE -e EMPTY", { env: ["HOME=/root", "EMPTY="] })
check("-e Z=1 --env-file vars", { env: ["A=1", "B=2 ", "HOME=/root", 'Q=" x"', "Z=1"] })
check("-l a -l b=c=d --label-file labels", { labels: { tier: "front", a: "", b: "c=d" } })
check("--annotation a=b", { annotations: { a: "b" } })
check("--blkio-weight 300 --oom-kill-disable", { blkioWeight: 300, oomKillDisable: true })
check("--blkio-weight 0 --oom-kill-disable=false", {})

// Mounts.
const bind = (source: string, target: string, more: object = {}) => ({ kind: "bind", source, target, ...more }) as const
check("-v /a:/b -v ./c:/d:ro -v ../e:/f -v .:/g", {
  mounts: [
    bind("/a", "/b"),
    bind("/home/me/c", "/d", { readOnly: true }),
    bind("/home/e", "/f"),
    bind("/home/me", "/g"),
  ],
})
check("-v /a:/b:rw,z,rshared,cached", { mounts: [bind("/a", "/b", { propagation: "rshared" })] })
check("--mount type=bind,src=./a,dst=/b,ro", { mounts: [bind("/home/me/a", "/b", { readOnly: true })] })
check("--mount 'type=bind,source=/a,target=/b,readonly=false,bind-propagation=slave,bind-recursive=disabled'", {
  mounts: [bind("/a", "/b", { propagation: "slave", recursive: false })],
})
check("--mount 'type=bind,destination=/b,src=/a,bind-create-src'", {
  mounts: [bind("/a", "/b", { createSource: true })],
})
test("a field of --mount in quotes may hold a comma", async () => {
  const { request } = await play(["run", "--rootfs", "/", "--mount", 'type=bind,"src=/a,b",dst=/c', "true"])
  expect(request?.mounts).toEqual([bind("/a,b", "/c")])
})
check("--tmpfs /x --tmpfs /y:size=64m,mode=1777,noexec", {
  mounts: [
    { kind: "tmpfs", target: "/x" },
    { kind: "tmpfs", target: "/y", sizeBytes: 67108864, mode: 0o1777, options: ["noexec"] },
  ],
})
check("--mount type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700", {
  mounts: [{ kind: "tmpfs", target: "/t", sizeBytes: 1048576, mode: 0o700 }],
})
check("--read-only --shm-size 128m", { readOnly: true, shmBytes: 134217728 })

// Limits.
check("--memory 1.5g --memory-swap -1 --memory-reservation 512m", {
  memoryBytes: 1610612736,
  memorySwapBytes: -1,
  memoryReservationBytes: 536870912,
})
check("-m 6m", { memoryBytes: 6291456 })
check("-m 0", {})
check("--cpus 1.5 -c 512 --cpuset-cpus 0-3,7 --cpuset-mems 0", {
  cpus: 1.5,
  cpuShares: 512,
  cpusetCpus: "0-3,7",
  cpusetMems: "0",
})
check("--cpu-quota 50000 --cpu-period 100000", { cpuQuotaUs: 50000, cpuPeriodUs: 100000 })
check("--pids-limit -1", { pidsLimit: -1 })
check("--pids-limit 0", { pidsLimit: 0 })
check("--ulimit nofile=1024:2048 --ulimit core=-1 --ulimit nproc=5", {
  ulimits: [
    { name: "nofile", soft: 1024, hard: 2048 },
    { name: "core", soft: -1, hard: -1 },
    { name: "nproc", soft: 5, hard: 5 },
  ],
})
check("--oom-score-adj -500 --cgroup-parent /mine", { oomScoreAdj: -500, cgroupParent: "/mine" })

// Rights.
check("--cap-add NET_ADMIN --cap-drop ALL --privileged --group-add audio", {
  capAdd: ["NET_ADMIN"],
  capDrop: ["ALL"],
  privileged: true,
  groupAdd: ["audio"],
})
check("--security-opt no-new-privileges --security-opt seccomp=unconfined", {
  noNewPrivileges: true,
  seccomp: "unconfined",
})
check("--security-opt no-new-privileges:false --security-opt seccomp:builtin", {})
check("--security-opt apparmor=unconfined --security-opt label=disable", {})
check("--security-opt seccomp=policy.json", {
  seccomp: { path: "/home/me/policy.json", json: '{"defaultAction":"SCMP_ACT_ALLOW"}' },
})
check("--device /dev/fuse --device /dev/a:/dev/b:r --device /dev/c:rw", {
  devices: [
    { host: "/dev/fuse", container: "/dev/fuse", access: "rwm" },
    { host: "/dev/a", container: "/dev/b", access: "r" },
    { host: "/dev/c", container: "/dev/c", access: "rw" },
  ],
})
check("--device-cgroup-rule 'c 189:* rmw'", { deviceRules: ["c 189:* rmw"] })
check("--sysctl net.ipv4.ip_forward=1", { sysctls: { "net.ipv4.ip_forward": "1" } })

// Namespaces, names, the log.
check("--pid host --ipc shareable --uts host --userns host --cgroupns host --net none", {
  pid: "host",
  ipc: "shareable",
  uts: "host",
  userns: "host",
  cgroupns: "host",
  network: "none",
})
check("--network default -p 80 -p 127.0.0.1:53:5353/UDP -p 8000-8001:80-81 -p 0.0.0.0::7", {
  network: "bridge",
  publish: [
    { protocol: "tcp", hostPort: 0, containerPort: 80 },
    { protocol: "udp", hostAddress: "127.0.0.1", hostPort: 53, containerPort: 5353 },
    { protocol: "tcp", hostPort: 8000, containerPort: 80 },
    { protocol: "tcp", hostPort: 8001, containerPort: 81 },
    { protocol: "tcp", hostPort: 0, containerPort: 7 },
  ],
})
check("--add-host a:host-gateway", { addHosts: [{ name: "a", address: "host-gateway" }] })
check("--add-host a:1.2.3.4 --add-host b=::1 --add-host 'c:[fe80::1]'", {
  addHosts: [
    { name: "a", address: "1.2.3.4" },
    { name: "b", address: "::1" },
    { name: "c", address: "fe80::1" },
  ],
})
check("--dns 9.9.9.9 --dns-search lan --dns-opt ndots:2", {
  dns: ["9.9.9.9"],
  dnsSearch: ["lan"],
  dnsOptions: ["ndots:2"],
})
check("--log-opt max-size=10m --log-opt max-file=5", {
  log: { driver: "json-file", maxBytes: 10_000_000, maxFiles: 5 },
})
check("--log-driver none", { log: { driver: "none" } })

// Asked for what is so anyway.
check("--restart no --pull missing -q --no-healthcheck --disable-content-trust=false --isolation default", {})

test("the engine gets the cidfile, and what to become if a step fails", async () => {
  const { options } = await play(words("run --cidfile id --rootfs / true"))
  expect(options?.cidFile).toBe("id")
  expect(options?.failed).toEqual(["/usr/bin/minicontainer", "report"])
})
test("and its own words, by which it can be tried once more: unless they lead to a pipe, which would be empty then", async () => {
  const again = async (line: string) => {
    const { options } = await play(words(line), {
      files: { "/home/me/vars": "A=b", "/home/me/p.json": "{}", "/dev/fd/63": "C=d" },
      pipes: ["/dev/fd/63"],
    })
    return options?.again
  }
  const line = "-D run --env-file vars --security-opt seccomp=p.json --rootfs / echo -n x"
  expect(await again(line)).toEqual(words(line).slice(1))
  expect(await again("run --env-file vars --env-file /dev/fd/63 --rootfs / true")).toBeUndefined()
})
test("a warning of the plan is a line on stderr", async () => {
  const become = async (_: Request, options?: { warn?: (line: string) => void }) => options?.warn?.("no IPv6 here")
  const { stderr, stdout } = await play(words("run --rootfs / true"), { engine: { become } as never })
  expect([stderr, stdout]).toEqual(["minicontainer: warning: no IPv6 here\n", ""])
})

// No.
fails(
  "run",
  "cannot run a container: IMAGE is missing",
  "minicontainer run hello, or of a directory: minicontainer run --rm -it --rootfs / sh",
)
runFails("--memroy 1g", "cannot use --memroy: unknown flag", "did you mean --memory?")
runFails("--memory 1", "cannot use --memory 1: less than 6m, the least that works")
runFails(
  "--memory banana",
  "cannot use --memory banana: not a size",
  "write a number and perhaps b, k, m or g: 512m, 1.5g",
)
runFails(
  "--cpus 0",
  "cannot use --cpus 0: less than 0.01, the least the kernel can grant",
  "for no limit, leave it out",
)
runFails("--cpus 0.001", "cannot use --cpus 0.001: less than 0.01, the least the kernel can grant")
runFails("--cpus two", "cannot use --cpus two: not a number of CPUs", "write a decimal number: 0.5, 2")
runFails("--cpus 1 --cpu-quota 5000", "cannot use --cpus together with --cpu-quota: both set the same limit")
runFails("--cpuset-cpus 3-1", "cannot use --cpuset-cpus 3-1: not a list of numbers", "for example 0-3 or 0,2")
runFails("--pids-limit -2", "cannot use --pids-limit -2: less than -1, the least that works")
runFails(
  "--name a/b",
  "cannot use --name a/b: a name is two or more letters, digits, _ . and -",
  "it begins with a letter or digit: web, db-1",
)
runFails(
  "--name x",
  "cannot use --name x: a name is two or more letters, digits, _ . and -",
  "it begins with a letter or digit: web, db-1",
)
fails('run --rootfs "" true', 'cannot use --rootfs "": it names nothing', "is a variable empty?")
runFails('--env-file ""', 'cannot use --env-file "": it names nothing', "is a variable empty?")
test("a plan may be looked at without a terminal", async () => {
  const engine = { explain: async () => ({ plan: { frame: {}, steps: [], warnings: [] }, config: {} }) }
  const { request, stderr } = await play(words("explain --rootfs / -it sh"), { engine: engine as never })
  expect([stderr, request]).toEqual(["", { rootfs: "/", args: ["sh"], tty: true, interactive: true }])
})
runFails("-it", "cannot use --tty: the input device is not a TTY", "leave out -t when input comes from a file or pipe")
runFails("-d -a stdout", "cannot use --attach together with --detach: nobody would be attached")
runFails("-w srv", "cannot use --workdir srv: not an absolute path", "a path inside the container begins with /")
runFails(
  "-v x:/d",
  "cannot use --volume x:/d: x is not the name of a volume",
  'a name has 2 to 255 letters, digits, "_", "." and "-"; for a directory, write an absolute path',
)
runFails("-v a/b:/d", "cannot use --volume a/b:/d: its source is a relative path", "write ./a/b, or an absolute path")
runFails("-v data:/d:rshared", "cannot use --volume data:/d:rshared: a volume has no propagation", "leave it out")
runFails(
  "-v /a:b",
  "cannot use --volume /a:b: its target b is not an absolute path",
  "a path inside the container begins with /",
)
runFails("-v /a:/", "cannot use --volume /a:/: nothing can be mounted over the container's /")
runFails("-v /a:/b:ro,rw", "cannot use --volume /a:/b:ro,rw: rw contradicts another of its options")
runFails(
  "-v /a:/b:c:d",
  "cannot use --volume /a:/b:c:d: it has more than two colons",
  "write HOST:CONTAINER or HOST:CONTAINER:ro",
)
runFails(
  "--mount src=data,dst=/b,volume-subpath=../x",
  "cannot use --mount src=data,dst=/b,volume-subpath=../x: its subpath ../x is not a path inside the volume",
)
runFails(
  "--mount type=bind,src=/a",
  "cannot use --mount type=bind,src=/a: its target is missing",
  "add dst=PATH, a path inside the container",
)
runFails(
  "--mount type=tmpfs,dst=/a,src=/b",
  "cannot use --mount type=tmpfs,dst=/a,src=/b: a tmpfs mount has no key src",
  "it takes type, target, dst, destination, readonly, ro, consistency, tmpfs-size, tmpfs-mode, tmpfs-options",
)
runFails(
  "--tmpfs /x:sze=1m",
  "cannot use --tmpfs /x:sze=1m: it has no option sze",
  "it takes mode, size, uid, gid, nr_inodes, nr_blocks, mpol, huge, ro, rw, exec, noexec, suid, nosuid, dev, nodev, sync, async, dirsync, atime, noatime, diratime, nodiratime, relatime, norelatime, strictatime",
)
runFails("--ulimit nproc=3:2", "cannot use --ulimit nproc=3:2: its soft limit exceeds the hard one")
runFails(
  "--ulimit foo=1",
  "cannot use --ulimit foo=1: there is no limit foo",
  "there are core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack",
)
runFails(
  "--device fuse",
  "cannot use --device fuse: fuse is not an absolute path",
  "for example /dev/fuse or /dev/sda:/dev/xvda:r",
)
runFails(
  "--device-cgroup-rule x",
  "cannot use --device-cgroup-rule x: not of the form TYPE MAJOR:MINOR ACCESS",
  "for example 'c 1:3 rwm' or 'b 8:* r'",
)
runFails("--security-opt seccomp=none.json", "cannot use --security-opt seccomp none.json: no such file")
runFails(
  "--security-opt apparmor=mine",
  "cannot use --security-opt apparmor=mine: AppArmor profiles are not built yet",
  "it takes seccomp=FILE|unconfined, no-new-privileges, apparmor=unconfined, label=disable",
)
runFails("--env-file none", "cannot use --env-file none: no such file")
runFails(
  "--env-file bad",
  'cannot use --env-file bad: line 1 has a blank in the name "A B"',
  "write KEY=VALUE or KEY on each line",
)
runFails(
  "--env-file nameless",
  "cannot use --env-file nameless: line 2 has no name before the =",
  "write KEY=VALUE or KEY on each line",
)
runFails(
  "--env-file binary",
  "cannot use --env-file binary: it is not UTF-8 text",
  "write KEY=VALUE or KEY on each line",
)
runFails("-e =x", "cannot use --env =x: it has no name before the =")
runFails("--add-host a:1.2.3.400", "cannot use --add-host a:1.2.3.400: not an IP address")
runFails("--dns nine", "cannot use --dns nine: not an IP address")
runFails("--network /web", "cannot use --network /web: it is no name of a network", "none, host, bridge")
runFails(
  "--pid container:x",
  "cannot use --pid container:x: joining another container's namespace is not built yet",
  "it takes host",
)
runFails("-p 1-3:1-2", "cannot use --publish 1-3:1-2: the two ranges have not the same length")
runFails(
  "-p 80:99999",
  'cannot use --publish 80:99999: "99999" is no port and no range of ports',
  "a port is a number from 1 to 65535; a range is 8000-8010",
)
runFails("-p 80/icmp", 'cannot use --publish 80/icmp: there is no protocol "icmp"', "it takes tcp, udp or sctp")
runFails("-p [::1]:80:80", "cannot use --publish [::1]:80:80: ports of IPv6 addresses are not published")
runFails("--restart always", "cannot use --restart: restart policies are not built yet")
runFails(
  "--stop-signal BANANA",
  "cannot use --stop-signal BANANA: there is no such signal",
  "for example TERM, SIGKILL, 9",
)
runFails(
  "--log-opt max-sise=1m",
  "cannot use --log-opt max-sise: there is no such option",
  "it takes max-size and max-file",
)
runFails("--log-driver syslog", "cannot use --log-driver syslog: only files are written", "it takes json-file or none")
runFails(
  "--detach-keys ctrl-",
  "cannot use --detach-keys ctrl-: not a list of keys",
  "for example ctrl-p,ctrl-q or ctrl-@,x",
)
