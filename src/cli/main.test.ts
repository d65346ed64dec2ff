import { describe, expect, test } from "bun:test"
import { type Played, play, type World, withoutCodes, words } from "../../test/cli/recorder.ts"
import { EngineError } from "../base/errors.ts"
import type { BecomeOptions, LogLine, Summary } from "../engine/types.ts"
import type { Request } from "../model/request.ts"
import { COMMANDS } from "./commands.ts"

/** What a line prints and asks; what is not expected must be empty or 0. */
function check(
  line: string,
  expected: Partial<Pick<Played, "stdout" | "stderr" | "status" | "asked">>,
  world: World = {},
) {
  test(`minicontainer ${line}`, async () => {
    const { stdout, stderr, status, asked } = await play(words(line), world)
    expect({ stdout, stderr: withoutCodes(stderr), status, ...(expected.asked && { asked }) }).toEqual({
      stdout: "",
      stderr: "",
      status: 0,
      ...expected,
    })
  })
}
const notFound = (name: string) =>
  new EngineError("CONTAINER_NOT_FOUND", `cannot find container ${name}: no such name or id`)

describe("the door", () => {
  check("rnu", {
    status: 125,
    stderr: "minicontainer: cannot run rnu: there is no such command\n  hint: did you mean run?\n",
  })
  check("banana", {
    status: 125,
    stderr: "minicontainer: cannot run banana: there is no such command\n  hint: all commands: minicontainer help\n",
  })
  check("pull alpine", {
    status: 125,
    stderr: "minicontainer: cannot run pull: it is not built yet\n  hint: all commands: minicontainer help\n",
  })
  const below =
    "after container there are run, create, start, restart, attach, rename, exec, ls, list, ps, logs, inspect, cp, diff, export, stop, kill, wait, pause, unpause, rm, remove, prune, port"
  for (const [line, cause, hint] of [
    ["container", "container: there is no such command", below],
    ["container rnu", "container rnu: there is no such command", "did you mean run?"],
    ["container stats x", "container stats: it is not built yet", below],
  ] as const)
    check(line, { status: 125, stderr: `minicontainer: cannot run ${cause}\n  hint: ${hint}\n` })
  check("--rot /x ps", {
    status: 125,
    stderr: "minicontainer: cannot use --rot: unknown flag\n  hint: did you mean --root?\n",
  })
  check("ps --hlep", {
    status: 125,
    stderr: "minicontainer: cannot use --hlep: unknown flag\n  hint: did you mean --help?\n",
  })
  check("--version", { stdout: "minicontainer version 0.1.0\n" })
  check("-v", { stdout: "minicontainer version 0.1.0\n" })
  check("version --format '{{.Client.Version}} {{.Server.Version}}'", { stdout: "0.1.0 0.1.0\n" })
  check("ps a", {
    status: 125,
    stderr: "minicontainer: cannot run ps: a is too many\n  hint: minicontainer ps [OPTIONS]\n",
  })
  check("stop", {
    status: 125,
    stderr: "minicontainer: cannot run stop: CONTAINER is missing\n  hint: minicontainer stop [OPTIONS] CONTAINER...\n",
  })
  check("exec web", {
    status: 125,
    stderr:
      "minicontainer: cannot run exec: COMMAND is missing\n  hint: minicontainer exec [OPTIONS] CONTAINER COMMAND [ARG...]\n",
  })

  const roots = (line: string, env: Record<string, string>, expected: object) =>
    test(`roots of ${line}`, async () => {
      const engine = { ps: async () => ({ containers: [], broken: [] }) }
      expect((await play(words(line), { env, engine })).roots).toEqual(expected)
    })
  roots("ps", {}, {})
  roots("--root /a --run-root=/b ps", { MINICONTAINER_ROOT: "/c" }, { root: "/a", runRoot: "/b" })
  roots("ps", { MINICONTAINER_ROOT: "/c", MINICONTAINER_RUN_ROOT: "/d" }, { root: "/c", runRoot: "/d" })
  roots("--root here --run-root ../run ps", {}, { root: "/home/me/here", runRoot: "/home/run" })
  check('--root "" rm --all --force', {
    status: 125,
    stderr: 'minicontainer: cannot use --root "": it names nothing\n  hint: is a variable empty?\n',
  })

  test("a wrong flag opens no engine", async () => expect((await play(words("ps --nonsense"))).roots).toBeUndefined())

  const fault: World = { engine: { info: async () => JSON.parse("{") } }
  test("a fault of ours is one line and a hint", async () => {
    const { stderr, status } = await play(["info"], fault)
    expect(status).toBe(125)
    expect(stderr).toMatch(
      /^minicontainer: cannot go on: .*\n {2}hint: this is a fault of minicontainer; MINICONTAINER_DEBUG=1 shows where\n$/,
    )
  })
  test("with --debug it shows where", async () => {
    const { stderr } = await play(["--debug", "info"], fault)
    expect(stderr).toContain("main.test.ts")
  })
  test("an error is one line, and no name in it moves the cursor", async () => {
    const { stderr } = await play(["stop", "a\nb\x1b[2J"], {
      engine: { stop: (name) => Promise.reject(notFound(name)) },
    })
    expect(withoutCodes(stderr)).toBe("minicontainer: cannot find container a\\x0ab\\x1b[2J: no such name or id\n")
  })
  test("colour on a terminal only, and not against NO_COLOR", async () => {
    const red =
      "\x1b[1m\x1b[31mminicontainer:\x1b[39m\x1b[22m cannot run x: there is no such command \x1b[2m[USAGE]\x1b[22m\n  \x1b[2mhint: all commands: minicontainer help\x1b[22m\n"
    expect((await play(["x"], { terminal: true })).stderr).toBe(red)
    expect((await play(["x"], { terminal: true, env: { NO_COLOR: "1" } })).stderr).not.toContain("\x1b")
  })
})

