/*
 * System calls that the C library does not wrap, or wraps so that threads are told of it, and their constants: musl and glibc have
 * different ones of them, and the kernel's own headers clash with glibc's. All answer -1 and errno.
 *
 * Read on: ops.c. Linux include/uapi/linux/{mount,openat2,sched,pidfd}.h.
 */
#ifndef KERNEL_H
#define KERNEL_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/*
 * openat2(2). EAGAIN: while a `..` was resolved inside a root, something was renamed or mounted, anywhere on this machine; which
 * anybody, in any container, can do without end.
 */
struct open_how_ { uint64_t flags, mode, resolve; };
enum { IN_ROOT = 0x10, BENEATH = 0x08, NO_SYMLINKS = 0x04, NO_MAGICLINKS = 0x02, NO_XDEV = 0x01 };
static inline int k_openat2(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
  struct open_how_ how = { flags, mode, resolve };
  int fd = -1;
  for (int tries = 0; tries < 10000 && (fd = (int)syscall(SYS_openat2, at, path, &how, sizeof how)) < 0 && errno == EAGAIN; tries++) continue;
  return fd;
}

/* clone3(2). In the child nothing of the C library may be used that knows its own pid: raise, abort, fork. */
struct clone_how { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup; };
#define K_CLONE_PIDFD 0x1000ull
#define K_CLONE_PARENT 0x8000ull
#define K_CLONE_INTO_CGROUP 0x200000000ull
static inline pid_t k_clone(const struct clone_how *how) { return (pid_t)syscall(SYS_clone3, how, sizeof *how); }
/* By the old clone(2): a filter cannot see into clone3's arguments, so Docker's policy answers ENOSYS to it. */
static inline pid_t k_fork(void) { return (pid_t)syscall(SYS_clone, (unsigned long)SIGCHLD, 0ul, 0ul, 0ul, 0ul); }
static inline int k_pidfd_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0u); }
static inline int k_pidfd_send_signal(int pidfd, int signal) { return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0u); }
#define K_CLOSE_RANGE_CLOEXEC 4u
static inline int k_close_range(unsigned from, unsigned flags) { return (int)syscall(SYS_close_range, from, ~0u, flags); }
/* Ends this process even where a filter denies that, and even process 1: a fault is a signal that nothing holds back. */
_Noreturn static inline void k_exit(int code) {
  syscall(SYS_exit_group, code);
  for (;;) __builtin_trap();
}

/* What getdents64(2) fills a buffer with */
struct k_entry { uint64_t inode; int64_t offset; uint16_t size; uint8_t type; char name[]; };
static inline long k_getdents(int directory, void *buffer, size_t size) { return syscall(SYS_getdents64, directory, buffer, size); }

/* memfd_create(2), since Linux 6.3 */
#define K_MFD_EXEC 0x10u

/* The mount API */
#define K_OPEN_TREE_CLONE 1u
#define K_AT_RECURSIVE 0x8000u
#define K_MOVE_FROM_FD 0x04u
#define K_MOVE_TO_FD 0x40u
#define K_MOUNT_ATTR_IDMAP 0x00100000ull
struct mount_how { uint64_t set, clear, propagation, userns; };
enum { K_SET_FLAG = 0, K_SET_STRING = 1, K_CMD_CREATE = 6 };
static inline int k_open_tree(int at, const char *path, unsigned flags) { return (int)syscall(SYS_open_tree, at, path, flags); }
static inline int k_move_mount(int from, int to) { return (int)syscall(SYS_move_mount, from, "", to, "", K_MOVE_FROM_FD | K_MOVE_TO_FD); }
static inline int k_mount_setattr(int at, unsigned flags, const struct mount_how *how) {
  return (int)syscall(SYS_mount_setattr, at, "", flags, how, sizeof *how);
}
static inline int k_fsopen(const char *type) { return (int)syscall(SYS_fsopen, type, 1u); }
static inline int k_fsconfig(int context, unsigned command, const char *key, const char *value) {
  return (int)syscall(SYS_fsconfig, context, command, key, value, 0);
}
static inline int k_fsmount(int context, uint64_t attributes) { return (int)syscall(SYS_fsmount, context, 1u, (unsigned)attributes); }

#endif
