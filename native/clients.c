/*
 * Clients: whoever reads the container's output and types its input: the front, and those who have come through the control socket.
 *
 *     container ──▶ flight, one chunk ──▶ every client
 *     container ◀── typed, one window ◀── one client at a time, which hears TAKEN as it empties
 *
 * Output: a client is behind until its socket has taken all of the chunk; nobody's chunk is copied. Input goes through a window: a
 * client sends at most STDIN_WINDOW bytes ahead of what the container has taken. So the monitor can always read on, and a signal is
 * never stuck behind bytes that nobody reads. A client that is gone is known by reading, not by writing: what it said last (that it
 * leaves on purpose, say) still counts when its socket takes nothing more.
 *
 * Read on: monitor.c; the protocol in executor.h. unix(7), socket(7) on SO_SNDBUFFORCE, termios(3) on VEOF.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include "kernel.h"
#include "monitor.h"

enum { WIDE = 16 << 20 };

struct client clients[CLIENTS];
struct flight flight;
uint32_t flight_size;

static uint8_t typed[STDIN_WINDOW];
static uint32_t typed_from, typed_to;
static struct client *typist;         /* whose bytes `typed` holds */
static bool typed_end, typed_whole = true;

void deafen(struct client *client) {
  client->deaf = true;
  client->sent = flight_size;
  client->taken = 0;
}