describe("help", () => {
  test("of the whole lists every command that people type", async () => {
    const { stdout } = await play([])
    for (const [name, { group, about }] of Object.entries(COMMANDS)) {
      if (group) expect(stdout).toMatch(new RegExp(`^  ${name} +${about}$`, "m"))
      else expect(stdout).not.toContain(about)
    }
    expect((await play(["--help"])).stdout).toBe(stdout)
    expect((await play(["help"])).stdout).toBe(stdout)
  })
  for (const name of Object.keys(COMMANDS))
    test(`of ${name} fits 100 columns, has an example, and is the same by all ways`, async () => {
      const { stdout } = await play([name, "--help"])
      expect(stdout.startsWith(`Usage: minicontainer ${name}`)).toBe(true)
      expect(stdout).toContain(`\nExample:\n  minicontainer ${name}`)
      expect(stdout.split("\n").filter((line) => line.length > 100)).toEqual([])
      expect((await play(["help", name])).stdout).toBe(stdout)
    })
  test("of stop", async () => {
    expect((await play(words("stop --help"))).stdout).toBe(`Usage: minicontainer stop [OPTIONS] CONTAINER...

End running containers, gently first

Sends the stop signal, waits, then sends KILL. A container that does not run is left alone.

Example:
  minicontainer stop web
  minicontainer stop --timeout 2 web db

Also:
  minicontainer container stop

Options:
  -s, --signal SIGNAL     What to send first (default: the container's own, else TERM)
  -t, --timeout SECONDS   Wait before KILL; -1: for ever (default: the container's own, else 10)
`)
  })
  check("help lgos", {
    status: 125,
    stderr: "minicontainer: cannot help with lgos: there is no such command\n  hint: did you mean logs?\n",
  })
  test("every flag of run that is refused says why", async () => {
    const page = await COMMANDS.run!.page()
    const refused = Object.entries(page.options).filter(([, { refuse }]) => refuse !== undefined)
    expect(refused.length).toBeGreaterThan(30)
    for (const [name, { refuse, value }] of refused) {
      const { stderr, status } = await play(["run", `--${name}`, ...(value ? ["x"] : []), "--rootfs", "/", "true"])
      expect([status, stderr]).toEqual([125, `minicontainer: cannot use --${name}: ${refuse} [UNSUPPORTED]\n`])
    }
  })
})

