import { expect, test } from "bun:test"
import type { Descriptor } from "../model/image.ts"
import { findImage } from "./find.ts"
import { ID, NAME, withName, withoutName } from "./layout.ts"

const digest = (digits: string): string => `sha256:${digits.padEnd(64, "0")}`
const entry = (manifest: string, id: string, name?: string): Descriptor => ({
  mediaType: "m",
  digest: digest(manifest),
  size: 1,
  annotations: { [ID]: digest(id), ...(name && { [NAME]: name }) },
})
const STORE = [
  entry("a1", "cafe1", "docker.io/library/alpine:latest"),
  entry("a1", "cafe1", "docker.io/library/alpine:3"),
  entry("b1", "cafe2"),
  entry("c1", "feed1", "docker.io/library/cafe:latest"),
]
const check = (word: string, id: string | undefined, name?: string) =>
  test(`${word} is ${id}`, () => {
    const found = findImage(STORE, word)
    expect(found?.entry.annotations?.[ID]).toBe(id && digest(id))
    expect(found?.name).toBe(name)
  })

check("alpine", "cafe1", "docker.io/library/alpine:latest")
check("docker.io/library/alpine:3", "cafe1", "docker.io/library/alpine:3")
check(`alpine@${digest("a1")}`, "cafe1")
check(`alpine@${digest("b2")}`, undefined)
check("cafe2", "cafe2")
check(digest("cafe1"), "cafe1")
check("sha256:feed", "feed1")
check("alpine:4", undefined)
check("beef", undefined)
// A name comes before an id.
check("cafe", "feed1", "docker.io/library/cafe:latest")
test("digits that several ids begin with", () => expect(() => findImage(STORE, "caf")).toThrow("2 ids begin so"))
test("a word that can be neither", () =>
  expect(() => findImage(STORE, "Alpine!")).toThrow("cannot read the image name"))

const shown = (entries: readonly Descriptor[]) =>
  entries.map((entry) => `${entry.digest.slice(7, 9)} ${entry.annotations?.[NAME] ?? "<none>"}`)
test("a name that goes leaves the manifest behind, if it was the last", () => {
  expect(shown(withoutName(STORE.slice(0, 1), "docker.io/library/alpine:latest"))).toEqual(["a1 <none>"])
  expect(shown(withoutName(STORE.slice(0, 2), "docker.io/library/alpine:3"))).toEqual([
    "a1 docker.io/library/alpine:latest",
  ])
})
test("a name that is given is taken from whatever had it, and a manifest without one loses that", () => {
  expect(shown(withName(STORE.slice(0, 3), STORE[2]!, "docker.io/library/alpine:latest"))).toEqual([
    "a1 docker.io/library/alpine:3",
    "b1 docker.io/library/alpine:latest",
  ])
  expect(shown(withName(STORE.slice(0, 1), STORE[0]!, undefined))).toEqual(["a1 docker.io/library/alpine:latest"])
})
