/**
 * Layers, unpacked for real: what other programs have archived comes out as it was, and what is hostile leaves nothing.
 */

import { afterAll, beforeAll, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { gzipSync, zstdCompressSync } from "node:zlib"
import type { TarEntry } from "../../src/formats/tar/entry.ts"
import { tarEnd, tarHeader, tarPadding } from "../../src/formats/tar/write.ts"
import {
  type LayerSource,
  layerName,
  readLayer,
  removeLayer,
  sweepLayers,
  unpackLayer,
} from "../../src/image/unpack.ts"
import { build, EXECUTOR } from "./native.ts"

let base = ""
beforeAll(() => {
  build()
  base = mkdtempSync("/var/tmp/mctest-layers-")
})
afterAll(() => rmSync(base, { recursive: true, force: true }))

const sh = (script: string, cwd = base): string => {
  const { status, stdout, stderr } = spawnSync("sh", ["-ec", script], { cwd, encoding: "utf8" })
  if (status !== 0) throw new Error(stderr)
  return stdout
}
const store = () => ({ layers: join(base, "layers"), executor: EXECUTOR })
async function* pieces(bytes: Uint8Array, step = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step)
}
const unpack = (bytes: Uint8Array, given: Partial<LayerSource> = {}) =>
  unpackLayer(store(), { stream: pieces(bytes), ...given })
const tree = (diffId: string): string => join(base, "layers", layerName(diffId), "tree")

type Given = Partial<TarEntry> & { readonly path: string; readonly text?: string }
const archive = (...entries: readonly Given[]): Uint8Array =>
  Buffer.concat([
    ...entries.flatMap(({ text = "", ...given }) => {
      const entry: TarEntry = {
        type: "file",
        link: "",
        mode: 0o644,
        uid: 0,
        gid: 0,
        size: text.length,
        seconds: 1,
        nanoseconds: 0,
        major: 0,
        minor: 0,
        xattrs: new Map(),
        ...given,
      }
      return [tarHeader(entry), Buffer.from(text), tarPadding(text.length)]
    }),
    tarEnd(),
  ])
const dir = (path: string, more: Partial<TarEntry> = {}): Given => ({ type: "directory", path, mode: 0o755, ...more })
const link = (path: string, to: string): Given => ({ type: "symlink", path, link: to, mode: 0o777 })
const hard = (path: string, to: string): Given => ({ type: "hardlink", path, link: to })
const file = (path: string, text = "x"): Given => ({ path, text })
const white = (path: string): Given => ({ path })

/** Everything that a tree is, but what `tar` itself does not keep: one line a file. */
const listing = (path: string): string =>
  sh(
    `find . -mindepth 1 -printf '%y %m %U %G %T@ %n %l %p' \\( -type f -printf ' %s' -o -true \\) -printf '\\n' | sort -k8
     find . -type f -print0 | sort -z | xargs -0 -r sha1sum; getfattr -R -h -d -m - . 2>/dev/null || true`,
    path,
  )

/** A tree with everything in it. */
function sample(): string {
  const path = join(base, "sample")
  if (existsSync(path)) return path
  mkdirSync(path)
  sh(
    `mkdir -p usr/bin var/mail deep "$(printf 'lat\\351')"; echo hello >usr/bin/a; chmod 4755 usr/bin/a; ln usr/bin/a usr/bin/b
     ln -s ../../etc/passwd usr/link; ln -s /nowhere dangling; mkfifo var/fifo; mknod var/null c 1 3; mknod var/disk b 259 7
     chown 3000000000:2097153 usr/bin/b; chown -h 7:8 usr/link; chmod 2775 var/mail; chmod 1777 var
     truncate -s 1M sparse; printf x | dd of=sparse bs=1 seek=300000 conv=notrunc 2>/dev/null; printf y | dd of=sparse bs=1 seek=700000 conv=notrunc 2>/dev/null
     truncate -s 3M holes; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do printf $i | dd of=holes bs=1 seek=$((i*100000)) conv=notrunc 2>/dev/null; done
     setfattr -n user.note -v "one
two" usr/bin/a; setfattr -n trusted.mine -v t deep; setfattr -n security.capability -v 0x0100000200040000000000000000000000000000 usr/bin/a
     n=deep; for i in $(seq 1 12); do n=$n/directory-with-a-long-name-$i; done; mkdir -p $n; echo far >$n/file
     head -c 100000 /dev/zero | tr '\\0' z >big; : >empty
     find . -exec touch -h -d '2021-02-03 04:05:06.123456789' {} +`,
    path,
  )
  return path
}

