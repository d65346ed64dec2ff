/**
 * An archive of images, taken apart: its members may come in any order, and stdin cannot be read twice.
 *
 *     tar ──▶ images/.load-…/0, 1, 2 …        a number for each member: no name of a stranger becomes a path
 *                 name ──▶ number
 *
 * Read on: engine/load.ts.
 */

import { closeSync, createReadStream, mkdirSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs"
import posix from "node:path/posix"
import { createGunzip, createZstdDecompress } from "node:zlib"
import { EngineError } from "../base/errors.ts"
import { TarError } from "../formats/tar/entry.ts"
import { TarReader } from "../formats/tar/read.ts"
import { type ImageStore, imagesDirectory, writerMark } from "./layout.ts"

/** Members of an archive: an image of 500 layers has a thousand. */
const MOST_MEMBERS = 100_000
const MOST_DOCUMENT = 8 << 20
const MOST_LINKS = 10

export interface Archive {
  has(name: string): boolean
  /** A small member, whole. @throws {EngineError} `INVALID_IMAGE` if it is missing or too large. */
  document(name: string): Uint8Array
  /** A member's bytes. @throws {EngineError} `INVALID_IMAGE` if it is missing. */
  stream(name: string): AsyncIterable<Uint8Array>
  /** Takes everything away again. */
  close(): void
}

const refuse = (cause: string): EngineError => new EngineError("INVALID_IMAGE", `cannot load the archive: ${cause}`)

/** @throws {EngineError} `INVALID_IMAGE`; nothing is left then. */
export async function openArchive(
  store: Pick<ImageStore, "root">,
  source: AsyncIterable<Uint8Array>,
): Promise<Archive> {
  const directory = `${imagesDirectory(store)}/.load-${writerMark()}-${crypto.randomUUID()}`
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const members = new Map<string, string>()
  const links = new Map<string, string>()
  let fd: number | undefined
  const done = (): void => {
    if (fd !== undefined) closeSync(fd)
    fd = undefined
  }
  const tar = new TarReader(
    {
      entry({ path, type, link }) {
        done()
        const name = clean(path)
        if (type === "symlink" || type === "hardlink")
          links.set(name, type === "symlink" ? clean(`${posix.dirname(name)}/${link}`) : clean(link))
        if (type !== "file") return
        const file = `${directory}/${members.size}`
        members.set(name, file)
        fd = openSync(file, "w", 0o600)
      },
      data(offset, bytes) {
        if (fd !== undefined) writeSync(fd, bytes, 0, bytes.length, offset)
      },
    },
    { entries: MOST_MEMBERS },
  )
  const close = (): void => rmSync(directory, { recursive: true, force: true })
  try {
    for await (const chunk of inflated(source)) tar.feed(chunk)
    tar.end()
  } catch (error) {
    close()
    if (error instanceof TarError) throw refuse(`${error.why} (byte ${error.at})`)
    const { code } = error as NodeJS.ErrnoException
    throw code?.startsWith("Z") ? refuse("it is damaged or cut short (it does not inflate)") : error
  } finally {
    done()
  }
  // Docker made the same layer a link, once.
  const find = (name: string): string | undefined => {
    let at = clean(name)
    for (let hop = 0; hop < MOST_LINKS && !members.has(at) && links.has(at); hop++) at = links.get(at)!
    return members.get(at)
  }
  const need = (name: string): string => {
    const file = find(name)
    if (file === undefined) throw refuse(`it has no ${JSON.stringify(name.slice(0, 100))}`)
    return file
  }
  return {
    has: (name) => find(name) !== undefined,
    document: (name) => {
      const file = need(name)
      if (statSync(file).size > MOST_DOCUMENT) throw refuse(`${name} is larger than ${MOST_DOCUMENT >> 20} MiB`)
      return readFileSync(file)
    },
    stream: (name) => createReadStream(need(name), { highWaterMark: 1 << 20 }),
    close,
  }
}

const clean = (path: string): string => posix.resolve("/", path).slice(1)

/** docker load takes archives that gzip or zstd has made smaller, too. */
async function* inflated(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks = source[Symbol.asyncIterator]()
  const { value: first, done } = await chunks.next()
  if (done) return
  async function* all(): AsyncGenerator<Uint8Array> {
    yield first
    yield* { [Symbol.asyncIterator]: () => chunks }
  }
  const isGzip = first[0] === 0x1f && first[1] === 0x8b
  const isZstd = first[0] === 0x28 && first[1] === 0xb5 && first[2] === 0x2f && first[3] === 0xfd
  if (!isGzip && !isZstd) {
    yield* all()
    return
  }
  const { Readable } = process.getBuiltinModule("node:stream")
  const inflate = isGzip ? createGunzip({ chunkSize: 1 << 20 }) : createZstdDecompress({ chunkSize: 1 << 20 })
  Readable.from(all())
    .on("error", (error) => inflate.destroy(error))
    .pipe(inflate)
  yield* inflate as AsyncIterable<Uint8Array>
}