const container = (more: Partial<Summary>): Summary => ({
  id: "4e5b1b0a0b0c".padEnd(64, "0"),
  name: "web",
  image: "/srv/web",
  command: "sh -c 'sleep 100; echo hello'",
  created: "2026-01-02T08:30:00.123456789Z",
  status: "running",
  statusText: "Up 2 hours",
  labels: { a: "b", c: "d" },
  mounts: ["/data"],
  networks: [],
  ports: [],
  ...more,
})

describe("ps", () => {
  const db = container({
    id: "f".repeat(64),
    name: "db",
    command: "db",
    image: "/",
    status: "exited",
    statusText: "Exited (0) 3 days ago",
    created: "2025-12-29T08:30:00Z",
    labels: {},
  })
  const world: World = { engine: { ps: async () => ({ containers: [container({}), db], broken: [] }) } }
  check(
    "ps",
    {
      stdout: `CONTAINER ID   IMAGE      COMMAND                  CREATED       STATUS                  PORTS     NAMES
4e5b1b0a0b0c   /srv/web   "sh -c 'sleep 100; e…"   2 hours ago   Up 2 hours                        web
ffffffffffff   /          "db"                     4 days ago    Exited (0) 3 days ago             db
`,
    },
    world,
  )
  check("container ls -q", { stdout: "4e5b1b0a0b0c\nffffffffffff\n" }, world)
  check("ps -q --no-trunc", { stdout: `${container({}).id}\n${db.id}\n` }, world)
  check(
    "ps --format '{{.Names}} {{.Command}}' --no-trunc",
    { stdout: `web "sh -c 'sleep 100; echo hello'"\ndb "db"\n` },
    world,
  )
  check(
    "ps --format 'table {{.ID}}\\t{{upper .Names}}'",
    { stdout: "CONTAINER ID   NAMES\n4e5b1b0a0b0c   WEB\nffffffffffff   DB\n" },
    world,
  )
  check(
    `ps --format '{{.Label "a"}}|{{.Labels}}|{{.State}}|{{.CreatedAt}}'`,
    {
      stdout: "b|a=b,c=d|running|2026-01-02 08:30:00 +0000 UTC\n||exited|2025-12-29 08:30:00 +0000 UTC\n",
    },
    world,
  )
  check(
    "ps --format '{{range .}}x{{end}} {{.}}'",
    {
      stdout: `xxxxxxxxxxxxxx {"sh -c 'sleep 100; e…" 2026-01-02 08:30:00 +0000 UTC 4e5b1b0a0b0c /srv/web a=b,c=d 0 /data web   2 hours ago 0B running Up 2 hours}
`,
    },
    { engine: { ps: async () => ({ containers: [container({})], broken: [] }) } },
  )
  check("ps --filter publish=80", {
    status: 125,
    stderr: "minicontainer: cannot use --filter publish=80: networks are not built yet\n",
  })
  check(
    "ps --format json",
    {
      stdout: `{"Command":"\\"sh -c 'sleep 100; e…\\"","CreatedAt":"2026-01-02 08:30:00 +0000 UTC","ID":"4e5b1b0a0b0c","Image":"/srv/web","Labels":"a=b,c=d","LocalVolumes":"0","Mounts":"/data","Names":"web","Networks":"","Ports":"","RunningFor":"2 hours ago","Size":"0B","State":"running","Status":"Up 2 hours"}
`,
    },
    { engine: { ps: async () => ({ containers: [container({})], broken: [] }) } },
  )
  check(
    "ps --format '{{.Foo}}'",
    {
      status: 125,
      stderr:
        "minicontainer: cannot use the template: there is no field Foo (column 3)\n  hint: there are Command, CreatedAt, ID, Image, Labels, LocalVolumes, Mounts, Names, Networks, Ports, RunningFor, Size, State, Status, Label\n",
    },
    world,
  )
  check(
    "ps -aq --filter status=exited -f status=dead --filter label=a=b",
    {
      stdout: "",
      asked: [["ps", { all: true, filters: { status: ["exited", "dead"], label: ["a=b"] } }]],
    },
    { engine: { ps: async () => ({ containers: [], broken: [] }) } },
  )
  check(
    "ps -l --format x",
    { asked: [["ps", { all: false, last: 1 }]] },
    { engine: { ps: async () => ({ containers: [], broken: [] }) } },
  )
  check("ps --filter stauts=x", {
    status: 125,
    stderr: "minicontainer: cannot use --filter stauts=x: there is no filter stauts\n  hint: did you mean status?\n",
  })
  check(
    "ps -q",
    { stderr: "minicontainer: warning: container abc is left out: container.json is no JSON\n" },
    {
      engine: { ps: async () => ({ containers: [], broken: [{ id: "abc", why: "container.json is no JSON" }] }) },
    },
  )
})

