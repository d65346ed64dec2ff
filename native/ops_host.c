/*
 * Ops of the host's side: namespaces and processes by fd, cgroups, device rules, netlink.
 *
 * Processes are numbered per pid namespace. The monitor may be process 1 of its own, while /proc is the host's:
 *
 *     run->vpid   what clone3 answered: for cgroup.procs, prlimit, kill
 *     run->pid    what the host calls it: for /proc/PID/…
 *
 * Read on: join.c, where both come from. cgroups(7), pid_namespaces(7), netlink(7), bpf(2).
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <signal.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <linux/bpf.h>
#include <linux/netlink.h>
#include "kernel.h"
#include "ops.h"

/* ---- the child and other processes ---- */

static int open_proc(const struct run *run, const char *name, int flags) {
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "/proc/%d/%s", (int)run->pid, name) >= (int)sizeof path) { errno = ENAMETOOLONG; return -1; }
  return open(path, flags | O_CLOEXEC);
}

OP(map_ids) { return check(write_text(open_proc(run, N(A_MAP_IDS_KIND) == 1 ? "gid_map" : "uid_map", O_WRONLY), T(A_MAP_IDS_TEXT))); }
OP(write_proc) { return check(write_text(open_proc(run, T(A_WRITE_PROC_NAME), O_WRONLY), T(A_WRITE_PROC_TEXT))); }

OP(open_namespace) {
  char name[64];
  if (snprintf(name, sizeof name, "ns/%s", T(A_OPEN_NAMESPACE_NAME)) >= (int)sizeof name) return ENAMETOOLONG;
  return give(run, step, open_proc(run, name, O_RDONLY));
}

OP(open_process) {
  pid_t pid = (pid_t)N(A_OPEN_PROCESS_PID);
  int process = pid > 0 ? k_pidfd_open(pid) : -1;
  if (process < 0) return pid > 0 ? errno : ESRCH;
  // The number may have gone to another process before we opened it. After that it cannot while the time agrees.
  if (start_time(pid) == N(A_OPEN_PROCESS_START)) return give(run, step, process);
  close(process);
  return ESRCH;
}

OP(signal) { return check(k_pidfd_send_signal(FD(A_SIGNAL_PROCESS), (int)N(A_SIGNAL_SIGNAL))); }

OP(await_exit) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  uint64_t end = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000 + N(A_AWAIT_EXIT_MS);
  for (;;) {
    uint64_t at = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, left = end > at ? end - at : 0;
    int ready = poll(&(struct pollfd){ .fd = FD(A_AWAIT_EXIT_PROCESS), .events = POLLIN }, 1, left > INT_MAX ? INT_MAX : (int)left);
    if (ready > 0) return 0;
    if (ready == 0 && left <= INT_MAX) return ETIMEDOUT;
    if (ready < 0 && errno != EINTR) return errno;
    clock_gettime(CLOCK_MONOTONIC, &now);
  }
}

OP(join_namespace) { return check(setns(FD(A_JOIN_NAMESPACE_NAMESPACE), (int)N(A_JOIN_NAMESPACE_KIND))); }
OP(unshare) { return check(unshare((int)N(A_UNSHARE_FLAGS))); }

/* ---- cgroups ---- */

OP(attach_cgroup) {
  char pid[16];
  snprintf(pid, sizeof pid, "%d", (int)run->vpid);
  return check(write_text(open(T(A_ATTACH_CGROUP_PATH), O_WRONLY | O_CLOEXEC), pid));
}
OP(attach_self) { return check(write_text(open(T(A_ATTACH_SELF_PATH), O_WRONLY | O_CLOEXEC), "0")); }

static void write_below(int group, const char *name, const char *text) { write_text(openat(group, name, O_WRONLY | O_CLOEXEC), text); }

enum { MOST_PASSES = 1000 };

/*
 * Whoever forks faster than we read is met again in the next pass. One that ends meanwhile is gone, which is as good. Of processes that
 * no pid of ours names there is only a 0, which the kernel would read as ourselves.
 */
