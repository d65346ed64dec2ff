/*
 * The status file: what the monitor knows, for whoever looks, now or after a crash.
 *
 *     state running            state exited
 *     pid 4711 81234           code 137
 *     monitor 4710 81230       signal 9
 *     boot 0f6c…               pid, monitor, boot, started as before
 *     started 1795529720.661   finished 1795529728.349
 *                              lost 12288                      bytes that the log could not take
 *                              capture memory.events 92        then 92 bytes and a newline, for every capture step
 *
 * A number alone names no process: it is used again. With the start time (clock ticks since boot, field 22 of /proc/PID/stat) and the
 * boot's id it does. While the monitor lives after the second status, the undos are still running.
 *
 * The rule: a reader sees the old text or the new one, never half of one, hence PATH.new and rename(2).
 *
 * Read on: monitor.c. proc_pid_stat(5), rename(2).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "monitor.h"

static const char *path;
static char new_path[PATH_MAX + 8];
static int file = -1;
static bool bad;

void status_at(const char *at) { path = at; }

/* Our own number and start time as the host has them: /proc is the host's, whatever pid namespace we are in. */
void own_identity(long *pid, unsigned long long *start) {
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

static void put(const void *bytes, size_t length) {
  for (const char *at = bytes; length && !bad;) {
    ssize_t n = write(file, at, length);
    if (n > 0) at += n, length -= (size_t)n;
    else if (errno != EINTR) bad = true;
  }
}

/* PATH.new, up to here. */
void begin_status(const char *text) {
  if (!path) return;
  snprintf(new_path, sizeof new_path, "%s.new", path);
  file = open(new_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  bad = file < 0;
  put(text, strlen(text));
}
/* PATH.new becomes PATH. On a full disk, the head at least goes over the old text, which has its block already. */
void end_status(const char *text) {
  if (!path) return;
  if (file >= 0) close(file);
  file = -1;
  if (!bad && rename(new_path, path) == 0) return;
  unlink(new_path);
  int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return;
  if (pwrite(fd, text, strlen(text), 0) == (ssize_t)strlen(text) && ftruncate(fd, (off_t)strlen(text)) < 0) unlink(path);
  close(fd);
}

void monitor_capture(const char *name, const char *text, size_t length) {
  char head[300];
  if (file < 0) return;
  put(head, (size_t)snprintf(head, sizeof head, "capture %.255s %zu\n", name, length));
  put(text, length);
  put("\n", 1);
}
