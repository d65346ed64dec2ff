/**
 * Hooks: all six, what each one sees, what it can change, and what follows if it fails. Needs root.
 */

import { afterAll, describe, expect, test } from "bun:test"
import { chmodSync, existsSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs"
import type { Hook, HookName, Hooks } from "../../src/model/oci.ts"
import { FIRST_ID, type How, newBundle, owned, plain, withMounts } from "./bundle.ts"

const bundle = newBundle()
afterAll(() => bundle[Symbol.dispose]())
const { directory, rootfs } = bundle

const ORDER: readonly HookName[] = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
]
/** What the hooks write, by the host's name and, for the one that runs in the container's root, by the container's. */
const LOG = `${rootfs}/log`
const logOf = (name: HookName): string => (name === "startContainer" ? "/log" : LOG)
const sh = (script: string, more: Partial<Hook> = {}): Hook => ({
  path: "/bin/sh",
  args: ["sh", "-c", script],
  ...more,
})
const all = (make: (name: HookName) => Hook): Hooks => Object.fromEntries(ORDER.map((name) => [name, [make(name)]]))
/** What was written, line by line; empty again. */
function log(): string[] {
  if (!existsSync(LOG)) return []
  const lines = readFileSync(LOG, "utf8").split("\n").filter(Boolean)
  rmSync(LOG)
  return lines
}
writeFileSync(LOG, "")
chmodSync(LOG, 0o666)
const both: readonly How[] = [{ stay: "none" }, { stay: "monitor" }]

describe("all six", () => {
  for (const how of both)
    test(`run in their order, and are told the state (${how.stay})`, () => {
      log()
      const hooks = all((name) => sh(`cat >>${logOf(name)}; echo >>${logOf(name)}`))
      const { failed, stdout } = bundle.live(
        plain({ hooks, annotations: { "a.b": "c" } }, "echo program; cut -d' ' -f1 /proc/self/stat"),
        how,
      )
      expect({ failed, stdout: stdout.split("\n")[0] }).toEqual({ failed: undefined, stdout: "program" })
      const states = log().map((line) => JSON.parse(line) as Record<string, unknown>)
      expect(states.map(({ status }) => status)).toEqual([
        "creating",
        "creating",
        "creating",
        "created",
        "running",
        "stopped",
      ])
      for (const { ociVersion, bundle: where, annotations, id } of states)
        expect({ ociVersion, where, annotations, id }).toEqual({
          ociVersion: plain().ociVersion,
          where: directory,
          annotations: { "a.b": "c" },
          id: expect.stringMatching(/^c\d+$/),
        })
      const pids = new Set(states.slice(0, 5).map(({ pid }) => pid))
      expect([pids.size, [...pids].every((pid) => Number(pid) > 1)]).toEqual([1, true])
    })
  test("in the namespaces of the host, or of the container", () => {
    log()
    const hooks = all((name) => sh(`readlink /proc/self/ns/mnt >>${logOf(name)}`))
    bundle.live(plain({ hooks }, "readlink /proc/self/ns/mnt >>/log"))
    const [prestart, createRuntime, createContainer, startContainer, ...rest] = log()
    const here = readlinkSync("/proc/self/ns/mnt")
    expect([prestart, createRuntime]).toEqual([here, here])
    expect(createContainer).not.toBe(here)
    expect(startContainer).toBe(createContainer!)
    // The program, and the two that follow its start, which may be faster than it.
    expect(rest.toSorted()).toEqual([here, here, createContainer!].toSorted())
  })
  test("with the arguments, the environment and the order of the config, and nothing else", () => {
    log()
    const tell = 'echo "$0 $1: $(env | grep -v "^\\(PWD\\|SHLVL\\|_\\)=" | tr "\\n" " ")"'
    const one = (word: string): Hook => ({
      path: "/bin/sh",
      args: ["sh", "-c", `${tell} >>${LOG}; ls /proc/self/fd | wc -l >>${LOG}`, "zero", word],
      env: [`A=${word}`, "PATH=/usr/bin:/bin"],
    })
    bundle.live(plain({ hooks: { createRuntime: [one("first"), one("second")] } }, "true"))
    // ls itself has the directory open.
    expect(log()).toEqual([
      "zero first: A=first PATH=/usr/bin:/bin ",
      "4",
      "zero second: A=second PATH=/usr/bin:/bin ",
      "4",
    ])
  })
  test("around the gate: those of create before it, that of start after it", () => {
    log()
    const hooks = all((name) => sh(`echo ${name} >>${logOf(name)}`))
    const seen: string[] = []
    const { failed } = bundle.live(plain({ hooks }, "echo program >>/log"), {
      placement: { gate: true },
      created: () => void seen.push(...readFileSync(LOG, "utf8").split("\n").filter(Boolean)),
    })
    expect(failed).toBeUndefined()
    expect(seen.slice(0, 3)).toEqual(["prestart", "createRuntime", "createContainer"])
    expect(seen).not.toContain("startContainer")
    expect(log()).toContain("startContainer")
  })
})