OP(move_processes) {
  static char text[65536];
  if (run->moved) return run->moved - 1;
  if (mkdir(T(A_MOVE_PROCESSES_TO), 0755) < 0 && errno != EEXIST) return errno;
  int from = open(T(A_MOVE_PROCESSES_FROM), O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = errno;
  if (from < 0) return error;
  int to = open(T(A_MOVE_PROCESSES_TO), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  error = to < 0 ? errno : EBUSY;
  for (int pass = 0; to >= 0 && error == EBUSY && pass < MOST_PASSES; pass++) {
    ssize_t length = read_text(from, "cgroup.procs", text, sizeof text);
    if (length <= 0) error = length < 0 ? errno : 0;
    bool named = false;
    for (char *at = text, *end; length > 0 && *at && error == EBUSY; at = end + 1) {
      long pid = strtol(at, &end, 10);
      if (end == at || *end != '\n') break;   // the list is longer than our buffer, and its last number cut short
      if (pid <= 0) continue;
      char number[24];
      snprintf(number, sizeof number, "%ld", pid);
      named = true;
      if (write_text(openat(to, "cgroup.procs", O_WRONLY | O_CLOEXEC), number) < 0 && errno != ESRCH) error = errno;
    }
    if (!named) break;
  }
  if (to >= 0) close(to);
  close(from);
  return error;
}

/* Kills what is in one group. A process outside our pid namespace is listed as 0, which kill(2) would read as all of our own group. */
static void kill_members(int group) {
  static char text[65536];
  if (read_text(group, "cgroup.procs", text, sizeof text) <= 0) return;
  for (char *at = text, *end; *at; at = end + 1) {
    long pid = strtol(at, &end, 10);
    if (end == at || *end != '\n') return;   // cut short it would be somebody else's
    if (pid > 0) kill((pid_t)pid, SIGKILL);
  }
}

/* The first group below; its name is in `name`. -1: there is none. */
static int first_below(int group, char *name, size_t size) {
  _Alignas(8) char buffer[4096];
  const struct k_entry *entry;
  if (lseek(group, 0, SEEK_SET) < 0) return -1;
  for (long n; (n = k_getdents(group, buffer, sizeof buffer)) > 0;)
    for (long i = 0; i < n; i += entry->size) {
      entry = (const void *)(buffer + i);
      if (entry->type != DT_DIR || entry->name[0] == '.' || strlen(entry->name) >= size) continue;
      strcpy(name, entry->name);
      return openat(group, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
  return -1;
}

/*
 * From the deepest group up. An ended process leaves its group a moment after it is killed, and one that forks is faster than any list
 * of pids: so kill, try, wait a little longer each time, for two seconds in all.
 */
OP(remove_cgroup) {
  const char *name;
  int parent = parent_of(run, T(A_REMOVE_CGROUP_PATH), &name);
  if (parent < 0) return errno == ENOENT ? 0 : errno;
  int error = check(unlinkat(parent, name, AT_REMOVEDIR));   // mostly nobody is left, and one call tells
  if (error != EBUSY) {
    close(parent);
    return error == ENOENT ? 0 : error;
  }
  int top = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (top < 0) {
    error = errno;
    close(parent);
    return error == ENOENT ? 0 : error;
  }
  char here[NAME_MAX + 1], next[NAME_MAX + 1];
  write_below(top, "cgroup.kill", "1");
  int64_t waited = 0, wait = 100000;
  for (bool gone = false; !gone;) {
    int above = dup(parent), group = dup(top);
    snprintf(here, sizeof here, "%s", name);
    bool is_top = true;
    for (int below;; is_top = false) {
      write_below(group, "freezer.state", "THAWED");   // v1: what is frozen, or below what is frozen, does not die
      if ((below = first_below(group, next, sizeof next)) < 0) break;
      close(above);
      above = group, group = below;
      strcpy(here, next);
    }
    kill_members(group);
    error = check(unlinkat(above, here, AT_REMOVEDIR));
    gone = is_top && (error == 0 || error == ENOENT);
    close(above), close(group);
    if (error != EBUSY) {
      if (error && error != ENOENT) break;
      continue;
    }
    if (waited > 2000000000) break;
    nanosleep(&(struct timespec){ .tv_nsec = wait }, NULL);
    waited += wait;
    if (wait < 20000000) wait *= 2;
  }
  close(top), close(parent);
  return error == ENOENT ? 0 : error;
}

OP(device_program) {
  const struct { const char *bytes; uint32_t length; } code = { T(A_DEVICE_PROGRAM_PROGRAM), step->arg[A_DEVICE_PROGRAM_PROGRAM].t.length };
  union bpf_attr load, attach;
  memset(&load, 0, sizeof load), memset(&attach, 0, sizeof attach);
  load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  load.insns = (uint64_t)(uintptr_t)code.bytes, load.insn_cnt = code.length / sizeof(struct bpf_insn);
  load.license = (uint64_t)(uintptr_t)"MIT";
  int group = open(T(A_DEVICE_PROGRAM_PATH), O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = errno;
  if (group < 0) return error;
  int program = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
  attach.target_fd = (uint32_t)group, attach.attach_bpf_fd = (uint32_t)program;
  attach.attach_type = BPF_CGROUP_DEVICE, attach.attach_flags = BPF_F_ALLOW_MULTI;
  error = program < 0 ? errno : check(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach));
  if (program >= 0) close(program);
  close(group);
  return error;
}

/* ---- netlink ---- */

/* The first error among the acks; the kernel has sent them all before send(2) came back. EPROTO: some are missing. */
static int read_acks(int socket, unsigned wanted) {
  static _Alignas(8) char buffer[16384];
  int error = 0;
  for (ssize_t n; (n = recv(socket, buffer, sizeof buffer, MSG_DONTWAIT)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return error ? error : errno;
    int left = (int)n;
    for (struct nlmsghdr *head = (void *)buffer; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
      if (head->nlmsg_type != NLMSG_ERROR) continue;
      if (wanted) wanted--;
      const struct nlmsgerr *answer = NLMSG_DATA(head);
      if (answer->error && !error) error = -answer->error;
    }
  }
  return error ? error : wanted ? EPROTO : 0;
}

/* rtnetlink takes one message at a time, so that none follows one that failed; an nf_tables batch is one whole. */
OP(netlink) {
  char *bytes = (char *)T(A_NETLINK_MESSAGES);   // ours, and private: see read_plan()
  size_t length = step->arg[A_NETLINK_MESSAGES].t.length;
  uint32_t fds = step->arg[A_NETLINK_FDS].y.count;
  const uint64_t *offset = step->arg[A_NETLINK_OFFSETS].y.v;
  if (step->arg[A_NETLINK_OFFSETS].y.count != fds) return EINVAL;
  for (uint32_t i = 0; i < fds; i++) {
    uint32_t fd = (uint32_t)run->slot[step->arg[A_NETLINK_FDS].y.v[i]];
    if (length < sizeof fd || offset[i] > length - sizeof fd) return EINVAL;
    memcpy(bytes + offset[i], &fd, sizeof fd);
  }
  int socket_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, (int)N(A_NETLINK_PROTOCOL)), on = 1, size = 4 << 20;
  if (socket_ < 0) return errno;
  setsockopt(socket_, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);   // acks without the message that they answer
  if (setsockopt(socket_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  setsockopt(socket_, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  int error = 0;
  for (size_t at = 0, end; at < length && !error; at = end) {
    unsigned acks = 0;
    for (end = at; end < length && (end == at || N(A_NETLINK_PROTOCOL) != NETLINK_ROUTE);) {
      struct nlmsghdr head;
      if (length - end < sizeof head) { error = EINVAL; break; }
      memcpy(&head, bytes + end, sizeof head);
      if (head.nlmsg_len < sizeof head || head.nlmsg_len > length - end) { error = EINVAL; break; }
      acks += (head.nlmsg_flags & NLM_F_ACK) != 0;
      end += NLMSG_ALIGN(head.nlmsg_len);
    }
    if (end > length) end = length;
    if (!error) error = check(send(socket_, bytes + at, end - at, MSG_NOSIGNAL));
    if (!error) error = read_acks(socket_, acks);
  }
  close(socket_);
  return error;
}

/* ---- sockets ---- */

OP(hold_port) {
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)N(A_HOLD_PORT_PORT)) };
  int protocol = (int)N(A_HOLD_PORT_PROTOCOL);
  if (step->arg[A_HOLD_PORT_ADDRESS].t.length != sizeof at.sin_addr) return EINVAL;
  memcpy(&at.sin_addr, T(A_HOLD_PORT_ADDRESS), sizeof at.sin_addr);
  int socket_ = socket(AF_INET, (protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, protocol);
  if (socket_ < 0) return errno;
  if (bind(socket_, (struct sockaddr *)&at, sizeof at) == 0) return 0;   // not closed: that is the point
  int error = errno;
  close(socket_);
  return error;
}

OP(connect) {
  struct sockaddr_un at = { .sun_family = AF_UNIX };
  const char *name;
  int parent = parent_of(run, T(A_CONNECT_PATH), &name);
  if (parent < 0) return errno;
  // A socket's path has 108 bytes; through the directory's fd only the name must fit.
  int length = snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", parent, name);
  int socket_ = length < (int)sizeof at.sun_path ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : (errno = ENAMETOOLONG, -1);
  int error = socket_ < 0 ? errno : check(connect(socket_, (struct sockaddr *)&at, sizeof at));
  close(parent);
  if (!error) return give(run, step, socket_);
  if (socket_ >= 0) close(socket_);
  return error;
}

/* ---- files of a container that does not run ---- */

OP(new_userns) {
  int ends[2], fd = -1;
  char path[48], byte;
  if (pipe2(ends, O_CLOEXEC) < 0) return errno;
  struct clone_how how = { .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD };
  pid_t pid = k_clone(&how);
  if (pid == 0) {
    close(ends[1]);
    ssize_t n = read(ends[0], &byte, 1);   // until the other end is closed, or its owner dies
    k_exit(n < 0);
  }
  int error = pid < 0 ? errno : 0;
  for (int i = 0; !error && i < 3; i++) {
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, i == 0 ? "uid_map" : i == 1 ? "gid_map" : "ns/user");
    fd = open(path, (i == 2 ? O_RDONLY : O_WRONLY) | O_CLOEXEC);
    if (fd < 0 || (i < 2 && write_text(fd, i == 0 ? T(A_NEW_USERNS_UIDS) : T(A_NEW_USERNS_GIDS)) < 0)) error = errno;
  }
  close(ends[0]), close(ends[1]);
  while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) continue;
  return error ? error : give(run, step, fd);
}
