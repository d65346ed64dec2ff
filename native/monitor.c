/*
 * The monitor: the container's parent, and what is left of us while it runs.
 *
 *                       pipes, or one terminal
 *     container  stdout ──▶ ┌─────────┐ ──▶ log
 *     process 1  stderr ──▶ │ monitor │ ──▶ front            (socketpair)
 *                 stdin ◀── │         │ ◀─▶ attached clients (control socket)
 *                           └─────────┘ ──▶ status: running, exited
 *
 * One process, one loop over poll(2), no allocation: one chunk of output is in flight at a time. It is logged, then sent to every
 * client; until all have taken it, nothing more is read, so the pipe fills and the container waits, as it would for any reader. The
 * front may take as long as it likes; an attached client that has not taken a chunk after 5 s is cut off.
 *
 * Rules. All signals are blocked: only SIGKILL ends it, and when it is process 1 of the outer pid namespace that ends everything
 * below. It holds nothing of the caller's. At the end the order is: output, log, the last status, undos, the last frame; so who sees
 * the status sees what the exit steps captured, and who gets the frame finds the host as it was.
 *
 * Read on: clients.c, log.c, status.c; front.c, the other end. signalfd(2), pidfd_send_signal(2), pid_namespaces(7), unix(7).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "kernel.h"
#include "monitor.h"

enum {
  FIRST_SIZE_MS = 100,
  HUNG_MS = 200,
  REST_MS = 1000,           /* after so long without anything to do, the buffers are given back */
  DRAIN = 1 << 20,          /* bytes read of a stream after the end: what the largest pipe of an ordinary user holds */
};

struct run *run;
struct container container = { .out = { -1, -1 }, .in = -1, .listener = -1 };

static int children = -1;
static int ended_how;
static char status_head[256], status_path[PATH_MAX], control_path[PATH_MAX];

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what the container says ---- */

void close_stream(int n) {
  if (container.out[n] >= 0) close(container.out[n]);
  if (container.out[n] == container.in) container.in = -1;
  if (container.out[n] == run->terminal) run->terminal = -1;
  container.out[n] = -1;
}

/* One chunk of a stream on its way to the log and to all clients. 0: there is none now, or the stream has ended. */
static size_t relay(int n) {
  ssize_t got = read(container.out[n], flight.bytes, sizeof flight.bytes);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  // The other end of a terminal may be opened again; while it is not, reading gives EIO.
  if (got < 0 && errno == EIO && container.out[n] == run->terminal && !container.ended) {
    container.hung = true;
    return 0;
  }
  if (got <= 0) { close_stream(n); return 0; }
  log_write(n == 1, flight.bytes, (size_t)got);
  flight.head = (struct frame_head){ .type = n == 1 ? FRAME_STDERR : FRAME_STDOUT, .length = (uint32_t)got };
  flight_size = (uint32_t)(sizeof flight.head + (size_t)got);
  int64_t now = now_ms();
  each_client(client) {
    bool wants = client->fd >= 0 && !client->deaf && !(client->closed & 1u << n);
    client->sent = wants ? 0 : flight_size;
    client->since = now;
    if (wants) push(client);
  }
  return (size_t)got;
}

/*
 * The rest of the output, when process 1 is gone. Everything else in its pid namespace is gone too, so what the pipes hold now is all
 * there will be. With `--pid host` others may hold them open; nobody waits for those: it ends at the first pause, or after DRAIN bytes.
 */
static void drain(void) {
  each_client(client) if (client->fd >= 0) widen(client);
  for (int n = 0; n < 2; n++) {
    size_t total = 0, got = 1;
    while (got > 0 && total < DRAIN) {
      each_client(client) {
        int64_t end = now_ms() + CUT_MS;
        for (push(client); behind(client) && now_ms() < end; push(client))   // only where SO_SNDBUFFORCE is refused
          poll(&(struct pollfd){ .fd = client->fd, .events = POLLOUT }, 1, CUT_MS);
        if (behind(client)) deafen(client);
      }
      got = container.out[n] >= 0 && total < DRAIN ? relay(n) : 0;
      total += got;
    }
    close_stream(n);
  }
}

/* ---- the loop ---- */

/* Reaps whatever has ended: as process 1 of a pid namespace we are everybody's last parent. */
static void reap(void) {
  int how;
  for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;)
    if (pid == run->vpid) container.ended = true, ended_how = how;
}

