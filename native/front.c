/*
 * The front: the process that the command became, in the terminal's foreground group.
 *
 *     keys, pipe, file ──▶ 0 ┌───────┐ STDIN, RESIZE, SIGNAL, DETACH ──▶ ┌─────────┐
 *     screen, pipe     ◀── 1 │ front │                                   │ monitor │
 *                      ◀── 2 └───────┘ ◀── STDOUT, STDERR, EXITED code   └─────────┘
 *
 * What belongs to the caller stays here: its terminal, its stdio, its signals, its exit status. In raw mode every key goes to the
 * container's own terminal, which makes of ctrl-C what the program there has asked for.
 *
 * Rules. The caller's fds are shared with others (O_NONBLOCK lies in the open file, not in the fd), so their flags are never changed:
 * whatever may not wait says so in the call. The terminal is given back on every way out, and only while it is ours: a process in
 * the background that sets modes is stopped, or spoils those of the job in front. What was ignored when we came stays ignored (nohup).
 *
 * Read on: monitor.c, the other end. termios(3), tty_ioctl(4), credentials(7) on sessions and foreground groups.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include "executor.h"

#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

enum { LAST_WORDS_MS = 1000, MOST_KEYS = 64, HUNG_UP = 128 + SIGHUP };

extern char **environ;

static struct plan *plan;
static pid_t monitor_pid;
static uint64_t stdio;
static int sock, report = -1, bell[2];      /* a signal's number comes out of bell[0] */
static bool running, raw, input;
static int broken;                          /* the exit status, once stdout could not be written */
static struct termios cooked;

/* From the monitor: one frame at a time, and the payload that still has to be written. */
static uint8_t heard[sizeof(struct frame_head) + MAX_FRAME];
static size_t heard_have;
static const uint8_t *output;
static size_t output_left;
static int output_fd;
static bool gone[3];
static mode_t kind[3];

/* To the monitor. At most one STDIN frame lies here; the rest is for signals and sizes. */
static uint8_t said[sizeof(struct frame_head) + STDIN_WINDOW + 4096];
static size_t said_from, said_to;
static uint32_t credit = STDIN_WINDOW;

static size_t held;                         /* of the detach keys, typed so far */

/* ---- the terminal ---- */

static bool in_front(void) {
  pid_t group = tcgetpgrp(0);
  return group < 0 || group == getpgrp();   // <0: a terminal that is not our controlling one has no job control over us
}

static void make_raw(void) {
  if (!(stdio & STDIO_TERMINAL) || !input || !isatty(0)) return;
  if (!raw && tcgetattr(0, &cooked) < 0) return;
  struct termios mode = cooked;
  cfmakeraw(&mode);
  raw = true;
  // In the background this stops us, as it should; in front again, it goes on.
  while (tcsetattr(0, TCSANOW, &mode) < 0 && errno == EINTR) continue;
}

static void restore(void) {
  if (raw && in_front()) while (tcsetattr(0, TCSANOW, &cooked) < 0 && errno == EINTR) continue;
  raw = false;
}

/* One line for a person. */
__attribute__((format(printf, 1, 2))) static void say(const char *format, ...) {
  char line[1024];
  va_list list;
  va_start(list, format);
  int n = vsnprintf(line, sizeof line - 2, format, list);
  va_end(list);
  if (n < 0) return;
  if ((size_t)n > sizeof line - 3) n = sizeof line - 3;
  if (raw) line[n++] = '\r';
  line[n++] = '\n';
  if (write(2, line, (size_t)n) < 0) return;
}

/* ---- to the monitor ---- */

static void flush_said(void) {
  while (said_from < said_to) {
    ssize_t n = send(sock, said + said_from, said_to - said_from, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n < 0) break;   // it is gone; reading tells
    said_from += (size_t)n;
  }
  said_from = said_to = 0;
}

static void send_frame(uint8_t type, const void *payload, size_t length) {
  struct frame_head head = { .type = type, .length = (uint32_t)length };
  if (said_to + sizeof head + length > sizeof said) return;   // hundreds of signals that nobody has taken: one more says nothing new
  memcpy(said + said_to, &head, sizeof head);
  if (length) memcpy(said + said_to + sizeof head, payload, length);
  said_to += sizeof head + length;
  flush_said();
}

static void send_size(void) {
  struct winsize size = { 0 };
  for (int fd = 0; fd < 3 && ioctl(fd, TIOCGWINSZ, &size) < 0; fd++) continue;
  send_frame(FRAME_RESIZE, (uint16_t[]){ size.ws_row, size.ws_col }, 4);
}

