/**
 * Images as a person uses them: the one that is built in, and what can be done with any.
 *
 * After each test the store is whole: skopeo reads every name in it, and what no image needs is gone.
 */

import { afterAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())
const { must, run, root } = machine
const inStore = (path: string): readonly string[] =>
  existsSync(join(root, path)) ? readdirSync(join(root, path)).sort() : []
const HELLO = "docker.io/library/hello:latest"

test("run hello works on a fresh machine, and says what it sees", () => {
  const out = must(
    "run",
    "--rm",
    "--hostname",
    "box",
    "--network",
    "none",
    "--memory",
    "64m",
    "--cap-drop",
    "ALL",
    "hello",
  )
  expect(out).toContain("Hello from a container")
  expect(out).toMatch(/hostname +box\n/)
  expect(out).toMatch(/pid +1, parent 0\n/)
  expect(out).toMatch(/uid map +0 \d{10} 65536\n/)
  expect(out).toMatch(/capabilities +0 effective \(0000000000000000\), 0 at most\n/)
  expect(out).toMatch(/seccomp +filter, no_new_privs 0\n/)
  expect(out).toMatch(/addresses +lo 127\.0\.0\.1\n/)
})

test("the second run finds it: the image is the same, and nothing is written again", () => {
  const before = [readFileSync(join(root, "images/index.json"), "utf8"), ...inStore("images/blobs/sha256")]
  must("run", "--rm", "hello")
  expect([readFileSync(join(root, "images/index.json"), "utf8"), ...inStore("images/blobs/sha256")]).toEqual(before)
})

test("the store is an OCI layout: every blob is what its name says, and skopeo reads it", () => {
  for (const hex of inStore("images/blobs/sha256"))
    expect(
      createHash("sha256")
        .update(readFileSync(join(root, "images/blobs/sha256", hex)))
        .digest("hex"),
    ).toBe(hex)
  const { stdout, stderr } = spawnSync("skopeo", ["inspect", "--config", `oci:${root}/images:${HELLO}`], {
    encoding: "utf8",
  })
  expect(stderr).toBe("")
  const config = JSON.parse(stdout)
  expect([config.os, config.config]).toEqual(["linux", { Cmd: ["/hello"] }])
  // Copied elsewhere, with every layer unpacked and checked against its diff id.
  const copy = join(machine.base, "copy")
  const copied = spawnSync("skopeo", [
    "--insecure-policy",
    "copy",
    "-q",
    `oci:${root}/images:${HELLO}`,
    `oci:${copy}:x`,
  ])
  expect(copied.stderr.toString()).toBe("")
  const unpacked = spawnSync("umoci", ["unpack", "--image", `${copy}:x`, join(machine.base, "bundle")])
  expect([unpacked.status, unpacked.stderr.toString()]).toEqual([0, ""])
  expect(readFileSync(join(machine.base, "bundle/rootfs/hello"))).toEqual(
    readFileSync(join(root, "layers", inStore("layers")[0]!, "tree/hello")),
  )
})

test("a container of it is one like any other: named, listed, inspected", () => {
  const id = must("run", "-d", "--name", "greeter", "-l", "a=b", "hello").trim()
  expect(must("ps", "-a", "--filter", "ancestor=hello", "--format", "{{.Image}} {{.Command}}")).toBe('hello "/hello"\n')
  const [image, configured, path, lower] = must(
    "inspect",
    "-f",
    "{{.Image}} {{.Config.Image}} {{.Path}} {{.GraphDriver.Data.LowerDir}}",
    id,
  )
    .trim()
    .split(" ")
  expect(image).toBe(must("image", "inspect", "-f", "{{.Id}}", "hello").trim())
  expect([configured, path]).toEqual(["hello", "/hello"])
  expect(lower).toStartWith(`${root}/layers/`)
  expect(run("run", "--rm", "hello", "/nothing").code).toBe(127)
})

test("an image that a container is of is refused by name, and its layers stay even by force", () => {
  expect(run("rmi", "hello")).toEqual({
    code: 1,
    stdout: "",
    stderr:
      "minicontainer: cannot remove image hello: container greeter is of it [IMAGE_IN_USE]\n  hint: remove the container first, or use --force\n",
  })
  expect(must("rmi", "--force", "hello")).toBe("Untagged: hello:latest\n")
  expect(must("images", "--format", "{{.Repository}} {{.Tag}}")).toBe("<none> <none>\n")
  expect(inStore("layers")).toHaveLength(1)
  // It is still all there: a start by its id works, and prune leaves it alone.
  const id = must("images", "-q").trim()
  expect(must("run", "--rm", id)).toContain("Hello")
  expect(must("image", "prune")).toBe("Total reclaimed space: 0B\n")
  must("rm", "-f", "greeter")
  expect(must("image", "prune", "-f")).toMatch(
    /^Deleted Images:\ndeleted: sha256:[0-9a-f]{64}\ndeleted: sha256:[0-9a-f]{64}\n\nTotal reclaimed space: 1[0-9.]+kB\n$/,
  )
  expect([inStore("layers"), inStore("images/blobs/sha256"), inStore("images/stacks")]).toEqual([[], [], []])
})

