/*
 * Ops about what a process is: ids, limits, terminal, capabilities, filter; and the programs that are run.
 *
 *     root of its namespaces ── session, place ── bounding, ids, capabilities, filter ──▶ execve
 *        all power                                        less with each
 *
 * Nearly all of it is inherited across execve(2), which is why it must be said: whatever is not set here is the caller's.
 * From the filter on any call may be refused, or kill. So what must not fail is done before: signals and fds by child(), and the
 * last word to the parent is a store into a shared page.
 *
 * Read on: executor.c. capabilities(7), credentials(7), seccomp(2), pty(7), execve(2).
 */
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include "kernel.h"
#include "ops.h"

/* ---- ids and power ---- */

OP(set_ids) {
  static gid_t groups[MAX_LIST];
  const union arg *given = &step->arg[A_SET_IDS_GROUPS];
  for (uint32_t i = 0; i < given->y.count; i++) groups[i] = (gid_t)given->y.v[i];
  gid_t gid = (gid_t)N(A_SET_IDS_GID);
  uid_t uid = (uid_t)N(A_SET_IDS_UID);
  // The calls themselves: the C library's would tell every thread, by signals; there is one.
  if (syscall(SYS_setgroups, (size_t)given->y.count, groups) < 0) return errno;
  if (syscall(SYS_setresgid, gid, gid, gid) < 0 || syscall(SYS_setresuid, uid, uid, uid) < 0) return errno;
  // Whose fds lead out is nobody's to look into; in phase child we need our own /proc/self, and are alone. Exec sets it back.
  if (prctl(PR_SET_DUMPABLE, step->phase == PHASE_CHILD && !run->joined) < 0) return errno;
  // Where no pid namespace ends with the monitor, the first process does; the new ids have cleared this, if it was set.
  const union arg *frame = run->plan->frame;
  if (frame[HEADER_STAY].n != 1 || frame[HEADER_OUTER].n) return 0;
  char byte;
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return errno;
  return recv(run->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0 ? ESRCH : 0;   // it died before it could be asked for
}

OP(bounding) {
  for (unsigned long capability = 0; capability < 64; capability++) {
    if (N(A_BOUNDING_MASK) >> capability & 1) continue;
    int has = prctl(PR_CAPBSET_READ, capability);
    if (has < 0 && errno == EINVAL) return 0;   // the first that this kernel does not know
    if (has < 0 || (has > 0 && prctl(PR_CAPBSET_DROP, capability) < 0)) return errno;
  }
  return 0;
}

OP(keep_capabilities) { return check(prctl(PR_SET_KEEPCAPS, 1)); }

OP(capabilities) {
  uint64_t effective = N(A_CAPABILITIES_EFFECTIVE), permitted = N(A_CAPABILITIES_PERMITTED), inheritable = N(A_CAPABILITIES_INHERITABLE);
  struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[2] = {
    { (uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable },
    { (uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32) },
  };
  return check(syscall(SYS_capset, &head, data));
}

OP(ambient) {
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) return errno;
  for (unsigned long capability = 0; capability < 64; capability++)
    if (N(A_AMBIENT_MASK) >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0) return errno;
  return 0;
}

OP(no_new_privileges) { return check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)); }

OP(seccomp) {
  struct sock_fprog program = { (unsigned short)(step->arg[A_SECCOMP_PROGRAM].t.length / sizeof(struct sock_filter)), (struct sock_filter *)(void *)T(A_SECCOMP_PROGRAM) };
  if (step->arg[A_SECCOMP_PROGRAM].t.length > BPF_MAXINSNS * sizeof(struct sock_filter)) return E2BIG;
  return check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (unsigned)N(A_SECCOMP_FLAGS), &program));
}

/* ---- names, limits, manners ---- */

