/**
 * A step is one kernel operation, as a value; a plan is a list of them.
 *
 *     step    phase   op     arguments         does, why           undo
 *             where   which  of that op        the text a person   what takes
 *             it runs kernel (rows of OPS)     reads               it back
 *                     call
 *
 * The rows of OPS are the whole vocabulary between TypeScript and the executor: the types below, the wire
 * format (wire.ts), the printed system calls (explain.ts) and `native/ops.gen.h` all come from them.
 *
 * Values that are known only while a plan runs (fds, the child's pid) live in named slots: one step `gives` a slot,
 * later steps take it. A step that takes a slot which was never filled, because its giver failed with an errno listed
 * in `ok` or with `must: false`, is skipped. check.ts proves that every slot is set before use.
 *
 * Read on: plan.ts, the order of all steps.
 */

/**
 * Where a step runs, in the order in which phases happen.
 * - `host`: the executor, before the child exists.
 * - `clone`: exactly one step, the `clone`.
 * - `parent`: the executor, while the child waits.
 * - `child`: inside, while the executor waits. Paths are resolved inside the root once `pivot` has run.
 * - `outside`: the executor, while the child waits with all its mounts in place, its root not yet alone: hooks of the host. Absent: nobody waits.
 * - `inside`: the child goes on: hooks again, and what must come after them.
 * - `gate`: inside: waits for `start` (create/start of the OCI runtime door). Absent: nothing waits.
 * - `start`: inside: hooks, credentials, seccomp, exec. The last step is `exec`.
 * - `started`: the executor, once the program runs.
 * - `exit`: the executor, when process 1 is gone, before the undos of all other steps run in reverse.
 * - `end`: the executor, after the undos: what remains of a container that is to leave nothing (`--rm`). It ends with the first step that fails and must not.
 */
export const PHASES = ["host", "clone", "parent", "child", "outside", "inside", "gate", "start", "started", "exit", "end"] as const
export type Phase = (typeof PHASES)[number]

/**
 * The kinds of argument.
 * - `text`: a string without NUL. `bytes`: anything. `number`: 0 … 2^64-1. `texts`, `numbers`: lists of them.
 * - `fd`: the name of a slot. `fds`: a list of such names.
 * - With `?`: may be absent.
 */
type Kinds = {
  text: string
  "text?": string | undefined
  bytes: Uint8Array
  "bytes?": Uint8Array | undefined
  number: number | bigint
  "number?": number | bigint | undefined
  texts: readonly string[]
  numbers: readonly (number | bigint)[]
  fd: Slot
  "fd?": Slot | undefined
  fds: readonly Slot[]
}
export type Kind = keyof Kinds

/** The name of a slot, as `explain` prints it behind a `$`: "root", "userns", "volume 2". */
export type Slot = string

type Row = { readonly code: number; readonly about: string; readonly args: Readonly<Record<string, Kind>> }

/**
 * The op table. A code is never used twice and never changes its meaning within one WIRE_VERSION.
 * Flags and numbers are the kernel's own (`MS_*`, `MOUNT_ATTR_*`, `CLONE_*` …).
 */