const TAR = "tar --sort=name --xattrs --xattrs-include='*' --numeric-owner -cf"
const WRITERS: Readonly<Record<string, string>> = {
  "GNU tar, pax": `${TAR} out.tar --format=pax -C sample .`,
  "GNU tar, pax, sparse 0.0": `${TAR} out.tar --format=pax --sparse --sparse-version=0.0 -C sample .`,
  "GNU tar, pax, sparse 0.1": `${TAR} out.tar --format=pax --sparse --sparse-version=0.1 -C sample .`,
  "GNU tar, pax, sparse 1.0": `${TAR} out.tar --format=pax --sparse --sparse-version=1.0 -C sample .`,
  "bsdtar, pax": "bsdtar --format pax --xattrs --numeric-owner -cf out.tar -C sample .",
}
for (const [name, command] of Object.entries(WRITERS))
  test(`a layer by ${name} is unpacked as it was`, async () => {
    const from = sample()
    sh(command)
    const { diffId } = await unpack(readFileSync(join(base, "out.tar")))
    expect(listing(tree(diffId))).toBe(listing(from))
    await removeLayer(store(), diffId)
  })

/** Formats that keep no nanoseconds and no xattrs. */
const PLAIN: Readonly<Record<string, string>> = {
  "GNU tar, its old format with long names": "tar --numeric-owner --format=gnu -cf out.tar -C sample .",
  "GNU tar, its old format, sparse": "tar --numeric-owner --format=gnu --sparse -cf out.tar -C sample .",
  "Python, GNU format": `python3 -c 'import tarfile; t = tarfile.open("out.tar", "w", format=tarfile.GNU_FORMAT, encoding="utf8", errors="surrogateescape"); t.add("sample", "."); t.close()'`,
  "Python, pax": `python3 -c 'import tarfile; t = tarfile.open("out.tar", "w", format=tarfile.PAX_FORMAT); t.add("sample", ".", filter=lambda i: None if "lat" in i.name else i); t.close()'`,
}
for (const [name, command] of Object.entries(PLAIN))
  test(`a layer by ${name} has types, modes, owners, sizes, links and content`, async () => {
    sample()
    sh(command)
    const bytes = readFileSync(join(base, "out.tar"))
    const { diffId } = await unpack(bytes)
    const seen = (path: string): string =>
      sh(
        `find . -mindepth 1 ! -name 'lat*' -printf '%y %m %U %G %n %l %p' \\( -type f -printf ' %s' -o -true \\) -printf '\\n' | sort -k7; find . -type f -print0 | sort -z | xargs -0 sha1sum`,
        path,
      )
    expect(seen(tree(diffId))).toBe(seen(sample()))
    await removeLayer(store(), diffId)
  })

test("holes stay holes", async () => {
  sample()
  sh(`${TAR} out.tar --format=pax --sparse -C sample .`)
  const { diffId } = await unpack(readFileSync(join(base, "out.tar")))
  expect(lstatSync(join(tree(diffId), "sparse")).blocks * 512).toBeLessThan(100_000)
  await removeLayer(store(), diffId)
})

for (const [name, pack] of [
  ["gzip", gzipSync],
  ["zstd", zstdCompressSync],
] as const)
  test(`${name}: both checksums are of what they should be of, and the layer is in place`, async () => {
    const plain = archive(dir("etc"), file("etc/passwd", "root:x:0:0::/:/bin/sh\n"))
    const packed = pack(plain)
    const sum = (bytes: Uint8Array): string => `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`
    const index = await unpack(packed, { digest: sum(packed), diffId: sum(plain), size: packed.length })
    expect(index).toMatchObject({ digest: sum(packed), diffId: sum(plain), size: packed.length, entries: 2, bytes: 22 })
    expect(readLayer(store(), index.diffId)).toEqual(index)
    expect(readFileSync(join(base, "layers", layerName(index.diffId), "passwd"), "utf8")).toBe(
      "root:x:0:0::/:/bin/sh\n",
    )
    await removeLayer(store(), index.diffId)
    expect(readdirSync(join(base, "layers"))).toEqual([])
  })

/** What the entries make: a line for each thing. */
async function made(...entries: readonly Given[]): Promise<string> {
  const { diffId } = await unpack(archive(...entries))
  const text = sh(
    `find . -mindepth 1 -printf '%y %p %l\\n' | sed 's/ $//' | sort -k2; getfattr -R -h -m '^(trusted|user)[.]' --absolute-names . 2>/dev/null | grep -v '^$' || true`,
    tree(diffId),
  )
  await removeLayer(store(), diffId)
  return text.trim()
}
const overlayAttribute = (name: string): Partial<TarEntry> => ({ xattrs: new Map([[name, Uint8Array.of(121)]]) })

