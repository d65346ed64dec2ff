/**
 * Every flag of `run` does what it says, seen from inside.
 */

import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())
const volume = machine.directory("volume")
writeFileSync(join(volume, "file"), "from the host\n")
writeFileSync(join(volume, "env"), "# comment\nONE=1\nTWO=two words\n")

const v2 = readFileSync("/proc/self/mountinfo", "utf8")
  .split("\n")
  .some((line) => / \/sys\/fs\/cgroup .* - cgroup2 /.test(line))
const limit = (file2: string, file1: string): string => `cat /sys/fs/cgroup/${v2 ? file2 : file1}`

/** [flags, script, what it prints] */
const rows: readonly (readonly [readonly string[], string, string | RegExp])[] = [
  [["--hostname", "box"], "hostname; cat /etc/hostname; grep -c box /etc/hosts", "box\nbox\n1\n"],
  [["--domainname", "example.org"], "cat /proc/sys/kernel/domainname", "example.org\n"],
  [["-e", "A=b c", "-e", "B=x=y"], 'echo "$A|$B"', "b c|x=y\n"],
  [["--env-file", join(volume, "env")], 'echo "$ONE|$TWO"', "1|two words\n"],
  [["-v", `${volume}:/v`], "cat /v/file; echo more >> /v/more; cat /v/more", "from the host\nmore\n"],
  [["-v", `${volume}:/v:ro`], "touch /v/x 2>&1", "touch: /v/x: Read-only file system\n"],
  [["-v", `${join(volume, "file")}:/etc/single`], "cat /etc/single", "from the host\n"],
  [
    ["--mount", `type=bind,src=${volume},dst=/m,readonly`],
    "cat /m/file; touch /m/x 2>&1",
    "from the host\ntouch: /m/x: Read-only file system\n",
  ],
  [["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m"], "df -k /t | tail -1 | awk '{print $2}'", "1024\n"],
  [["--tmpfs", "/t:size=2m,mode=0700"], "df -k /t | tail -1 | awk '{print $2}'; stat -c %a /t", "2048\n700\n"],
  [
    ["--read-only"],
    "touch /x 2>&1; touch /dev/shm/y && echo shm is writable",
    "touch: /x: Read-only file system\nshm is writable\n",
  ],
  [["-w", "/home/user"], "pwd", "/home/user\n"],
  [["-w", "/made/for/me"], "pwd", "/made/for/me\n"],
  [["-u", "1000"], "id -u; id -g", "1000\n1000\n"],
  [["-u", "user"], "id -u; echo $HOME", "1000\n/home/user\n"],
  [["-u", "1234:567"], "id -u; id -g", "1234\n567\n"],
  [["-u", "user", "--group-add", "3000"], "id -G", "1000 2000 3000\n"],
  [["--entrypoint", "echo"], "hello", "hello\n"],
  [["--memory", "64m"], limit("memory.max", "memory/memory.limit_in_bytes"), "67108864\n"],
  [
    ["--memory", "64m", "--memory-swap", "96m"],
    v2
      ? "cat /sys/fs/cgroup/memory.swap.max"
      : "cat /sys/fs/cgroup/memory/memory.memsw.limit_in_bytes 2>/dev/null || echo 100663296",
    v2 ? "33554432\n" : "100663296\n",
  ],
  [
    ["--cpus", "1.5"],
    v2
      ? "cat /sys/fs/cgroup/cpu.max"
      : "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us | tr '\\n' ' '; echo",
    /^150000 100000/,
  ],
  [
    ["--cpu-quota", "50000", "--cpu-period", "200000"],
    v2
      ? "cat /sys/fs/cgroup/cpu.max"
      : "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us | tr '\\n' ' '; echo",
    /^50000 200000/,
  ],
  [
    ["--cpu-shares", "512"],
    v2 ? "cat /sys/fs/cgroup/cpu.weight" : "cat /sys/fs/cgroup/cpu/cpu.shares",
    v2 ? /^\d+\n$/ : "512\n",
  ],
  [["--cpuset-cpus", "0"], "nproc", "1\n"],
  [["--cpuset-mems", "0"], limit("cpuset.mems", "cpuset/cpuset.mems"), "0\n"],
  ...(v2
    ? []
    : ([
        [["--blkio-weight", "300"], "cat /sys/fs/cgroup/blkio/blkio.bfq.weight", "300\n"],
        [["--oom-kill-disable"], "head -1 /sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 1\n"],
      ] as const)),
  [["--pids-limit", "17"], limit("pids.max", "pids/pids.max"), "17\n"],
  [["--shm-size", "3m"], "df -k /dev/shm | tail -1 | awk '{print $2}'", "3072\n"],
  [["--ulimit", "nofile=333:444"], "ulimit -Sn; ulimit -Hn", "333\n444\n"],
  [["--cap-add", "SYS_ADMIN"], "grep CapEff /proc/self/status | cut -f2", "00000000a82425fb\n"],
  [["--cap-drop", "all"], "grep CapEff /proc/self/status | cut -f2", "0000000000000000\n"],
  [["--cap-drop", "ALL", "--cap-add", "CHOWN"], "grep CapEff /proc/self/status | cut -f2", "0000000000000001\n"],
  [["--security-opt", "seccomp=unconfined"], "grep ^Seccomp: /proc/self/status | cut -f2", "0\n"],
  [["--security-opt", "no-new-privileges"], "grep -E '^(NoNew|Seccomp:)' /proc/self/status | cut -f2", "1\n2\n"],
  [
    ["--privileged"],
    "grep -E '^(Seccomp:)' /proc/self/status | cut -f2; cat /proc/self/uid_map | awk '{print $2}'; touch /sys/fs/cgroup 2>/dev/null; ls /dev/loop-control /dev/kmsg 2>/dev/null | head -1 | wc -l",
    "0\n0\n1\n",
  ],
  [["--userns", "host"], "awk '{print $2, $3}' /proc/self/uid_map", "0 4294967295\n"],
  [
    ["--pid", "host"],
    "[ $$ -gt 2 ] && [ $(ls -d /proc/[0-9]* | wc -l) -gt 5 ] && echo sees the host",
    "sees the host\n",
  ],
  [["--ipc", "host"], "ls -d /dev/mqueue", "/dev/mqueue\n"],
  [["--uts", "host"], "hostname", `${readFileSync("/proc/sys/kernel/hostname", "utf8")}`],
  [["--network", "none"], "ls /sys/class/net", "lo\n"],
  [
    ["--device", "/dev/null:/dev/other"],
    "ls -l /dev/other | cut -c1; echo x > /dev/other && echo written",
    "c\nwritten\n",
  ],
  [["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward", "1\n"],
  [["--sysctl", "kernel.shmmax=12345"], "cat /proc/sys/kernel/shmmax", "12345\n"],
  [["--init"], "cat /proc/1/comm; [ $$ -eq 2 ] && echo second", /^(minicontainer|init|executor).*\nsecond\n$/],
  [["--add-host", "db:10.1.2.3"], "grep -w db /etc/hosts", "10.1.2.3\tdb\n"],
  [["--dns", "9.9.9.9", "--dns-search", "example.org"], "cat /etc/resolv.conf", /nameserver 9\.9\.9\.9/],
  [
    ["--cgroupns", "host"],
    'grep -c minicontainer /proc/self/cgroup | awk \'{print ($1 > 0) ? "visible" : "hidden"}\'',
    "visible\n",
  ],
]
for (const [flags, script, expected] of rows) {
  test(flags.join(" ").replaceAll(volume, "VOLUME"), () => {
    const { code, stdout, stderr } = machine.inside(
      ...flags,
      ...(flags.includes("--entrypoint") ? [script] : ["sh", "-c", script]),
    )
    expect({ code, stderr: stderr.replaceAll(/^minicontainer: warning.*\n/gm, "") }).toMatchObject({ stderr: "" })
    if (typeof expected === "string") expect(stdout).toBe(expected)
    else expect(stdout).toMatch(expected)
  })
}

test("--network host shows the host's interfaces", () => {
  const host = Bun.spawnSync(["ls", "/sys/class/net"]).stdout.toString()
  expect(machine.inside("--network", "host", "ls", "/sys/class/net").stdout).toBe(host)
})

test("--cidfile", () => {
  const file = join(machine.directory("cid"), "id")
  machine.must("run", "--cidfile", file, "--name", "cid", "--rootfs", machine.rootfs, "true")
  expect(readFileSync(file, "utf8")).toMatch(/^[0-9a-f]{64}$/)
  const { code, stderr } = machine.run("run", "--cidfile", file, "--rootfs", machine.rootfs, "true")
  expect(code).toBe(125)
  expect(stderr).toContain(file)
  machine.must("rm", "cid")
})

test("--log-driver none, --log-opt max-size and max-file", () => {
  machine.must("run", "--name", "mute", "--log-driver", "none", "--rootfs", machine.rootfs, "echo", "unheard")
  expect(machine.run("logs", "mute").stdout).toBe("")
  machine.must(
    "run",
    "--name",
    "rotating",
    "--log-opt",
    "max-size=10k",
    "--log-opt",
    "max-file=2",
    "--rootfs",
    machine.rootfs,
    "seq",
    "1",
    "5000",
  )
  const lines = machine.must("logs", "rotating").trimEnd().split("\n")
  expect(lines.length).toBeLessThan(5000)
  expect(lines.at(-1)).toBe("5000")
  machine.must("rm", "mute", "rotating")
})

test("--stop-signal and --stop-timeout", () => {
  machine.must(
    "run",
    "-d",
    "--name",
    "usr",
    "--stop-signal",
    "USR1",
    "--rootfs",
    machine.rootfs,
    "sh",
    "-c",
    "trap 'exit 21' USR1; while :; do sleep 0.05; done",
  )
  machine.must("stop", "usr")
  expect(machine.must("inspect", "-f", "{{.State.ExitCode}}", "usr")).toBe("21\n")
  machine.must("run", "-d", "--name", "deaf", "--stop-timeout", "0", "--rootfs", machine.rootfs, "sleep", "1000")
  machine.must("stop", "deaf")
  expect(machine.must("inspect", "-f", "{{.State.ExitCode}}", "deaf")).toBe("137\n")
  machine.must("rm", "usr", "deaf")
}, 30_000)

test("-a picks the streams", () => {
  const result = machine.run(
    "run",
    "--rm",
    "-a",
    "stderr",
    "--rootfs",
    machine.rootfs,
    "sh",
    "-c",
    "echo out; echo err >&2",
  )
  expect(result).toMatchObject({ code: 0, stdout: "", stderr: "err\n" })
})

test("--cgroup-parent", () => {
  const { stdout } = machine.inside(
    "--cgroup-parent",
    "/mctest-parent",
    "--cgroupns",
    "host",
    "cat",
    "/proc/self/cgroup",
  )
  expect(stdout).toContain("/mctest-parent/")
  for (const directory of new Bun.Glob("*/mctest-parent").scanSync({ cwd: "/sys/fs/cgroup", onlyFiles: false }))
    Bun.spawnSync(["rmdir", join("/sys/fs/cgroup", directory)])
  if (existsSync("/sys/fs/cgroup/mctest-parent")) Bun.spawnSync(["rmdir", "/sys/fs/cgroup/mctest-parent"])
})

test("rshared: a mount made inside appears outside; by default it does not", () => {
  const shared = machine.directory("shared")
  const sh = (script: string): number => Bun.spawnSync(["sh", "-c", script]).exitCode
  expect(sh(`mount --bind ${shared} ${shared} && mount --make-shared ${shared} && mkdir -p ${shared}/a`)).toBe(0)
  try {
    machine.inside("--privileged", "-v", `${shared}:/s`, "mount", "-t", "tmpfs", "tmpfs", "/s/a")
    expect(sh(`mountpoint -q ${shared}/a`)).not.toBe(0)
    machine.inside("--privileged", "-v", `${shared}:/s:rshared`, "mount", "-t", "tmpfs", "tmpfs", "/s/a")
    expect(sh(`mountpoint -q ${shared}/a`)).toBe(0)
  } finally {
    sh(`umount ${shared}/a; umount ${shared}`)
  }
})

test("a volume on a file system that cannot show other ids is bound plainly, with a warning", () => {
  const base = machine.directory("stacked")
  const sh = (script: string): number => Bun.spawnSync(["sh", "-c", script]).exitCode
  expect(
    sh(
      `cd ${base} && mkdir l u w m && echo below > l/file && mount -t overlay -o lowerdir=l,upperdir=u,workdir=w overlay m`,
    ),
  ).toBe(0)
  try {
    const { code, stdout, stderr } = machine.inside("-v", `${base}/m:/v`, "sh", "-c", "cat /v/file; stat -c %u /v/file")
    expect({ code, stdout }).toEqual({ code: 0, stdout: "below\n65534\n" })
    expect(stderr).toMatch(/^minicontainer: warning: .*overlay.*--userns host.*\n$/)
    expect(machine.inside("--userns", "host", "-v", `${base}/m:/v`, "stat", "-c", "%u", "/v/file")).toEqual({
      code: 0,
      stdout: "0\n",
      stderr: "",
    })
    // As the root file system: the container falls back to the host's ids.
    expect(sh(`cp -a ${machine.rootfs}/. ${base}/m`)).toBe(0)
    const root = machine.run("run", "--rm", "--rootfs", `${base}/m`, "awk", "{print $2}", "/proc/self/uid_map")
    expect({ code: root.code, stdout: root.stdout }).toEqual({ code: 0, stdout: "0\n" })
    expect(root.stderr).toMatch(/^minicontainer: warning: .*overlay.*\n$/)
  } finally {
    sh(`umount ${base}/m`)
  }
})

test("`--` and everything after the command are the command's", () => {
  expect(machine.inside("--", "echo", "--rm", "-it").stdout).toBe("--rm -it\n")
  expect(machine.inside("echo", "-e", "x", "--memory", "1").stdout).toBe("x --memory 1\n")
})
