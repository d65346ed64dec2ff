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
 * stdin goes the other way, through a window: a client sends at most STDIN_WINDOW bytes ahead of what the container has taken. So
 * the monitor can always read on, and a signal frame is never stuck behind bytes that nobody reads.
 *
 * Rules. All signals are blocked: only SIGKILL ends it, and when it is process 1 of the outer pid namespace that ends everything
 * below. It holds nothing of the caller's. At the end the order is: output, log, the last status, undos, the last frame; so who sees
 * the status sees what the exit steps captured, and who gets the frame finds the host as it was.
 *
 * Read on: front.c, the other end; log.c. signalfd(2), pidfd_send_signal(2), pid_namespaces(7), unix(7).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "executor.h"

enum {
  CLIENTS = 16,             /* the front and 15 attached */
  CUT_MS = 5000,
  FIRST_SIZE_MS = 100,
  HUNG_MS = 200,
  DRAIN = 1 << 20,          /* bytes read of a stream after the end: what the largest pipe of an ordinary user holds */
  WIDE = 16 << 20,
};

static struct client {
  int fd;                   /* -1: none */
  bool is_front;
  bool deaf;                /* a send failed; what it sent before may still be read */
  uint8_t closed;           /* bit 0, 1: it does not take stdout, stderr */
  uint32_t sent;            /* of the frame in flight */
  int64_t since;            /* when that frame was first offered, ms */
  uint32_t taken;           /* of its stdin, and not yet told */
  struct frame_head head;
  uint8_t payload[8];
  uint32_t have, left;      /* bytes of head and payload that are here; payload still to come */
} clients[CLIENTS];

static struct { struct frame_head head; uint8_t bytes[MAX_FRAME]; } flight;
static uint32_t flight_size;

static struct run *run;
static uint64_t stdio;
static int out[2] = { -1, -1 }, in = -1, listener = -1, children = -1;
static bool hung;           /* nobody has the terminal open just now */
static uint8_t typed[STDIN_WINDOW];
static uint32_t typed_from, typed_to;
static struct client *typist;         /* whose bytes `typed` holds */
static bool typed_end, typed_whole = true;
static bool ended;
static int ended_how;
static int status_file = -1;
static bool status_bad;
static char status_head[256], status_path[PATH_MAX], status_new[PATH_MAX + 8], control_path[PATH_MAX];

static bool behind(const struct client *client) { return client->sent < flight_size; }

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- clients ---- */

static void deafen(struct client *client) {
  client->deaf = true;
  client->sent = flight_size;
  client->taken = 0;
}

