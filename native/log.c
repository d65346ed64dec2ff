/*
 * The log: what the container wrote, as lines of a file that any CRI reader knows.
 *
 *     2026-11-24T14:05:41.123456789Z stdout F a whole line
 *     2026-11-24T14:05:41.123456789Z stderr P the beginning of a line, or
 *     2026-11-24T14:05:42.000000001Z stderr F its end
 *
 * F: a newline followed the bytes. P: none did; the line goes on in the next entry of the same stream. So the bytes of all entries
 * of a stream, with a newline after each F, are exactly what was written, whatever they are; an unfinished last line is a P that
 * nothing follows. An entry carries at most 16 KiB. Whatever comes in one read is logged at once, with one time: a prompt without
 * a newline is in the file before the answer is typed.
 *
 * The rule: the file never holds a torn entry. A disk that is full in the middle of a batch leaves whole entries, the rest is
 * counted as lost, and the container goes on. Files change between entries.
 *
 * Read on: monitor.c. Kubernetes, "CRI container log format" (design proposal kubelet-cri-logging.md).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "monitor.h"

#define PIECE 16384u
/* "2026-11-24T14:05:41.123456789Z stdout F ": every entry's beginning has this length, and its tag this place. */
#define PREFIX 40u
#define STREAM 31u
#define TAG 38u

static char path[PATH_MAX];
static uint64_t limit, most;
static int file = -1;
static uint64_t size, lost;
static char batch[32768], prefix[PREFIX];
static size_t used;

static void digits(char *at, unsigned n, uint64_t value) {
  while (n--) at[n] = (char)('0' + value % 10), value /= 10;
}

/* The time of a batch into `prefix`. gmtime_r of glibc reads the time zone and allocates; in UTC a day is only arithmetic. */
static void stamp(void) {
  static time_t second = -1;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  digits(prefix + 20, 9, (uint64_t)now.tv_nsec);
  if (now.tv_sec == second) return;
  second = now.tv_sec;
  unsigned days = (unsigned)(now.tv_sec / 86400), left = (unsigned)(now.tv_sec % 86400), year = 1970, month = 0;
  for (;; year++) {
    unsigned length = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 366 : 365;
    if (days < length) break;
    days -= length;
  }
  for (;; month++) {
    static const unsigned char length[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = month == 1 && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (days < (unsigned)length[month] + leap) break;
    days -= length[month] + leap;
  }
  memcpy(prefix, "0000-00-00T00:00:00.", 20);
  prefix[29] = 'Z', prefix[30] = prefix[37] = prefix[39] = ' ';
  digits(prefix, 4, year), digits(prefix + 5, 2, month + 1), digits(prefix + 8, 2, days + 1);
  digits(prefix + 11, 2, left / 3600), digits(prefix + 14, 2, left / 60 % 60), digits(prefix + 17, 2, left % 60);
}

static void open_file(int flags) {
  struct stat about;
  file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | flags, 0600);
  size = file >= 0 && fstat(file, &about) == 0 ? (uint64_t)about.st_size : 0;
}

/* The batch onto the disk: its entries wholly or not at all. */
static void flush(void) {
  size_t done = 0;
  if (file < 0 && used) open_file(0);
  while (file >= 0 && done < used) {
    ssize_t n = write(file, batch + done, used - done);
    if (n > 0) done += (size_t)n;
    else if (errno != EINTR) break;
  }
  if (done < used) {
    const char *end = done ? memrchr(batch, '\n', done) : NULL;
    size_t whole = end ? (size_t)(end - batch) + 1 : 0;
    struct stat about;
    if (whole < done && fstat(file, &about) == 0 && about.st_size >= (off_t)(done - whole))
      while (ftruncate(file, about.st_size - (off_t)(done - whole)) < 0 && errno == EINTR) continue;
    done = whole;
    for (const char *entry = batch + whole; entry < batch + used;) {
      const char *newline = memchr(entry, '\n', (size_t)(batch + used - entry));
      lost += (uint64_t)(newline - entry) - PREFIX + (entry[TAG] == 'F');
      entry = newline + 1;
    }
  }
  size += done;
  used = 0;
}

/* LOG becomes LOG.1, that LOG.2 …; the oldest is gone. What cannot be renamed is gone too, for the limit holds. */
static void rotate(void) {
  static char from[PATH_MAX + 24], to[PATH_MAX + 24];
  if (file >= 0) close(file);
  for (uint64_t n = most > 1 ? most - 1 : 0; n > 0; n--) {
    snprintf(to, sizeof to, "%s.%llu", path, (unsigned long long)n);
    if (n > 1) snprintf(from, sizeof from, "%s.%llu", path, (unsigned long long)n - 1);
    rename(n > 1 ? from : path, to);
  }
  open_file(O_TRUNC);
}

void log_open(const char *at, uint64_t max, uint64_t files) {
  snprintf(path, sizeof path, "%s", at);
  limit = max == NONE64 ? 0 : max;
  most = files == NONE64 ? 1 : files;
  open_file(0);
}

void log_write(bool from_stderr, const uint8_t *bytes, size_t length) {
  if (!path[0]) return;
  stamp();
  memcpy(prefix + STREAM, from_stderr ? "stderr" : "stdout", 6);
  while (length) {
    // One byte more than a piece: a line of exactly 16 KiB needs no second entry for its newline.
    const uint8_t *newline = memchr(bytes, '\n', length < PIECE + 1 ? length : PIECE + 1);
    size_t n = newline ? (size_t)(newline - bytes) : length < PIECE ? length : PIECE;
    size_t entry = PREFIX + n + 1;
    if (limit && size + used && size + used + entry > limit) flush(), rotate();
    if (used + entry > sizeof batch) flush();
    memcpy(batch + used, prefix, PREFIX);
    batch[used + TAG] = newline ? 'F' : 'P';
    memcpy(batch + used + PREFIX, bytes, n);
    batch[used + entry - 1] = '\n';
    used += entry;
    n += newline != NULL;
    bytes += n, length -= n;
  }
  flush();
}

void log_rest(void) { give_back(batch, sizeof batch); }

uint64_t log_close(void) {
  if (file >= 0) close(file);
  file = -1;
  path[0] = 0;
  return lost;
}
