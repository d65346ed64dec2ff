/**
 * Spelling: a step as the system calls that it makes, the way a person would write them.
 *
 *     { op: "new-mount", type: "proc", target: "/proc", attributes: 14, … }
 *     mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC)
 *
 * One row for each op. What is known only while the plan runs stands there by name: `$root` is the fd in the slot "root", `$pid`
 * the child's process id. Some ops make the same call in a newer form (fsopen, fsconfig, fsmount for mount); then the form that is in
 * every book is shown, with the same meaning.
 *
 * The rule that holds: text from outside (names, paths, arguments) is quoted and escaped, so it can neither
 * leave its place nor speak to the terminal.
 *
 * Read on: explain.ts, which prints it; spell-names.ts for the names of numbers. The op table in step.ts says what is done exactly.
 */

import { signalName } from "../base/signals.ts"
import {
  bits,
  CLONE,
  capabilityNames,
  FILE_TYPE,
  IO_CLASS,
  MOUNT_ATTR,
  MS,
  O,
  octal,
  PERSONALITY,
  PROPAGATION,
  RESOURCE,
  SCHEDULER,
  SECCOMP,
  word,
} from "./spell-names.ts"
import { spellNetlink } from "./spell-netlink.ts"
import type { Call, OpName, Slot } from "./step.ts"

type Of<N extends OpName> = Extract<Call, { readonly op: N }>
type Value = number | bigint

/** A slot as people see it: `$root`; `${volume 2}` if the name is more than a word. */
export const slot = (name: Slot): string => (/^\w+$/.test(name) ? `$${name}` : `\${${printable(name)}}`)

/** Text without anything that a terminal would obey: control characters come out as `\n` or `\x1b`. */
export const printable = (text: string): string =>
  text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
    const known = { "\n": "\\n", "\t": "\\t", "\r": "\\r" }[char]
    const code = char.charCodeAt(0)
    return known ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16)}`)
  })

/** A C string. */
const quote = (text: string): string => `"${printable(text.replace(/[\\"]/g, "\\$&"))}"`
const list = (texts: readonly string[]): string => `[${texts.map(quote).join(", ")}]`
const owner = (uid: Value | undefined, gid: Value | undefined): string => `${uid ?? -1}, ${gid ?? -1}`
const pid = (file: string): string => quote(`/proc/$pid/${file}`)
const attributes = (set: Value, clear: Value, propagation: Value, userns?: Slot): string => {
  const changed = userns === undefined ? set : Number(set) | 0x100000
  const parts = [
    ...(BigInt(changed) === 0n ? [] : [`set ${bits(changed, MOUNT_ATTR)}`]),
    ...(BigInt(clear) === 0n ? [] : [`clear ${bits(clear, MOUNT_ATTR)}`]),
    ...(BigInt(propagation) === 0n ? [] : [bits(propagation, PROPAGATION)]),
    ...(userns === undefined ? [] : [`ids of ${slot(userns)}`]),
  ]
  return parts.length === 0 ? "" : `{${parts.join(", ")}}`
}
const openFlags = (flags: Value): string => {
  const named = BigInt(flags) === 0n ? "O_RDONLY" : bits(flags, O)
  return `${Number(flags) & 3 || named.includes("O_") ? "" : "O_RDONLY|"}${named}|O_CLOEXEC`
}
const dropped = (kept: Value): string => {
  const names = capabilityNames(kept)
  if (names === "0") return "all"
  return names === "all" ? "none" : names.startsWith("all but ") ? names.slice(8) : `all but ${names}`
}
const instructions = (program: Uint8Array): string => `${program.length / 8} instructions`

/**
 * The system calls of an op, one a line.
 * @param to `$root = ` for the call whose result goes to a slot, or nothing.
 */
type Spelling = { readonly [N in OpName]: (call: Of<N>, to: string) => readonly string[] }