static void watch(void) {
  bool rested = false;
  uint64_t timeout = run->plan->frame[HEADER_TIMEOUT_MS].n;
  int64_t end = timeout == NONE64 ? INT64_MAX : now_ms() + (int64_t)timeout;
  for (reap(); !container.ended;) {
    enum { CHILDREN, LISTENER, IN, OUT, ERR, FIXED };
    struct pollfd polled[FIXED + CLIENTS];
    bool full = false;
    int64_t wait = container.hung ? HUNG_MS : -1, now = now_ms();
    if (now >= end) k_pidfd_send_signal(run->pidfd, SIGKILL), end = INT64_MAX;
    if (end < INT64_MAX && (wait < 0 || end - now < wait)) wait = end - now < INT_MAX ? end - now : INT_MAX;
    for (int i = 0; i < CLIENTS; i++) {
      struct client *client = &clients[i];
      if (client->fd >= 0 && !client->is_front && behind(client) && now - client->since >= CUT_MS) cut_off(client);
      short events = (short)((stuck(client) ? 0 : POLLIN) | (behind(client) || client->taken ? POLLOUT : 0));
      // Without an event asked for, poll would still report a hang-up, again and again.
      polled[FIXED + i] = (struct pollfd){ .fd = events ? client->fd : -1, .events = events };
      if (!behind(client)) continue;
      full = true;
      int64_t left = client->since + CUT_MS - now;
      if (!client->is_front && (wait < 0 || left < wait)) wait = left;
    }
    polled[CHILDREN] = (struct pollfd){ .fd = children, .events = POLLIN };
    polled[LISTENER] = (struct pollfd){ .fd = container.listener, .events = POLLIN };
    polled[IN] = (struct pollfd){ .fd = stdin_waits() && !container.hung ? container.in : -1, .events = POLLOUT };
    for (int n = 0; n < 2; n++) polled[OUT + n] = (struct pollfd){ .fd = full || container.hung ? -1 : container.out[n], .events = POLLIN };
    bool idle = !full && !container.hung && !stdin_waits();
    if (idle && !rested && (wait < 0 || wait > REST_MS)) wait = REST_MS;
    int events = poll(polled, FIXED + CLIENTS, (int)wait);
    if (events < 0) continue;
    if (events == 0 && idle) rest_clients(), log_rest();
    rested = events == 0 && idle;

    if (polled[CHILDREN].revents) {
      struct signalfd_siginfo info;
      if (read(children, &info, sizeof info) > 0) reap();
    }
    if (polled[LISTENER].revents) accept_all();
    if (polled[IN].revents || container.hung) flush_stdin();
    for (int i = 0; i < CLIENTS; i++) {
      struct client *client = &clients[i];
      if (client->fd != polled[FIXED + i].fd) continue;
      if (polled[FIXED + i].revents & (POLLOUT | POLLERR | POLLHUP)) push(client);
      if (polled[FIXED + i].revents & (POLLIN | POLLERR | POLLHUP)) hear(client, 64);
    }
    for (int n = 0; n < 2; n++) {
      bool free = true;
      for (int i = 0; i < CLIENTS; i++) free = free && !behind(&clients[i]);
      if (!free || container.out[n] < 0 || !(polled[OUT + n].revents || container.hung)) continue;
      container.hung = false;
      relay(n);
    }
  }
}

void monitor_warning(uint32_t step, int error) {
  struct failure warning = { step, error, 0 };
  each_client(client)
    if (client->is_front && !behind(client)) tell(client, FRAME_WARNING, &warning, sizeof warning);
}

/* ---- beginning and end ---- */

/* Nothing of the caller's stays with us: neither its terminal, nor its directory, nor a pipe whose end somebody waits for. */
static void leave_caller(int *front) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  signal(SIGCHLD, SIG_DFL);   // ignored, it would reap by itself
  setsid();
  prctl(PR_SET_NAME, "minicontainer");
  if (chdir("/") < 0) _exit(125);
  if (*front != 3 && dup3(*front, 3, O_CLOEXEC) < 0) _exit(125);
  *front = 3;
  k_close_range(4, 0);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; fd++) if (dup2(null, fd) < 0) close(fd);
  if (null > 3) close(null);
}

/* A pipe of the container's user: a root inside a user namespace could not open /dev/stdout otherwise. Only our end never waits. */
static bool make_pipe(int *ours, int *theirs, bool ours_reads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  *ours = ends[!ours_reads], *theirs = ends[ours_reads];
  return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0
         && fchown(*theirs, (uid_t)run->plan->frame[HEADER_UID].n, (gid_t)run->plan->frame[HEADER_GID].n) == 0;
}

