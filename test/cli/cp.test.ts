/**
 * cp: both directions, running and stopped, archives, and a container that does its worst meanwhile.
 */

import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())
const at = (...names: string[]): string => join(machine.base, ...names)
const cp = (...args: string[]) => {
  const { code, stderr } = machine.run("cp", ...args)
  return code === 0
    ? ""
    : stderr
        .split("\n")[0]!
        .replace("minicontainer: ", "")
        .replace(/ \[\w+\]$/, "")
}
const sh = (name: string, script: string): string => machine.must("exec", name, "sh", "-c", script)

beforeAll(() => {
  machine.must("run", "-d", "--name", "web", "--rootfs", machine.rootfs, "sleep", "1000")
  machine.must("run", "--name", "old", "--rootfs", machine.rootfs, "true")
  mkdirSync(at("site/css"), { recursive: true })
  writeFileSync(at("site/index.html"), "hello")
  writeFileSync(at("site/css/a.css"), "a")
  symlinkSync("index.html", at("site/link"))
  spawnSync("chown", ["-R", "1000:2000", at("site")])
  spawnSync("touch", ["-d", "2001-02-03 04:05:06.5 UTC", at("site/index.html")])
}, 60_000)

test("a directory into a running container: it is root's there, with mode and time kept", () => {
  expect(cp(at("site"), "web:/srv")).toBe("")
  expect(
    sh(
      "web",
      "cd /srv; stat -c '%n %u:%g %a' . index.html css css/a.css; readlink link; cat index.html; stat -c %Y index.html",
    ),
  ).toBe(". 0:0 755\nindex.html 0:0 644\ncss 0:0 755\ncss/a.css 0:0 644\nindex.html\nhello981173106\n")
})
test("into a directory that is there it goes under its own name; `/.` is what is in it", () => {
  expect(cp(at("site"), "web:/srv")).toBe("")
  expect(sh("web", "ls /srv/site")).toBe("css\nindex.html\nlink\n")
  sh("web", "mkdir -m 700 /into")
  expect(cp(`${at("site")}/.`, "web:/into")).toBe("")
  expect(sh("web", "ls /into; stat -c %a /into")).toBe("css\nindex.html\nlink\n700\n")
})
test("with -a owners are kept", () => {
  expect(cp("-a", at("site"), "web:/kept")).toBe("")
  expect(sh("web", "stat -c %u:%g /kept /kept/css/a.css")).toBe("1000:2000\n1000:2000\n")
})
test("an owner whom the container does not have is a sentence", () => {
  writeFileSync(at("far"), "")
  spawnSync("chown", ["70000:70000", at("far")])
  expect(cp("-a", at("far"), "web:/far")).toBe("cannot give a file to uid 70000: the container does not have that id")
})
test("a file: over one that is there, into a directory, under a new name", () => {
  expect(cp(at("site/index.html"), "web:/tmp")).toBe("")
  expect(cp(at("site/css/a.css"), "web:/tmp/index.html")).toBe("")
  expect(cp(at("site/css/a.css"), "web:/tmp/new")).toBe("")
  expect(sh("web", "cat /tmp/index.html /tmp/new")).toBe("aa")
})
test("what cannot be is said", () => {
  expect(cp(at("site"), "web:/etc/passwd")).toBe(
    "cannot copy to web:/etc/passwd: a directory cannot be copied over a file",
  )
  expect(cp(at("site/index.html"), "web:/none/x")).toBe("cannot find web:/none: there is no such file or directory")
  expect(cp(at("site/index.html"), "web:/none/")).toBe("cannot find web:/none: there is no such file or directory")
  expect(cp("web:/none", at("x"))).toBe("cannot find web:/none: there is no such file or directory")
  expect(cp("web:/etc/passwd/", at("x"))).toBe("cannot copy to web:/etc/passwd: it is no directory")
  expect(cp("web:/a", "old:/b")).toBe(
    "cannot run cp: one side must be CONTAINER:PATH, the other a path of this host, or -",
  )
  expect(cp("nobody:/a", at("x"))).toContain('cannot find container "nobody"')
  expect(existsSync(at("x"))).toBe(false)
})
test("out of a container: it is the caller's, with -a whose it is there", () => {
  sh(
    "web",
    "mkdir -p /out/d; echo 1 >/out/d/f; ln /out/d/f /out/hard; ln -s /etc/passwd /out/l; chown -R 1000:1000 /out; chmod 4711 /out/d/f",
  )
  expect(cp("web:/out", at("out"))).toBe("")
  expect(cp("-a", "web:/out", at("out-a"))).toBe("")
  for (const [name, uid] of [
    ["out", 0],
    ["out-a", 1000],
  ] as const) {
    expect(statSync(at(name, "d/f"))).toMatchObject({ uid, gid: uid, nlink: 2, mode: 0o104711 })
    expect(readlinkSync(at(name, "l"))).toBe("/etc/passwd")
  }
})
test("a link: itself, or with -L what it leads to, inside", () => {
  sh("web", "ln -s ../../../../etc/hostname /tmp/host")
  expect(cp("web:/tmp/host", at("as-link"))).toBe("")
  expect(readlinkSync(at("as-link"))).toBe("../../../../etc/hostname")
  expect(cp("-L", "web:/tmp/host", at("as-file"))).toBe("")
  expect(readFileSync(at("as-file"), "utf8").trim()).toBe(sh("web", "hostname").trim())
})
test("links in the target's path stay inside, whatever they say", () => {
  sh("web", `mkdir -p ${at("outside")} /real; ln -s ../../../..${at("outside")} /sly; ln -s /real/file /tolink`)
  mkdirSync(at("outside"))
  expect(cp(at("site/index.html"), "web:/sly")).toBe("")
  expect(readdirSync(at("outside"))).toEqual([])
  expect(sh("web", `ls ${at("outside")}`)).toBe("index.html\n")
  expect(cp(at("site/index.html"), "web:/tolink")).toBe("")
  expect(sh("web", "cat /real/file; readlink /tolink")).toBe("hello/real/file\n")
})
test("a link in the way of what is copied is replaced, on both sides", () => {
  mkdirSync(at("trap"))
  writeFileSync(at("precious"), "precious")
  sh("web", "mkdir -p /evil; echo owned >/evil/x")
  symlinkSync(at("precious"), at("trap/x"))
  expect(cp("web:/evil/.", at("trap"))).toBe("")
  expect(readFileSync(at("precious"), "utf8")).toBe("precious")
  expect(lstatSync(at("trap/x")).isFile()).toBe(true)
})
test("a stopped container: in, out, and what is copied in has the right owner when it is seen again", () => {
  expect(cp(at("site"), "old:/home/user")).toBe("")
  expect(cp("old:/home/user/site/css/a.css", at("back"))).toBe("")
  expect(readFileSync(at("back"), "utf8")).toBe("a")
  expect(machine.must("diff", "old")).toBe(
    "C /home\nC /home/user\nA /home/user/site\nA /home/user/site/css\nA /home/user/site/css/a.css\nA /home/user/site/index.html\nA /home/user/site/link\n",
  )
  expect(cp("-a", "old:/home", at("home"))).toBe("")
  expect(statSync(at("home"))).toMatchObject({ uid: 0, gid: 0 })
})
test("- is a tar archive: out as docker cp names it, in below a directory", () => {
  const [program = "", ...front] = machine.command
  const env = { ...process.env, MINICONTAINER_ROOT: machine.root, MINICONTAINER_RUN_ROOT: machine.runRoot }
  const run = (input: Uint8Array | undefined, ...args: string[]) =>
    spawnSync(program, [...front, "cp", ...args], { env, ...(input && { input }), maxBuffer: 1 << 28 })
  const { stdout: tar } = run(undefined, "web:/out", "-")
  const names = spawnSync("tar", ["-t"], { input: tar, encoding: "utf8" }).stdout.split("\n").filter(Boolean).sort()
  expect(names).toEqual(["out/", "out/d/", "out/d/f", "out/hard", "out/l"])
  expect(run(tar, "-", "old:/tmp").status).toBe(0)
  expect(run(undefined, "old:/tmp/out/d/f", "-").stdout.subarray(0, 1).toString()).toBe("f")
  expect(run(tar, "-a", "-", "web:/tmp").status).toBe(0)
  expect(sh("web", "stat -c '%u %h %a' /tmp/out/d/f")).toBe("1000 2 4711\n")
  expect(run(tar, "-", "web:/etc/passwd").stderr.toString()).toContain(
    "cannot copy to web:/etc/passwd: it is no directory",
  )
  expect(run(Buffer.from("x".repeat(600)), "-", "web:/tmp").stderr.toString()).toContain(
    "cannot read the archive: a header has a wrong checksum",
  )
})
test("an archive that leads out, or through a link of the container, is refused", () => {
  const tar = (script: string) =>
    spawnSync("python3", [
      "-c",
      `import tarfile,sys,io\nt=tarfile.open(fileobj=sys.stdout.buffer,mode="w|")\n${script}\nt.close()`,
    ]).stdout
  const [program = "", ...front] = machine.command
  const env = { ...process.env, MINICONTAINER_ROOT: machine.root, MINICONTAINER_RUN_ROOT: machine.runRoot }
  const into = (input: Uint8Array) =>
    spawnSync(program, [...front, "cp", "-", "web:/tmp"], { env, input }).stderr.toString()
  expect(into(tar('i=tarfile.TarInfo("../../x"); t.addfile(i)'))).toContain(
    'cannot unpack "../../x": its name leads out of the directory',
  )
  const through =
    'i=tarfile.TarInfo("l"); i.type=tarfile.SYMTYPE; i.linkname="/etc"; t.addfile(i)\ni=tarfile.TarInfo("l/x"); t.addfile(i)'
  expect(into(tar(through))).toContain("cannot write web:/tmp/l/x: ")
  expect(machine.run("exec", "web", "ls", "/etc/x").code).not.toBe(0)
})
test("while the container swaps a directory for a link to the root, nothing outside is touched", () => {
  const secret = at("secret")
  mkdirSync(secret)
  sh(
    "web",
    `mkdir -p /race/d "${secret}"; (while :; do mv /race/d /race/e; ln -s ../../../../../../..${secret} /race/d; rm /race/d; mv /race/e /race/d; done) >/dev/null 2>&1 &`,
  )
  for (let round = 0; round < 15; round++) cp(`${at("site")}/.`, "web:/race/d")
  expect(readdirSync(secret)).toEqual([])
  writeFileSync(join(secret, "key"), "host secret")
  for (let round = 0; round < 15; round++) {
    const name = at(`raced-${round}`)
    cp("web:/race", name)
    const found = existsSync(name) ? spawnSync("grep", ["-r", "host secret", name], { encoding: "utf8" }).stdout : ""
    expect(found).toBe("")
  }
  machine.must("rm", "-f", "web")
}, 60_000)