test("names: given, taken over, removed one by one; the last one takes everything along", () => {
  must("run", "--rm", "hello")
  must("tag", "hello", "localhost:5000/team/greet:1.0")
  must("image", "tag", "localhost:5000/team/greet:1.0", "greet")
  const names = () => must("images", "--format", "{{.Repository}}:{{.Tag}}").split("\n").filter(Boolean).sort()
  expect(names()).toEqual(["greet:latest", "hello:latest", "localhost:5000/team/greet:1.0"])
  expect(must("images", "-q").split("\n").filter(Boolean)).toHaveLength(1)
  expect(must("images", "--format", "{{.Tag}}", "localhost:5000/team/*")).toBe("1.0\n")
  expect(must("images", "-q", "--filter", "dangling=true")).toBe("")
  const id = must("images", "-q").trim()
  expect(run("rmi", id).stderr).toContain(
    "it has several names (hello:latest, localhost:5000/team/greet:1.0, greet:latest)",
  )
  expect(must("rmi", "hello", "greet")).toBe("Untagged: hello:latest\nUntagged: greet:latest\n")
  expect(must("rmi", id)).toMatch(
    /^Untagged: localhost:5000\/team\/greet:1\.0\nDeleted: sha256:[0-9a-f]{64}\nDeleted: sha256:[0-9a-f]{64}\n$/,
  )
  expect([inStore("layers"), inStore("images/blobs/sha256"), inStore("images/stacks")]).toEqual([[], [], []])
  expect(run("rmi", "hello").stderr).toBe(
    'minicontainer: cannot find image "hello": it is not on this machine [IMAGE_NOT_FOUND]\n  hint: images lists what is\n',
  )
})

test("two that put the same image in at once: one image, and no name is lost", async () => {
  const ends = Array.from({ length: 6 }, () => {
    const child = machine.start({ stdio: "ignore" }, "run", "--rm", "hello")
    return new Promise((resolve) => child.once("exit", resolve))
  })
  expect(await Promise.all(ends)).toEqual([0, 0, 0, 0, 0, 0])
  expect(must("images", "--format", "{{.Repository}}:{{.Tag}}")).toBe("hello:latest\n")
  expect([inStore("layers").length, inStore("images/stacks").length, inStore("images/blobs/sha256").length]).toEqual([
    1, 1, 3,
  ])
  const tags = Array.from({ length: 6 }, (_, n) => {
    const child = machine.start({ stdio: "ignore" }, "tag", "hello", `name${n}`)
    return new Promise((resolve) => child.once("exit", resolve))
  })
  expect(await Promise.all(tags)).toEqual([0, 0, 0, 0, 0, 0])
  expect(must("images", "-q", "--no-trunc", "--format", "x").split("\n").filter(Boolean)).toHaveLength(1)
  expect(must("images", "--format", "{{.Repository}}").split("\n").filter(Boolean).sort()).toEqual([
    "hello",
    "name0",
    "name1",
    "name2",
    "name3",
    "name4",
    "name5",
  ])
})

test("runs and removals of one image at once: each works or says that it is gone, and nothing is left half", async () => {
  const codes = Array.from({ length: 8 }, (_, n) => {
    const child = machine.start({ stdio: "ignore" }, ...(n % 2 ? ["rmi", "-f", "hello"] : ["run", "--rm", "hello"]))
    return new Promise<number>((resolve) => child.once("exit", (code) => resolve(code ?? -1)))
  })
  for (const code of await Promise.all(codes)) expect([0, 1, 125]).toContain(code)
  must("image", "prune", "-af")
  expect([inStore("layers"), inStore("images/blobs/sha256"), inStore("images/stacks")]).toEqual([[], [], []])
  expect(must("images", "-q")).toBe("")
})

test("a broken index is told, never written over", () => {
  const index = join(root, "images/index.json")
  const whole = readFileSync(index)
  for (const [bad, cause] of [
    ["{", "it is not JSON"],
    ["[]", "the document is not an object"],
    ['{"manifests":[{"mediaType":"m","digest":"sha256:../../../etc","size":1}]}', "manifests[0].digest is"],
    ['{"manifests":[{"mediaType":"m","digest":1,"size":1}]}', "manifests[0].digest is not a text"],
  ] as const) {
    writeFileSync(index, bad)
    for (const args of [["images"], ["run", "hello"], ["rmi", "x"]]) {
      const { code, stderr } = run(...args)
      expect([code, stderr]).toEqual([125, expect.stringContaining(`cannot read ${index}: ${cause}`)])
    }
    expect(readFileSync(index, "utf8")).toBe(bad)
  }
  writeFileSync(index, whole)
})