/* What is still to be said, but not for ever. */
static void last_words(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  for (time_t end = now.tv_sec + LAST_WORDS_MS / 1000; said_from < said_to && now.tv_sec <= end; clock_gettime(CLOCK_MONOTONIC, &now)) {
    poll(&(struct pollfd){ .fd = sock, .events = POLLOUT }, 1, LAST_WORDS_MS);
    flush_said();
  }
}

/* ---- signals ---- */

static void ring(int signal) {
  int error = errno;
  if (write(bell[1], &(uint8_t){ (uint8_t)signal }, 1) < 0) errno = error;   // full: enough of them lie there
  errno = error;
}

/* Job control is between us and the shell; the rest is our own business, or a bug's. */
static bool is_ours(int signal) {
  static const uint8_t ours[] = { SIGKILL, SIGSTOP, SIGCHLD, SIGPIPE, SIGURG, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH,
                                  SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT };
  return memchr(ours, signal, sizeof ours) != NULL;
}

static void catch(int number) {
  struct sigaction old, new = { .sa_handler = ring };
  if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN) sigaction(number, &new, NULL);
}

static void catch_signals(void) {
  signal(SIGPIPE, SIG_IGN);
  if (stdio & STDIO_SIGNALS) for (int number = 1; number <= 64; number++) if (!is_ours(number)) catch(number);
  catch(SIGHUP), catch(SIGINT), catch(SIGQUIT), catch(SIGTERM);
  if (stdio & STDIO_TERMINAL) catch(SIGCONT), catch(SIGTSTP);
  if (stdio & (STDIO_TERMINAL | STDIO_SIGNALS)) catch(SIGWINCH);
}

/* As if the signal had never been caught. */
static void die(int number) {
  restore();
  signal(number, SIG_DFL);
  raise(number);
  _exit(128 + number);   // as process 1 of some container we are immune to it
}

/*
 * While a start lasts, nobody reads what we pass on; and it may last: a root in the container can stop what joins it. So who asks a
 * second time is let go.
 */
static bool is_ending(int number) { return number == SIGINT || number == SIGTERM || number == SIGQUIT || number == SIGHUP; }
static unsigned asked;

static void answer(int number) {
  bool terminal = stdio & STDIO_TERMINAL;
  if (number == SIGTSTP) {
    bool was = raw;
    restore();
    kill(getpid(), SIGSTOP);
    if (was) raw = true, make_raw();
  } else if (number == SIGWINCH && terminal) send_size();
  else if (!running && is_ending(number) && asked++) die(number);
  else if (stdio & STDIO_SIGNALS) send_frame(FRAME_SIGNAL, &(int32_t){ number }, 4);
  else if (number != SIGCONT) die(number);
  if (number == SIGCONT && terminal) {
    if (raw) make_raw();   // whoever was in front meanwhile has set its own modes
    send_size();
  }
}

/* ---- stdin ---- */

/*
 * Takes the detach keys out of what was typed: a beginning of them is held back until it is clear whether the rest follows.
 * `to` has room for MOST_KEYS bytes more than `from`. How many bytes go to the container, or -1: the keys are complete.
 */
static ssize_t without_keys(const uint8_t *from, size_t length, uint8_t *to) {
  const uint8_t *keys = (const uint8_t *)plan->frame[HEADER_DETACH_KEYS].t.s;
  size_t many = plan->frame[HEADER_DETACH_KEYS].t.length, n = 0;
  if (!raw || !keys || many == 0 || many > MOST_KEYS) {
    memcpy(to, from, length);
    return (ssize_t)length;
  }
  for (; length; from++, length--) {
    // Not the next key: keep the longest end of what was typed that may still be a beginning, let go of the rest.
    while (held && keys[held] != *from) {
      size_t keep = held - 1;
      while (keep && memcmp(keys, keys + held - keep, keep) != 0) keep--;
      memcpy(to + n, keys, held - keep);
      n += held - keep, held = keep;
    }
    if (keys[held] != *from) to[n++] = *from;
    else if (++held == many) return -1;
  }
  return (ssize_t)n;
}

/* -1: go on. Else the front's exit status. */
static int read_input(void) {
  static uint8_t typed[STDIN_WINDOW], kept[STDIN_WINDOW + MOST_KEYS];
  ssize_t n = read(0, typed, credit - MOST_KEYS);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return -1;
  if (n <= 0) {
    if (raw) return HUNG_UP;   // a terminal in raw mode ends only when it goes away
    input = false;
    send_frame(FRAME_STDIN_END, NULL, 0);
    return -1;
  }
  n = without_keys(typed, (size_t)n, kept);
  if (n < 0) {
    send_frame(FRAME_DETACH, NULL, 0);
    last_words();
    say("\r\nread escape sequence");
    return 0;
  }
  if (n > 0) send_frame(FRAME_STDIN, kept, (size_t)n);
  credit -= (uint32_t)n;
  return -1;
}

/* ---- stdout and stderr ---- */