export const OPS = {
  // Files. Paths are the host's, except in the phases child, gate and start after `pivot`.
  mkdir: { code: 1, about: "mkdir(2), then chown(2) if uid is given", args: { path: "text", mode: "number", uid: "number?", gid: "number?" } },
  rmdir: { code: 2, about: "rmdir(2)", args: { path: "text" } },
  write: { code: 3, about: "open(2) O_WRONLY, one write(2)", args: { path: "text", text: "text" } },
  unlink: { code: 4, about: "unlink(2)", args: { path: "text" } },
  "remove-tree": { code: 5, about: "removes a directory and all below it by fd, following no link and entering no mount", args: { path: "text" } },
  capture: { code: 6, about: "reads a file (at most 64 KiB) into the monitor's status file under `name`", args: { path: "text", name: "text" } },
  mkfifo: { code: 7, about: "mkfifo(3), then chown(2) if uid is given", args: { path: "text", mode: "number", uid: "number?", gid: "number?" } },
  claim: { code: 8, about: "lstat(2): fails if what the engine has written before the first step is not there. Its undo belongs to every failure, also to an earlier one", args: { path: "text" } },
  "copy-file": { code: 9, about: "copies the text of one cgroup file to another if that one is empty (cpuset.cpus of a new v1 group)", args: { from: "text", to: "text" } },
  open: { code: 10, about: "openat2(2) with O_CLOEXEC", args: { path: "text", flags: "number" } },

  // Mounts.
  "private-mounts": { code: 20, about: "opens the present mount namespace (given), unshare(CLONE_NEWNS), makes / a recursive slave", args: {} },
  "enter-mounts": { code: 21, about: "setns(2) into a mount namespace", args: { namespace: "fd" } },
  "clone-mount": {
    code: 22,
    about: "open_tree(2) OPEN_TREE_CLONE of `source` (below `from` if given; `from` itself if source is empty), then one mount_setattr(2): set, clear, propagation, and MOUNT_ATTR_IDMAP with `userns` if given",
    args: { source: "text", from: "fd?", recursive: "number", userns: "fd?", set: "number", clear: "number", propagation: "number" },
  },
  "attach-mount": { code: 23, about: "move_mount(2) of a detached mount to `target`", args: { mount: "fd", target: "text" } },
  "new-mount": {
    code: 24,
    about: "fsopen(2), fsconfig(2) for every option (`key=value` or `flag`), fsmount(2) with `attributes`; move_mount(2) to `target` if given, else the mount is given detached",
    args: { type: "text", source: "text?", options: "texts", attributes: "number", target: "text?" },
  },
  overlay: {
    code: 25,
    about: "mount(2) of overlay at `target` with the lower directories (newest first; below `layers` if given) named by fd, then open_tree(2) OPEN_TREE_CLONE of it (given)",
    args: { layers: "fd?", lower: "texts", upper: "text?", work: "text?", options: "texts", target: "text" },
  },
  "set-mount": { code: 26, about: "mount_setattr(2)", args: { target: "text", recursive: "number", set: "number", clear: "number", propagation: "number" } },
  "mount-point": { code: 27, about: "makes the missing parts of a mount point: directories, and a file at the end if kind is 1", args: { path: "text", kind: "number", mode: "number" } },
  mask: { code: 28, about: "hides a file below a clone of the `null` device, a directory below a clone of the mount `empty`; looks which it is", args: { path: "text", null: "fd", empty: "fd" } },
  pivot: { code: 29, about: "chdir(2), chroot(2): every path now resolves inside `target`, while the old root stays mounted beside it (pivot_root(2) now would lay it on top of /, where `..` of a hostile link leads into it)", args: { target: "text" } },
  "leave-old-root": { code: 30, about: "pivot_root(2), umount2(2) MNT_DETACH of the old root, chdir(2) to /", args: {} },
  unmount: { code: 31, about: "umount2(2) MNT_DETACH", args: { target: "text" } },
  "make-node": {
    code: 32,
    about: "mknodat(2), fchmodat(2), fchownat(2) below a detached mount",
    args: { at: "fd", name: "text", mode: "number", major: "number", minor: "number", uid: "number", gid: "number" },
  },
  "make-dir": { code: 33, about: "mkdirat(2), fchmodat(2), fchownat(2) below a detached mount; name \".\" sets the root's own mode and owner", args: { at: "fd", name: "text", mode: "number", uid: "number", gid: "number" } },
  "make-link": { code: 34, about: "symlinkat(2) below a detached mount", args: { at: "fd", name: "text", target: "text" } },
  chroot: { code: 35, about: "chroot(2), chdir(2) to /", args: { path: "text" } },

  // The child, its namespaces, its cgroup.
  clone: {
    code: 40,
    about: "clone3(2) with flags, CLONE_PIDFD (given) and, if cgroup is given, CLONE_INTO_CGROUP; with `join`, an intermediate process first calls setns(2) on each of them with the CLONE_NEW* of `kinds`",
    args: { flags: "number", cgroup: "fd?", join: "fds", kinds: "numbers" },
  },
  "map-ids": { code: 41, about: "writes /proc/PID/uid_map (kind 0) or gid_map (kind 1) of the child", args: { kind: "number", text: "text" } },
  "open-namespace": { code: 42, about: "opens /proc/PID/ns/NAME of the child", args: { name: "text" } },
  "open-process": { code: 43, about: "pidfd_open(2), then checks the start time (clock ticks since boot, field 22 of /proc/PID/stat): ESRCH if it is another process", args: { pid: "number", start: "number" } },
  "attach-cgroup": { code: 44, about: "writes the child's pid to a cgroup.procs file", args: { path: "text" } },
  "attach-self": { code: 45, about: "writes 0 to a `tasks` file (v1: moves this thread, without the wait of cgroup.procs) or a cgroup.procs file", args: { path: "text" } },
  "write-proc": { code: 46, about: "writes /proc/PID/NAME of the child", args: { name: "text", text: "text" } },
  "join-namespace": { code: 47, about: "setns(2)", args: { namespace: "fd", kind: "number" } },
  unshare: { code: 48, about: "unshare(2)", args: { flags: "number" } },
  "remove-cgroup": { code: 49, about: "kills what is left in a cgroup and below it, waits until it is empty, removes it and all below it", args: { path: "text" } },
  "device-program": { code: 50, about: "bpf(2) BPF_PROG_LOAD of a BPF_PROG_TYPE_CGROUP_DEVICE and BPF_PROG_ATTACH to the cgroup with BPF_F_ALLOW_MULTI", args: { path: "text", program: "bytes" } },
  signal: { code: 51, about: "pidfd_send_signal(2) to an open process", args: { process: "fd", signal: "number" } },
  "await-exit": { code: 52, about: "poll(2) on an open process: ETIMEDOUT if it lives on after `ms`", args: { process: "fd", ms: "number" } },
  "move-processes": { code: 53, about: "mkdir(2) of the cgroup `to` if it is missing, then writes every pid of `from`/cgroup.procs to `to`/cgroup.procs, again and again until none is left: EBUSY if some are seen as 0, of another pid namespace. Done before the monitor is made, which has a pid namespace of its own", args: { from: "text", to: "text" } },

  // Network.
  netlink: { code: 60, about: "socket(2) AF_NETLINK, sends `messages` (each nlmsghdr padded to 4), reads every ack; patches the fd number of `fds[i]` as u32 into byte `offsets[i]` first", args: { protocol: "number", messages: "bytes", fds: "fds", offsets: "numbers" } },
  "hold-port": { code: 61, about: "socket(2), bind(2) to an IPv4 address (4 bytes) and a port, and neither listens nor reads: it stays open until this process ends, and nobody else can have it", args: { protocol: "number", address: "bytes", port: "number" } },

  // What a process is.
  "set-ids": { code: 70, about: "setgroups(2), setresgid(2), setresuid(2), then PR_SET_DUMPABLE: 1 in phase child of a process that has not joined others, who could then look into it; else 0, until exec", args: { uid: "number", gid: "number", groups: "numbers" } },
  hostname: { code: 71, about: "sethostname(2)", args: { name: "text" } },
  domainname: { code: 72, about: "setdomainname(2)", args: { name: "text" } },
  rlimit: { code: 73, about: "prlimit(2), of the child in phase parent, else of this process", args: { resource: "number", soft: "number", hard: "number" } },
  keyring: { code: 74, about: "keyctl(2) KEYCTL_JOIN_SESSION_KEYRING", args: { name: "text" } },
  session: { code: 75, about: "setsid(2)", args: {} },
  "open-terminal": { code: 76, about: "opens /dev/pts/ptmx, unlocks it, opens its other end (given) by TIOCGPTPEER, fchown to uid and gid; the ptmx itself goes to the monitor, or into slot `console` by send-fd", args: { uid: "number", gid: "number", rows: "number", columns: "number", socket: "fd?" } },
  connect: { code: 77, about: "socket(2) AF_UNIX SOCK_STREAM, connect(2), also to paths over 108 bytes", args: { path: "text" } },
  "take-terminal": { code: 78, about: "dup2(2) of the terminal to 0, 1 and 2, ioctl(2) TIOCSCTTY", args: { terminal: "fd" } },
  umask: { code: 79, about: "umask(2)", args: { mask: "number" } },
  chdir: { code: 80, about: "chdir(2), then getcwd(2) must lie inside the root", args: { path: "text" } },
  bounding: { code: 81, about: "PR_CAPBSET_DROP of every capability that is not in the mask", args: { mask: "number" } },
  "keep-capabilities": { code: 82, about: "PR_SET_KEEPCAPS, so that the next set-ids keeps the permitted set", args: {} },
  capabilities: { code: 83, about: "capset(2)", args: { effective: "number", permitted: "number", inheritable: "number" } },
  ambient: { code: 84, about: "PR_CAP_AMBIENT_CLEAR_ALL, then PR_CAP_AMBIENT_RAISE of every capability in the mask", args: { mask: "number" } },
  "no-new-privileges": { code: 85, about: "PR_SET_NO_NEW_PRIVS", args: {} },
  seccomp: { code: 86, about: "seccomp(2) SECCOMP_SET_MODE_FILTER", args: { program: "bytes", flags: "number" } },
  personality: { code: 87, about: "personality(2)", args: { domain: "number" } },
  "io-priority": { code: 88, about: "ioprio_set(2), of the child in phase parent, else of this process", args: { priority: "number" } },
  scheduler: { code: 89, about: "sched_setattr(2), of the child in phase parent, else of this process", args: { policy: "number", flags: "number", nice: "number", priority: "number", runtime: "number", deadline: "number", period: "number" } },
  affinity: { code: 90, about: "sched_setaffinity(2) to a list of CPU numbers, of the child in phase parent, else of this process", args: { cpus: "numbers" } },
  "make-directory": { code: 91, about: "makes a directory inside the root and its missing parents, each owned by uid and gid (the working directory of an image that lacks it)", args: { path: "text", mode: "number", uid: "number", gid: "number" } },
  "close-files": { code: 92, about: "close_range(2) of everything but 0, 1, 2 and the socket to the parent, who learns by its end that the program runs; of these three, what is the host's /dev/null becomes the container's", args: {} },

  // Files of a container that does not run (110–139).
  "new-userns": { code: 110, about: "a user namespace (given) without a process in it: clone(2) CLONE_NEWUSER, writes uid_map and gid_map, opens /proc/PID/ns/user; the process ends", args: { uids: "text", gids: "text" } },

  // The end of the beginning.
  hook: { code: 100, about: "runs a program of the host (before leave-old-root: seen from its root) or of the container with the container's state on stdin: `before`, the pid, `after`; killed after timeout seconds (0: none)", args: { path: "text", argv: "texts", env: "texts", before: "text", after: "text", timeout: "number" } },
  gate: { code: 101, about: "reads one byte from the FIFO, which is open for reading and writing: waits until `start` writes it", args: { fifo: "fd" } },
  init: { code: 102, about: "fork(2): this process stays as process 1, forwards signals, reaps, and ends with the status of its child, which goes on", args: {} },
  exec: { code: 103, about: "execve(2) of argv[0], searched in `path` (directories) if it has no slash", args: { argv: "texts", env: "texts", path: "texts" } },

  // Volumes.
  fill: { code: 170, about: "copies what the root has at `path` into a volume that is empty (looks whether it is): files, directories, links, FIFOs with owner, mode, times and attributes; mount and links are not followed", args: { mount: "fd", path: "text" } },
} as const satisfies Record<string, Row>

