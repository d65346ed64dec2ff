/*
 * Runs a program on a host that refuses what its kernel and its file systems can do: as a security module may, or the seccomp filter of a
 * container around us.
 *
 *   refusing idmap    ERRNO COMMAND ARG...     no mount is shown with other ids: mount_setattr(2) with MOUNT_ATTR_IDMAP
 *   refusing volumes  ERRNO COMMAND ARG...     the same, but only of mounts with all below them: AT_RECURSIVE
 *   refusing userns   ERRNO COMMAND ARG...     no user namespace is made: clone3(2) with CLONE_NEWUSER
 *
 * A filter sees numbers only, not what they point to; so it asks us, and we look into the caller's memory. @see seccomp_unotify(2)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each call has a 64-bit word of flags at the beginning of a structure. */
static const struct refusal { const char *name; int number, argument; uint64_t bits, flags; } REFUSALS[] = {
  { "idmap", SYS_mount_setattr, 3, 0x100000, 0 },
  { "volumes", SYS_mount_setattr, 3, 0x100000, 0x8000 },   /* AT_RECURSIVE, in the third argument */
  { "userns", SYS_clone3, 0, 0x10000000, 0 },
};

static int filter(int number)
{
  struct sock_filter code[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { sizeof code / sizeof *code, code };
  return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
}

static int refused(const struct refusal *what, const struct seccomp_notif *call)
{
  char path[64];
  uint64_t set = 0;
  snprintf(path, sizeof path, "/proc/%u/mem", call->pid);
  int memory = open(path, O_RDONLY | O_CLOEXEC);
  if (pread(memory, &set, sizeof set, (off_t)call->data.args[what->argument]) != sizeof set) set = 0;
  close(memory);
  return (set & what->bits) && (call->data.args[2] & what->flags) == what->flags;
}

int main(int argc, char **argv)
{
  int ends[2], status = 0, listener = -1;
  if (argc < 4 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)) return 3;
  const struct refusal *what = REFUSALS;
  while (strcmp(what->name, argv[1])) if (++what == REFUSALS + sizeof REFUSALS / sizeof *REFUSALS) return 3;
  pid_t child = fork();
  if (child == 0) {
    char taken;
    listener = filter(what->number);
    if (listener < 0 || write(ends[1], &listener, sizeof listener) < 0) { perror("seccomp"); _exit(3); }
    if (read(ends[1], &taken, 1) != 1) _exit(3);   // it goes with the exec, and our maker has its own by then
    execvp(argv[3], argv + 3);
    perror(argv[3]);
    _exit(127);
  }
  int number;
  close(ends[1]);
  if (read(ends[0], &number, sizeof number) != sizeof number) return 3;
  int process = (int)syscall(SYS_pidfd_open, child, 0);
  listener = (int)syscall(SYS_pidfd_getfd, process, number, 0);
  if (listener < 0 || write(ends[0], "", 1) != 1) { perror("listener"); return 3; }
  // Until our child ends: only later kernels hang up before it is waited for.
  for (struct pollfd polled[] = { { listener, POLLIN, 0 }, { process, POLLIN, 0 } }; poll(polled, 2, -1) >= 0 || errno == EINTR;) {
    struct seccomp_notif call = { 0 };
    if (polled[1].revents) break;
    if (!(polled[0].revents & POLLIN) || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) continue;
    struct seccomp_notif_resp answer = { .id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE };
    if (refused(what, &call)) answer.flags = 0, answer.error = -atoi(argv[2]);
    ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