/* What is sent from now on fits into the socket, whether the client reads or not; it stays readable after we are gone. */
void widen(struct client *client) {
  int size = WIDE;
  if (setsockopt(client->fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) < 0)
    setsockopt(client->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

static void tell_taken(struct client *client);

void push(struct client *client) {
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
void tell(struct client *client, uint8_t type, const void *payload, uint32_t length) {
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
  if (container.in >= 0 && container.in != run->terminal) close(container.in);
  container.in = -1;
}

void flush_stdin(void) {
  while (typed_from < typed_to) {
    ssize_t n = container.in >= 0 ? write(container.in, typed + typed_from, typed_to - typed_from) : typed_to - typed_from;
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
  if (container.in < 0 || container.in != run->terminal) close_stdin();
  // A terminal has no end; its end-of-file character means one to whoever reads lines. After half a line it takes two.
  else if (tcgetattr(container.in, &mode) == 0 && (mode.c_lflag & ICANON)) {
    uint8_t eof[2] = { mode.c_cc[VEOF], mode.c_cc[VEOF] };
    if (write(container.in, eof, typed_whole ? 1 : 2) < 0) return;
  }
}

static void end_stdin(void) {
  typed_end = true;
  flush_stdin();
}

bool stdin_waits(void) { return typed_from < typed_to; }

void rest_clients(void) {
  give_back(&flight, sizeof flight);
  give_back(typed, sizeof typed);
}

/* May bytes of this client's stdin be read now? Two clients' bytes are never in the buffer together. */
static bool room(const struct client *client) {
  if (typed_from > 0 && typed_to == sizeof typed) {
    memmove(typed, typed + typed_from, typed_to - typed_from);
    typed_to -= typed_from, typed_from = 0;
  }
  return typed_to < sizeof typed && (typed_from == typed_to || typist == client);
}
bool stuck(const struct client *client) {
  return client->have >= sizeof client->head && client->head.type == FRAME_STDIN && !room(client);
}

static void drop(struct client *client, bool on_purpose) {
  close(client->fd);
  client->fd = -1;
  client->sent = flight_size;
  if (typist == client) typist = NULL;
  // `-i`: the end of the foreground is the end of stdin, unless the user has stepped away and may come back.
  bool stays = (container.stdio & STDIO_OPEN) && (on_purpose || (container.stdio & STDIO_DETACHED));
  if (client->is_front && !stays && container.in != run->terminal) end_stdin();
}

/* ---- what clients say ---- */

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
      if (client->is_front || !(container.stdio & STDIO_OPEN) || !(container.stdio & STDIO_DETACHED)) end_stdin();
      return;
    case FRAME_RESIZE:
      memcpy(&rows, bytes, 2), memcpy(&columns, bytes + 2, 2);
      if (run->pidfd >= 0) resize(client, rows, columns);
      else if (rows && columns) run->rows = rows, run->columns = columns;
      return;
    case FRAME_SIGNAL:
      memcpy(&signal, bytes, 4);
      if (run->pidfd >= 0 && !container.ended) k_pidfd_send_signal(run->pidfd, signal);
      return;
    case FRAME_DETACH: drop(client, true); return;
    case FRAME_CLOSED: {
      unsigned n = bytes[0] == 2, wanted = 0;
      client->closed |= (uint8_t)(1u << n);
      each_client(other)
        wanted += other->fd >= 0 && !other->deaf && !(other->closed & 1u << n);
      if (!wanted) close_stream(n);   // so that the writer learns of it, as from any pipe
      return;
    }
  }
}

/* The length of each frame that a client may send; stdin apart. */
static const uint8_t LENGTHS[] = { [FRAME_RESIZE] = 4, [FRAME_SIGNAL] = 4, [FRAME_CLOSED] = 1, [FRAME_DETACH] = 0, [FRAME_STDIN_END] = 0 };

/* At most `most` frames, or parts of them, of what a client has sent. */
void hear(struct client *client, int most) {
  while (client->fd >= 0 && most-- > 0) {
    uint32_t head = sizeof client->head, *have = &client->have;
    bool is_stdin = *have >= head && client->head.type == FRAME_STDIN;
    ssize_t n;
    if (*have < head) n = recv(client->fd, (uint8_t *)&client->head + *have, head - *have, MSG_DONTWAIT);
    else if (!is_stdin) n = recv(client->fd, client->payload + (*have - head), client->left, MSG_DONTWAIT);
    else if (!room(client)) return;
    else {
      uint32_t space = sizeof typed - typed_to;
      n = recv(client->fd, typed + typed_to, client->left < space ? client->left : space, MSG_DONTWAIT);
    }
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

struct client *admit(int fd) {
  each_client(client)
    if (client->fd < 0) {
      *client = (struct client){ .fd = fd, .sent = flight_size };
      return client;
    }
  return NULL;
}

void accept_all(void) {
  for (int fd; (fd = accept4(container.listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
    static const char full[] = "too many clients are attached to this container";
    struct client extra = { .fd = fd }, *client = admit(fd);
    int32_t pid = run->pid;
    if (client) tell(client, FRAME_STARTED, &pid, 4);
    else tell(&extra, FRAME_MESSAGE, full, sizeof full - 1), close(fd);
  }
}

void cut_off(struct client *client) {
  static const char why[] = "cut off: output was not read for 5 seconds";
  widen(client);
  push(client);
  if (!behind(client)) tell(client, FRAME_MESSAGE, why, sizeof why - 1);
  drop(client, false);
}

/* ---- the control socket ---- */

void open_control(const char *path) {
  char parent[PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (!slash) return;
  snprintf(parent, sizeof parent, "%.*s/", (int)(slash - path), path);
  int directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
  // A socket's path has 108 bytes; through the directory's fd only the name must fit.
  struct sockaddr_un at = { .sun_family = AF_UNIX };
  int length = snprintf(at.sun_path, sizeof at.sun_path, "/proc/self/fd/%d/%s", directory, slash + 1);
  container.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  unlink(path);
  mode_t mask = umask(0177);
  bool bound = directory >= 0 && length < (int)sizeof at.sun_path
               && bind(container.listener, (struct sockaddr *)&at, sizeof at) == 0 && listen(container.listener, 64) == 0;
  int error = errno;
  umask(mask);
  if (directory >= 0) close(directory);
  if (bound) return;
  char why[200];
  int n = snprintf(why, sizeof why, "cannot make the attach socket: %s; nobody can attach to this container", strerror(error));
  tell(&clients[0], FRAME_MESSAGE, why, (uint32_t)(n < (int)sizeof why ? n : (int)sizeof why - 1));
  if (container.listener >= 0) close(container.listener);
  container.listener = -1;
}