/* What is sent from now on fits into the socket, whether the client reads or not; it stays readable after we are gone. */
static void widen(struct client *client) {
  int size = WIDE;
  if (setsockopt(client->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
    setsockopt(client->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static void tell_taken(struct client *client);

static void push(struct client *client) {
  while (behind(client)) {
    ssize_t n = send(client->fd, (uint8_t *)&flight + client->sent, flight_size - client->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) client->sent += (uint32_t)n;
    else if (n < 0 && errno == EINTR) continue;
    else if (n < 0 && errno == EAGAIN) return;
    else deafen(client);
  }
  if (client->taken) tell_taken(client);
}

/* A small frame: a stream socket takes it whole or not at all. The client must not be behind. */
static bool offer(struct client *client, uint8_t type, const void *payload, uint32_t length) {
  struct { struct frame_head head; uint8_t bytes[248]; } frame = { .head = { .type = type, .length = length } };
  memcpy(frame.bytes, payload, length);
  return send(client->fd, &frame, sizeof frame.head + length, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}
static void tell(struct client *client, uint8_t type, const void *payload, uint32_t length) {
  if (client->fd < 0 || client->deaf || offer(client, type, payload, length)) return;
  if (errno == EAGAIN) widen(client);
  if (!offer(client, type, payload, length)) deafen(client);
}
static void tell_taken(struct client *client) {
  if (client->deaf || behind(client)) return;
  if (offer(client, FRAME_TAKEN, &client->taken, 4)) client->taken = 0;
  else if (errno != EAGAIN) deafen(client);
}

/* ---- stdin ---- */

static void close_stdin(void) {
  if (in >= 0 && in != run->terminal) close(in);
  in = -1;
}

static void flush_stdin(void) {
  while (typed_from < typed_to) {
    ssize_t n = in >= 0 ? write(in, typed + typed_from, typed_to - typed_from) : typed_to - typed_from;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) { close_stdin(); continue; }   // EPIPE: the container has closed it; from here on it is read and forgotten
    typed_whole = typed[typed_from + n - 1] == '\n';
    typed_from += (uint32_t)n;
    if (typist) typist->taken += (uint32_t)n, tell_taken(typist);
  }
  typed_from = typed_to = 0;
  typist = NULL;
  if (!typed_end) return;
  typed_end = false;
  struct termios mode;
  if (in < 0 || in != run->terminal) close_stdin();
  // A terminal has no end; its end-of-file character means one to whoever reads lines. After half a line it takes two.
  else if (tcgetattr(in, &mode) == 0 && (mode.c_lflag & ICANON)) {
    uint8_t eof[2] = { mode.c_cc[VEOF], mode.c_cc[VEOF] };
    if (write(in, eof, typed_whole ? 1 : 2) < 0) return;
  }
}

static void end_stdin(void) {
  typed_end = true;
  flush_stdin();
}

/* May bytes of this client's stdin be read now? Two clients' bytes are never in the buffer together. */
static bool room(const struct client *client) {
  if (typed_from > 0 && typed_to == sizeof typed) {
    memmove(typed, typed + typed_from, typed_to - typed_from);
    typed_to -= typed_from, typed_from = 0;
  }
  return typed_to < sizeof typed && (typed_from == typed_to || typist == client);
}
static bool stuck(const struct client *client) {
  return client->have >= sizeof client->head && client->head.type == FRAME_STDIN && !room(client);
}

static void drop(struct client *client, bool on_purpose) {
  close(client->fd);
  client->fd = -1;
  client->sent = flight_size;
  if (typist == client) typist = NULL;
  // `-i`: the end of the foreground is the end of stdin, unless the user has stepped away and may come back.
  bool stays = (stdio & STDIO_OPEN) && (on_purpose || (stdio & STDIO_DETACHED));
  if (client->is_front && !stays && in != run->terminal) end_stdin();
}

/* ---- what clients say ---- */

static void close_stream(int n) {
  if (out[n] >= 0) close(out[n]);
  if (out[n] == in) in = -1;
  if (out[n] == run->terminal) run->terminal = -1;
  out[n] = -1;
}

static void resize(const struct client *client, unsigned rows, unsigned columns) {
  struct winsize size = { .ws_row = (uint16_t)rows, .ws_col = (uint16_t)columns }, old;
  if (rows == 0 || columns == 0 || run->terminal < 0) return;
  // Whoever attaches with the same size sees nothing until the program draws again, and that takes a change.
  if (!client->is_front && ioctl(run->terminal, TIOCGWINSZ, &old) == 0 && old.ws_row == rows && old.ws_col == columns) {
    old.ws_row++;
    ioctl(run->terminal, TIOCSWINSZ, &old);
  }
  ioctl(run->terminal, TIOCSWINSZ, &size);
}

/* One whole frame. */
static void obey(struct client *client) {
  const uint8_t *bytes = client->payload;
  int32_t signal;
  uint16_t rows, columns;
  switch (client->head.type) {
    case FRAME_STDIN: return;
    case FRAME_STDIN_END:
      if (client->is_front || !(stdio & STDIO_OPEN) || !(stdio & STDIO_DETACHED)) end_stdin();
      return;
    case FRAME_RESIZE:
      memcpy(&rows, bytes, 2), memcpy(&columns, bytes + 2, 2);
      if (run->pidfd >= 0) resize(client, rows, columns);
      else if (rows && columns) run->rows = rows, run->columns = columns;
      return;
    case FRAME_SIGNAL:
      memcpy(&signal, bytes, 4);
      if (run->pidfd >= 0 && !ended) syscall(SYS_pidfd_send_signal, run->pidfd, signal, NULL, 0);
      return;
    case FRAME_DETACH: drop(client, true); return;
    case FRAME_CLOSED: {
      unsigned n = bytes[0] == 2, wanted = 0;
      client->closed |= (uint8_t)(1u << n);
      for (struct client *other = clients; other < clients + CLIENTS; other++)
        wanted += other->fd >= 0 && !other->deaf && !(other->closed & 1u << n);
      if (!wanted) close_stream(n);   // so that the writer learns of it, as from any pipe
      return;
    }
  }
}

/* The length of each frame that a client may send; stdin apart. */
static const uint8_t LENGTHS[] = { [FRAME_RESIZE] = 4, [FRAME_SIGNAL] = 4, [FRAME_CLOSED] = 1, [FRAME_DETACH] = 0, [FRAME_STDIN_END] = 0 };

/* At most `most` frames, or parts of them, of what a client has sent. */
static void hear(struct client *client, int most) {
  while (client->fd >= 0 && most-- > 0) {
    uint32_t head = sizeof client->head, *have = &client->have;
    bool is_stdin = *have >= head && client->head.type == FRAME_STDIN;
    ssize_t n;
    if (*have < head) n = recv(client->fd, (uint8_t *)&client->head + *have, head - *have, MSG_DONTWAIT);
    else if (!is_stdin) n = recv(client->fd, client->payload + (*have - head), client->left, MSG_DONTWAIT);
    else if (!room(client)) return;
    else n = recv(client->fd, typed + typed_to, client->left < sizeof typed - typed_to ? client->left : sizeof typed - typed_to, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) { drop(client, false); return; }
    if (*have < head) {
      *have += (uint32_t)n;
      if (*have < head) continue;
      uint8_t type = client->head.type;
      client->left = client->head.length;
      bool fits = type == FRAME_STDIN ? client->left <= MAX_FRAME : type < sizeof LENGTHS && client->left == LENGTHS[type];
      if (type < FRAME_STDIN || !fits) { drop(client, false); return; }
    } else if (is_stdin) {
      typist = client;
      typed_to += (uint32_t)n, client->left -= (uint32_t)n;
      flush_stdin();
    } else *have += (uint32_t)n, client->left -= (uint32_t)n;
    if (*have >= head && client->left == 0) *have = 0, obey(client);
  }
}

static struct client *admit(int fd) {
  for (struct client *client = clients; client < clients + CLIENTS; client++)
    if (client->fd < 0) {
      *client = (struct client){ .fd = fd, .sent = flight_size };
      return client;
    }
  return NULL;
}

static void accept_all(void) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
    static const char full[] = "too many clients are attached to this container";
    struct client extra = { .fd = fd }, *client = admit(fd);
    int32_t pid = run->pid;
    if (client) tell(client, FRAME_STARTED, &pid, 4);
    else tell(&extra, FRAME_MESSAGE, full, sizeof full - 1), close(fd);
  }
}

static void cut_off(struct client *client) {
  static const char why[] = "cut off: output was not read for 5 seconds";
  widen(client);
  push(client);
  if (!behind(client)) tell(client, FRAME_MESSAGE, why, sizeof why - 1);
  drop(client, false);
}

/* ---- what the container says ---- */

/* One chunk of a stream on its way to the log and to all clients. 0: there is none now, or the stream has ended. */
static size_t relay(int n) {
  ssize_t got = read(out[n], flight.bytes, sizeof flight.bytes);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  // The other end of a terminal may be opened again; while it is not, reading gives EIO.
  if (got < 0 && errno == EIO && out[n] == run->terminal && !ended) { hung = true; return 0; }
  if (got <= 0) { close_stream(n); return 0; }
  log_write(n == 1, flight.bytes, (size_t)got);
  flight.head = (struct frame_head){ .type = n == 1 ? FRAME_STDERR : FRAME_STDOUT, .length = (uint32_t)got };
  flight_size = (uint32_t)(sizeof flight.head + (size_t)got);
  int64_t now = now_ms();
  for (struct client *client = clients; client < clients + CLIENTS; client++) {
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
  for (struct client *client = clients; client < clients + CLIENTS; client++) if (client->fd >= 0) widen(client);
  for (int n = 0; n < 2; n++) {
    size_t total = 0, got = 1;
    while (got > 0 && total < DRAIN) {
      for (struct client *client = clients; client < clients + CLIENTS; client++) {
        int64_t end = now_ms() + CUT_MS;
        for (push(client); behind(client) && now_ms() < end; push(client))   // only where SO_SNDBUFFORCE is refused
          poll(&(struct pollfd){ .fd = client->fd, .events = POLLOUT }, 1, CUT_MS);
        if (behind(client)) deafen(client);
      }
      got = out[n] >= 0 && total < DRAIN ? relay(n) : 0;
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
    if (pid == run->vpid) ended = true, ended_how = how;
}

static void watch(void) {
  for (reap(); !ended;) {
    enum { CHILDREN, LISTENER, IN, OUT, ERR, FIXED };
    struct pollfd polled[FIXED + CLIENTS];
    bool full = false;
    int64_t wait = hung ? HUNG_MS : -1, now = now_ms();
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
    polled[LISTENER] = (struct pollfd){ .fd = listener, .events = POLLIN };
    polled[IN] = (struct pollfd){ .fd = typed_from < typed_to && !hung ? in : -1, .events = POLLOUT };
    for (int n = 0; n < 2; n++) polled[OUT + n] = (struct pollfd){ .fd = full || hung ? -1 : out[n], .events = POLLIN };
    if (poll(polled, FIXED + CLIENTS, (int)wait) < 0) continue;

    if (polled[CHILDREN].revents) {
      struct signalfd_siginfo info;
      if (read(children, &info, sizeof info) > 0) reap();
    }
    if (polled[LISTENER].revents) accept_all();
    if (polled[IN].revents || hung) flush_stdin();
    for (int i = 0; i < CLIENTS; i++) {
      struct client *client = &clients[i];
      if (client->fd != polled[FIXED + i].fd) continue;
      if (polled[FIXED + i].revents & (POLLOUT | POLLERR | POLLHUP)) push(client);
      if (polled[FIXED + i].revents & (POLLIN | POLLERR | POLLHUP)) hear(client, 64);
    }
    for (int n = 0; n < 2; n++) {
      bool free = true;
      for (int i = 0; i < CLIENTS; i++) free = free && !behind(&clients[i]);
      if (!free || out[n] < 0 || !(polled[OUT + n].revents || hung)) continue;
      hung = false;
      relay(n);
    }
  }
}

/* ---- the status file ---- */

/* Our own number and start time as the host has them: /proc is the host's, whatever pid namespace we are in. */
static void own_identity(long *pid, unsigned long long *start) {
  char text[1024];
  ssize_t n = readlink("/proc/self", text, sizeof text - 1);
  text[n > 0 ? n : 0] = 0;
  *pid = atol(text), *start = 0;
  int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  n = read(fd, text, sizeof text - 1);
  close(fd);
  text[n > 0 ? n : 0] = 0;
  char *at = strrchr(text, ')');   // the name before it may hold anything; then field 3, 4 …
  for (int field = 2; at && field < 22; field++) at = strchr(at + 1, ' ');
  if (at) *start = strtoull(at, NULL, 10);
}

static void put_status(const void *bytes, size_t length) {
  for (const char *at = bytes; length && !status_bad;) {
    ssize_t n = write(status_file, at, length);
    if (n > 0) at += n, length -= (size_t)n;
    else if (errno != EINTR) status_bad = true;
  }
}

/* PATH.new, up to here. */
static void begin_status(const char *text) {
  if (!status_path[0]) return;
  snprintf(status_new, sizeof status_new, "%s.new", status_path);
  status_file = open(status_new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  status_bad = status_file < 0;
  put_status(text, strlen(text));
}
/* PATH.new becomes PATH. On a full disk, the head at least goes over the old text, which has its block already. */
static void end_status(const char *text) {
  if (!status_path[0]) return;
  if (status_file >= 0) close(status_file);
  status_file = -1;
  if (!status_bad && rename(status_new, status_path) == 0) return;
  unlink(status_new);
  int fd = open(status_path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  if (pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text) && ftruncate(fd, (off_t)strlen(text)) < 0) unlink(status_path);
  close(fd);
}

void monitor_capture(const char *name, const char *text, size_t length) {
  char head[300];
  if (status_file < 0) return;
  put_status(head, (size_t)snprintf(head, sizeof head, "capture %.255s %zu\n", name, length));
  put_status(text, length);
  put_status("\n", 1);
}

void monitor_warning(uint32_t step, int error) {
  struct failure warning = { step, error, 0 };
  for (struct client *client = clients; client < clients + CLIENTS; client++)
    if (client->is_front && !behind(client)) tell(client, FRAME_WARNING, &warning, sizeof warning);
}

/* ---- beginning and end ---- */

static void open_control(void) {
  if (!control_path[0]) return;
  char *slash = strrchr(control_path, '/');
  if (!slash) return;
  *slash = 0;
  int directory = open(slash == control_path ? "/" : control_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  *slash = '/';
  // A socket's path has 108 bytes; through the directory's fd only the name must fit.
  struct sockaddr_un at = { .sun_family = AF_UNIX };
  int length = snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", directory, slash + 1);
  listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  unlink(control_path);
  mode_t mask = umask(0177);
  bool bound = directory >= 0 && length < (int)sizeof at.sun_path && bind(listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(listener, 64) == 0;
  int error = errno;
  umask(mask);
  if (directory >= 0) close(directory);
  if (bound) return;
  char why[200];
  int n = snprintf(why, sizeof why, "cannot make the attach socket: %s; nobody can attach to this container", strerror(error));
  tell(&clients[0], FRAME_MESSAGE, why, (uint32_t)(n < (int)sizeof why ? n : (int)sizeof why - 1));
  if (listener >= 0) close(listener);
  listener = -1;
}

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
  syscall(SYS_close_range, 4u, ~0u, 0u);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; fd++) if (dup2(null, fd) < 0) close(fd);
  if (null > 3) close(null);
}

/* A pipe of the container's user: a root inside a user namespace could not open /dev/stdout otherwise. Only our end never waits. */
static void make_pipe(int *ours, int *theirs, bool ours_reads) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return;
  *ours = ends[!ours_reads], *theirs = ends[ours_reads];
  fcntl(*ours, F_SETFL, O_NONBLOCK);
  if (fchown(*theirs, (uid_t)run->plan->frame[HEADER_UID].n, (gid_t)run->plan->frame[HEADER_GID].n) < 0) return;
}

static void copy_path(char *to, size_t size, int header) {
  const char *from = run->plan->frame[header].t.s;
  if (from && strlen(from) < size) strcpy(to, from);
}

_Noreturn void monitor(struct run *given, int front) {
  run = given;
  leave_caller(&front);
  const union arg *frame = run->plan->frame;
  stdio = frame[HEADER_STDIO].n;
  bool terminal = stdio & STDIO_TERMINAL;
  for (int i = 0; i < CLIENTS; i++) clients[i].fd = -1;
  struct client *caller = admit(front);
  caller->is_front = true;
  caller->closed = stdio & STDIO_DETACHED ? 3 : (uint8_t)((stdio & (STDIO_STDOUT | STDIO_TERMINAL) ? 0 : 1) | (stdio & STDIO_STDERR ? 0 : 2));
  copy_path(status_path, sizeof status_path, HEADER_STATUS);
  copy_path(control_path, sizeof control_path, HEADER_CONTROL);
  if (frame[HEADER_LOG].t.s) log_open(frame[HEADER_LOG].t.s, frame[HEADER_LOG_BYTES].n, frame[HEADER_LOG_FILES].n);
  sigset_t chld;
  sigemptyset(&chld);
  sigaddset(&chld, SIGCHLD);
  children = signalfd(-1, &chld, SFD_CLOEXEC | SFD_NONBLOCK);

  run->in = run->out = run->err = run->terminal = -1;
  run->pidfd = -1;
  run->rows = (unsigned)frame[HEADER_ROWS].n, run->columns = (unsigned)frame[HEADER_COLUMNS].n;
  if (terminal) {
    // The front's first frame is its size: a program asks for it once, at its start.
    struct pollfd first = { .fd = front, .events = POLLIN };
    if (!(stdio & STDIO_DETACHED) && poll(&first, 1, FIRST_SIZE_MS) > 0) hear(caller, 2);
  } else {
    make_pipe(&out[0], &run->out, true);
    make_pipe(&out[1], &run->err, true);
    if (stdio & (STDIO_STDIN | STDIO_OPEN)) make_pipe(&in, &run->in, false);
    else run->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  }

  struct failure failure = { NONE32, 0, 0 };
  if (start(run, &failure)) {
    tell(caller, FRAME_FAILED, &failure, sizeof failure);
    _exit(0);
  }
  if (run->in >= 0) close(run->in);
  if (run->out >= 0) close(run->out);
  if (run->err >= 0) close(run->err);
  run->in = run->out = run->err = -1;
  if (run->terminal >= 0) {
    fcntl(run->terminal, F_SETFL, O_NONBLOCK);
    in = out[0] = run->terminal;
  }

  char text[sizeof status_head + 256];
  long pid;
  unsigned long long since;
  struct timespec now;
  const char *boot = run->plan->frame[HEADER_BOOT].t.s;
  own_identity(&pid, &since);
  clock_gettime(CLOCK_REALTIME, &now);
  snprintf(status_head, sizeof status_head, "pid %d %llu\nmonitor %ld %llu\nboot %.64s\nstarted %lld.%09ld\n", run->pid, (unsigned long long)run->start,
           pid, since, boot ? boot : "-", (long long)now.tv_sec, now.tv_nsec);
  open_control();
  snprintf(text, sizeof text, "state running\n%s", status_head);
  begin_status(text);
  end_status(text);
  started(run);
  shrink(run);
  tell(caller, FRAME_STARTED, &(int32_t){ run->pid }, 4);

  watch();

  drain();
  uint64_t lost = log_close();
  int32_t code = WIFEXITED(ended_how) ? WEXITSTATUS(ended_how) : 128 + WTERMSIG(ended_how);
  clock_gettime(CLOCK_REALTIME, &now);
  int n = snprintf(text, sizeof text, "state exited\ncode %d\n", code);
  if (WIFSIGNALED(ended_how)) n += snprintf(text + n, sizeof text - (size_t)n, "signal %d\n", WTERMSIG(ended_how));
  n += snprintf(text + n, sizeof text - (size_t)n, "%sfinished %lld.%09ld\n", status_head, (long long)now.tv_sec, now.tv_nsec);
  if (lost) snprintf(text + n, sizeof text - (size_t)n, "lost %llu\n", (unsigned long long)lost);
  begin_status(text);
  exit_steps(run);
  end_status(text);
  if (listener >= 0) unlink(control_path);
  unwind(run, false);
  if (listener >= 0) accept_all();
  for (struct client *client = clients; client < clients + CLIENTS; client++) tell(client, FRAME_EXITED, &code, 4);
  _exit(0);
}