test("a whiteout is a device 0:0, and an opaque directory says so, for overlayfs", async () => {
  expect(await made(dir("a"), white("a/.wh.x"), dir("b"), white("b/.wh..wh..opq"))).toBe(
    "d ./a\nc ./a/x\nd ./b\n# file: ./b\ntrusted.overlay.opaque",
  )
})
test("a whiteout hides what lies below, never what the same layer has, whichever comes first", async () => {
  expect(await made(file("f"), white(".wh.f"))).toBe("f ./f")
  expect(await made(white(".wh.f"), file("f"))).toBe("f ./f")
  const opaque = "d ./d\nf ./d/f\n# file: ./d\ntrusted.overlay.opaque"
  expect(await made(dir("d"), file("d/f"), white(".wh.d"))).toBe(opaque)
  expect(await made(white(".wh.d"), dir("d"), file("d/f"))).toBe(opaque)
  expect(await made(white(".wh.d"), file("d/f"))).toBe(opaque)
})
test("what aufs kept for itself is left out", async () => {
  expect(await made(white(".wh..wh.plnk"), file("f"))).toBe("f ./f")
})
test("xattrs that overlayfs would take for its own are escaped", async () => {
  expect(await made(dir("d", overlayAttribute("trusted.overlay.opaque")))).toBe(
    "d ./d\n# file: ./d\ntrusted.overlay.overlay.opaque",
  )
  expect(await made({ ...file("f"), ...overlayAttribute("user.overlay.redirect") })).toBe(
    "f ./f\n# file: ./f\nuser.overlay.overlay.redirect",
  )
})
test("entries before their parents, and the same name again and again: the last one counts", async () => {
  expect(await made(file("a/b/c"), dir("a/b", { mode: 0o700 }), dir("a"))).toBe("d ./a\nd ./a/b\nf ./a/b/c")
  expect(await made(dir("a"), file("a/f"), file("a"), link("a", "x"), dir("a"), file("a/g"))).toBe("d ./a\nf ./a/g")
})
test("names behind a link of the same layer land where they would inside the image", async () => {
  expect(await made(dir("usr/lib"), link("lib", "usr/lib"), file("lib/x"))).toBe(
    "l ./lib usr/lib\nd ./usr\nd ./usr/lib\nf ./usr/lib/x",
  )
  expect(await made(link("out", "/../../etc"), file("out/x"))).toBe("d ./etc\nf ./etc/x\nl ./out /../../etc")
  expect(await made(link("up", "../../../.."), file("up/x"))).toBe("l ./up ../../../..\nf ./x")
  expect(await made(link("a", "b"), link("b", "/c"), file("a/x"))).toBe("l ./a b\nl ./b /c\nd ./c\nf ./c/x")
})
test("a link in the way of a file is replaced, not followed", async () => {
  writeFileSync(join(base, "outside"), "safe")
  expect(await made(link("f", join(base, "outside")), file("f", "evil"))).toBe("f ./f")
  expect(readFileSync(join(base, "outside"), "utf8")).toBe("safe")
})
test("an absolute name is one below the layer's root, as in Docker", async () => {
  expect(await made(file("/etc/x"))).toBe("d ./etc\nf ./etc/x")
})
test("a directory 300 levels deep", async () => {
  const path = Array.from({ length: 300 }, () => "d").join("/")
  expect((await made(file(`${path}/f`))).split("\n")).toHaveLength(301)
})

const bomb = (): Uint8Array =>
  gzipSync(
    Buffer.concat([archive({ ...file("zeros"), size: 50_000_000 }).subarray(0, 512), new Uint8Array(50_000_000)]),
  )
