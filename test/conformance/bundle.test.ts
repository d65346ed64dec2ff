/**
 * What a process is: every field of `process`, seen from inside; and bundles as other tools write them. Needs root and gcc.
 */

import { afterAll, describe, expect, test } from "bun:test"
import { spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { readConfig } from "../../src/model/guards.ts"
import type { Config } from "../../src/model/oci.ts"
import { host as facts, newBundle, plain, rest, v1 } from "./bundle.ts"

const bundle = newBundle()
afterAll(() => bundle[Symbol.dispose]())
const { sees, fails } = bundle
const status = (...names: string[]): string => `grep -E '^(${names.join("|")}):' /proc/self/status`

describe("what other tools write", () => {
  const script = "hostname; id -u; touch /x 2>/dev/null || echo read-only; [ $$ = 1 ] && echo first"
  /** As it is, but for the program and for the terminal, which nobody is there to take. */
  const lives = (config: Config): string => {
    const { process, ...rest } = config
    const { code, stdout, stderr, failed } = bundle.live(
      { ...rest, process: { ...process!, terminal: false, args: ["/bin/sh", "-c", script] } },
      { stay: "monitor" },
    )
    expect({ code, stderr, failed }).toEqual({ code: 0, stderr: "", failed: undefined })
    return stdout
  }
  const spec = (command: string, ...args: string[]): Config => {
    const made = bundle.machine.directory(`spec-${command}${args.length}`)
    expect(spawnSync(command, ["spec", ...args], { cwd: made }).status).toBe(0)
    return readConfig(readFileSync(join(made, "config.json"), "utf8"))
  }
  const has = (command: string): boolean => spawnSync(command, ["--version"]).status === 0

  test.skipIf(!has("runc"))("runc spec", () => expect(lives(spec("runc"))).toBe("runc\n0\nread-only\nfirst\n"))
  test.skipIf(!has("runc"))("runc spec --rootless", () =>
    expect(lives(spec("runc", "--rootless"))).toBe("runc\n0\nread-only\nfirst\n"),
  )
  test.skipIf(!has("crun"))("crun spec", () => expect(lives(spec("crun"))).toBe("crun\n0\nread-only\nfirst\n"))

  /** Written for other hosts: what is not on this one is replaced, and what we refuse is left out. */
  const written: readonly (readonly [
    name: string,
    refused: string,
    adapt: (config: Config) => Config,
    sees: string,
  ])[] = [
    ["runc-spec", "nothing", (config) => config, "runc\n0\nread-only\nfirst\n"],
    ["docker-run", "process.apparmorProfile is not supported", here, "4d1cbd2f80f5\n0\nfirst\n"],
    [
      "kubernetes-pause",
      "shm on /dev/shm: no such file or directory",
      here,
      `${hostname()}\n65535\nread-only\nfirst\n`,
    ],
    ["podman-userns", "process.selinuxLabel is not supported", here, "box\n1000\nread-only\nfirst\n"],
    ["every-field", "vm is not for containers of this kernel", (config) => config, ""],
  ]
  test("all of them are here", () =>
    expect(readdirSync(join(import.meta.dirname, "configs")).sort()).toEqual(
      written.map(([name]) => `${name}.json`).sort(),
    ))
  for (const [name, refused, adapt, expected] of written)
    test(name, () => {
      const config = readConfig(readFileSync(join(import.meta.dirname, "configs", `${name}.json`), "utf8"))
      if (refused !== "nothing") expect(() => lives(config)).toThrow(refused)
      if (expected === "") return
      using _owner = bundle.ownedBy(config.linux?.uidMappings?.[0]?.hostID ?? 0)
      expect(lives(adapt(config))).toBe(expected)
    })
  function here({ process, mounts = [], linux = {}, hooks: _, ...rest }: Config): Config {
    // The filter is an extract, too strict for any program.
    const { mountLabel: _label, seccomp: _filter, ...others } = linux
    const { apparmorProfile: _profile, selinuxLabel: _selinux, rlimits = [], oomScoreAdj, ...program } = process!
    const { unified, ...resources } = linux.resources ?? {}
    // CAP_SYS_RESOURCE
    const powerful = (facts.capabilities >> 24n) % 2n === 1n
    return {
      ...rest,
      process: { ...program, ...(powerful && { rlimits, ...(oomScoreAdj !== undefined && { oomScoreAdj }) }) },
      mounts: mounts.map(({ uidMappings: _uids, gidMappings: _gids, ...mount }) => {
        if (mount.type !== "bind" && !mount.options?.some((option) => /^r?bind$/.test(option))) return mount
        const file = mount.destination.startsWith("/etc/")
        const source = bundle.path(`source${mount.destination.replaceAll("/", "-")}`)
        if (file) writeFileSync(source, "")
        else mkdirSync(source, { recursive: true })
        return { ...mount, source, options: mount.options?.filter((option) => !/idmap$/.test(option)) ?? [] }
      }),
      linux: {
        ...others,
        resources: { ...resources, ...(unified && !v1 && { unified }) },
        namespaces: [...new Set([...(linux.namespaces ?? []).map(({ type }) => type), "uts" as const])].map((type) => ({
          type,
        })),
      },
    }
  }
})

test("ids: user, group, others, umask", () =>
  expect(
    sees({ process: { user: { uid: 1000, gid: 1001, umask: 0o27, additionalGids: [5, 6] } } }, "id -u; id -G; umask"),
  ).toBe("1000\n1001 5 6\n0027\n"))
test("all five sets of capabilities, of a user that is not root", () =>
  expect(
    sees(
      {
        process: {
          user: { uid: 1000, gid: 1000 },
          capabilities: {
            bounding: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_RAW"],
            permitted: ["CAP_KILL", "CAP_CHOWN"],
            effective: ["CAP_KILL"],
            inheritable: ["CAP_KILL", "CAP_NET_RAW"],
            ambient: ["CAP_KILL"],
          },
        },
      },
      status("Cap..."),
    ),
  ).toBe(
    "CapInh:\t0000000000002020\nCapPrm:\t0000000000000020\nCapEff:\t0000000000000020\nCapBnd:\t0000000000002021\nCapAmb:\t0000000000000020\n",
  ))
test("no capabilities at all", () =>
  expect(sees({ process: { capabilities: {} } }, status("CapPrm", "CapEff", "CapBnd"))).toBe(
    "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n",
  ))
test("a capability that cannot be had is a warning, so says the specification", () => {
  const capabilities = { bounding: ["CAP_KILL", "CAP_FLY"], permitted: ["CAP_KILL"], ambient: ["CAP_KILL"] }
  expect(bundle.live(plain({ process: { capabilities } }, "true")).warnings).toEqual([
    "CAP_FLY is not given: there is no capability of this name",
    "CAP_KILL is not given: the config makes it ambient but not permitted and inheritable",
  ])
})
test("new privileges, or none", () => {
  expect(sees({ process: { noNewPrivileges: true } }, status("NoNewPrivs"))).toBe("NoNewPrivs:\t1\n")
  expect(sees({ process: { noNewPrivileges: false } }, status("NoNewPrivs"))).toBe("NoNewPrivs:\t0\n")
})
test("limits, unlimited ones too", () => {
  const all = 2 ** 64
  const rlimits = [
    { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
    { type: "RLIMIT_CORE", soft: 0, hard: 0 },
    { type: "RLIMIT_CPU", soft: all, hard: all },
  ]
  expect(
    sees({ process: { rlimits } }, "awk '/open files|core|cpu/ {print $2, $(NF-2), $(NF-1)}' /proc/self/limits"),
  ).toBe("cpu unlimited unlimited\ncore 0 0\nopen 100 200\n")
})
test("the program, its environment and its place", () =>
  expect(sees({ process: { cwd: "/new/place", env: ["PATH=/bin", "A=b c", "EMPTY="] } }, "pwd; env | sort")).toBe(
    "/new/place\nA=b c\nEMPTY=\nPATH=/bin\nPWD=/new/place\nSHLVL=1\n",
  ))
test("whom the kernel kills first", () =>
  expect(sees({ process: { oomScoreAdj: 321 } }, "cat /proc/self/oom_score_adj")).toBe("321\n"))
test("scheduler and io priority", () => {
  // proc_pid_stat(5): nice is the 19th word, the policy the 41st; SCHED_BATCH is 3.
  const scheduler = { policy: "SCHED_BATCH", nice: 5 }
  expect(sees({ process: { scheduler } }, "cut -d' ' -f19,41 /proc/self/stat")).toBe("5 3\n")
  expect(sees({ process: { ioPriority: { class: "IOPRIO_CLASS_IDLE", priority: 0 } } }, "busybox ionice -p $$")).toBe(
    "idle\n",
  )
  expect(sees({ process: { ioPriority: { class: "IOPRIO_CLASS_BE" } } }, "busybox ionice -p $$")).toBe(
    "best-effort: prio 0\n",
  )
})
test("real time: as the kernel allows it", () => {
  const change = { process: { scheduler: { policy: "SCHED_FIFO", priority: 7, flags: ["SCHED_FLAG_RESET_ON_FORK"] } } }
  // A kernel with CONFIG_RT_GROUP_SCHED wants a budget for the group; most have none of it.
  const { failed, stdout } = bundle.live(plain(change, "cut -d' ' -f40,41 /proc/1/stat"))
  if (failed === undefined) expect(stdout).toBe("7 1\n")
  else expect(failed).toMatch(/^cannot enter the cpu cgroup .*: the group has no budget for a real-time process/)
  expect(v1 || failed === undefined).toBe(true)
})
test("personality", () => {
  if (process.arch !== "x64") return
  expect(sees({ linux: { personality: { domain: "LINUX32" } } }, "uname -m")).toBe("i686\n")
  expect(sees({ linux: { personality: { domain: "LINUX", flags: [] } } }, "uname -m")).toBe("x86_64\n")
})
test("execCPUAffinity is for programs that join, not for the first", () =>
  expect(sees({ process: { execCPUAffinity: { initial: "0", final: "0" } } }, status("Cpus_allowed_list"))).toBe(
    sees({}, status("Cpus_allowed_list")),
  ))

describe("a terminal", () => {
  const program = bundle.path("console")
  const { status: made, stderr } = spawnSync("gcc", [
    "-Wall",
    "-Wextra",
    "-Werror",
    "-o",
    program,
    join(import.meta.dirname, "console.c"),
  ])
  if (made !== 0) throw new Error(stderr.toString())
  const process = { terminal: true, consoleSize: { height: 33, width: 77 } }

  test("goes to whoever listens at the console socket, in the size of the config", async () => {
    const socket = bundle.path("console.sock")
    const listener = spawn(program, [socket, "hello"], { stdio: ["ignore", "pipe", "inherit"] })
    while (!existsSync(socket)) rest(2)
    const { failed, stdout, stderr, warnings } = bundle.live(
      plain({ process }, "read word; echo got $word; tty; stty size; ls -l /dev/console | cut -c1"),
      { placement: { consoleSocket: socket } },
    )
    expect({ failed, stdout, stderr, warnings }).toEqual({ failed: undefined, stdout: "", stderr: "", warnings: [] })
    expect((await text(listener.stdout)).replaceAll("\r", "")).toBe(
      "/dev/pts/ptmx 33x77\nhello\ngot hello\n/dev/pts/0\n33 77\nc\n",
    )
  })
  test("that nobody would take is refused", () =>
    expect(() => bundle.live(plain({ process }, "true"))).toThrow(
      "cannot plan the container: process.terminal needs somebody who takes the terminal, and nobody stays",
    ))
  test("and a socket that nobody listens at is an error", () =>
    expect(fails({ process }, { placement: { consoleSocket: bundle.path("nobody.sock") } })).toBe(
      `cannot connect to the console socket ${bundle.path("nobody.sock")}: no such file or directory (ENOENT)`,
    ))
})

describe("a system call filter", () => {
  const filter = (action: string, errnoRet?: number) => ({
    seccomp: {
      defaultAction: "SCMP_ACT_ALLOW",
      syscalls: [{ names: ["mkdir", "mkdirat"], action, ...(errnoRet !== undefined && { errnoRet }) }],
    },
  })
  const makes = "busybox mkdir /tmp/d 2>&1; echo $?; rmdir /tmp/d 2>/dev/null; :"
  test("answers an errno", () => {
    expect(sees({ linux: filter("SCMP_ACT_ERRNO") }, makes)).toBe(
      "mkdir: can't create directory '/tmp/d': Operation not permitted\n1\n",
    )
    expect(sees({ linux: filter("SCMP_ACT_ERRNO", 28) }, makes)).toContain("No space left on device")
    // Nobody traces it: ENOSYS.
    expect(sees({ linux: filter("SCMP_ACT_TRACE") }, makes)).toContain("Function not implemented")
  })
  test("kills, by SIGSYS", () => {
    for (const action of ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"])
      expect(
        sees({ linux: filter(action) }, makes)
          .split("\n")
          .at(-2),
      ).toBe("159")
  })
  test("allows, and logs", () => {
    for (const action of ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"])
      expect(
        sees({ linux: filter(action) }, makes)
          .split("\n")
          .at(-2),
      ).toBe("0")
  })
  test("that denies execve says so, whoever is there to hear it", () =>
    expect(
      fails({
        linux: {
          seccomp: {
            defaultAction: "SCMP_ACT_ALLOW",
            syscalls: [{ names: ["execve"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
          },
        },
      }),
    ).toBe('cannot run "sh": operation not permitted (EPERM)'))
})
