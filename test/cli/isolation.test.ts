/**
 * A container sees only its own: no process, mount, fd, environment variable, cgroup path or device of the host.
 */

import { afterAll, expect, test } from "bun:test"
import { existsSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

const inside = (script: string, ...flags: string[]): string => {
  const { code, stdout, stderr } = machine.inside(...flags, "sh", "-c", script)
  if (code !== 0) throw new Error(`ended with ${code}: ${stderr}`)
  return stdout
}

test("the first process has number 1 and there is no other but ps itself", () => {
  expect(inside("echo $$; ps -o pid,comm; true").replaceAll(/ +/g, " ")).toBe("1\nPID COMMAND\n 1 sh\n 2 ps\n")
})

test("no environment but what every container has", () => {
  expect(inside("env | sort").replace(/HOSTNAME=[0-9a-f]{12}/, "HOSTNAME=ID")).toBe(`HOME=/root
HOSTNAME=ID
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
PWD=/
SHLVL=1
`)
})

test("three open files and no more", () => {
  // The fourth is ls's own, on the directory it lists.
  expect(inside("ls /proc/self/fd")).toBe("0\n1\n2\n3\n")
})

test("the devices are the standard ones", () => {
  expect(inside("ls /dev")).toBe(
    "core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n",
  )
  expect(inside("head -c 3 /dev/zero | od -An -tx1; echo x > /dev/null; echo to stdout > /dev/stdout")).toBe(
    " 00 00 00\nto stdout\n",
  )
})

test("no device can be made, and the host's disk cannot be opened", () => {
  expect(inside("mknod /tmp/disk b 8 0 2>&1 || true; mknod /dev/mem c 1 1 2>&1 || true")).toBe(
    "mknod: /tmp/disk: Operation not permitted\nmknod: /dev/mem: Operation not permitted\n",
  )
})

test("every mount is the container's own", () => {
  const points = inside("cut -d' ' -f2 /proc/mounts | sort -u").trimEnd().split("\n")
  expect(points.filter((point) => !/^\/(proc|sys|dev|etc\/(hosts|hostname|resolv.conf))/.test(point))).toEqual(["/"])
})

test("root inside is nobody outside", () => {
  const map = inside("cat /proc/self/uid_map").trim().split(/ +/)
  expect(map[0]).toBe("0")
  expect(Number(map[1])).toBeGreaterThanOrEqual(0x40000000)
  expect(map[2]).toBe("65536")
})

test("cgroup paths begin at the container's own group", () => {
  // Hierarchies in which the container has no group show the root, which is theirs, too.
  expect([
    ...new Set(
      inside("cat /proc/self/cgroup")
        .trim()
        .split("\n")
        .map((line) => line.split(":")[2]),
    ),
  ]).toEqual(["/"])
})

test("the network is an interface lo that is up", () => {
  expect(inside("ls /sys/class/net; ping -c 1 -w 1 127.0.0.1 | grep -c 'bytes from'")).toBe("lo\n1\n")
})

test("the host name is the short id, and a file of its own", () => {
  expect(inside('[ "$(hostname)" = "$(cat /etc/hostname)" ] && hostname | grep -cE "^[0-9a-f]{12}$"')).toBe("1\n")
})

test("capabilities are Docker's fourteen, none inheritable or ambient", () => {
  expect(inside("grep Cap /proc/self/status | tr '\\t' ' '")).toBe(`CapInh: 0000000000000000
CapPrm: 00000000a80425fb
CapEff: 00000000a80425fb
CapBnd: 00000000a80425fb
CapAmb: 0000000000000000
`)
})

test("a seccomp filter is loaded", () => {
  expect(inside("grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status | tr '\\t' ' '")).toBe(
    "NoNewPrivs: 0\nSeccomp: 2\n",
  )
})

test("what tells about or controls the machine is masked or read-only", () => {
  expect(
    inside(
      "cat /proc/timer_list /proc/keys /proc/interrupts 2>/dev/null | wc -c; ls /sys/firmware | wc -l; echo 1 > /proc/sys/kernel/panic || echo refused; touch /sys/x || echo refused",
    ),
  ).toBe("0\n0\nrefused\nrefused\n")
})

test("limits are set by us, not by the caller", () => {
  expect(inside("ulimit -Sn")).toBe("1024\n")
})

test("a file written inside is not in the root directory that was given", () => {
  inside("echo mine > /etc/mine; rm /etc/group; mkdir /new")
  expect(existsSync(join(machine.rootfs, "etc/mine"))).toBe(false)
  expect(existsSync(join(machine.rootfs, "etc/group"))).toBe(true)
  expect(existsSync(join(machine.rootfs, "new"))).toBe(false)
})

test("files of the root directory belong to whom they belonged", () => {
  expect(inside("stat -c %u:%g /bin/busybox /")).toBe("0:0\n0:0\n")
})

test("a volume's files belong, outside, to the id that wrote them", () => {
  const volume = machine.directory("volume")
  inside("echo a > /v/root; chown 1000:1000 /v", "-v", `${volume}:/v`)
  machine.inside("-u", "1000", "-v", `${volume}:/v`, "sh", "-c", "echo b > /v/user")
  expect([statSync(join(volume, "root")).uid, statSync(join(volume, "user")).uid]).toEqual([0, 1000])
})

test("links at /proc, /dev and /etc that lead outside lead nowhere", () => {
  const outside = machine.directory("outside")
  writeFileSync(join(outside, "witness"), "untouched")
  const hostile = machine.directory("hostile")
  Bun.spawnSync(["cp", "-a", `${machine.rootfs}/.`, hostile])
  for (const name of ["dev", "etc", "sys"]) {
    rmSync(join(hostile, name), { recursive: true })
    symlinkSync(`../../../../../../../../../../..${outside}`, join(hostile, name))
  }
  const { code, stderr } = machine.run("run", "--rm", "--rootfs", hostile, "sh", "-c", "true")
  expect([0, 125]).toContain(code)
  if (code === 125) expect(stderr).toContain("cannot ")
  expect(Bun.spawnSync(["ls", outside]).stdout.toString()).toBe("witness\n")
  expect(readFileSync(join(outside, "witness"), "utf8")).toBe("untouched")
})

test("the executor cannot be opened for writing, not even by the host's root in a container", () => {
  for (const flags of [[], ["--userns", "host"], ["--privileged"], ["--pid", "host", "--privileged"]]) {
    const { stdout } = machine.inside(
      ...flags,
      "--init",
      "sh",
      "-c",
      "for exe in /proc/[0-9]*/exe; do case $(readlink $exe) in *executor*|*memfd*|*bin/*) (: >> $exe) 2>/dev/null && echo writable $exe;; esac; done; true",
    )
    expect(stdout.split("\n").filter((line) => line && !line.includes("/proc/self"))).toEqual([])
  }
})
