import { expect, test } from "bun:test"
import { linkUp } from "../formats/netlink/route.ts"
import { explain, explainPlan, planJson } from "./explain.ts"
import type { Frame, Plan, Step } from "./step.ts"

const frame: Frame = {
  stay: 1,
  outer: 1,
  stdio: 0,
  uid: 100_000,
  gid: 100_000,
  status: "/c/1/status",
  log: "/c/1/log",
  logBytes: 2n ** 63n,
  logFiles: 3,
  control: "/run/c/1/control",
  detachKeys: Uint8Array.of(16, 17),
  failed: [],
  rows: 0,
  columns: 0,
}
const group: Step = {
  phase: "host",
  op: "mkdir",
  path: "/sys/fs/cgroup/minicontainer/c1",
  mode: 0o755,
  ok: ["EEXIST"],
  does: "make the cgroup /minicontainer/c1",
  why: "its files count what the container uses, and limit it",
  undo: { op: "remove-cgroup", path: "/sys/fs/cgroup/minicontainer/c1", does: "remove the cgroup /minicontainer/c1" },
}
const clone: Step = {
  phase: "clone",
  op: "clone",
  flags: 0x6c020000 | 0x10000000,
  join: [],
  kinds: [],
  gives: "child",
  does: "clone a process with its own user, mount, uts, ipc, pid, network",
  why: "one call makes the container's first process and everything that separates it from the host",
}
const proc: Step = {
  phase: "child",
  op: "new-mount",
  type: "proc",
  source: "proc",
  options: [],
  attributes: 14,
  target: "/proc",
  does: "mount proc on /proc",
  why: "it shows the processes of the pid namespace that it is mounted in",
}
const loopback: Step = {
  phase: "child",
  op: "netlink",
  protocol: 0,
  messages: linkUp(1),
  fds: [],
  offsets: [],
  must: false,
  does: "set the loopback interface up",
  why: "in a new network namespace even localhost is down, and programs rely on it",
}
const exec: Step = {
  phase: "start",
  op: "exec",
  argv: ["echo", "hello world"],
  env: ["PATH=/bin"],
  path: ["/bin"],
  does: "run echo",
  why: "what is left of us is the ids, the limits and the namespaces",
}
const plan: Plan = {
  frame,
  steps: [group, clone, proc, loopback, exec],
  warnings: ["--memory is not enforced: this host has no memory controller"],
}

test("the short form: a line a step, with what it takes and gives", () => {
  const layers: Step = {
    phase: "host",
    op: "overlay",
    layers: "layers",
    lower: ["app", "base"],
    options: [],
    target: "/c/root",
    gives: "root",
    does: "stack 2 layers, changes in /c/1",
    why: "they are shared",
  }
  const view: Step = {
    phase: "parent",
    op: "clone-mount",
    source: "/v",
    recursive: 1,
    userns: "userns",
    set: 0,
    clear: 0,
    propagation: 0,
    gives: "volume 2",
    does: "show /v with the container's ids, which takes more room than there is",
    why: "owners",
  }
  const started: Step = { phase: "started", op: "unlink", path: "/x", does: "remove /x", why: "done" }
  expect(explain([group, layers, view, started])).toBe(`
host   make the cgroup /minicontainer/c1
host   stack 2 layers, changes in /c/1              ($layers: app, base) → $root
parent show /v with the container's ids, which takes more room than there is ($userns) → \${volume 2}
started remove /x`)
})

test("the page: phases, steps, system calls, reasons, undos", () => {
  expect(explainPlan(plan)).toBe(`\
5 steps, 1 of them with an undo.
warning: --memory is not enforced: this host has no memory controller

host ─── the executor, before the container's first process exists ─────────────────────────────────

  1  make the cgroup /minicontainer/c1
       mkdir("/sys/fs/cgroup/minicontainer/c1", 0755)
     its files count what the container uses, and limit it
     fine if it is there already (EEXIST)
     undo: remove the cgroup /minicontainer/c1
       kill(whoever is left in "/sys/fs/cgroup/minicontainer/c1", SIGKILL)
       rmdir("/sys/fs/cgroup/minicontainer/c1")

clone ─── the one call that makes it ───────────────────────────────────────────────────────────────

  2  clone a process with its own user, mount, uts, ipc, pid, network
       $child = clone3({flags: CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNS|CLONE_NEWNET|CLONE_NEWIPC|
           CLONE_NEWUTS|CLONE_PIDFD})
     one call makes the container's first process and everything that separates it from the host

child ─── inside, while the executor waits ─────────────────────────────────────────────────────────

  3  mount proc on /proc
       mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC)
     it shows the processes of the pid namespace that it is mounted in

  4  set the loopback interface up
       ip link set lo up
     in a new network namespace even localhost is down, and programs rely on it
     if it fails, that is a warning and the rest goes on

start ─── inside: the last things before it becomes the program ────────────────────────────────────

  5  run echo
       close_range(3, ~0)
       execve("echo", ["echo", "hello world"], ["PATH=/bin"])
     what is left of us is the ids, the limits and the namespaces

afterwards ─── what stays ──────────────────────────────────────────────────────────────────────────

     a monitor, the parent of the container, as process 1 of a pid namespace around it: if it dies,
     so do all inside
     it writes what the container says to /c/1/log
     it listens on /run/c/1/control for who wants to attach
     it keeps the state in /c/1/status
`)
})

