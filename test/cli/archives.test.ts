/**
 * Archives of images: ours, read by skopeo; skopeo's, read by us; and archives that lie.
 */

import { afterAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { gzipSync, zstdCompressSync } from "node:zlib"
import { newMachine } from "../machine.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())
const { must, root } = machine
const at = (name: string): string => join(machine.base, name)
const inStore = (path: string): readonly string[] =>
  existsSync(join(root, path)) ? readdirSync(join(root, path)).sort() : []
const everything = () => [
  inStore("layers"),
  inStore("images/blobs/sha256"),
  inStore("images/stacks"),
  inStore("images"),
  inStore("images/blobs"),
]
const skopeo = (...args: readonly string[]): string => {
  const { status, stdout, stderr } = spawnSync("skopeo", ["--insecure-policy", ...args], { encoding: "utf8" })
  expect([status, stderr]).toEqual([0, ""])
  return stdout
}

must("run", "--rm", "hello")
must("tag", "hello", "localhost:5000/greet:1")
const ID = must("images", "-q", "--no-trunc").split("\n")[0]!
const DIGEST = must("images", "--digests", "--format", "{{.Digest}}", "hello").trim()
must("save", "-o", at("saved.tar"), "hello", "localhost:5000/greet:1")

test("skopeo reads what save writes, in both forms", () => {
  const oci = JSON.parse(skopeo("inspect", `oci-archive:${at("saved.tar")}:docker.io/library/hello:latest`))
  expect([oci.Digest, oci.Os]).toEqual([DIGEST, "linux"])
  const docker = JSON.parse(skopeo("inspect", "--config", `docker-archive:${at("saved.tar")}:localhost:5000/greet:1`))
  expect(docker.config).toEqual({ Cmd: ["/hello"] })
})

test("load takes it back: the same ids, digests and names; through a pipe, and compressed", () => {
  const archive = readFileSync(at("saved.tar"))
  const before = everything()
  for (const input of [archive, gzipSync(archive), zstdCompressSync(archive)]) {
    must("rmi", "-f", ID)
    expect(inStore("layers")).toEqual([])
    const { code, stdout, stderr } = machine.runWith({ input }, "load")
    expect([code, stderr, stdout]).toEqual([
      0,
      "",
      "Loaded image: hello:latest\nLoaded image: localhost:5000/greet:1\n",
    ])
    expect(everything()).toEqual(before)
    expect(must("images", "--digests", "--no-trunc", "--format", "{{.ID}} {{.Digest}}", "hello")).toBe(
      `${ID} ${DIGEST}\n`,
    )
  }
  expect(must("run", "--rm", "hello")).toContain("Hello")
})

test("what skopeo writes is loaded: a Docker archive keeps the id, an OCI archive the digest too", () => {
  const from = `oci:${root}/images:docker.io/library/hello:latest`
  skopeo("copy", "-q", from, `docker-archive:${at("docker.tar")}:example.com/from/docker:2`)
  skopeo("copy", "-q", from, `oci-archive:${at("oci.tar")}:example.com/from/oci:2`)
  expect(must("load", "-i", at("docker.tar"))).toBe("Loaded image: example.com/from/docker:2\n")
  expect(must("load", "-i", at("oci.tar"))).toBe("Loaded image: example.com/from/oci:2\n")
  for (const name of ["docker", "oci"]) expect(must("run", "--rm", `example.com/from/${name}:2`)).toContain("Hello")
  // skopeo has compressed the layer: another digest than ours, and it is kept.
  const { Digest } = JSON.parse(skopeo("inspect", `oci-archive:${at("oci.tar")}:example.com/from/oci:2`))
  expect(must("images", "--digests", "--format", "{{.Digest}}", "example.com/from/oci")).toBe(`${Digest}\n`)
  must("rmi", "example.com/from/docker:2", "example.com/from/oci:2")
})

test("an archive that lies is refused with a sentence, and leaves nothing", () => {
  const before = everything()
  const tree = at("tree")
  const spoil = (change: (path: (name: string) => string) => void): Buffer => {
    rmSync(tree, { recursive: true, force: true })
    mkdirSync(tree)
    expect(spawnSync("tar", ["-C", tree, "-xf", at("saved.tar")]).status).toBe(0)
    change((name) => join(tree, name))
    return spawnSync("tar", ["-C", tree, "-cf", "-", "."], { maxBuffer: 1 << 28 }).stdout
  }
  const hex = (digest: string): string => `blobs/sha256/${digest.replace("sha256:", "")}`
  const layer = JSON.parse(readFileSync(join(root, "images", hex(DIGEST)), "utf8")).layers[0].digest as string
  const cases: readonly (readonly [Buffer, string])[] = [
    [spoil((path) => writeFileSync(path(hex(DIGEST)), "{}")), `${DIGEST} is not what its name says`],
    [spoil((path) => writeFileSync(path(hex(ID)), "{}")), `${ID} is not what its name says`],
    [spoil((path) => writeFileSync(path(hex(layer)), "x".repeat(15_360))), "cannot read a layer"],
    [spoil((path) => rmSync(path(hex(layer)))), `it has no "${hex(layer)}"`],
    [spoil((path) => writeFileSync(path("index.json"), "{")), "index.json"],
    [
      spoil((path) =>
        writeFileSync(
          path("index.json"),
          '{"schemaVersion":2,"manifests":[{"mediaType":"m","digest":"sha256:../../x","size":1}]}',
        ),
      ),
      "digest",
    ],
    [spoil((path) => writeFileSync(path("index.json"), "[".repeat(10_000))), "nests deeper"],
    [
      spoil((path) => {
        rmSync(path("index.json"))
        writeFileSync(path("manifest.json"), '[{"Config":"../../../../etc/passwd","RepoTags":["x"],"Layers":[]}]')
      }),
      'it has no "../../../../etc/passwd"',
    ],
    [
      spoil((path) => {
        rmSync(path("index.json"))
        rmSync(path("manifest.json"))
      }),
      "neither index.json nor manifest.json",
    ],
    [readFileSync(at("saved.tar")).subarray(0, 10_000), "the archive ends"],
  ]
  for (const [input, sentence] of cases) {
    const { code, stderr } = machine.runWith({ input }, "load")
    expect([code === 0, stderr]).toEqual([false, expect.stringContaining(sentence)])
    expect(everything()).toEqual(before)
  }
})

test("what a killed process was writing is found by doctor, and taken away; what a living one writes is not", () => {
  const start = readFileSync("/proc/self/stat", "latin1").split(") ").at(-1)!.split(" ")[19]
  const left = (mark: string): readonly string[] => [
    `images/.load-${mark}-a`,
    `images/blobs/.new-${mark}-0`,
    `layers/.new-${mark}-b`,
  ]
  for (const path of [...left("4194300-1"), ...left(`${process.pid}-${start}`)]) {
    if (path.includes("blobs")) writeFileSync(join(root, path), "half")
    else {
      mkdirSync(join(root, path))
      writeFileSync(join(root, path, "0"), "half")
    }
  }
  const told = machine.run("doctor").stdout
  for (const path of left("4194300-1")) expect(told).toContain(path)
  expect(told).not.toContain(`-${process.pid}-${start}`)
  machine.run("doctor", "--fix")
  expect(left("4194300-1").filter((path) => existsSync(join(root, path)))).toEqual([])
  for (const path of left(`${process.pid}-${start}`)) {
    expect(existsSync(join(root, path))).toBe(true)
    rmSync(join(root, path), { recursive: true })
  }
  expect(must("run", "--rm", "hello")).toContain("Hello")
})