const SPELLING: Spelling = {
  mkdir: ({ path, mode, uid, gid }) => [
    `mkdir(${quote(path)}, ${octal(mode)})`,
    ...(uid === undefined ? [] : [`chown(${quote(path)}, ${owner(uid, gid)})`]),
  ],
  rmdir: ({ path }) => [`rmdir(${quote(path)})`],
  write: ({ path, text }) => [`write(${quote(path)}, ${quote(text)})`],
  unlink: ({ path }) => [`unlink(${quote(path)})`],
  "remove-tree": ({ path }) => [`unlinkat(${quote(path)}, AT_REMOVEDIR), and all below`],
  capture: ({ path, name }) => [`read(${quote(path)}) → ${printable(name)} in the status file`],
  mkfifo: ({ path, mode, uid, gid }) => [
    `mkfifo(${quote(path)}, ${octal(mode)})`,
    ...(uid === undefined ? [] : [`chown(${quote(path)}, ${owner(uid, gid)})`]),
  ],
  claim: ({ path }) => [`lstat(${quote(path)})`],
  "copy-file": ({ from, to }) => [`write(${quote(to)}, read(${quote(from)})) if it is empty`],
  open: ({ path, flags }, to) => [`${to}open(${quote(path)}, ${openFlags(flags)})`],

  "private-mounts": (_, to) => [
    `${to}open("/proc/self/ns/mnt", O_RDONLY|O_CLOEXEC)`,
    "unshare(CLONE_NEWNS)",
    `mount(NULL, "/", NULL, MS_REC|MS_SLAVE)`,
  ],
  "enter-mounts": ({ namespace }) => [`setns(${slot(namespace)}, CLONE_NEWNS)`],
  "clone-mount": ({ source, from, recursive, userns, set, clear, propagation }, to) => {
    const where = [
      ...(from === undefined ? [] : [slot(from)]),
      ...(source || from === undefined ? [quote(source)] : []),
    ]
    const change = attributes(set, clear, propagation, userns)
    const flags = `OPEN_TREE_CLONE${Number(recursive) ? "|AT_RECURSIVE" : ""}`
    return [
      `${to}open_tree(${where.join(", ")}, ${flags})`,
      ...(change
        ? [`mount_setattr(${to.replace(" = ", "") || "it"}, ${Number(recursive) ? "AT_RECURSIVE, " : ""}${change})`]
        : []),
    ]
  },
  "attach-mount": ({ mount, target }) => [`move_mount(${slot(mount)}, ${quote(target)})`],
  "new-mount": ({ type, source, options, attributes: flags, target }, to) => {
    const data = options.length === 0 ? "" : `, ${quote(options.join(","))}`
    return target === undefined
      ? [`${to}fsmount(${quote(type)}, ${bits(flags, MOUNT_ATTR)}${data})`]
      : [`mount(${quote(source ?? type)}, ${quote(target)}, ${quote(type)}, ${bits(flags, MS)}${data})`]
  },
  overlay: ({ layers, lower, upper, work, options, target }, to) => {
    const below = layers === undefined ? "" : `${slot(layers)}/`
    const data = [
      `lowerdir=${lower.map((name) => `${below}${name}`).join(":")}`,
      ...(upper === undefined ? [] : [`upperdir=${upper}`]),
      ...(work === undefined ? [] : [`workdir=${work}`]),
      ...options,
    ]
    return [
      `mount("overlay", ${quote(target)}, "overlay", 0, ${quote(data.join(","))})`,
      `${to}open_tree(${quote(target)}, OPEN_TREE_CLONE)`,
    ]
  },
  "set-mount": ({ target, recursive, set, clear, propagation }) => [
    `mount_setattr(${quote(target)}, ${Number(recursive) ? "AT_RECURSIVE, " : ""}${attributes(set, clear, propagation) || "{}"})`,
  ],
  "mount-point": ({ path, kind, mode }) =>
    Number(kind) === 1
      ? [`creat(${quote(path)}, ${octal(mode)}), with the directories above it`]
      : [`mkdir(${quote(path)}, ${octal(mode)}), with those above it`],
  mask: ({ path, null: file, empty }) => [
    `move_mount(clone of ${slot(file)} for a file, ${slot(empty)} for a directory, ${quote(path)})`,
  ],
  pivot: ({ target }) => [`chdir(${quote(target)})`, `chroot(".")`],
  "leave-old-root": () => [`pivot_root(".", ".")`, `umount2(".", MNT_DETACH)`, `chdir("/")`],
  unmount: ({ target }) => [`umount2(${quote(target)}, MNT_DETACH)`],
  "make-node": ({ at, name, mode, major, minor, uid, gid }) => [
    `mknodat(${slot(at)}, ${quote(name)}, ${word(Number(mode) & 0o170000, FILE_TYPE)}|${octal(Number(mode) & 0o7777)}, makedev(${major}, ${minor}))`,
    `fchownat(${slot(at)}, ${quote(name)}, ${owner(uid, gid)})`,
  ],
  "make-dir": ({ at, name, mode, uid, gid }) => [
    ...(name === "."
      ? [`fchmod(${slot(at)}, ${octal(mode)})`]
      : [`mkdirat(${slot(at)}, ${quote(name)}, ${octal(mode)})`]),
    `fchownat(${slot(at)}, ${quote(name)}, ${owner(uid, gid)})`,
  ],
  "make-link": ({ at, name, target }) => [`symlinkat(${quote(target)}, ${slot(at)}, ${quote(name)})`],
  chroot: ({ path }) => [`chroot(${quote(path)})`, `chdir("/")`],

  clone: ({ flags, cgroup, join, kinds }, to) => [
    ...join.map((namespace, index) => `setns(${slot(namespace)}, ${bits(kinds[index] ?? 0, CLONE)})`),
    `${to}clone3({flags: ${[...(BigInt(flags) === 0n ? [] : [bits(flags, CLONE)]), "CLONE_PIDFD", ...(cgroup === undefined ? [] : [`CLONE_INTO_CGROUP, cgroup: ${slot(cgroup)}`])].join("|")}})`,
  ],
  "new-userns": ({ uids, gids }) => [
    "clone(CLONE_NEWUSER)",
    `write("/proc/PID/uid_map", ${quote(uids)})`,
    `write("/proc/PID/gid_map", ${quote(gids)})`,
    'open("/proc/PID/ns/user")',
  ],
  "map-ids": ({ kind, text }) => [`write(${pid(Number(kind) === 1 ? "gid_map" : "uid_map")}, ${quote(text)})`],
  "open-namespace": ({ name }, to) => [`${to}open(${pid(`ns/${name}`)}, O_RDONLY|O_CLOEXEC)`],
  "open-process": ({ pid: number, start }, to) => [`${to}pidfd_open(${number}), started at tick ${start}`],
  "attach-cgroup": ({ path }) => [`write(${quote(path)}, "$pid")`],
  "attach-self": ({ path }) => [`write(${quote(path)}, "0")`],
  "write-proc": ({ name, text }) => [`write(${pid(name)}, ${quote(text)})`],
  "join-namespace": ({ namespace, kind }) => [`setns(${slot(namespace)}, ${bits(kind, CLONE)})`],
  unshare: ({ flags }) => [`unshare(${bits(flags, CLONE)})`],
  "remove-cgroup": ({ path }) => [`kill(whoever is left in ${quote(path)}, SIGKILL)`, `rmdir(${quote(path)})`],
  "move-processes": ({ from, to }) => [
    `mkdir(${quote(to)}, 0755)`,
    `write(${quote(`${to}/cgroup.procs`)}, each pid in ${quote(`${from}/cgroup.procs`)})`,
  ],
  "device-program": ({ path, program }) => [
    `bpf(BPF_PROG_LOAD, BPF_PROG_TYPE_CGROUP_DEVICE, ${instructions(program)})`,
    `bpf(BPF_PROG_ATTACH, ${quote(path)}, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI)`,
  ],
  signal: ({ process, signal }) => [`pidfd_send_signal(${slot(process)}, ${signalName(Number(signal))})`],
  "await-exit": ({ process, ms }) => [`poll(${slot(process)}, ${ms} ms)`],

  netlink: ({ protocol, messages, fds }) => {
    const lines = spellNetlink(protocol, messages)
    return fds.length === 0 ? lines : [...lines, `with ${fds.map(slot).join(", ")}`]
  },

  "set-ids": ({ uid, gid, groups }) => [
    `setgroups([${groups.join(", ")}])`,
    `setresgid(${gid}, ${gid}, ${gid})`,
    `setresuid(${uid}, ${uid}, ${uid})`,
    "prctl(PR_SET_DUMPABLE, 0, or 1 in phase child)",
  ],
  hostname: ({ name }) => [`sethostname(${quote(name)})`],
  domainname: ({ name }) => [`setdomainname(${quote(name)})`],
  rlimit: ({ resource, soft, hard }) => [`prlimit(${word(resource, RESOURCE)}, {${limit(soft)}, ${limit(hard)}})`],
  keyring: ({ name }) => [`keyctl(KEYCTL_JOIN_SESSION_KEYRING, ${quote(name)})`],
  session: () => ["setsid()"],
  "open-terminal": ({ uid, gid, rows, columns, socket }, to) => [
    `open("/dev/pts/ptmx", O_RDWR|O_NOCTTY) → ${socket === undefined ? "the monitor" : slot(socket)}`,
    `${to}ioctl(ptmx, TIOCGPTPEER, O_RDWR|O_NOCTTY)`,
    `fchown(${to.replace(" = ", "") || "it"}, ${owner(uid, gid)})`,
    ...(Number(rows) === 0 ? [] : [`ioctl(ptmx, TIOCSWINSZ, {${rows} rows, ${columns} columns})`]),
  ],
  "hold-port": ({ protocol, address, port }) => [
    `bind(socket(AF_INET, ${({ 6: "SOCK_STREAM", 17: "SOCK_DGRAM" } as Readonly<Record<string, string>>)[String(protocol)] ?? `SOCK_STREAM, ${protocol}`}), ${[...address].join(".")}:${port})`,
  ],
  connect: ({ path }, to) => [
    `${to}socket(AF_UNIX, SOCK_STREAM)`,
    `connect(${to.replace(" = ", "") || "it"}, ${quote(path)})`,
  ],
  "take-terminal": ({ terminal }) => [
    ...[0, 1, 2].map((fd) => `dup2(${slot(terminal)}, ${fd})`),
    "ioctl(0, TIOCSCTTY)",
  ],
  umask: ({ mask }) => [`umask(${octal(mask)})`],
  chdir: ({ path }) => [`chdir(${quote(path)})`, "getcwd() must lie inside the root"],
  "close-files": () => ["close_range(3, ~0)", `dup2(open("/dev/null"), whichever of 0, 1, 2 is the host's)`],
  bounding: ({ mask }) => [`prctl(PR_CAPBSET_DROP, ${dropped(mask)})`],
  "keep-capabilities": () => ["prctl(PR_SET_KEEPCAPS, 1)"],
  capabilities: ({ effective, permitted, inheritable }) => [
    BigInt(effective) === BigInt(permitted)
      ? `capset({effective and permitted: ${capabilityNames(effective)}, inheritable: ${capabilityNames(inheritable)}})`
      : `capset({effective: ${capabilityNames(effective)}, permitted: ${capabilityNames(permitted)}, inheritable: ${capabilityNames(inheritable)}})`,
  ],
  ambient: ({ mask }) => [
    "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)",
    ...(BigInt(mask) === 0n ? [] : [`prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, ${capabilityNames(mask)})`]),
  ],
  "no-new-privileges": () => ["prctl(PR_SET_NO_NEW_PRIVS, 1)"],
  seccomp: ({ program, flags }) => [
    `seccomp(SECCOMP_SET_MODE_FILTER, ${bits(flags, SECCOMP)}, ${instructions(program)})`,
  ],
  personality: ({ domain }) => [`personality(${word(domain, PERSONALITY)})`],
  "io-priority": ({ priority }) => [
    `ioprio_set(IOPRIO_WHO_PROCESS, 0, ${word(BigInt(priority) >> 13n, IO_CLASS)} ${BigInt(priority) & 0x1fffn})`,
  ],
  scheduler: ({ policy, flags, nice, priority, runtime, deadline, period }) => [
    `sched_setattr(0, {${[
      word(policy, SCHEDULER),
      ...Object.entries({ flags, nice: BigInt.asIntN(64, BigInt(nice)), priority, runtime, deadline, period })
        .filter(([, value]) => BigInt(value) !== 0n)
        .map(([name, value]) => `${name}: ${value}`),
    ].join(", ")}})`,
  ],
  affinity: ({ cpus }) => [`sched_setaffinity(0, {${cpus.join(", ")}})`],
  "make-directory": ({ path, mode, uid, gid }) => [
    `mkdir(${quote(path)}, ${octal(mode)}), with those above it, owned by ${uid}:${gid}`,
  ],

  fill: ({ mount, path }) => [`cp -a ${quote(`${path}/.`)} ${slot(mount)}, if that is empty`],

  hook: ({ path, argv, env, timeout }) => [
    `execve(${quote(path)}, ${list(argv)}, ${list(env)}), the state on its stdin`,
    ...(Number(timeout) === 0 ? [] : [`kill(it, SIGKILL) after ${timeout} s`]),
  ],
  gate: ({ fifo }) => [`open(${slot(fifo)}, O_WRONLY): waits for start`, "write(it, one byte)"],
  init: () => ["fork()", "wait4(-1) for ever, in the parent"],
  exec: ({ argv, env }) => ["close_range(3, ~0)", `execve(${quote(argv[0] ?? "")}, ${list(argv)}, ${list(env)})`],
}

const limit = (value: Value): string => (BigInt(value) === 0xffffffffffffffffn ? "RLIM_INFINITY" : String(value))

/** The system calls of a step or an undo, one a line, in order. @param gives the slot that takes its result. */
export function spell(call: Call, gives?: Slot): readonly string[] {
  // The row of an op takes exactly the calls of that op: what the mapped type says, and an index signature cannot.
  const row = SPELLING[call.op] as (call: Call, to: string) => readonly string[]
  return row(call, gives === undefined ? "" : `${slot(gives)} = `)
}