describe("before the program runs, hooks may change the container", () => {
  const change = withMounts({ destination: "/t", type: "tmpfs" })
  test("from outside, by its process: the root lies where the bundle says, with all that is mounted", () => {
    const script = `read state; pid=$(echo "$state" | sed 's/.*"pid":\\([0-9]*\\).*/\\1/')
      nsenter -t $pid -m sh -c 'mount --bind /etc/hostname ${rootfs}/etc/added; echo from outside >${rootfs}/t/file; grep -c " ${rootfs}/proc " /proc/mounts >${rootfs}/t/proc'`
    writeFileSync(`${rootfs}/etc/added`, "nothing")
    for (const name of ["prestart", "createRuntime"] as const)
      expect(
        bundle.sees(
          { ...change, hooks: { [name]: [sh(script)] } },
          "cat /t/file /t/proc; cmp -s /etc/added /dev/null || wc -c </etc/added",
        ),
      ).toBe(`from outside\n1\n${readFileSync("/etc/hostname").length}\n`)
  })
  test("from inside, before anything is hidden or read-only", () => {
    const script = `[ -d ${rootfs}/proc/1 ] && [ -s ${rootfs}/etc/passwd ] && echo made >${rootfs}/made && mount -t tmpfs inside ${rootfs}/home && touch ${rootfs}/home/x`
    expect(
      bundle.sees(
        {
          hooks: { createContainer: [sh(script)] },
          root: { path: "rootfs", readonly: true },
          linux: { maskedPaths: ["/etc/passwd"] },
        },
        "cat /made; ls /home; wc -c </etc/passwd; touch /x 2>/dev/null || echo no",
      ),
    ).toBe("made\nx\n0\nno\n")
    rmSync(`${rootfs}/made`)
  })
  test("in a user namespace too", () => {
    using _owner = bundle.ownedBy(FIRST_ID)
    // The hook is the container's root, and goes by the host's names.
    chmodSync(directory, 0o711)
    const script = `id -u >${rootfs}/t/who; [ -d ${rootfs}/proc/1 ]`
    expect(
      bundle.sees(
        { ...change, linux: owned(), hooks: { createContainer: [sh(script)], createRuntime: [sh("true")] } },
        "cat /t/who",
      ),
    ).toBe("0\n")
  })
  test("the last one in the container's own root", () => {
    expect(
      bundle.sees(
        { hooks: { startContainer: [sh("echo hook >/tmp/file; ls -d /proc/1")] } },
        "cat /tmp/file; rm /tmp/file",
      ),
    ).toBe("/proc/1\nhook\n")
  })
})

describe("one that fails", () => {
  const poststop = [sh(`read state; echo "$state" | grep -o '"status":"[a-z]*"' >>${LOG}`), sh(`echo second >>${LOG}`)]
  const stopped = ['"status":"stopped"', "second"]
  for (const name of ["prestart", "createRuntime", "createContainer"] as const)
    test(`${name}: there is no container, and poststop is told`, () => {
      log()
      const hooks = { [name]: [sh("exit 3"), sh(`echo never >>${LOG}`)], poststop }
      expect(bundle.fails({ hooks })).toBe(`cannot run the ${name} hook /bin/sh: it ended with 3 (ECANCELED)`)
      expect(log()).toEqual([...stopped, ...stopped])
    })
  test("startContainer: the program does not run", () => {
    log()
    const hooks = { startContainer: [sh("kill -9 $$")], poststop }
    expect(bundle.fails({ hooks })).toBe(
      "cannot run the startContainer hook /bin/sh: it was ended by SIGKILL (ECANCELED)",
    )
    expect(log()).toEqual([...stopped, ...stopped])
  })
  test("poststart, poststop: a warning, and the others run", () => {
    for (const how of both) {
      log()
      const hooks = { poststart: [sh("exit 1"), sh(`echo others >>${LOG}`)] }
      const { code, failed, warnings, stderr } = bundle.live(plain({ hooks }, "true"), how)
      expect({ code, failed }).toEqual({ code: 0, failed: undefined })
      expect([...warnings, stderr].join("")).toContain("the poststart hook /bin/sh: ")
      expect(log()).toEqual(["others"])
    }
    log()
    expect(() =>
      bundle.live(plain({ hooks: { poststop: [sh("exit 1"), sh(`echo others >>${LOG}`)] } }, "true")),
    ).toThrow(/^delete says: warning \d+ 125$/)
    expect(log()).toEqual(["others"])
  })
  test("a step after them: what they were told of is taken back, and poststop is told", () => {
    log()
    const hooks = { createRuntime: [sh(`echo made >>${LOG}`)], poststop }
    expect(bundle.fails({ hooks, process: { args: ["nothing"] } })).toBe(
      'cannot run "nothing": not found in the container\'s PATH',
    )
    expect(log()).toEqual(["made", ...stopped, "made", ...stopped])
  })
  test("one that hangs is killed on time, one that is not there is told", () => {
    expect(bundle.fails({ hooks: { createRuntime: [sh("sleep 1000", { timeout: 1 })] } })).toBe(
      "cannot run the createRuntime hook /bin/sh: it took longer than its timeout, and was killed (ETIMEDOUT)",
    )
    for (const name of ["prestart", "createContainer", "startContainer"] as const)
      expect(bundle.fails({ hooks: { [name]: [{ path: "/no/hook" }] } })).toBe(
        `cannot run the ${name} hook /no/hook: there is no such program, or its interpreter is missing (ENOENT)`,
      )
    expect(bundle.fails({ hooks: { prestart: [{ path: "/etc/passwd" }] } })).toBe(
      "cannot run the prestart hook /etc/passwd: it may not be executed (EACCES)",
    )
  })
  test("one that reads nothing of its state, or writes much, is no trouble", () =>
    expect(bundle.sees({ hooks: { createRuntime: [sh("exec <&-; true")] } }, "echo runs")).toBe("runs\n"))
})
