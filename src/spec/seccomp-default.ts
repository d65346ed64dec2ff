/**
 * The system calls that a container may make when nobody says otherwise.
 *
 * It is a list of what is allowed; the rest is EPERM. The list is Docker's, which has proved itself on every image there is:
 * what an ordinary program needs, and for each capability that a container is given, the calls which that capability is about
 * (a call that would fail anyway for lack of the capability is only a way into the kernel's code). Stronger than Docker's, where it
 * costs nothing:
 *
 *     ioctl TIOCSTI      types into the terminal of whoever started the container
 *     ioctl TIOCLINUX    the same, through the selection buffer of a console
 *     socket AF_VSOCK    reaches the hypervisor, past every network namespace
 *     socket AF_ALG      the kernel's own cryptography, in no namespace either
 *     io_uring_*         does the work of other calls where no filter sees it
 *
 * The rule that holds: the kernel takes the low 32 bits of an ioctl's number and of a socket's family, so they are compared and
 * not the whole register. Otherwise 1<<32 | TIOCSTI would pass.
 *
 * `--security-opt seccomp=FILE` puts another policy in its place, in Docker's form or in OCI's: see `readDockerSeccomp`.
 *
 * Read on: plan/seccomp.ts, which turns this into a program. https://docs.docker.com/engine/security/seccomp/
 */

import { EngineError } from "../base/errors.ts"
import type { Seccomp, SeccompArg, SeccompRule } from "../model/oci.ts"

export interface SeccompFacts {
  /** The container's bounding set: `CAP_*` names. */
  readonly capabilities: readonly string[]
  readonly arch: "x86_64" | "aarch64"
  readonly kernel: readonly [major: number, minor: number]
}

/** For every container. */
const ALWAYS = `
_llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32
clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown
fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64
fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv
futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid
geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority
getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid
gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch
io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioprio_get ioprio_set ipc kill
landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 lgetxattr link linkat listen
listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack
membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect
mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink
mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat open
openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll
ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev
pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages
removexattr removexattrat rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo
sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler
sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg
sendto set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32
setgroups setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32
setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown
sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64
statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete
timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime
timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink
unlinkat uprobe uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev`

/** For a container that has the capability. */
const WITH_CAPABILITY: Readonly<Record<string, string>> = {
  CAP_BPF: "bpf",
  CAP_DAC_READ_SEARCH: "open_by_handle_at",
  CAP_PERFMON: "perf_event_open",
  CAP_SYS_ADMIN:
    "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
  CAP_SYS_BOOT: "reboot",
  CAP_SYS_CHROOT: "chroot",
  CAP_SYS_MODULE: "delete_module finit_module init_module",
  CAP_SYS_NICE: "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
  CAP_SYS_PACCT: "acct",
  CAP_SYS_PTRACE: "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
  CAP_SYS_RAWIO: "ioperm iopl",
  CAP_SYS_TIME: "clock_settime clock_settime64 settimeofday stime",
  CAP_SYS_TTY_CONFIG: "vhangup",
  CAP_SYSLOG: "syslog",
}

const ON_ARCH: Readonly<
  Record<SeccompFacts["arch"], { readonly allowed: string; readonly architectures: readonly string[] }>
> = {
  x86_64: { allowed: "arch_prctl modify_ldt", architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
  aarch64: {
    allowed: "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
    architectures: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
  },
}

/** Before 4.8 a traced process could get around its own filter. seccomp(2), "SECCOMP_RET_TRACE". */
const TRACING = { since: [4, 8], allowed: "process_vm_readv process_vm_writev ptrace" } as const

/** PER_LINUX and PER_LINUX32, with and without UNAME26, and the question "which is it?". personality(2). */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff]

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: the flags for which a clone needs CAP_SYS_ADMIN. */
const NEW_NAMESPACES = 0x7e020000

const TIOCSTI = 0x5412
const TIOCLINUX = 0x541c
const AF_ALG = 38
const AF_VSOCK = 40
const ENOSYS = 38

