/*
 * The clone: how the container's first process comes into being, or one more process in a container that runs.
 *
 *     executor ──clone3──▶ child                                       new namespaces
 *
 *     executor ──clone3──▶ in between: setns, setns … ──clone3, CLONE_PARENT──▶ child     existing ones, new ones in them
 *         └──────────────────────── its parent ───────────────────────────────────┘
 *
 * A process that has entered a user namespace has lost its power outside, and one that enters a pid namespace is not in it: only its
 * children are. Hence the process in between. It is born in the container's cgroup, since from inside it could not move there.
 *
 * The rule: whoever joins others is not dumpable until exec. Its fds lead out; a root inside could otherwise take them by ptrace(2).
 *
 * Read on: executor.c, what the child does. clone(2), setns(2), user_namespaces(7), ptrace(2) on access checks.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "kernel.h"
#include "ops.h"

/* The user namespace first: it owns the others. Kind 0: whatever the fd is. */
static int enter(const struct run *run, const struct step *step) {
  const union arg *joins = &step->arg[A_CLONE_JOIN], *kinds = &step->arg[A_CLONE_KINDS];
  for (int pass = 0; pass < 2; pass++)
    for (uint32_t i = 0; i < joins->y.count; i++)
      if ((pass == 0) == !!(kinds->y.v[i] & CLONE_NEWUSER) && setns(run->slot[joins->y.v[i]], (int)kinds->y.v[i]) < 0) return errno;
  return 0;
}

/* As clone3: the child's pid, 0 in the child, -1. */
static pid_t clone_joined(const struct run *run, const struct step *step, const struct clone_how *wanted) {
  struct { int32_t error; pid_t pid; } answer = { ECHILD, -1 };
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -1;
  struct clone_how between = { .flags = wanted->flags & K_CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = wanted->cgroup };
  pid_t pid = k_clone(&between);
  if (pid == 0) {
    prctl(PR_SET_DUMPABLE, 0);
    answer.error = enter(run, step);
    struct clone_how how = { .flags = N(A_CLONE_FLAGS) | K_CLONE_PARENT };   // its exit signal is ours then
    if (!answer.error) answer.pid = k_clone(&how), answer.error = check(answer.pid);
    if (answer.pid == 0) {
      close(ends[0]), close(ends[1]);
      return 0;
    }
    k_exit(write(ends[1], &answer, sizeof answer) < 0);
  }
  int error = errno;
  close(ends[1]);
  if (pid > 0) {
    while (read(ends[0], &answer, sizeof answer) < 0 && errno == EINTR) continue;
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
    error = answer.error;
  }
  close(ends[0]);
  errno = error;
  return error ? -1 : answer.pid;
}

/* The host's number of the child, whatever pid namespace we are in: /proc is the host's. */
static pid_t host_pid(int pidfd) {
  char path[64], text[1024];
  snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
  if (read_text(AT_FDCWD, path, text, sizeof text) < 0) return -1;
  const char *line = strstr(text, "\nPid:");
  return line ? (pid_t)atol(line + 5) : -1;
}

OP(clone) {
  int ends[2], pidfd = -1, cgroup = FD(A_CLONE_CGROUP);
  uint32_t joins = step->arg[A_CLONE_JOIN].y.count;
  if (step->arg[A_CLONE_KINDS].y.count != joins) return EINVAL;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) return errno;
  struct clone_how how = { .flags = N(A_CLONE_FLAGS) | K_CLONE_PIDFD, .pidfd = (uint64_t)(uintptr_t)&pidfd, .exit_signal = SIGCHLD };
  if (cgroup >= 0) how.flags |= K_CLONE_INTO_CGROUP, how.cgroup = (uint64_t)cgroup;
  run->joined = joins > 0;
  pid_t pid = joins ? clone_joined(run, step, &how) : k_clone(&how);
  if (pid == 0) {
    close(ends[0]);
    child(run, ends[1]);
  }
  int error = errno;
  close(ends[1]);
  if (pid < 0) {
    close(ends[0]);
    return error;
  }
  run->socket = ends[0], run->vpid = pid;
  run->pidfd = joins ? k_pidfd_open(pid) : pidfd;
  if (run->pidfd < 0) return errno;
  run->pid = host_pid(run->pidfd);
  if (run->pid <= 0) return ESRCH;
  run->start = start_time(run->pid);
  return step->gives == NONE16 ? 0 : give(run, step, fcntl(run->pidfd, F_DUPFD_CLOEXEC, 3));
}
