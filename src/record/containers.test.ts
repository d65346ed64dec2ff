import { afterAll, expect, test } from "bun:test"
import { execFileSync, spawn } from "node:child_process"
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { EngineError } from "../base/errors.ts"
import type { Placement } from "../model/placement.ts"
import {
  createRecord,
  disown,
  dropRecord,
  findRecord,
  finishRecord,
  listRecords,
  parseRecord,
  readConfig,
  type Wanted,
} from "./containers.ts"
import { claim, claimIds, IDS_BASE, IDS_SIZE, leasesOf, ownerOf, release } from "./leases.ts"
import { randomName, resolveContainer } from "./names.ts"
import { makeRoots, type Store, writeWhole } from "./store.ts"

const dir = mkdtempSync(join(tmpdir(), "mc-record-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))
let next = 0
function newStore(): Store {
  const base = join(dir, `${next++}`)
  const store: Store = { root: `${base}/state`, run: `${base}/run`, boot: "now", lock: async (_, work) => work() }
  makeRoots(store.root, store.run)
  return store
}
const wanted = (more: Partial<Wanted> & { name?: string } = {}): Wanted => ({
  request: { rootfs: "/", args: ["true"], ...(more.name !== undefined && { name: more.name }) },
  created: "2026-11-24T14:05:41.000000000Z",
  ownIds: true,
  random: (n) => crypto.getRandomValues(new Uint8Array(n)),
  settle: async () => false,
  ...more,
})
const failure = async (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "no failure",
    (error: EngineError) => `${error.code}: ${error.message}`,
  )
const tree = (root: string): string[] => readdirSync(root, { recursive: true }).map(String).sort()
const ID = (letter: string): string => letter.repeat(64)

test("a draft: the record, its name, its ids, its run directory", async () => {
  const store = newStore()
  const { record, directory, runDirectory, leases, idsBase } = await createRecord(store, wanted({ name: "web" }))
  expect(record).toMatchObject({ version: 1, name: "web", creator: { pid: process.pid, boot: "now" } })
  expect(record.id).toMatch(/^[0-9a-f]{64}$/)
  expect(leases.map((link) => readlinkSync(link))).toEqual([record.id, record.id])
  expect(leases[0]).toBe(`${store.root}/names/web`)
  expect(leases[1]).toBe(`${store.root}/ids/${(idsBase! - IDS_BASE) / IDS_SIZE}`)
  expect([directory, runDirectory].map((path) => statSync(path).mode & 0o7777)).toEqual([0o700, 0o700])
  expect(findRecord(store, record.id)).toEqual({ kind: "container", record })
})
test("finished: its placement and its configuration are on disk, and nothing else", async () => {
  const store = newStore()
  const draft = await createRecord(store, wanted())
  finishRecord(draft, { remove: false, leases: draft.leases } as Placement, { ociVersion: "1.2.0" })
  expect(findRecord(store, draft.record.id)).toMatchObject({ record: { placement: { leases: draft.leases } } })
  expect(readConfig(store, draft.record.id)).toEqual({ ociVersion: "1.2.0" })
  expect(readdirSync(draft.directory).sort()).toEqual(["config.json", "container.json"])
})
test("dropped: nothing remains", async () => {
  const store = newStore()
  const before = tree(store.root)
  const draft = await createRecord(store, wanted())
  finishRecord(draft, { leases: draft.leases } as Placement, { ociVersion: "1.2.0" })
  writeFileSync(`${draft.directory}/hosts`, "")
  writeFileSync(`${draft.runDirectory}/wire`, "")
  dropRecord(store, draft)
  expect([tree(store.root), tree(store.run)]).toEqual([before, []])
})
test("the skeleton has what a container mounts something on, and is made once", () => {
  const store = newStore()
  expect(tree(`${store.root}/skeleton`)).toEqual([
    "dev",
    "etc",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "proc",
    "sys",
  ])
  const made = statSync(`${store.root}/skeleton`).ino
  makeRoots(store.root, store.run)
  expect(statSync(`${store.root}/skeleton`).ino).toBe(made)
})
test("a name that is taken, or is none, leaves nothing behind", async () => {
  const store = newStore()
  const { record } = await createRecord(store, wanted({ name: "web" }))
  const before = [tree(store.root), tree(store.run)]
  expect(await failure(createRecord(store, wanted({ name: "web" })))).toBe(
    `NAME_TAKEN: cannot name the container "web": container ${record.id.slice(0, 12)} has this name`,
  )
  for (const name of ["a/b", "..", "-x", "x", ""])
    expect(await failure(createRecord(store, wanted({ name })))).toStartWith("INVALID_VALUE: cannot name a container")
  expect([tree(store.root), tree(store.run)]).toEqual(before)
})
test("whoever has the name is held against the kernel before one gives up", async () => {
  const store = newStore()
  const old = await createRecord(store, wanted({ name: "web" }))
  const settle = async (id: string): Promise<boolean> => {
    expect(id).toBe(old.record.id)
    dropRecord(store, old)
    return true
  }
  const fresh = await createRecord(store, wanted({ name: "web", settle }))
  expect(ownerOf(`${store.root}/names/web`)).toBe(fresh.record.id)
})
test("a random name that is taken gives way to another", async () => {
  const store = newStore()
  const random = (seed: number) => (n: number) =>
    n === 32 ? crypto.getRandomValues(new Uint8Array(32)) : new Uint8Array(n).fill(seed++)
  const names = await Promise.all(
    [1, 1, 1].map(async () => (await createRecord(store, wanted({ random: random(1) }))).record.name),
  )
  expect(new Set(names).size).toBe(3)
  for (const name of names) expect(findRecord(store, resolveContainer(store, name))).toMatchObject({ record: { name } })
})

test("of fifty processes that want one name, one gets it, and the others leave nothing", async () => {
  const store = newStore()
  const script = `
    import { createRecord } from ${JSON.stringify(new URL("./containers.ts", import.meta.url).pathname)}
    const store = { root: process.argv[1], run: process.argv[2], boot: "now", lock: async (_, work) => work() }
    while (Date.now() < Number(process.argv[3])) {}
    const random = (n) => crypto.getRandomValues(new Uint8Array(n))
    await createRecord(store, { request: { rootfs: "/", args: ["x"], name: "same" }, created: "", ownIds: true, random, settle: async () => false })
      .then(() => process.exit(0), (error) => process.exit(error.code === "NAME_TAKEN" ? 9 : 1))`
  const start = String(Date.now() + 1500)
  const codes = await Promise.all(
    Array.from(
      { length: 50 },
      () =>
        new Promise<number | null>((resolve) =>
          spawn(process.execPath, ["-e", script, store.root, store.run, start], {
            stdio: ["ignore", "ignore", "inherit"],
          }).on("exit", resolve),
        ),
    ),
  )
  expect(codes.filter((code) => code === 0)).toHaveLength(1)
  expect(codes.filter((code) => code === 9)).toHaveLength(49)
  const { ids, drafts } = listRecords(store)
  expect([ids.length, drafts.length, readdirSync(`${store.root}/ids`).length, readdirSync(store.run).length]).toEqual([
    1, 0, 1, 1,
  ])
  expect(ownerOf(`${store.root}/names/same`)).toBe(ids[0])
}, 60_000)

test("two containers never share ids, even if their ids want the same place", async () => {
  const store = newStore()
  for (const id of [`${"0".repeat(8)}${"a".repeat(56)}`, `${"0".repeat(8)}${"b".repeat(56)}`]) {
    mkdirSync(`${store.root}/containers/${id}`)
    writeFileSync(`${store.root}/containers/${id}/container.json`, "{}")
    await claimIds(store, id)
  }
  expect(readdirSync(`${store.root}/ids`).sort()).toEqual(["0", "1"])
})
test("a lease whose owner has no directory is given to the next; one that is just being removed is not", async () => {
  const store = newStore()
  symlinkSync(ID("d"), `${store.root}/names/web`)
  const { record } = await createRecord(store, wanted({ name: "web" }))
  expect(ownerOf(`${store.root}/names/web`)).toBe(record.id)

  symlinkSync(ID("e"), `${store.root}/names/db`)
  mkdirSync(`${store.root}/containers/${ID("e")}`)
  expect(await failure(createRecord(store, wanted({ name: "db" })))).toStartWith("NAME_TAKEN")
  rmdirSync(`${store.root}/containers/${ID("e")}`)
  expect((await createRecord(store, wanted({ name: "db" }))).record.name).toBe("db")
})
test("only the owner can give a lease back", () => {
  const { root } = newStore()
  const link = `${root}/names/web`
  expect(claim(link, ID("a"))).toBeUndefined()
  expect(claim(link, ID("a"))).toBeUndefined()
  expect(claim(link, ID("b"))).toBe(ID("a"))
  release(link, ID("b"))
  expect(ownerOf(link)).toBe(ID("a"))
  release(link, ID("a"))
  expect(ownerOf(link)).toBeUndefined()
})
test("the leases of a container that was killed while it took them are found", async () => {
  const store = newStore()
  const { record, leases } = await createRecord(store, wanted())
  expect(leasesOf(store, record.id, record.name)).toEqual(leases)
})

test("a container is found by name, whole id or the first digits of one id", async () => {
  const store = newStore()
  const made = ["abc1", "abc2", "def0"].map((head) => `${head}${"0".repeat(60)}`)
  for (const id of made) {
    mkdirSync(`${store.root}/containers/${id}`)
    writeWhole(`${store.root}/containers/${id}/container.json`, "{}")
  }
  symlinkSync(made[0]!, `${store.root}/names/def`)
  symlinkSync(ID("9"), `${store.root}/names/dangling`)
  expect([made[1]!, "abc2", "def0", "d", "/def"].map((text) => resolveContainer(store, text))).toEqual([
    made[1]!,
    made[1]!,
    made[2]!,
    made[2]!,
    made[0]!,
  ])
  const no = (text: string): string => {
    try {
      return resolveContainer(store, text)
    } catch (error) {
      return `${(error as EngineError).code}: ${(error as Error).message}`
    }
  }
  expect(no("abc")).toBe(
    'AMBIGUOUS_ID: cannot tell which container "abc" is: 2 ids begin with it (abc100000000, abc200000000)',
  )
  for (const text of ["nosuch", "dangling", "", "../..", ".", ID("9"), "abc1/../abc2"])
    expect(no(text)).toBe(`CONTAINER_NOT_FOUND: cannot find container "${text}": no container has this name or id`)
})

test("a broken record says what is wrong with it", () => {
  const good = {
    version: 1,
    id: ID("a"),
    name: "web",
    created: "t",
    request: {},
    creator: { pid: 1, start: 2, boot: "b" },
    later: "invention",
  }
  const why = (change: object): unknown => parseRecord(JSON.stringify({ ...good, ...change }), ID("a"))
  expect(why({})).toEqual(good)
  expect(
    [
      parseRecord("{", ID("a")),
      parseRecord("null", ID("a")),
      why({ version: 2 }),
      why({ id: "x" }),
      why({ name: 5 }),
      why({ request: null }),
      why({ creator: {} }),
    ].map((text) => String(text).replace(/JSON: .*/, "JSON: …")),
  ).toEqual([
    "container.json is not JSON: …",
    "container.json is not an object",
    "container.json has version 2, and only 1 is known",
    "container.json belongs to another container (x)",
    "container.json has no name",
    "container.json has no request",
    "container.json has no creator",
  ])
})
test("a removed container is not found; what is left of it is, with its leases", async () => {
  const store = newStore()
  const draft = await createRecord(store, wanted())
  const { id } = draft.record
  finishRecord(draft, { leases: draft.leases } as Placement, { ociVersion: "1.2.0" })
  expect([disown(store, id), disown(store, id)]).toEqual([true, false])
  expect(findRecord(store, id)).toEqual({ kind: "remains", id, leases: draft.leases })
  expect(findRecord(store, ID("f"))).toEqual({ kind: "nothing" })
})

test("random names: two words, then a digit", () => {
  const random = (n: number): Uint8Array => new Uint8Array(n).fill(3)
  expect(randomName(random, 0)).toMatch(/^[a-z]+_[a-z]+$/)
  expect(randomName(random, 4)).toMatch(/^[a-z]+_[a-z]+\d$/)
  expect(randomName(random, 100)).toMatch(/^[a-z]+_[a-z]+\d{1,4}$/)
})
test("roots that cannot be used are named, with a way out", () => {
  const file = join(dir, "a-file")
  writeFileSync(file, "")
  expect(() => makeRoots(`${file}/state`, dir)).toThrow(
    `cannot use ${file}/state: it, or a part of its path, is not a directory`,
  )
  expect(() => makeRoots(file, dir)).toThrow("is not a directory")
  const deep = join(dir, "deep/er/state")
  makeRoots(deep, join(dir, "deep/run"))
  expect(statSync(deep).mode & 0o7777).toBe(0o700)
  chmodSync(deep, 0o700)
  expect(existsSync(`${deep}/names`)).toBe(true)
})
test("a full and a read-only disk are named, and leave nothing behind", async () => {
  const disk = join(dir, "disk")
  mkdirSync(disk)
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "mc-test", disk])
  try {
    const store: Store = { root: `${disk}/state`, run: `${disk}/run`, boot: "now", lock: async (_, work) => work() }
    makeRoots(store.root, store.run)
    const before = tree(disk)
    writeFileSync(`${disk}/filler`, new Uint8Array(64 * 1024))
    expect(await failure(createRecord(store, wanted()))).toMatch(/^STATE_UNUSABLE: cannot use .*: the disk is full$/)
    rmSync(`${disk}/filler`)
    expect(tree(disk)).toEqual(before)
    execFileSync("mount", ["-o", "remount,ro", disk])
    expect(await failure(createRecord(store, wanted()))).toMatch(
      /^STATE_UNUSABLE: cannot use .*: the file system is read-only$/,
    )
    expect(() => makeRoots(`${disk}/other`, store.run)).toThrow("the file system is read-only")
  } finally {
    execFileSync("umount", [disk])
  }
})
test("a file is written whole or not at all", () => {
  const path = join(dir, "whole")
  writeWhole(path, "one")
  expect(() => writeWhole(`${path}/no`, "x")).toThrow("is not a directory")
  expect(readFileSync(path, "utf8")).toBe("one")
})