/** The default policy for a container with these capabilities. The same facts always give the same policy. */
export function defaultSeccomp({ capabilities, arch, kernel }: SeccompFacts): Seccomp {
  const has = (name: string): boolean => capabilities.includes(name)
  const traceable = atLeast(kernel, TRACING.since)
  const granted = Object.entries(WITH_CAPABILITY).flatMap(([capability, calls]) =>
    has(capability) ? words(calls) : [],
  )
  const allowed = new Set([
    ...words(ALWAYS),
    ...granted,
    ...words(ON_ARCH[arch].allowed),
    ...(traceable ? words(TRACING.allowed) : []),
  ])
  return {
    defaultAction: "SCMP_ACT_ERRNO",
    defaultErrnoRet: 1,
    architectures: ON_ARCH[arch].architectures,
    syscalls: [
      { names: [...allowed].sort(), action: "SCMP_ACT_ALLOW" },
      ...PERSONALITIES.map(
        (value): SeccompRule => ({
          names: ["personality"],
          action: "SCMP_ACT_ALLOW",
          args: [{ index: 0, value, op: "SCMP_CMP_EQ" }],
        }),
      ),
      ...anythingBut("socket", 0, [AF_ALG, AF_VSOCK]),
      ...anythingBut("ioctl", 1, [TIOCSTI, TIOCLINUX]),
      ...(has("CAP_SYS_ADMIN")
        ? []
        : ([
            {
              names: ["clone"],
              action: "SCMP_ACT_ALLOW",
              args: [{ index: 0, value: NEW_NAMESPACES, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" }],
            },
            // Its flags lie behind a pointer, where no filter can look. ENOSYS makes the C library take clone.
            { names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: ENOSYS },
          ] as const)),
    ],
  }
}

/**
 * Allows a call unless the low 32 bits of an argument are one of a few values.
 *
 * OCI rules can say "these bits of it are equal to" but not "these bits are other than", and two comparisons of one argument
 * are alternatives. So there is a rule for each bit in which all the values agree: an argument which differs there is none of
 * them. What remains agrees in all those bits, and has one rule for each combination of the others that is no refused value.
 */
function anythingBut(name: string, index: number, values: readonly number[]): readonly SeccompRule[] {
  const first = values[0] ?? 0
  const differing = values.reduce((bits, value) => bits | (value ^ first), 0)
  const allow = (mask: number, valueTwo: number): SeccompRule => ({
    names: [name],
    action: "SCMP_ACT_ALLOW",
    args: [{ index, value: mask, valueTwo, op: "SCMP_CMP_MASKED_EQ" }],
  })
  const rules: SeccompRule[] = []
  for (let bit = 0; bit < 32; bit++) {
    const mask = 2 ** bit
    if (!(differing & mask)) rules.push(allow(mask, first & mask ? 0 : mask))
  }
  const refused = new Set(values.map((value) => value & differing))
  // All the numbers that have no bit but those of `differing`, from the largest down.
  for (let some = differing; ; some = (some - 1) & differing) {
    if (!refused.has(some)) rules.push(allow(differing, some))
    if (some === 0) return rules
  }
}

const words = (text: string): readonly string[] => text.trim().split(/\s+/)

const atLeast = (kernel: SeccompFacts["kernel"], [major, minor]: SeccompFacts["kernel"]): boolean =>
  kernel[0] > major || (kernel[0] === major && kernel[1] >= minor)

/** What Docker's files call our hosts. */
const DOCKER_ARCH = { x86_64: "amd64", aarch64: "arm64" } as const
/** A policy larger than this is a mistake, or an attack. */
const MOST_BYTES = 4 << 20

/**
 * A policy from a file: Docker's form, in which rules depend on capabilities, architecture and kernel, or OCI's plain one.
 *
 *     { "defaultAction": …, "archMap": [{ "architecture": …, "subArchitectures": […] }],
 *       "syscalls": [{ "names": […], "action": …, "includes": { "caps": […], "arches": […], "minKernel": "4.8" }, "excludes": … }] }
 *
 * @throws {EngineError} `INVALID_VALUE`, naming the field. Whether actions and comparisons exist is for plan/seccomp.ts to say.
 */
export function readDockerSeccomp(json: string, facts: SeccompFacts): Seccomp {
  if (json.length > MOST_BYTES) throw invalid(`it is larger than ${MOST_BYTES >> 20} MiB`)
  let parsed: unknown
  try {
    parsed = JSON.parse(json)
  } catch (error) {
    throw invalid(`it is not JSON: ${error instanceof Error ? error.message : error}`)
  }
  const policy = object(parsed, "the policy")
  const defaultErrnoRet = number(policy, "defaultErrnoRet")
  const flags = texts(policy, "flags")
  const listenerPath = text(policy, "listenerPath")
  const listenerMetadata = text(policy, "listenerMetadata")
  const architectures = texts(policy, "architectures") ?? []
  const archMap = objects(policy, "archMap")
  if (architectures.length > 0 && archMap.length > 0)
    throw invalid("it has both architectures and archMap", "keep one of them")
  const native = ON_ARCH[facts.arch].architectures[0]!
  const mapped = archMap
    .filter((row) => row.architecture === native)
    .flatMap((row) => [native, ...(texts(row, "subArchitectures") ?? [])])
  return {
    defaultAction: text(policy, "defaultAction") ?? missing("defaultAction"),
    ...(defaultErrnoRet !== undefined && { defaultErrnoRet }),
    architectures: [...architectures, ...mapped],
    ...(flags && { flags }),
    ...(listenerPath !== undefined && { listenerPath }),
    ...(listenerMetadata !== undefined && { listenerMetadata }),
    syscalls: objects(policy, "syscalls").flatMap((rule, index) =>
      applies(rule, facts) ? [readRule(rule, `syscalls[${index}]`)] : [],
    ),
  }
}

function readRule(rule: Fields, where: string): SeccompRule {
  const name = text(rule, "name")
  const names = texts(rule, "names") ?? []
  if (name && names.length > 0) throw invalid(`${where} has both name and names`, "keep names")
  if (!name && names.length === 0) throw invalid(`${where} has no names`)
  const errnoRet = number(rule, "errnoRet")
  const args = objects(rule, "args").map((arg, at): SeccompArg => {
    const valueTwo = number(arg, "valueTwo")
    return {
      index: number(arg, "index") ?? missing(`${where}.args[${at}].index`),
      value: number(arg, "value") ?? missing(`${where}.args[${at}].value`),
      ...(valueTwo !== undefined && { valueTwo }),
      op: text(arg, "op") ?? missing(`${where}.args[${at}].op`),
    }
  })
  return {
    names: name ? [name] : names,
    action: text(rule, "action") ?? missing(`${where}.action`),
    ...(errnoRet !== undefined && { errnoRet }),
    ...(args.length > 0 && { args }),
  }
}

/** `includes`: all the capabilities, one of the architectures, the kernel. `excludes`: any one of them is enough. */
function applies(rule: Fields, { capabilities, arch, kernel }: SeccompFacts): boolean {
  const facts = (filter: Fields) => ({
    caps: texts(filter, "caps") ?? [],
    arches: texts(filter, "arches") ?? [],
    since: version(text(filter, "minKernel")),
  })
  const includes = facts(object(rule.includes ?? {}, "includes"))
  const excludes = facts(object(rule.excludes ?? {}, "excludes"))
  const here = DOCKER_ARCH[arch]
  if (excludes.arches.includes(here) || excludes.caps.some((cap) => capabilities.includes(cap))) return false
  if (excludes.since && atLeast(kernel, excludes.since)) return false
  if (includes.arches.length > 0 && !includes.arches.includes(here)) return false
  if (!includes.caps.every((cap) => capabilities.includes(cap))) return false
  return includes.since === undefined || atLeast(kernel, includes.since)
}

function version(text: string | undefined): SeccompFacts["kernel"] | undefined {
  if (!text) return undefined
  const [, major, minor] = /^(\d+)\.(\d+)$/.exec(text) ?? []
  if (major === undefined || minor === undefined)
    throw invalid(`minKernel is ${JSON.stringify(text)}`, 'write it as "4.8"')
  return [Number(major), Number(minor)]
}

/** Absent and null are the same, as in Go's JSON. */
type Fields = Readonly<Record<string, unknown>>

function object(value: unknown, where: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields
  throw invalid(`${where} is no object`)
}
function objects(fields: Fields, name: string): readonly Fields[] {
  const value = fields[name] ?? []
  if (!Array.isArray(value)) throw invalid(`${name} is no list`)
  return value.map((item, index) => object(item, `${name}[${index}]`))
}
function text(fields: Fields, name: string): string | undefined {
  const value = fields[name] ?? undefined
  if (value === undefined || typeof value === "string") return value
  throw invalid(`${name} is ${JSON.stringify(value)}, not a text`)
}
function texts(fields: Fields, name: string): readonly string[] | undefined {
  const value = fields[name] ?? undefined
  if (value === undefined || (Array.isArray(value) && value.every((item) => typeof item === "string"))) return value
  throw invalid(`${name} is no list of texts`)
}
function number(fields: Fields, name: string): number | undefined {
  const value = fields[name] ?? undefined
  if (value === undefined || typeof value === "number") return value
  throw invalid(`${name} is ${JSON.stringify(value)}, not a number`)
}
function missing(name: string): never {
  throw invalid(`${name} is missing`)
}
const invalid = (cause: string, hint?: string): EngineError =>
  new EngineError("INVALID_VALUE", `cannot read the seccomp policy: ${cause}`, hint)
