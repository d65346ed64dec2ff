/**
 * What lies where: every kind of mount and option, devices, protected paths, the root itself; seen from inside. Needs root.
 */

import { afterAll, describe, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import type { Linux, Mount } from "../../src/model/oci.ts"
import { FIRST_ID, host, newBundle, owned, plain, rest, withMounts } from "./bundle.ts"

const bundle = newBundle()
afterAll(() => bundle[Symbol.dispose]())
const { sees, fails } = bundle

/** The options of a mount, as the kernel tells them: `rw,relatime`. */
const optionsOf = (point: string): string => `awk '$5 == "${point}" {print $6}' /proc/self/mountinfo`
const run = (...words: string[]): void => {
  const { status, stderr } = spawnSync(words[0]!, words.slice(1))
  if (status !== 0) throw new Error(`${words.join(" ")}: ${stderr}`)
}

/** A directory of the host with a file, and below it another file system with a file. */
function tree(name: string): Disposable & { readonly path: string } {
  const path = bundle.path(name)
  mkdirSync(path)
  run("mount", "-t", "tmpfs", "-o", "nosuid,mode=0755", "outer", path)
  run("mount", "--make-shared", path)
  mkdirSync(`${path}/below`)
  run("mount", "-t", "tmpfs", "-o", "mode=0755", "inner", `${path}/below`)
  writeFileSync(`${path}/file`, "outer\n")
  writeFileSync(`${path}/below/file`, "inner\n")
  return {
    path,
    [Symbol.dispose]() {
      run("umount", "-R", path)
      rmSync(path, { recursive: true })
    },
  }
}

describe("binds", () => {
  const volume = (source: string, ...options: string[]) =>
    withMounts({ destination: "/v", type: "bind", source, options })
  const files = "cat /v/file; cat /v/below/file 2>/dev/null || echo none"

  test("one mount, or all below it too", () => {
    using tmp = tree("volume")
    expect(sees(volume(tmp.path, "bind"), files)).toBe("outer\nnone\n")
    expect(sees(volume(tmp.path), files)).toBe("outer\nnone\n")
    expect(sees(volume(tmp.path, "rbind"), files)).toBe("outer\ninner\n")
    expect(sees(withMounts({ destination: "/v", source: tmp.path, options: ["rbind"] }), files)).toBe("outer\ninner\n")
  })
  test("an option is for the top alone, unless it begins with an r", () => {
    using tmp = tree("volume")
    const both = `${optionsOf("/v")}; ${optionsOf("/v/below")}`
    expect(sees(volume(tmp.path, "rbind", "ro", "noexec"), both)).toBe("ro,nosuid,noexec,relatime\nrw,relatime\n")
    expect(sees(volume(tmp.path, "rbind", "rro", "nodev"), both)).toBe("ro,nosuid,nodev,relatime\nro,relatime\n")
    expect(sees(volume(tmp.path, "rbind", "ro", "rw", "suid"), both)).toBe("rw,relatime\nrw,relatime\n")
    expect(sees(volume(tmp.path, "rbind", "rnosuid", "rnodev", "rnoexec"), both)).toBe(
      "rw,nosuid,nodev,noexec,relatime\nrw,nosuid,nodev,noexec,relatime\n",
    )
  })
  test("times of access, and links that are not followed", () => {
    using tmp = tree("volume")
    for (const [options, shown] of [
      [["noatime"], "rw,nosuid,noatime"],
      [["strictatime", "nodiratime"], "rw,nosuid,nodiratime"],
      [["noatime", "relatime", "nodiratime", "diratime"], "rw,nosuid,relatime"],
      [["nosymfollow"], "rw,nosuid,relatime,nosymfollow"],
    ] as const)
      expect(sees(volume(tmp.path, "bind", ...options), optionsOf("/v"))).toBe(`${shown}\n`)
  })
  test("a file, a socket, a source that is relative to the bundle, words that other programs wrote", () => {
    writeFileSync(bundle.path("one"), "one\n")
    expect(
      sees(
        withMounts({ destination: "/etc/one", source: "one", options: ["bind", "x-note", "nofail"] }),
        "cat /etc/one",
      ),
    ).toBe("one\n")
    expect(sees(withMounts({ destination: "/n", source: "/dev/null", options: ["bind"] }), "ls -l /n | cut -c1")).toBe(
      "c\n",
    )
  })
  test("how a mount shares what is mounted below it", () => {
    using tmp = tree("volume")
    const shares = (...options: string[]) =>
      sees(
        volume(tmp.path, "rbind", ...options),
        `awk '$5 ~ "^/v" {for (i = 7; $i != "-"; i++) printf "%s ", $i; print ""}' /proc/self/mountinfo | tr -d 0-9:`,
      )
    expect(shares()).toBe("master \nmaster \n")
    expect(shares("rslave")).toBe("master \nmaster \n")
    expect(shares("private")).toBe("\nmaster \n")
    expect(shares("rprivate")).toBe("\n\n")
    expect(shares("unbindable")).toBe("unbindable \nmaster \n")
    expect(shares("runbindable")).toBe("unbindable \nunbindable \n")
    expect(shares("rshared")).toBe("shared \nshared \n")
  })
  test("what the host mounts later appears, and what is mounted inside of a shared one appears outside", () => {
    using tmp = tree("volume")
    mkdirSync(`${tmp.path}/later`)
    const meanwhile = (): void => {
      run("mount", "-t", "tmpfs", "later", `${tmp.path}/later`)
      writeFileSync(`${tmp.path}/later/go`, "")
    }
    const waits = "i=0; until [ -e /v/later/go ] || [ $i = 500 ]; do i=$((i+1)); usleep 10000; done; ls /v/later"
    const { stdout, stderr } = bundle.live(plain(volume(tmp.path, "rbind"), waits), { meanwhile })
    expect({ stdout, stderr }).toEqual({ stdout: "go\n", stderr: "" })
    run("umount", `${tmp.path}/later`)

    const capabilities = { bounding: ["CAP_SYS_ADMIN"], permitted: ["CAP_SYS_ADMIN"], effective: ["CAP_SYS_ADMIN"] }
    const inside = { ...volume(tmp.path, "rbind", "rshared"), process: { capabilities } }
    sees(inside, "mount -t tmpfs inside /v/later && touch /v/later/inside && umount /v/later; touch /v/seen")
    const seen: boolean[] = []
    bundle.live(
      plain(
        inside,
        "mount -t tmpfs inside /v/later && touch /v/later/inside; until [ -e /v/end ]; do usleep 1000; done; umount /v/later",
      ),
      {
        meanwhile: () => {
          for (let i = 0; i < 500 && !existsSync(`${tmp.path}/later/inside`); i++) rest(10)
          seen.push(existsSync(`${tmp.path}/later/inside`))
          writeFileSync(`${tmp.path}/end`, "")
        },
      },
    )
    expect(seen).toEqual([true])
  })
  test("with the container's own ids", () => {
    using _owner = bundle.ownedBy(FIRST_ID)
    const source = bundle.machine.directory("idmapped")
    writeFileSync(`${source}/root`, "")
    const id = (...options: string[]) => ({ ...volume(source, ...options), linux: owned() })
    const look = "ls -ln /v | awk '/root/ {print $3}'"
    expect(sees(id("bind"), look)).toBe("65534\n")
    expect(sees(id("bind", "idmap"), look)).toBe("0\n")
    expect(sees(id("rbind", "ridmap"), look)).toBe("0\n")
    const { uidMappings = [], gidMappings = [] } = owned()
    const mount: Mount = { destination: "/v", source, options: ["bind"], uidMappings, gidMappings }
    expect(sees({ ...withMounts(mount), linux: owned() }, look)).toBe("0\n")
  })
  test("idmap is for the top alone, ridmap for all below", () => {
    // tmpfs can be idmapped from Linux 6.3 on.
    if (host.kernel[0] < 6 || (host.kernel[0] === 6 && host.kernel[1] < 3)) return
    using tmp = tree("volume")
    using _owner = bundle.ownedBy(FIRST_ID)
    const id = (...options: string[]) => ({ ...volume(tmp.path, ...options), linux: owned() })
    const look = "ls -ln /v/file /v/below/file | awk '{print $3}'"
    expect(sees(id("rbind", "idmap"), look)).toBe("65534\n0\n".split("\n").toSorted().reverse().join("\n").trimStart())
    expect(sees(id("rbind", "ridmap"), look)).toBe("0\n0\n")
  })
})

describe("new file systems", () => {
  const tmpfs = (...options: string[]) => withMounts({ destination: "/t", type: "tmpfs", source: "t", options })
  test("a tmpfs with its options", () => {
    expect(
      sees(
        tmpfs("size=1m", "mode=700", "uid=7", "nosuid"),
        `${optionsOf("/t")}; stat -c '%a %u' /t; df -k /t | awk 'END {print $2}'`,
      ),
    ).toBe("rw,nosuid,relatime\n700 7\n1024\n")
    expect(sees(tmpfs("ro", "noexec"), `${optionsOf("/t")}; touch /t/x 2>&1`.concat("; :"))).toContain(
      "Read-only file system",
    )
    expect(sees(tmpfs("sync", "lazytime"), `grep ' /t ' /proc/mounts | grep -o sync`)).toBe("sync\n")
    expect(fails(tmpfs("size=banana"))).toBe(
      "cannot mount tmpfs on /t: the file system does not take one of the options (EINVAL)",
    )
    expect(fails(tmpfs("readonly"))).toBe(
      "cannot mount tmpfs on /t: the file system does not take one of the options (EINVAL)",
    )
  })
  test("a tmpfs that is read-only holds what is mounted in it", () =>
    expect(
      sees(
        withMounts(
          { destination: "/t", type: "tmpfs", options: ["ro"] },
          { destination: "/t/in", type: "tmpfs", options: ["rw"] },
        ),
        "touch /t/in/x && ls /t; touch /t/x 2>/dev/null || echo no",
      ),
    ).toBe("in\nno\n"))
  test("one that shares", () =>
    expect(sees(tmpfs("shared"), `awk '$5 == "/t" {print $7}' /proc/self/mountinfo | tr -d 0-9`)).toBe("shared:\n"))
  test("a relative destination, one with a slash at its end, one over a link that leads outside", () => {
    expect(sees(withMounts({ destination: "rel/ative/", type: "tmpfs" }), optionsOf("/rel/ative"))).toBe(
      "rw,relatime\n",
    )
    symlinkSync("../../../../../../../tmp", `${bundle.rootfs}/link`)
    expect(sees(withMounts({ destination: "/link/x", type: "tmpfs" }), optionsOf("/tmp/x"))).toBe("rw,relatime\n")
  })
  test("an overlay of the host's directories, whatever lies there inside", () => {
    const [lower, upper, work] = ["lower", "upper", "work"].map((name) => bundle.machine.directory(name))
    writeFileSync(`${lower}/deep`, "deep\n")
    const overlay: Mount = {
      destination: "/o",
      type: "overlay",
      source: "overlay",
      options: [`lowerdir=${lower}`, `upperdir=${upper}`, `workdir=${work}`, "nodev"],
    }
    expect(sees(withMounts(overlay), `cat /o/deep; echo more >/o/new; ${optionsOf("/o")}`)).toBe(
      "deep\nrw,nodev,relatime\n",
    )
    expect(existsSync(`${upper}/new`)).toBe(true)
  })
  test("proc of the pid namespace, sysfs of the network namespace, message queues", () =>
    expect(sees({}, "[ $(ls /proc | grep -c '^[0-9]') -lt 9 ] && echo few; ls /sys/class/net; ls /dev/mqueue")).toBe(
      "few\nlo\n",
    ))
  test("the cgroups, from the container's own group on", () => {
    const group: Partial<Linux> = { namespaces: [...(plain().linux?.namespaces ?? []), { type: "cgroup" }] }
    expect(sees({ linux: group }, "cut -d: -f3 /proc/self/cgroup | sort -u")).toContain("/\n")
    expect(
      sees({ linux: group }, "find /sys/fs/cgroup -name cgroup.procs | wc -l; touch /sys/fs/cgroup/x 2>&1; :"),
    ).toMatch(/^[1-9]\d*\n.*Read-only file system/)
  })
  test("of a type that there is not", () =>
    expect(fails(withMounts({ destination: "/x", type: "nofs" }))).toBe(
      "cannot mount nofs on /x: this kernel does not know the file system (ENODEV)",
    ))
})

describe("devices", () => {
  const devices = [
    { path: "/dev/x/zero", type: "c", major: 1, minor: 5, fileMode: 0o640, uid: 7, gid: 8 },
    { path: "/opt/null", type: "u", major: 1, minor: 3 },
    { path: "/dev/pipe", type: "p", fileMode: 0o600 },
    { path: "/dev/loop", type: "b", major: 7, minor: 0 },
  ] as const
  const look = "ls -ln /dev/x/zero /opt/null /dev/pipe /dev/loop | awk '{print substr($1, 1, 10), $3, $4, $NF}' | sort"
  const shown =
    "brw-rw-rw- 0 0 /dev/loop\ncrw-r----- 7 8 /dev/x/zero\ncrw-rw-rw- 0 0 /opt/null\nprw------- 0 0 /dev/pipe\n"
  test("of the config, wherever they are, in a user namespace too", () => {
    expect(sees({ linux: { devices } }, look)).toBe(shown)
    using _owner = bundle.ownedBy(FIRST_ID)
    expect(sees({ linux: { ...owned(), devices } }, look)).toBe(shown)
  })
  test("work, if the rules let them", () => {
    const used = "head -c 3 /dev/y | wc -c; echo x >/opt/null && echo written"
    expect(sees({ linux: { devices: [...devices, { path: "/dev/y", type: "c", major: 1, minor: 5 }] } }, used)).toBe(
      "3\nwritten\n",
    )
  })
  const names = "null zero full random urandom tty"
  const standard = `for name in ${names}; do [ -c /dev/$name ] || echo $name; done; for name in fd stdin stdout stderr ptmx; do readlink /dev/$name; done`
  const links = "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n"
  test("that every container has: in a tmpfs, in a directory of the root, in a /dev that is read-only", () => {
    expect(sees({}, standard)).toBe(links)
    const without = (plain().mounts ?? []).filter(({ destination }) => !destination.startsWith("/dev"))
    expect(sees({ mounts: without }, `${standard}; echo x >/dev/null`)).toBe(links)
    const mounts = (plain().mounts ?? []).map((mount) =>
      mount.destination === "/dev" ? { ...mount, options: ["ro", "nosuid", "size=64k"] } : mount,
    )
    expect(sees({ mounts }, `${standard}; touch /dev/x 2>/dev/null || echo read-only; ${optionsOf("/dev")}`)).toBe(
      `${links}read-only\nro,nosuid,relatime\n`,
    )
  })
  test("the host's /dev, bound", () => {
    const mounts = [
      ...(plain().mounts ?? []).filter(({ destination }) => !destination.startsWith("/dev")),
      { destination: "/dev", type: "bind", source: "/dev", options: ["rbind", "rprivate"] },
    ]
    expect(sees({ mounts }, "echo x >/dev/null; head -c 2 /dev/zero | wc -c; [ -e /dev/pts/ptmx ] && echo pts")).toBe(
      "2\npts\n",
    )
  })
})

describe("protection", () => {
  test("a file, a directory, what is missing: hidden, or read-only", () =>
    expect(
      sees(
        {
          linux: {
            maskedPaths: ["/etc/passwd", "/home", "/nowhere"],
            readonlyPaths: ["/root", "/etc/group", "/nowhere"],
          },
        },
        "wc -c </etc/passwd; ls /home; touch /home/x 2>/dev/null || echo no; touch /root/x 2>/dev/null || echo no; sh -c 'echo >>/etc/group' 2>/dev/null || echo no",
      ),
    ).toBe("0\nno\nno\nno\n"))
  test("the root is read-only, and what is mounted in it is not", () =>
    expect(
      sees(
        { ...withMounts({ destination: "/t", type: "tmpfs" }), root: { path: "rootfs", readonly: true } },
        "touch /x 2>/dev/null || echo no; touch /t/x && echo yes",
      ),
    ).toBe("no\nyes\n"))
})

describe("the root, and what is mounted below it later", () => {
  const shares = `awk '$5 == "/" {for (i = 7; $i != "-"; i++) printf "%s ", $i; print ""}' /proc/self/mountinfo | tr -d 0-9:`
  const propagation = (word: string) => ({ linux: { rootfsPropagation: word } })
  test("private, shared, unbindable", () => {
    expect(sees({}, shares)).toBe("\n")
    expect(sees(propagation("private"), shares)).toBe("\n")
    expect(sees(propagation("shared"), shares)).toBe("shared \n")
    expect(sees(propagation("unbindable"), shares)).toBe("unbindable \n")
  })
  test("a slave sees what the host mounts", () => {
    const { rootfs } = bundle
    run("mount", "--bind", rootfs, rootfs)
    run("mount", "--make-shared", rootfs)
    mkdirSync(`${rootfs}/later`)
    try {
      const waits = "i=0; until [ -e /later/go ] || [ $i = 100 ]; do i=$((i+1)); usleep 10000; done; ls /later"
      const lives = (word: string): string => {
        const { stdout } = bundle.live(plain(propagation(word), waits), {
          meanwhile() {
            run("mount", "-t", "tmpfs", "later", `${rootfs}/later`)
            writeFileSync(`${rootfs}/later/go`, "")
            rest(50)
          },
          mounted: true,
        })
        run("umount", `${rootfs}/later`)
        return stdout
      }
      expect(lives("rslave")).toBe("go\n")
      expect(lives("private")).toBe("")
    } finally {
      run("umount", "-R", rootfs)
    }
  })
})