OP(hostname) { return check(sethostname(T(A_HOSTNAME_NAME), step->arg[A_HOSTNAME_NAME].t.length)); }
OP(domainname) { return check(setdomainname(T(A_DOMAINNAME_NAME), step->arg[A_DOMAINNAME_NAME].t.length)); }
OP(session) { return check(setsid()); }
OP(personality) { return check(personality(N(A_PERSONALITY_DOMAIN))); }
OP(keyring) { return check(syscall(SYS_keyctl, 1, T(A_KEYRING_NAME))); }   // KEYCTL_JOIN_SESSION_KEYRING

OP(umask) {
  umask((mode_t)N(A_UMASK_MASK));
  return 0;
}

static pid_t whose(const struct run *run, const struct step *step) { return step->phase == PHASE_PARENT ? run->vpid : 0; }

OP(rlimit) {
  struct { uint64_t soft, hard; } limit = { N(A_RLIMIT_SOFT), N(A_RLIMIT_HARD) };
  return check(syscall(SYS_prlimit64, whose(run, step), (unsigned)N(A_RLIMIT_RESOURCE), &limit, NULL));
}

OP(io_priority) { return check(syscall(SYS_ioprio_set, 1, whose(run, step), (int)N(A_IO_PRIORITY_PRIORITY))); }   // IOPRIO_WHO_PROCESS

OP(scheduler) {
  struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t runtime, deadline, period; } how = {
    sizeof how, (uint32_t)N(A_SCHEDULER_POLICY), N(A_SCHEDULER_FLAGS), (int32_t)N(A_SCHEDULER_NICE), (uint32_t)N(A_SCHEDULER_PRIORITY),
    N(A_SCHEDULER_RUNTIME), N(A_SCHEDULER_DEADLINE), N(A_SCHEDULER_PERIOD),
  };
  return check(syscall(SYS_sched_setattr, whose(run, step), &how, 0u));
}

OP(affinity) {
  unsigned char mask[1024] = { 0 };
  const union arg *cpus = &step->arg[A_AFFINITY_CPUS];
  for (uint32_t i = 0; i < cpus->y.count; i++) {
    if (cpus->y.v[i] >= sizeof mask * 8) return EINVAL;
    mask[cpus->y.v[i] / 8] |= (unsigned char)(1u << cpus->y.v[i] % 8);
  }
  return check(syscall(SYS_sched_setaffinity, whose(run, step), sizeof mask, mask));
}

OP(make_directory) {
  mode_t mode = S_IFDIR | (N(A_MAKE_DIRECTORY_MODE) & 07777);
  return check(make_path(run, T(A_MAKE_DIRECTORY_PATH), mode, N(A_MAKE_DIRECTORY_UID), N(A_MAKE_DIRECTORY_GID)));
}

OP(chdir) {
  static char where[PATH_MAX + 16];
  int place = resolve(run, T(A_CHDIR_PATH), O_PATH | O_DIRECTORY, 0), error = place < 0 ? errno : check(fchdir(place));
  if (place >= 0) close(place);
  if (error) return error;
  // The call itself: a C library hides what the kernel answers for a place that / does not lead to, "(unreachable)/…".
  long length = syscall(SYS_getcwd, where, sizeof where);
  return length < 0 ? errno : where[0] == '/' ? 0 : ENOENT;
}

OP(close_files) {
  static struct stat null, other;
  int own = resolve(run, "/dev/null", O_RDWR | O_NOCTTY | O_NONBLOCK, 0);
  bool is_null = own >= 0 && fstat(own, &null) == 0 && S_ISCHR(null.st_mode) && null.st_rdev == makedev(1, 3) && fcntl(own, F_SETFL, 0) == 0;
  for (int fd = 0; fd < 3 && is_null; fd++)
    if (fstat(fd, &other) == 0 && S_ISCHR(other.st_mode) && other.st_rdev == null.st_rdev && dup2(own, fd) < 0) return errno;
  if (run->socket > 3 && dup3(run->socket, 3, O_CLOEXEC) < 0) return errno;
  run->socket = 3, run->root = -1;   // what is called / is the container's root by now
  for (uint32_t i = 0; i < run->plan->slots; i++) run->slot[i] = -1;
  return check(k_close_range(4, 0));
}

/* ---- the terminal ---- */

