/**
 * Configs as other engines write them: each is valid, and nothing of it is lost on the way in.
 */

import { expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readConfig } from "../../src/model/guards.ts"

const directory = join(import.meta.dir, "configs")
const names = readdirSync(directory)

test("there are some", () => expect(names.length).toBeGreaterThan(4))
for (const name of names)
  test(name, () => {
    const json = readFileSync(join(directory, name), "utf8")
    expect(readConfig(json) as unknown).toEqual(JSON.parse(json))
  })

for (const runtime of ["runc", "crun"])
  test.skipIf(spawnSync(runtime, ["--version"]).status !== 0)(`what ${runtime} spec writes here`, () => {
    const bundle = mkdtempSync(join(tmpdir(), "bundle-"))
    try {
      expect(spawnSync(runtime, ["spec"], { cwd: bundle }).status).toBe(0)
      const json = readFileSync(join(bundle, "config.json"), "utf8")
      expect(readConfig(json) as unknown).toEqual(JSON.parse(json))
    } finally {
      rmSync(bundle, { recursive: true })
    }
  })