/* One write that does not wait, or hardly: after POLLOUT a page fits into a pipe, and a terminal takes what it has room for. */
static ssize_t put(int fd, const uint8_t *bytes, size_t length) {
  struct iovec vector = { (void *)bytes, length };
  if (S_ISSOCK(kind[fd])) return send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (S_ISREG(kind[fd])) return write(fd, bytes, length);
  if (S_ISFIFO(kind[fd])) {   // since Linux 6.5
    ssize_t n = syscall(SYS_pwritev2, fd, &vector, 1ul, -1l, -1l, RWF_NOWAIT);
    if (n >= 0 || (errno != EOPNOTSUPP && errno != EINVAL && errno != ENOSYS)) return n;
  }
  return write(fd, bytes, length < 4096 ? length : 4096);
}

/* -1: go on. Else the front's exit status. */
static int write_output(void) {
  while (output_left) {
    ssize_t n = put(output_fd, output, output_left);
    if (n >= 0) output += n, output_left -= (size_t)n;
    else if (errno == EAGAIN || errno == EINTR) return -1;
    else if (errno == EIO) return HUNG_UP;   // the terminal is gone, and we with it; the container goes on
    else {
      int error = errno;
      if (error != EPIPE) say("minicontainer: cannot write to %s: %s", output_fd == 1 ? "stdout" : "stderr", strerror(error));
      if (output_fd == 1) broken = error == EPIPE ? 128 + SIGPIPE : 125;
      gone[output_fd] = true;
      output_left = 0;
      send_frame(FRAME_CLOSED, &(uint8_t){ (uint8_t)output_fd }, 1);
    }
    if (!S_ISREG(kind[output_fd])) return -1;   // poll again: the next page may have to wait
  }
  return -1;
}

/* ---- what the monitor says ---- */

static const char *does(uint32_t step) { return step < plan->forward ? plan->does[step] : "take back a step"; }

/* The monitor has said all; when it has ended too, nothing of the container is left. */
static void bury(void) {
  while (monitor_pid > 0 && waitpid(monitor_pid, NULL, 0) < 0 && errno == EINTR) continue;
}

static int failed(const struct failure *failure) {
  uint32_t k = failure->step;
  bool exec = k < plan->forward && plan->step[k].op == OP_EXEC;
  const char *what = k == NONE32 ? "start the container" : does(k);
  int code = !exec ? 125 : failure->error == ENOENT ? 127
             : failure->error == EACCES || failure->error == ENOEXEC || failure->error == EISDIR ? 126 : 125;
  bury();
  uint32_t words = plan->frame[HEADER_FAILED].x.count;
  char **argv = words ? calloc(words + 5u, sizeof *argv) : NULL, numbers[3][16];
  if (argv) {
    memcpy(argv, plan->frame[HEADER_FAILED].x.v, words * sizeof *argv);
    snprintf(numbers[0], sizeof numbers[0], "%u", k);
    snprintf(numbers[1], sizeof numbers[1], "%d", failure->error);
    snprintf(numbers[2], sizeof numbers[2], "%u", failure->detail);
    for (int i = 0; i < 3; i++) argv[words + (uint32_t)i] = numbers[i];
    argv[words + 3] = (char *)what;
    signal(SIGPIPE, SIG_DFL);
    execve(argv[0], argv, environ);
  }
  if (report >= 0) dprintf(report, "failed %u %d %u %s\n", k, failure->error, failure->detail, what);
  else if (k == NONE32) say("minicontainer: cannot %s: %s", what, strerror(failure->error));
  else say("minicontainer: cannot %s: %s (step %u of %u)", what, strerror(failure->error), k + 1, plan->forward);
  return code;
}

int front_failed(struct plan *given, const struct failure *failure) {
  plan = given;
  if (plan->frame[HEADER_REPORT].n != NONE64) report = (int)plan->frame[HEADER_REPORT].n;
  return failed(failure);
}

