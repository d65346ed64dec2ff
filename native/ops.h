/*
 * What the files of ops share: how an op is written, and helpers of paths.c and ops.c. All but ops answer -1 and errno.
 *
 *     OP(rmdir)   ──▶   int op_rmdir(struct run *run, const struct step *step)       0, or an errno
 *     N, T, FD          an argument of the step: a number, a text, the fd in a slot
 *
 * Read on: ops.c, the table.
 */
#ifndef OPS_H
#define OPS_H

#include <errno.h>
#include "executor.h"

#define OP(name) int op_##name(__attribute__((unused)) struct run *run, __attribute__((unused)) const struct step *step)
#define N(argument) (step->arg[argument].n)
#define T(argument) (step->arg[argument].t.s)
#define FD(argument) fd_in(run, step->arg[argument].n)

/* The fd in a slot; -1 where the slot is absent or empty. */
static inline int fd_in(const struct run *run, uint64_t slot) { return slot == NONE64 ? -1 : run->slot[slot]; }
/* The answer of a system call as that of an op. */
static inline int check(long answer) { return answer < 0 ? errno : 0; }

/* ops.c */
int give(struct run *run, const struct step *step, int fd);                    /* an op's end: fd into its slot. 0, or errno if fd is -1 */
ssize_t read_text(int at, const char *path, char *text, size_t size);          /* a small file, from a path that is the host's; ends in NUL */
int write_text(int fd, const char *text);                                      /* one write(2) of all of it, then close */
int send_fds(int socket, const void *bytes, size_t length, const int *fds, unsigned count);
ssize_t receive_fds(int socket, void *bytes, size_t length, int *fds, unsigned *count);   /* count: room in, how many out */
uint64_t start_time(pid_t pid);                                                /* clock ticks since boot, of a pid as /proc has it; 0: gone */
void default_signals(void);

/* paths.c: names in the container's root once run->root is there, else the host's */
int resolve(const struct run *run, const char *path, uint64_t flags, unsigned mode);
int parent_of(const struct run *run, const char *path, const char **name);     /* name is valid until the next call */
int make_at(int at, const char *name, mode_t mode, dev_t device, uint64_t uid, uint64_t gid);   /* any kind; NONE64: owner as made */
int make_path(const struct run *run, const char *path, mode_t mode, uint64_t uid, uint64_t gid);
int remove_tree(int parent, const char *name);
extern unsigned long long freed;                                               /* bytes on disk of the files that remove_tree removed */

/* seal.c */
int seal(char **argv);                                                         /* runs this program again so that nobody can write to it; 0: it is so already, -1: it cannot be */

/* executor.c */
_Noreturn void child(struct run *run, int socket);
void executing(struct run *run);                                               /* execve comes next; what it replaces can tell no more */
void gated(struct run *run);                                                   /* the child has reached its gate */
void captured(const char *name, const char *text, size_t length);
void let_go(struct run *run);                                                  /* of everything that is shared, the plan's or the caller's */

/* The ops, by file. */
OP(mkdir); OP(rmdir); OP(write); OP(unlink); OP(remove_tree); OP(capture); OP(mkfifo); OP(claim); OP(copy_file); OP(open);
OP(private_mounts); OP(enter_mounts); OP(clone_mount); OP(attach_mount); OP(new_mount); OP(overlay); OP(set_mount); OP(mount_point);
OP(mask); OP(pivot); OP(leave_old_root); OP(unmount); OP(make_node); OP(make_dir); OP(make_link); OP(chroot);
OP(clone);
OP(map_ids); OP(open_namespace); OP(open_process); OP(attach_cgroup); OP(attach_self); OP(write_proc); OP(join_namespace); OP(unshare);
OP(remove_cgroup); OP(device_program); OP(signal); OP(await_exit); OP(move_processes); OP(netlink); OP(hold_port); OP(connect);
OP(set_ids); OP(hostname); OP(domainname); OP(rlimit); OP(keyring); OP(session); OP(open_terminal); OP(take_terminal); OP(umask);
OP(chdir); OP(bounding); OP(keep_capabilities); OP(capabilities); OP(ambient); OP(no_new_privileges); OP(seccomp); OP(personality);
OP(io_priority); OP(scheduler); OP(affinity); OP(make_directory); OP(close_files);
OP(new_userns); OP(hook); OP(gate); OP(init); OP(exec);
OP(fill);

#endif
