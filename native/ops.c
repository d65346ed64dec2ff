/*
 * Ops: one op of a plan is one kernel operation. This is the table, and the ops about files of the host.
 *
 *     step ── op ──▶ HOW[op](run, step) ──▶ 0, or an errno
 *
 * An op does what its row in src/plan/step.ts says, and nothing besides: it knows no policy, retries nothing, and looks before it acts
 * only where its name says so. What it opens closes on exec. In the child nothing is allocated: buffers are static, and one at a time.
 *
 * Read on: ops_mount.c, ops_process.c, ops_host.c. Every call is in section 2 of the manual.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include "kernel.h"
#include "ops.h"

static int (*const HOW[LAST_OP + 1])(struct run *, const struct step *) = {
  [OP_MKDIR] = op_mkdir, [OP_RMDIR] = op_rmdir, [OP_WRITE] = op_write, [OP_UNLINK] = op_unlink, [OP_REMOVE_TREE] = op_remove_tree,
  [OP_CAPTURE] = op_capture, [OP_MKFIFO] = op_mkfifo, [OP_CLAIM] = op_claim, [OP_COPY_FILE] = op_copy_file, [OP_OPEN] = op_open,
  [OP_PRIVATE_MOUNTS] = op_private_mounts, [OP_ENTER_MOUNTS] = op_enter_mounts, [OP_CLONE_MOUNT] = op_clone_mount,
  [OP_ATTACH_MOUNT] = op_attach_mount, [OP_NEW_MOUNT] = op_new_mount, [OP_OVERLAY] = op_overlay, [OP_SET_MOUNT] = op_set_mount,
  [OP_MOUNT_POINT] = op_mount_point, [OP_MASK] = op_mask, [OP_PIVOT] = op_pivot, [OP_LEAVE_OLD_ROOT] = op_leave_old_root,
  [OP_UNMOUNT] = op_unmount, [OP_MAKE_NODE] = op_make_node, [OP_MAKE_DIR] = op_make_dir, [OP_MAKE_LINK] = op_make_link, [OP_CHROOT] = op_chroot,
  [OP_CLONE] = op_clone, [OP_MAP_IDS] = op_map_ids, [OP_NEW_USERNS] = op_new_userns, [OP_OPEN_NAMESPACE] = op_open_namespace, [OP_OPEN_PROCESS] = op_open_process,
  [OP_ATTACH_CGROUP] = op_attach_cgroup, [OP_ATTACH_SELF] = op_attach_self, [OP_WRITE_PROC] = op_write_proc,
  [OP_JOIN_NAMESPACE] = op_join_namespace, [OP_UNSHARE] = op_unshare, [OP_REMOVE_CGROUP] = op_remove_cgroup,
  [OP_DEVICE_PROGRAM] = op_device_program, [OP_SIGNAL] = op_signal, [OP_AWAIT_EXIT] = op_await_exit,
  [OP_MOVE_PROCESSES] = op_move_processes, [OP_NETLINK] = op_netlink, [OP_HOLD_PORT] = op_hold_port,
  [OP_SET_IDS] = op_set_ids, [OP_HOSTNAME] = op_hostname, [OP_DOMAINNAME] = op_domainname, [OP_RLIMIT] = op_rlimit, [OP_KEYRING] = op_keyring,
  [OP_SESSION] = op_session, [OP_OPEN_TERMINAL] = op_open_terminal, [OP_CONNECT] = op_connect, [OP_TAKE_TERMINAL] = op_take_terminal,
  [OP_UMASK] = op_umask, [OP_CHDIR] = op_chdir, [OP_BOUNDING] = op_bounding, [OP_KEEP_CAPABILITIES] = op_keep_capabilities,
  [OP_CAPABILITIES] = op_capabilities, [OP_AMBIENT] = op_ambient, [OP_NO_NEW_PRIVILEGES] = op_no_new_privileges, [OP_SECCOMP] = op_seccomp,
  [OP_PERSONALITY] = op_personality, [OP_IO_PRIORITY] = op_io_priority, [OP_SCHEDULER] = op_scheduler, [OP_AFFINITY] = op_affinity,
  [OP_MAKE_DIRECTORY] = op_make_directory, [OP_CLOSE_FILES] = op_close_files, [OP_HOOK] = op_hook, [OP_GATE] = op_gate, [OP_INIT] = op_init, [OP_EXEC] = op_exec, [OP_FILL] = op_fill,
};

int perform(struct run *run, const struct step *step) {
  run->detail = 0;
  return HOW[step->op] ? HOW[step->op](run, step) : ENOSYS;
}

/* ---- helpers ---- */

int give(struct run *run, const struct step *step, int fd) {
  if (fd < 0) return errno;
  if (step->gives == NONE16) return check(close(fd));
  int *slot = &run->slot[step->gives];
  if (*slot >= 0) close(*slot);
  *slot = fd;
  return 0;
}