/* One whole frame. -1: go on. Else the front's exit status. */
static int obey(uint8_t type, const uint8_t *payload, uint32_t length) {
  int32_t number = 0;
  struct failure failure = { NONE32, 0, 0 };
  if (length >= sizeof number) memcpy(&number, payload, sizeof number);
  if (length == sizeof failure) memcpy(&failure, payload, sizeof failure);
  switch (type) {
    case FRAME_STDOUT: case FRAME_STDERR: {
      uint64_t wanted = type == FRAME_STDOUT ? STDIO_STDOUT | STDIO_TERMINAL : STDIO_STDERR;
      output_fd = type == FRAME_STDOUT ? 1 : 2;
      if ((stdio & wanted) && !gone[output_fd]) output = payload, output_left = length;
      return -1;
    }
    case FRAME_STARTED:
      running = true;
      if (report >= 0) dprintf(report, "started %d\n", number);
      if (!(stdio & STDIO_DETACHED)) { make_raw(); return -1; }
      output_fd = 1, output = (const uint8_t *)plan->frame[HEADER_ANNOUNCE].t.s;
      for (output_left = output ? strlen((const char *)output) : 0; output_left && !gone[1];) {
        if (write_output() >= 0) break;
        poll(&(struct pollfd){ .fd = 1, .events = POLLOUT }, 1, -1);
      }
      return 0;
    case FRAME_EXITED:
      bury();
      if (report >= 0) dprintf(report, "exited %d\n", number);
      return broken ? broken : number;
    case FRAME_FAILED: return failed(&failure);
    case FRAME_WARNING:
      if (report >= 0) dprintf(report, "warning %u %d\n", failure.step, failure.error);
      else say("minicontainer: warning: could not %s: %s", does(failure.step), strerror(failure.error));
      return -1;
    case FRAME_MESSAGE: say("minicontainer: %.*s", (int)length, (const char *)payload); return -1;
    case FRAME_TAKEN: credit += (uint32_t)number; return -1;
  }
  return -1;
}

/* -1: go on. Else the front's exit status. */
static int lost_monitor(void) {
  if (raw) say("%s", "");   // the cursor stands wherever the container left it
  restore();
  bury();
  const char *rest = plan->frame[HEADER_OUTER].n == 1 ? ", and the container with it" : "; its processes may still run";
  if (!running) say("minicontainer: the container's monitor ended before the container was started");
  else if (report < 0) say("minicontainer: the container's monitor was killed%s", rest);
  if (report >= 0 && running) dprintf(report, "exited %d\n", 128 + SIGKILL);
  return running ? 128 + SIGKILL : 125;
}

static int hear(void) {
  if (heard_have == sizeof heard) return -1;
  ssize_t n = recv(sock, heard + heard_have, sizeof heard - heard_have, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return -1;
  if (n <= 0) return lost_monitor();
  heard_have += (size_t)n;
  return -1;
}

/* The frames that have been heard, up to one whose payload has to be written first. */
static int obey_all(void) {
  static size_t at;
  struct frame_head head;
  int code = -1;
  while (code < 0 && output_left == 0 && heard_have - at >= sizeof head) {
    memcpy(&head, heard + at, sizeof head);
    if (head.length > MAX_FRAME) return lost_monitor();
    if (heard_have - at < sizeof head + head.length) break;
    const uint8_t *payload = heard + at + sizeof head;
    at += sizeof head + head.length;
    code = obey(head.type, payload, head.length);
  }
  if (output_left == 0) {
    memmove(heard, heard + at, heard_have - at);
    heard_have -= at, at = 0;
  }
  return code;
}

int front(struct plan *given, int socket, pid_t child) {
  plan = given, sock = socket, monitor_pid = child;
  stdio = plan->frame[HEADER_STDIO].n;
  if (plan->frame[HEADER_REPORT].n != NONE64) report = (int)plan->frame[HEADER_REPORT].n;
  bool attached = !(stdio & STDIO_DETACHED);
  input = attached && (stdio & STDIO_STDIN);
  for (int fd = 0; fd < 3; fd++) {
    struct stat about;
    if (fstat(fd, &about) == 0) kind[fd] = about.st_mode;
  }
  if (pipe2(bell, O_CLOEXEC | O_NONBLOCK) < 0) return 125;
  fcntl(sock, F_SETFD, FD_CLOEXEC);
  catch_signals();
  if (attached && (stdio & STDIO_TERMINAL)) send_size();

  int code = -1;
  while (code < 0) {
    bool reads = running && input && said_from == said_to && credit > MOST_KEYS;
    struct pollfd polled[] = {
      { .fd = bell[0], .events = POLLIN },
      { .fd = sock, .events = (short)((output_left ? 0 : POLLIN) | (said_from < said_to ? POLLOUT : 0)) },
      { .fd = reads ? 0 : -1, .events = POLLIN },
      { .fd = output_left ? output_fd : -1, .events = POLLOUT },
    };
    if (!polled[1].events) polled[1].fd = -1;
    if (poll(polled, 4, -1) < 0) continue;
    if (polled[0].revents) {
      uint8_t numbers[64];
      ssize_t n = read(bell[0], numbers, sizeof numbers);
      for (ssize_t i = 0; i < n; i++) answer(numbers[i]);
    }
    if (said_from < said_to) flush_said();
    if (polled[3].revents) code = write_output();
    if (code < 0 && polled[1].revents && output_left == 0) code = hear();
    if (code < 0) code = obey_all();
    if (code < 0 && polled[2].revents) code = read_input();
  }
  if (code == HUNG_UP) last_words();
  restore();
  return code;
}
