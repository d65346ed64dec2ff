/** The default device rules, given to the kernel: both versions, where the host has them. Needs root and gcc. */

import { afterAll, describe, expect, test } from "bun:test"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { DeviceRule } from "../../src/model/oci.ts"
import { deviceRules } from "../../src/plan/device-rules.ts"
import { defaultDeviceRules } from "../../src/spec/devices.ts"
import { buildFiltered } from "./filtered.ts"

const filtered = buildFiltered()
afterAll(() => filtered[Symbol.dispose]())

const v1 = "/sys/fs/cgroup/devices"
const v2 = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].find(
  (path) => existsSync(join(path, "cgroup.procs")) && !existsSync(join(path, "devices")),
)

/** What a shell says that runs a script in a fresh group with these rules. */
function inGroup(mode: "v1" | "v2", rules: readonly DeviceRule[], script: string): string {
  const group = join(mode === "v1" ? v1 : v2!, `mctest-devices-${process.pid}`)
  mkdirSync(group)
  try {
    for (const step of deviceRules(
      rules,
      { devices: group, unified: group },
      { cgroups: { mode, controllers: {}, base: {} } },
    )) {
      if (step.op === "write") writeFileSync(step.path, step.text)
      else if (step.op === "device-program") {
        const file = join(filtered.directory, "program")
        writeFileSync(file, step.program)
        filtered.run("devices", step.path, file)
      } else throw new Error(`no step of the room: ${step.op}`)
    }
    const { stdout, stderr } = spawnSync("sh", ["-c", `echo $$ > ${group}/cgroup.procs && ${script}`], {
      encoding: "utf8",
    })
    return stdout + stderr
  } finally {
    rmdirSync(group)
  }
}

const tries = (...paths: string[]) =>
  paths.map((path) => `if (: <${path}) 2>/dev/null; then echo ${path} opens; else echo ${path} does not; fi`).join("; ")

for (const mode of ["v1", "v2"] as const)
  describe.skipIf(mode === "v1" ? !existsSync(v1) : v2 === undefined)(`cgroup ${mode}`, () => {
    test("what every program may count on opens, the kernel's log does not", () => {
      expect(
        inGroup(
          mode,
          defaultDeviceRules,
          `${tries("/dev/null", "/dev/zero", "/dev/urandom", "/dev/kmsg", "/dev/mem")}; echo x >/dev/null && echo written`,
        ),
      ).toBe("/dev/null opens\n/dev/zero opens\n/dev/urandom opens\n/dev/kmsg does not\n/dev/mem does not\nwritten\n")
    })
    test("a node may be made, but not opened", () => {
      const node = join(filtered.directory, `node-${mode}`)
      expect(inGroup(mode, defaultDeviceRules, `mknod ${node} c 1 11 && ${tries(node)}; rm ${node}`)).toBe(
        `${node} does not\n`,
      )
    })
    test("a rule that was added opens it, for reading only", () => {
      const log: DeviceRule = { allow: true, type: "c", major: 1, minor: 11, access: "r" }
      expect(
        inGroup(
          mode,
          [...defaultDeviceRules, log],
          `${tries("/dev/kmsg")}; (: >>/dev/kmsg) 2>/dev/null || echo not for writing`,
        ),
      ).toBe("/dev/kmsg opens\nnot for writing\n")
    })
    test("privileged may all", () => {
      expect(inGroup(mode, [{ allow: true, access: "rwm" }], tries("/dev/kmsg"))).toBe("/dev/kmsg opens\n")
    })
    test("everything but one", () => {
      const most: readonly DeviceRule[] = [
        { allow: true, access: "rwm" },
        { allow: false, type: "c", major: 1, minor: 11, access: "rw" },
      ]
      expect(inGroup(mode, most, tries("/dev/kmsg", "/dev/null"))).toBe("/dev/kmsg does not\n/dev/null opens\n")
    })
  })