OP(open_terminal) {
  int ptmx = resolve(run, "/dev/pts/ptmx", O_RDWR | O_NOCTTY, 0), unlock = 0, terminal = -1, error = 0;
  if (ptmx < 0) return errno;
  unsigned rows = run->rows && run->columns ? run->rows : (unsigned)N(A_OPEN_TERMINAL_ROWS);
  unsigned columns = run->rows && run->columns ? run->columns : (unsigned)N(A_OPEN_TERMINAL_COLUMNS);
  struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };
  if (ioctl(ptmx, TIOCSPTLCK, &unlock) < 0 || (terminal = ioctl(ptmx, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) error = errno;
  else if (fchown(terminal, (uid_t)N(A_OPEN_TERMINAL_UID), (gid_t)N(A_OPEN_TERMINAL_GID)) < 0) error = errno;
  else if (rows && columns && ioctl(ptmx, TIOCSWINSZ, &size) < 0) error = errno;
  // OCI's consoles are sent with their name; our own parent wants one letter.
  else if (step->arg[A_OPEN_TERMINAL_SOCKET].n != NONE64) error = check(send_fds(FD(A_OPEN_TERMINAL_SOCKET), "/dev/pts/ptmx", 13, &ptmx, 1));
  else error = check(send_fds(run->socket, "t", 1, &ptmx, 1));
  close(ptmx);
  if (!error) return give(run, step, terminal);
  if (terminal >= 0) close(terminal);
  return error;
}

OP(take_terminal) {
  int terminal = FD(A_TAKE_TERMINAL_TERMINAL);
  for (int fd = 0; fd < 3; fd++) if (dup2(terminal, fd) < 0) return errno;
  return check(ioctl(0, TIOCSCTTY, 0));
}

/* ---- the end of the beginning ---- */

OP(gate) {
  char byte;
  gated(run);
  for (;;) {
    ssize_t n = read(FD(A_GATE_FIFO), &byte, 1);
    if (n == 1) return 0;
    if (n == 0) return EPIPE;
    if (errno != EINTR) return errno;
  }
}

/* The state on stdin is a file in memory: a hook that does not read it cannot hold us up, nor kill us by SIGPIPE. */
OP(hook) {
  char pid[16];
  int ends[2], state = memfd_create("state", MFD_CLOEXEC), error = 0, how = 0;
  if (state < 0 || pipe2(ends, O_CLOEXEC) < 0) {
    error = errno;
    if (state >= 0) close(state);
    return error;
  }
  snprintf(pid, sizeof pid, "%d", (int)run->pid);
  const char *texts[] = { T(A_HOOK_BEFORE), pid, T(A_HOOK_AFTER) };
  for (int i = 0; i < 3 && !error; i++) if (write(state, texts[i], strlen(texts[i])) != (ssize_t)strlen(texts[i])) error = ENOSPC;
  pid_t hook = error || lseek(state, 0, SEEK_SET) < 0 ? -1 : k_fork();
  if (hook == 0) {
    default_signals();
    // It is told where the bundle lies, and will look there: the host's tree is still beside the container's root until that is alone.
    bool out = run->old_root < 0 || (fchdir(run->old_root) == 0 && chroot(".") == 0);
    // Nothing else is open when the name is looked up: see op close-files.
    bool alone = out && dup2(state, 0) == 0 && (ends[1] == 3 || dup3(ends[1], 3, O_CLOEXEC) == 3) && k_close_range(4, 0) == 0;
    if (alone) execve(T(A_HOOK_PATH), step->arg[A_HOOK_ARGV].x.v, step->arg[A_HOOK_ENV].x.v);
    k_exit(write(ends[1] > 3 && !alone ? ends[1] : 3, &errno, sizeof errno) < 0);
  }
  if (hook < 0 && !error) error = errno;
  close(state), close(ends[1]);
  int pidfd = hook > 0 ? k_pidfd_open(hook) : -1;
  uint64_t seconds = N(A_HOOK_TIMEOUT);
  if (hook > 0 && read(ends[0], &error, sizeof error) <= 0 && seconds && pidfd >= 0) {
    while ((how = poll(&(struct pollfd){ .fd = pidfd, .events = POLLIN }, 1, seconds > INT_MAX / 1000 ? INT_MAX : (int)seconds * 1000)) < 0 && errno == EINTR) continue;
    if (how == 0) error = ETIMEDOUT, kill(hook, SIGKILL);
  }
  while (hook > 0 && waitpid(hook, &how, 0) < 0 && errno == EINTR) continue;
  if (pidfd >= 0) close(pidfd);
  close(ends[0]);
  if (error || hook < 0) return error;
  run->detail = WIFEXITED(how) ? (uint32_t)WEXITSTATUS(how) : 128u + (uint32_t)WTERMSIG(how);
  return run->detail ? ECANCELED : 0;
}

/*
 * Process 1 stays here: it reaps whoever lost its parent, and passes signals on. Whoever is root in the container can look into it, so
 * it holds no fd, nothing of the plan or of the caller's environment, and no memory that is shared with outside. The child gets a
 * process group of its own, in front of the terminal, so that Ctrl-C reaches it once.
 */
OP(init) {
  sigset_t all, old;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &old);   // before there is a child whose end could be missed
  pid_t program = k_fork();
  int error = errno;
  if (program <= 0) {
    if (program == 0) setpgid(0, 0), tcsetpgrp(0, getpid());   // no terminal: ENOTTY, and nothing to do
    sigprocmask(SIG_SETMASK, &old, NULL);
    return program == 0 ? 0 : error;
  }
  setpgid(program, program);
  prctl(PR_SET_NAME, "init");
  k_close_range(0, 0);
  let_go(run);
  prctl(PR_SET_DUMPABLE, 1);
  for (;;) {
    int how, number = sigwaitinfo(&all, NULL);
    if (number != SIGCHLD && number != SIGTTIN && number != SIGTTOU && number != SIGTSTP && number > 0) kill(program, number);
    for (pid_t pid; number == SIGCHLD && (pid = waitpid(-1, &how, WNOHANG)) > 0;)
      if (pid == program) k_exit(WIFEXITED(how) ? WEXITSTATUS(how) : 128 + WTERMSIG(how));
  }
}