export type Ops = typeof OPS
export type OpName = keyof Ops

type Optional<A> = { [K in keyof A]: A[K] extends `${string}?` ? K : never }[keyof A]
type ArgsOf<A extends Readonly<Record<string, Kind>>> = { readonly [K in Exclude<keyof A, Optional<A>>]: Kinds[A[K]] } & {
  readonly [K in Optional<A>]?: Kinds[A[K]]
}

/** An op with its arguments: what the kernel is asked. */
export type Call = { [N in OpName]: { readonly op: N } & ArgsOf<Ops[N]["args"]> }[OpName]

/** How a step is taken back. It must accept that the thing is gone already: ENOENT is never its failure. */
export type Undo = Call & {
  /** As in Step. */
  readonly does: string
  /** `always` (when absent): after a failed step and at exit. `failure`: only after a failed step. */
  readonly when?: "failure"
}

export type Step = Call & {
  readonly phase: Phase
  /** What happens, as an infinitive that follows "cannot" or "will": "mount proc on /proc". No full stop. */
  readonly does: string
  /** The reason, for a reader who has never seen a container made. */
  readonly why: string
  /** The slot that holds the fd which the op gives. */
  readonly gives?: Slot
  /** Errnos that mean "already so" or "not here": the step then counts as not done, without an error. */
  readonly ok?: readonly Errno[]
  /** false: any failure is reported as a warning, and the plan goes on. */
  readonly must?: false
  /** Registered only if the step really did something. */
  readonly undo?: Undo
}