describe("stop and rm try every name", () => {
  const stop = async (name: string) => {
    if (name.startsWith("no")) throw notFound(name)
  }
  check(
    "stop -t 3 -s INT web db",
    {
      stdout: "web\ndb\n",
      asked: [
        ["stop", "web", { graceMs: 3000, signal: "INT" }],
        ["stop", "db", { graceMs: 3000, signal: "INT" }],
      ],
    },
    { engine: { stop } },
  )
  check("stop -t -1 web", { stdout: "web\n", asked: [["stop", "web", { graceMs: -1000 }]] })
  check("stop --time 0 web", { stdout: "web\n", asked: [["stop", "web", { graceMs: 0 }]] })
  check(
    "stop no1 web no2 db",
    {
      stdout: "web\ndb\n",
      status: 1,
      stderr:
        "minicontainer: cannot find container no1: no such name or id\nminicontainer: cannot find container no2: no such name or id\n",
    },
    { engine: { stop } },
  )
  check(
    "rm no1 web",
    { stdout: "web\n", status: 1, stderr: "minicontainer: cannot find container no1: no such name or id\n" },
    { engine: { rm: stop } },
  )
  check(
    "rm -f no1 web",
    {
      stdout: "web\n",
      stderr: "minicontainer: cannot find container no1: no such name or id\n",
      asked: [
        ["rm", "no1", { force: true }],
        ["rm", "web", { force: true }],
      ],
    },
    { engine: { rm: stop } },
  )
  const some: World = {
    engine: {
      ps: async () => ({
        containers: [container({}), container({ id: "old", status: "exited" })],
        broken: [{ id: "bad", why: "" }],
      }),
    },
  }
  check("rm --all", { stdout: "old\n" }, some)
  check("rm --all --force", { stdout: `${container({}).id}\nold\nbad\n` }, some)
  check("rm", {
    status: 125,
    stderr: "minicontainer: cannot run rm: CONTAINER is missing\n  hint: minicontainer rm CONTAINER... or rm --all\n",
  })
  check("rm -a web", {
    status: 125,
    stderr:
      "minicontainer: cannot run rm: --all and names exclude each other\n  hint: minicontainer rm CONTAINER... or rm --all\n",
  })
})

describe("logs", () => {
  const line = (stream: "stdout" | "stderr", text: string): LogLine => ({
    stream,
    time: "2026-01-02T10:30:00.000000001Z",
    bytes: Buffer.from(text),
  })
  const logs = async function* () {
    yield line("stdout", "out\n")
    yield line("stderr", "err\n")
    yield line("stdout", "in pie")
    yield line("stderr", "between\n")
    yield line("stdout", "ces\n")
  }
  check("logs web", { stdout: "out\nin pieces\n", stderr: "err\nbetween\n" }, { engine: { logs } })
  check(
    "logs -t web",
    {
      stdout: "2026-01-02T10:30:00.000000001Z out\n2026-01-02T10:30:00.000000001Z in pieces\n",
      stderr: "2026-01-02T10:30:00.000000001Z err\n2026-01-02T10:30:00.000000001Z between\n",
    },
    { engine: { logs } },
  )
  check(
    "logs -f -n 20 --since 10m --until 5m web",
    { asked: [["logs", "web", { follow: true, tail: 20, since: "10m", until: "5m", warn: expect.any(Function) }]] },
    { engine: { logs: async function* () {} } },
  )
  check(
    "logs --tail all web",
    { asked: [["logs", "web", { follow: false, warn: expect.any(Function) }]] },
    { engine: { logs: async function* () {} } },
  )
  check(
    "logs -f web",
    { stdout: "later\n", stderr: "minicontainer: warning: lines are missing here\n" },
    {
      engine: {
        logs: async function* (_, options) {
          options?.warn?.("lines are missing here")
          yield { stream: "stdout", time: "", bytes: Buffer.from("later\n") }
        },
      },
    },
  )
  check("logs --tail few web", {
    status: 125,
    stderr: "minicontainer: cannot use --tail few: neither a number of lines nor all\n",
  })
  check("logs web", { stdout: "out\n", stderr: "err\n", status: 141 }, { engine: { logs }, readsOnly: 1 })
  test("bytes are passed on as they are", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, n) => n)
    const binary = async function* () {
      yield { ...line("stdout", ""), bytes }
    }
    const { stdout } = await play(["logs", "web"], { engine: { logs: binary } })
    expect(Buffer.from(stdout, "latin1")).toEqual(Buffer.from(bytes))
  })
})