const REFUSED: Readonly<Record<string, readonly [string, () => Uint8Array, Partial<LayerSource>?]>> = {
  "a name that leads out": ['cannot unpack "../x": its name leads out of the image', () => archive(file("../x"))],
  "one that leads out later": [
    'cannot unpack "a/../../x": its name leads out of the image',
    () => archive(dir("a"), file("a/../../x")),
  ],
  "a hard link out": [
    'cannot unpack "h": it is a hard link that leads out of the image',
    () => archive(hard("h", "../../etc/passwd")),
  ],
  "a hard link to a file of the host": [
    'cannot unpack "h": it is a hard link to "/etc/hostname", which this layer does not have',
    () => archive(hard("h", "/etc/hostname")),
  ],
  "a hard link through a link": [
    'cannot unpack "h": it is a hard link to "l/passwd", which this layer does not have',
    () => archive(link("l", "/etc"), hard("h", "l/passwd")),
  ],
  "a hard link to a directory": [
    'cannot unpack "h": it is a hard link to a directory',
    () => archive(dir("d"), hard("h", "d")),
  ],
  "links in a circle": [
    'cannot unpack "a/x": too many links',
    () => archive(link("a", "b"), link("b", "a"), file("a/x")),
  ],
  "a file as a parent": ['cannot unpack "f/x": f is no directory', () => archive(file("f"), file("f/x"))],
  "a whiteout of the directory above": [
    'cannot unpack "a/.wh...": it would delete the directory that it is in, or one above',
    () => archive(white("a/.wh...")),
  ],
  "a whiteout of nothing": [
    'cannot unpack ".wh.": it would delete the directory that it is in, or one above',
    () => archive(white(".wh.")),
  ],
  "a device that overlayfs takes for a whiteout": [
    'cannot unpack "w": it is the device 0:0, by which overlayfs knows what is deleted',
    () => archive({ type: "character", path: "w" }),
  ],
  "a root that is no directory": [
    'cannot unpack "/": the root of an image is a directory',
    () => archive(link("/", "/etc")),
  ],
  "a part of a name over NAME_MAX": [
    `cannot unpack "${"n".repeat(200)}": a part of its name is longer than 255 bytes`,
    () => archive(file("n".repeat(256))),
  ],
  "an owner that means no change": [
    'cannot unpack "f": its owner is no id',
    () => archive({ ...file("f"), uid: 0xffff_ffff }),
  ],
  "a bomb": [
    "cannot unpack a layer: it is larger than 1000000 bytes when it is unpacked",
    bomb,
    { limits: { bytes: 1_000_000 } },
  ],
  "too many entries": [
    "cannot read a layer: there are more than 2 entries (byte 1024)",
    () => archive(dir("a"), dir("b"), dir("c")),
    { limits: { entries: 2 } },
  ],
  "a body that is cut short": [
    "cannot read a layer: it is damaged or cut short (it does not inflate)",
    () => gzipSync(archive(file("f", "x".repeat(5000)))).subarray(0, -20),
  ],
  "an archive that is cut short": [
    "cannot read a layer: the archive ends in the middle of an entry (byte 600)",
    () => archive(file("f", "x".repeat(5000))).subarray(0, 600),
  ],
  "a body that goes on": [
    "cannot use a layer: it has more than the 1000 bytes that its manifest says",
    () => archive(file("f")),
    { size: 1000 },
  ],
  "another digest": [
    /^cannot use a layer: its digest is sha256:\w+, and should be sha256:0$/.source,
    () => archive(file("f")),
    { digest: "sha256:0" },
  ],
  "another diff id": [
    /^cannot use a layer: its diff id is sha256:\w+, and should be sha256:1$/.source,
    () => archive(file("f")),
    { diffId: "sha256:1" },
  ],
}
for (const [name, [sentence, bytes, given]] of Object.entries(REFUSED))
  test(`refused, with nothing left: ${name}`, async () => {
    const error = await unpack(bytes(), given).then(
      () => undefined,
      (thrown: Error) => thrown.message,
    )
    if (sentence.startsWith("^")) expect(error).toMatch(new RegExp(sentence))
    else expect(error).toBe(sentence)
    expect(readdirSync(join(base, "layers"))).toEqual([])
  })

test("two that unpack the same layer at once: one wins, and nothing else remains", async () => {
  const bytes = archive(dir("a"), file("a/f"))
  const [one, two] = await Promise.all([unpack(bytes), unpack(bytes)])
  expect(one.diffId).toBe(two.diffId)
  expect(readdirSync(join(base, "layers"))).toEqual([layerName(one.diffId)])
  await removeLayer(store(), one.diffId)
})

test("what a killed process has left half unpacked is taken away, what a living one makes is not", async () => {
  for (const pid of [1, 2]) mkdirSync(join(base, "layers", `.new-${pid}-77-x`, "tree/a"), { recursive: true })
  await sweepLayers(store(), ({ pid, start }) => pid === 1 && start === 77)
  expect(readdirSync(join(base, "layers"))).toEqual([".new-1-77-x"])
  await sweepLayers(store(), () => false)
  expect(readdirSync(join(base, "layers"))).toEqual([])
})