/* The container's ends go into `run`. With a terminal there are none: the child opens it, and start() hands over the master. */
static bool make_stdio(struct client *caller) {
  run->in = run->out = run->err = run->terminal = run->pidfd = -1;
  run->rows = (unsigned)run->plan->frame[HEADER_ROWS].n, run->columns = (unsigned)run->plan->frame[HEADER_COLUMNS].n;
  if (container.stdio & STDIO_TERMINAL) {
    // The front's first frame is its size, and a program asks for that once, at its start.
    struct pollfd first = { .fd = caller->fd, .events = POLLIN };
    if (!(container.stdio & STDIO_DETACHED) && poll(&first, 1, FIRST_SIZE_MS) > 0) hear(caller, 2);
    return true;
  }
  if (!make_pipe(&container.out[0], &run->out, true) || !make_pipe(&container.out[1], &run->err, true)) return false;
  if (container.stdio & (STDIO_STDIN | STDIO_OPEN)) return make_pipe(&container.in, &run->in, false);
  return (run->in = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;
}

/* The container has its own by now. */
static void close_theirs(void) {
  for (int **fd = (int *[]){ &run->in, &run->out, &run->err, NULL }; *fd; fd++) {
    if (**fd >= 0) close(**fd);
    **fd = -1;
  }
}

/* The frame moves when the plan shrinks. */
static bool copy_path(char to[PATH_MAX], int header) {
  const char *from = run->plan->frame[header].t.s;
  return from && snprintf(to, PATH_MAX, "%s", from) < PATH_MAX;
}

static void write_running(void) {
  char text[sizeof status_head + 32];
  long pid;
  unsigned long long ticks;
  struct timespec now;
  const char *boot = run->plan->frame[HEADER_BOOT].t.s;
  own_identity(&pid, &ticks);
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(status_head, sizeof status_head, "pid %d %llu\nmonitor %ld %llu\nboot %.64s\nstarted %lld.%09ld\n",
           run->pid, (unsigned long long)run->start, pid, ticks, boot ? boot : "-", (long long)now.tv_sec, now.tv_nsec);
  snprintf(text, sizeof text, "state running\n%s", status_head);
  begin_status(text);
  end_status(text);
}

static void write_exited(int code, uint64_t lost) {
  char text[sizeof status_head + 160], signal[32] = "", loss[32] = "";
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (WIFSIGNALED(ended_how)) snprintf(signal, sizeof signal, "signal %d\n", WTERMSIG(ended_how));
  if (lost) snprintf(loss, sizeof loss, "lost %llu\n", (unsigned long long)lost);
  snprintf(text, sizeof text, "state exited\ncode %d\n%s%sfinished %lld.%09ld\n%s",
           code, signal, status_head, (long long)now.tv_sec, now.tv_nsec, loss);
  begin_status(text);
  exit_steps(run);   // adds what it captures
  end_status(text);
}

_Noreturn void monitor(struct run *given, int front) {
  run = given;
  leave_caller(&front);
  const union arg *frame = run->plan->frame;
  container.stdio = frame[HEADER_STDIO].n;
  each_client(client) client->fd = -1;
  struct client *caller = admit(front);
  caller->is_front = true;
  if (!(container.stdio & (STDIO_STDOUT | STDIO_TERMINAL))) caller->closed |= 1;
  if (!(container.stdio & STDIO_STDERR)) caller->closed |= 2;
  if (container.stdio & STDIO_DETACHED) caller->closed = 3;
  if (copy_path(status_path, HEADER_STATUS)) status_at(status_path);
  if (frame[HEADER_LOG].t.s) log_open(frame[HEADER_LOG].t.s, frame[HEADER_LOG_BYTES].n, frame[HEADER_LOG_FILES].n);
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);

  struct failure failure = { NONE32, 0, 0 };
  bool made = make_stdio(caller);
  if (!made) failure.error = errno;
  if (!made || start(run, &failure)) {
    tell(caller, FRAME_FAILED, &failure, sizeof failure);
    _exit(0);
  }
  close_theirs();
  if (run->terminal >= 0 && fcntl(run->terminal, F_SETFL, O_NONBLOCK) == 0) container.in = container.out[0] = run->terminal;
  if (copy_path(control_path, HEADER_CONTROL)) open_control(control_path);
  write_running();
  started(run);
  shrink(run);
  tell(caller, FRAME_STARTED, &(int32_t){ run->pid }, 4);

  watch();

  int32_t code = WIFEXITED(ended_how) ? WEXITSTATUS(ended_how) : 128 + WTERMSIG(ended_how);
  drain();
  write_exited(code, log_close());
  if (container.listener >= 0) unlink(control_path);
  unwind(run, false);
  if (container.listener >= 0) accept_all();   // who came too late to see anything still hears the code
  each_client(client) tell(client, FRAME_EXITED, &code, 4);
  _exit(0);
}