/* What a person wants to know besides the errno; see struct failure. */
static uint32_t about_failure(const char *path, int error) {
  Elf64_Ehdr head;
  struct stat about;
  if (error == EACCES) return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
  if (error == ENOENT) return stat(path, &about) == 0 ? 2 : 0;
  if (error != ENOEXEC) return 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  ssize_t n = fd < 0 ? -1 : read(fd, &head, sizeof head);
  if (fd >= 0) close(fd);
  if (n < 20 || memcmp(head.e_ident, ELFMAG, SELFMAG) != 0) return 0xffff;
  return head.e_ident[EI_DATA] == ELFDATA2MSB ? (uint32_t)(head.e_machine >> 8 | (head.e_machine & 0xff) << 8) : head.e_machine;
}

OP(exec) {
  static char file[PATH_MAX];
  char **argv = step->arg[A_EXEC_ARGV].x.v, **env = step->arg[A_EXEC_ENV].x.v, **path = step->arg[A_EXEC_PATH].x.v;
  int error = ENOENT;
  if (!argv[0] || !*argv[0]) return ENOENT;
  bool search = !strchr(argv[0], '/');
  executing(run);
  for (; !search || *path; path++) {
    const char *at = search ? file : argv[0];
    if (search && snprintf(file, sizeof file, "%s/%s", *path, argv[0]) >= (int)sizeof file) continue;
    execve(at, argv, env);
    int found = errno;
    uint32_t detail = about_failure(at, found);
    bool missing = (found == ENOENT && detail == 0) || found == ENOTDIR;
    // As execvp(3): what is not there is no news, what may not be run is remembered, anything else is the answer.
    if (!search || !missing) error = found, run->detail = detail;
    if (!search || (!missing && found != EACCES)) return error;
  }
  return error;
}