/** How the executor holds the container, and what it does besides the steps. Encoded in front of them; see HEADER. */
export type Frame = ArgsOf<typeof HEADER>

export interface Plan {
  readonly frame: Frame
  readonly steps: readonly Step[]
  /** For people, each one line: what this host lacks, and what follows. */
  readonly warnings: readonly string[]
}

export { STDIO } from "../model/stdio.ts"

/** The frame of a wire: what is not a step. */
export const HEADER = {
  /** 0: nobody stays (`stay: none`). 1: the monitor stays. 2: as 1 for an exec: no pid namespace of its own for the monitor, no status. */
  stay: "number",
  /** 1: the monitor is process 1 of a pid namespace around the container's. */
  outer: "number",
  stdio: "number",
  /** The container's user on the host: owner of the stdio pipes. */
  uid: "number",
  gid: "number",
  /** The monitor's status file, a directory away from nothing else: written as `status.new`, renamed. */
  status: "text?",
  /** Copied into the status file as it is. */
  boot: "text?",
  /** The log file; rotated to `LOG.1` … `LOG.(files-1)` when it exceeds `logBytes`. */
  log: "text?",
  logBytes: "number",
  logFiles: "number",
  /** The attach socket, made by the monitor. */
  control: "text?",
  /** Bytes which, typed in a row, detach the front. */
  detachKeys: "bytes",
  /** Written to stdout when the program runs and the front is detached: the container's id and a newline. */
  announce: "text?",
  /** What the front becomes when a step fails: this argv, then index, errno, detail and does of the step. Empty: see `report`. */
  failed: "texts",
  /** An fd that gets one line per report instead: `started PID`, `failed INDEX ERRNO DETAIL DOES`, `warning INDEX ERRNO`, `exited CODE`. */
  report: "number?",
  /** For tests: the forward step with this index fails with EIO instead of running. */
  fault: "number?",
  /** Terminal size before exec, when the front has none of its own. */
  rows: "number",
  columns: "number",
  /**
   * A cgroup v2 directory, made with its parent if missing, in which the monitor is born (CLONE_INTO_CGROUP). Absent, or if that
   * fails: where its maker is. Moving there later would cost an RCU grace period, 8 ms.
   */
  monitors: "text?",
  /** The monitor kills process 1 when it has run so long, in milliseconds. */
  timeoutMs: "number?",
} as const satisfies Record<string, Kind>

/** Goes up whenever a row above changes. The executor refuses any other. */
export const WIRE_VERSION = 2

/** Errno names that plans mention in `ok`. The numbers are those of x86_64 and aarch64, which agree. */
export const ERRNO = {
  EPERM: 1, ENOENT: 2, ESRCH: 3, EIO: 5, ENXIO: 6, ENOEXEC: 8, EACCES: 13, EBUSY: 16, EEXIST: 17, ENODEV: 19, ENOTDIR: 20, EISDIR: 21,
  EINVAL: 22, ENOSPC: 28, EROFS: 30, ENOSYS: 38, ELOOP: 40, EOPNOTSUPP: 95, ETIMEDOUT: 110,
} as const
export type Errno = keyof typeof ERRNO