describe("inspect", () => {
  const inspect = async (name: string) => {
    if (name.startsWith("no")) throw notFound(name)
    return { Id: "4e5b", Name: `/${name}`, Config: { Labels: { x: "y" } } }
  }
  const inspectImage = async (name: string) => {
    throw new EngineError("IMAGE_NOT_FOUND", `cannot find image ${name}`)
  }
  check(
    "inspect web",
    {
      stdout: `[
    {
        "Id": "4e5b",
        "Name": "/web",
        "Config": {
            "Labels": {
                "x": "y"
            }
        }
    }
]
`,
    },
    { engine: { inspect } },
  )
  check(
    "inspect -f '{{.Name}} {{.Config.Labels.x}} {{.Config.Labels.z}}' web db",
    { stdout: "/web y <no value>\n/db y <no value>\n" },
    { engine: { inspect } },
  )
  check(
    "inspect -f json web",
    { stdout: '{"Id":"4e5b","Name":"/web","Config":{"Labels":{"x":"y"}}}\n' },
    { engine: { inspect } },
  )
  check(
    "inspect nosuch",
    { stdout: "[]\n", status: 1, stderr: "minicontainer: cannot find container nosuch: no such name or id\n" },
    { engine: { inspect, inspectImage } },
  )
  check(
    "inspect --type image -f {{.Os}} web",
    { stdout: "linux\n" },
    { engine: { inspectImage: async () => ({ Id: "sha256:1", Name: "", Os: "linux" }) } },
  )
})

describe("exec", () => {
  const check = (line: string, container: string, request: object) =>
    test(`exec ${line}`, async () => {
      const { asked } = await play(["exec", ...words(line)], { terminal: true, env: { HOME: "/root" } })
      expect(asked[0]?.slice(0, 3)).toEqual(["becomeExec", container, request])
      expect(asked[0]?.[3]).toMatchObject({ failed: ["/usr/bin/minicontainer", "report"] })
    })
  check("web ls -l", "web", { args: ["ls", "-l"] })
  check("-it -u 0 -w /x -e A=b -e HOME --privileged web sh", "web", {
    args: ["sh"],
    interactive: true,
    tty: true,
    user: "0",
    workdir: "/x",
    env: ["A=b", "HOME=/root"],
    privileged: true,
  })
  check("-d web sleep 1", "web", { args: ["sleep", "1"], detached: true })
  test("a terminal needs one", async () => {
    expect((await play(words("exec -it web sh"))).stderr).toContain("cannot use --tty: the input device is not a TTY")
  })
})