ssize_t read_text(int at, const char *path, char *text, size_t size) {
  int fd = openat(at, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return -1;
  size_t have = 0;
  ssize_t n = 1;
  while (have < size - 1 && (n = read(fd, text + have, size - 1 - have)) > 0) have += (size_t)n;
  text[have] = 0;
  int error = errno;
  close(fd);
  errno = error;
  return n < 0 ? -1 : (ssize_t)have;
}

int write_text(int fd, const char *text) {
  if (fd < 0) return -1;
  ssize_t length = (ssize_t)strlen(text), n = write(fd, text, (size_t)length);
  int error = n < 0 ? errno : EIO;
  close(fd);
  errno = error;
  return n == length ? 0 : -1;
}

int send_fds(int socket, const void *bytes, size_t length, const int *fds, unsigned count) {
  static _Alignas(struct cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
  struct iovec vector = { (void *)bytes, length };
  struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };
  if (count) {
    message.msg_control = control, message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET, head->cmsg_type = SCM_RIGHTS, head->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(head), fds, count * sizeof(int));
  }
  return syscall(SYS_sendmsg, socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;   // musl's own takes 1 KiB of fds at most
}

ssize_t receive_fds(int socket, void *bytes, size_t length, int *fds, unsigned *count) {
  static _Alignas(struct cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))];
  struct iovec vector = { bytes, length };
  struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(*count * sizeof(int)) };
  *count = 0;
  ssize_t n;
  while ((n = recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) continue;
  struct cmsghdr *head = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
  if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS) {
    *count = (unsigned)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(head), *count * sizeof(int));
  }
  return n;
}

uint64_t start_time(pid_t pid) {
  char path[32], text[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  if (read_text(AT_FDCWD, path, text, sizeof text) < 0) return 0;
  char *at = strrchr(text, ')');   // the name before it may hold anything
  for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
  return at ? strtoull(at, NULL, 10) : 0;
}

void default_signals(void) {
  sigset_t none;
  sigemptyset(&none);
  // Not signal(3): musl keeps three of them for itself, and a caller may have left them ignored.
  static const struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } by_default;
  for (int number = 1; number <= 64; number++) syscall(SYS_rt_sigaction, number, &by_default, NULL, 8ul);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* ---- files ---- */

static int make(struct run *run, const char *path, mode_t mode, uint64_t uid, uint64_t gid) {
  const char *name;
  int parent = parent_of(run, path, &name), error = parent < 0 ? errno : check(make_at(parent, name, mode, 0, uid, gid));
  if (parent >= 0) close(parent);
  return error;
}
static int take_away(struct run *run, const char *path, int flags) {
  const char *name;
  int parent = parent_of(run, path, &name), error = parent < 0 ? errno : check(unlinkat(parent, name, flags));
  if (parent >= 0) close(parent);
  return error;
}

OP(mkdir) { return make(run, T(A_MKDIR_PATH), S_IFDIR | (N(A_MKDIR_MODE) & 07777), N(A_MKDIR_UID), N(A_MKDIR_GID)); }
OP(mkfifo) { return make(run, T(A_MKFIFO_PATH), S_IFIFO | (N(A_MKFIFO_MODE) & 07777), N(A_MKFIFO_UID), N(A_MKFIFO_GID)); }
OP(rmdir) { return take_away(run, T(A_RMDIR_PATH), AT_REMOVEDIR); }
OP(unlink) { return take_away(run, T(A_UNLINK_PATH), 0); }

OP(remove_tree) {
  const char *name;
  int parent = parent_of(run, T(A_REMOVE_TREE_PATH), &name);
  if (parent < 0) return errno == ENOENT ? 0 : errno;
  int error = check(remove_tree(parent, name));
  close(parent);
  return error;
}

/* Inside, a file of the image may be a FIFO, which must not hold us. On the host it must not be asked: cgroup files read it as a wish. */
static uint64_t patience(const struct run *run) { return run->root >= 0 ? O_NONBLOCK | O_NOCTTY : O_NOCTTY; }

OP(write) { return check(write_text(resolve(run, T(A_WRITE_PATH), O_WRONLY | patience(run), 0), T(A_WRITE_TEXT))); }

OP(open) {
  uint64_t flags = N(A_OPEN_FLAGS);
  return give(run, step, resolve(run, T(A_OPEN_PATH), flags, flags & O_CREAT ? 0600 : 0));
}

OP(claim) {
  struct stat about;
  return check(lstat(T(A_CLAIM_PATH), &about));
}

OP(capture) {
  static char text[65536 + 1];
  ssize_t length = read_text(AT_FDCWD, T(A_CAPTURE_PATH), text, sizeof text);
  if (length < 0) return errno;
  captured(T(A_CAPTURE_NAME), text, (size_t)length);
  return 0;
}

OP(copy_file) {
  static char text[4096];
  if (read_text(AT_FDCWD, T(A_COPY_FILE_TO), text, sizeof text) < 0) return errno;
  if (text[strspn(text, " \t\n")]) return 0;
  if (read_text(AT_FDCWD, T(A_COPY_FILE_FROM), text, sizeof text) < 0) return errno;
  return check(write_text(open(T(A_COPY_FILE_TO), O_WRONLY | O_CLOEXEC), text));
}