test("a damaged blob is refused, and the image can be removed all the same", () => {
  must("run", "--rm", "hello")
  const manifest = must("images", "--digests", "--format", "{{.Digest}}").trim().slice("sha256:".length)
  writeFileSync(join(root, "images/blobs/sha256", manifest), "{}")
  expect(run("image", "inspect", "hello").stderr).toContain(
    `cannot read the blob sha256:${manifest}: its bytes have another digest: it is damaged`,
  )
  expect(must("rmi", "hello")).toContain("Untagged: hello:latest\n")
  expect(inStore("layers")).toEqual([])
  // The two that the manifest would have named are left: nobody can say whose they are.
  for (const hex of inStore("images/blobs/sha256")) rmSync(join(root, "images/blobs/sha256", hex))
})

test("import: an archive becomes an image, which runs as it is told; export comes back", () => {
  const tar = join(machine.base, "system.tar.gz")
  expect(spawnSync("tar", ["-C", machine.rootfs, "-czf", tar, "."]).status).toBe(0)
  const changes = ["-c", 'ENTRYPOINT ["sh", "-c"]', "-c", 'CMD ["id -u; pwd; echo $WORD"]', "-c", "USER user"]
  const id = must(
    "import",
    ...changes,
    "-c",
    "WORKDIR /home",
    "-c",
    "ENV WORD=hi",
    "-m",
    "by hand",
    tar,
    "mine:1",
  ).trim()
  expect(id).toMatch(/^sha256:[0-9a-f]{64}$/)
  // The user is looked up in the image's own /etc/passwd.
  expect(must("run", "--rm", "mine:1")).toBe("1000\n/home\nhi\n")
  expect(must("run", "--rm", "-u", "root", "--entrypoint", "", "mine:1", "whoami")).toBe("root\n")
  expect(must("run", "--rm", "-e", "WORD=yo", "-w", "/", "mine:1", "pwd; echo $WORD")).toBe("/\nyo\n")
  expect(run("run", "--rm", "-u", "nobody-here", "mine:1").stderr).toContain("unable to find user nobody-here")
  expect(must("history", "--format", "{{.Comment}}", "mine:1")).toBe("by hand\n")
  const copied = spawnSync("skopeo", ["inspect", `oci:${root}/images:docker.io/library/mine:1`], { encoding: "utf8" })
  expect([copied.stderr, JSON.parse(copied.stdout).Layers.length]).toEqual(["", 1])

  must("run", "-u", "root", "--name", "changed", "mine:1", "echo new >/home/user/file")
  const exported = join(machine.base, "exported.tar")
  must("export", "-o", exported, "changed")
  must("rm", "changed")
  must("import", "-c", 'CMD ["cat", "/home/user/file"]', exported, "again")
  expect(must("run", "--rm", "again")).toBe("new\n")
  expect(machine.runWith({ input: readFileSync(exported) }, "import", "-", "piped").code).toBe(0)
  expect(inStore("layers")).toHaveLength(2)
  must("rmi", "mine:1", "again", "piped")
  expect([inStore("layers"), inStore("images/blobs/sha256"), inStore("images/stacks")]).toEqual([[], [], []])
})

test("import: what is hostile or damaged is refused with a sentence, and leaves nothing", () => {
  const before = readdirSync(join(root, "images/blobs"))
  const evil = spawnSync(
    "python3",
    [
      "-c",
      `import tarfile,sys,io
t=tarfile.open(fileobj=sys.stdout.buffer,mode="w|")
i=tarfile.TarInfo("../../escaped"); i.size=1; t.addfile(i,io.BytesIO(b"x")); t.close()`,
    ],
    { maxBuffer: 1 << 20 },
  ).stdout
  for (const [input, sentence] of [
    [Buffer.from("this is no archive".repeat(100)), "cannot read a layer"],
    [Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]), "cannot read a layer"],
    [evil, ""],
  ] as const) {
    const { code, stderr } = machine.runWith({ input }, "import", "-", "bad")
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining(sentence)])
    expect([inStore("layers"), inStore("images/blobs/sha256"), readdirSync(join(root, "images/blobs"))]).toEqual([
      [],
      [],
      before,
    ])
  }
  expect(existsSync(join(root, "../escaped"))).toBe(false)
  expect(run("import", "/nowhere.tar").stderr).toContain("cannot read /nowhere.tar: no such file")
})