describe("explain", () => {
  const step = { phase: "host", op: "mkdir", path: "/x", mode: 493, does: "make /x", why: "it is missing" } as const
  const frame = { stay: 0, detachKeys: new Uint8Array([16, 17]) }
  const explained = async () => ({ plan: { frame, steps: [step], warnings: ["no IPv6 here"] }, config: {} }) as never
  test("the page names the step and its reason", async () => {
    const { stdout } = await play(words("explain --rootfs / true"), { engine: { explain: explained } })
    expect(stdout).toContain("make /x")
    expect(stdout).toContain("it is missing")
    expect(stdout).toContain("no IPv6 here")
    expect(stdout).not.toContain("\x1b")
  })
  test("as JSON, with bytes in base64", async () => {
    const { stdout } = await play(words("explain --rootfs / --format json true"), { engine: { explain: explained } })
    expect(JSON.parse(stdout)).toMatchObject({
      frame: { detachKeys: "EBE=" },
      steps: [{ op: "mkdir", path: "/x" }],
      warnings: ["no IPv6 here"],
    })
  })
  test("one word and no --rootfs is a container that is there", async () => {
    const { asked } = await play(words("explain web"), { engine: { explainContainer: explained } })
    expect(asked).toEqual([["explainContainer", "web"]])
  })
  check(
    "explain web",
    {
      status: 1,
      stderr:
        "minicontainer: cannot find container web: no such name or id\n  hint: nor is there an image of this name; of a directory: minicontainer explain --rootfs DIR [COMMAND]\n",
    },
    {
      engine: {
        explainContainer: async (name) => {
          throw notFound(name)
        },
        explain: async () => {
          throw new EngineError("IMAGE_NOT_FOUND", "cannot find image web")
        },
      },
    },
  )
})

describe("info", () => {
  const info = async () => ({
    ServerVersion: "0.1.0",
    MemTotal: 3 * 2 ** 29,
    Cgroups: { Mode: "v2", Controllers: ["cpu", "pids"] },
  })
  check(
    "info",
    { stdout: "ServerVersion: 0.1.0\nMemTotal: 1.5GiB\nCgroups:\n  Mode: v2\n  Controllers: cpu pids\n" },
    { engine: { info } },
  )
  check("system info -f '{{.Cgroups.Mode}} {{.MemTotal}}'", { stdout: "v2 1610612736\n" }, { engine: { info } })
})

describe("report, what the executor becomes when a step fails", () => {
  check("report --ops mkdir,new-mount,exec --arg0 sh 1 1 0 'mount proc on /proc'", {
    status: 125,
    stderr:
      "minicontainer: cannot mount proc on /proc: not allowed in this user namespace (EPERM, step 2 of 3)\n  hint: try --userns host, or share fewer namespaces with the host\n",
  })
  check("report --ops mkdir,exec --arg0 nope 1 2 0 'run nope'", {
    status: 127,
    stderr: `minicontainer: cannot run "nope": not found in the container's PATH\n`,
  })
  check("report --ops mkdir,exec --arg0 /etc 1 13 1 'run /etc'", {
    status: 126,
    stderr: 'minicontainer: cannot run "/etc": is a directory\n',
  })
  const FAILED = "report --ops mkdir,clone-mount --fact '1=/srv/my root' --"
  test("the run that failed is tried once more, with what the step has shown", async () => {
    const { asked, roots } = await play(
      words(`--root /r ${FAILED} run --rm --rootfs '/srv/my root' --name web sh -c 'echo --' 1 1 0 'show it'`),
    )
    expect(asked).toHaveLength(1)
    const [verb, request, options] = asked[0] as ["become", Request, BecomeOptions]
    expect([verb, roots]).toEqual(["become", { root: "/r" }])
    expect(request).toEqual({ rootfs: "/srv/my root", args: ["sh", "-c", "echo --"], name: "web", remove: true })
    expect(options.corrected).toEqual({ fact: "/srv/my root", does: "show it", errno: "EPERM" })
    expect(options.failed).toEqual(["/usr/bin/minicontainer", "--root", "/r", "report"])
    // Without words there is no third time.
    expect(options.again).toBeUndefined()
  })
  check(`${FAILED} run --rootfs /x true 0 1 0 'make it'`, {
    status: 125,
    asked: [],
    stderr: "minicontainer: cannot make it: operation not permitted (EPERM, step 1 of 2)\n",
  })
  check(`${FAILED} run --rootfs /x true 1 5 0 'show it'`, {
    status: 125,
    asked: [],
    stderr: "minicontainer: cannot show it: input/output error (EIO, step 2 of 2)\n",
  })
  check("report --ops mkdir x 1 0 y", { status: 125, stderr: "minicontainer: cannot report: x is not a number\n" })
})