test("the page fits the columns it is given", () => {
  for (const columns of [60, 80, 100]) {
    const widths = explainPlan(plan, { columns })
      .split("\n")
      .map((line) => line.length)
    expect(Math.max(...widths)).toBeLessThanOrEqual(columns)
  }
})

test("without columns to speak of it still comes out, wider", () => {
  expect(explainPlan(plan, { columns: 1 })).toContain("mount proc on /proc")
})

test("colour is added, never anything else", () => {
  const coloured = explainPlan(plan, { colour: true })
  expect(coloured).toContain("\x1b[1mmount proc on /proc\x1b[0m")
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what colour is made of
  expect(coloured.replace(/\x1b\[[\d;]*m/g, "")).toBe(explainPlan(plan))
  expect(explainPlan(plan)).not.toContain("\x1b")
})

test("hostile text cannot colour, move or break the page", () => {
  const hostile = { ...proc, does: "mount \x1b[2J on /a\nb", why: "\x9b31m \u202e", target: "/\x1b]0;x\x07" } as Step
  const page = explainPlan({ ...plan, steps: [hostile], warnings: ["\x1b[1m"] })
  expect(page).toContain("mount \\x1b[2J on /a\\nb")
  // biome-ignore lint/suspicious/noControlCharactersInRegex: looking for exactly these
  expect(page).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/)
  expect(explain([hostile])).toBe("\nchild  mount \\x1b[2J on /a\\nb")
})

test("an undo that is for failures says so", () => {
  const step = { ...group, undo: { op: "rmdir", path: "/x", does: "remove /x", when: "failure" } } as Step
  expect(explainPlan({ ...plan, steps: [step] })).toContain(
    'undo, if a later step fails: remove /x\n       rmdir("/x")',
  )
})

test("a plan for the executor alone has nothing afterwards; one without a monitor says who waits", () => {
  expect(explainPlan({ frame, steps: [group], warnings: [] })).not.toContain("afterwards")
  expect(explainPlan({ ...plan, frame: { ...frame, stay: 0 } })).toContain(
    "nobody: the executor ends, and whoever called it waits for the container",
  )
})

test("as JSON: everything, in words that JSON has", () => {
  const json = JSON.parse(JSON.stringify(planJson({ ...plan, steps: [loopback, group] })))
  expect(json.frame).toMatchObject({ detachKeys: "EBE=", logBytes: "9223372036854775808", logFiles: 3 })
  expect(json.phases.child).toBe("inside, while the executor waits")
  expect(json.warnings).toEqual(plan.warnings)
  expect(json.steps[0]).toEqual({
    number: 1,
    phase: "child",
    op: "netlink",
    protocol: 0,
    messages: Buffer.from(linkUp(1)).toString("base64"),
    fds: [],
    offsets: [],
    must: false,
    does: "set the loopback interface up",
    why: "in a new network namespace even localhost is down, and programs rely on it",
    calls: ["ip link set lo up"],
  })
  expect(json.steps[1].undo).toEqual({
    op: "remove-cgroup",
    path: "/sys/fs/cgroup/minicontainer/c1",
    does: "remove the cgroup /minicontainer/c1",
    calls: [
      'kill(whoever is left in "/sys/fs/cgroup/minicontainer/c1", SIGKILL)',
      'rmdir("/sys/fs/cgroup/minicontainer/c1")',
    ],
  })
})

test("base64 as everybody else makes it, whatever the length", () => {
  for (const length of [0, 1, 2, 3, 4, 5, 255]) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 73) & 0xff)
    const json = planJson({ ...plan, frame: { ...frame, detachKeys: bytes } }) as { frame: { detachKeys: string } }
    expect(json.frame.detachKeys).toBe(Buffer.from(bytes).toString("base64"))
  }
})
