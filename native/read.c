/*
 * Read: what lies below one directory, as the stream that apply.c would make it from.
 *
 *     walk PATH ──▶ directory │ file, content … │ symlink │ hardlink │ node │ each with its xattrs ──▶ end
 *
 * The tree may belong to a container that runs, and is hostile. A name is looked at once, by an fd that opens nothing (O_PATH); what is
 * read is that fd opened again, through our own /proc: so what is read is what was looked at, never a device or a FIFO that has taken
 * its place. Only the path that is asked for may follow links, and these stay inside the root.
 *
 * What goes while we look is left out; what cannot be read is told, and the rest goes on.
 *
 * Read on: files.c, apply.c; src/plan/unpack.ts. openat2(2), open(2) on O_PATH, lseek(2) on SEEK_HOLE.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "files.h"
#include "kernel.h"
#include "ops.h"

enum { FOLLOW = 1, CONTENT = 2, XATTRS = 4, ONE_SYSTEM = 8, XATTRS_FIRST = 16 };
enum { MOST_VALUE = 65536, ENTRIES = 1024 };

static char path[PATH_MAX];              /* of what is looked at, relative to what was asked for; "": that itself */
static int fds = -1;                     /* our own /proc/self/fd, whatever mount namespace we are in now */
static uint64_t flags, limit;
static dev_t device;

static const char *shown(void) { return *path ? path : "."; }
static void failed(int error) { record_start(FILE_FAILED), text(shown()), number((uint64_t)error), record_end(); }

/* ---- hard links: the path at which an inode was met first ---- */

static struct seen { dev_t device; ino_t inode; char *path; } *seen;
static size_t seen_room, seen_count;

static struct seen *place_of(dev_t on, ino_t inode) {
  size_t at = (size_t)((inode * 0x9e3779b97f4a7c15ull ^ on) >> 7) & (seen_room - 1);
  while (seen[at].path && (seen[at].inode != inode || seen[at].device != on)) at = (at + 1) & (seen_room - 1);
  return &seen[at];
}

static const char *met_before(const struct stat *about) {
  if (seen_count * 2 >= seen_room) {
    struct seen *old = seen;
    size_t room = seen_room;
    seen_room = room ? room * 2 : 1024;
    seen = calloc(seen_room, sizeof *seen);
    if (!seen) { dprintf(2, "minicontainer: cannot remember hard links: out of memory\n"); _exit(1); }
    for (size_t i = 0; i < room; i++) if (old[i].path) *place_of(old[i].device, old[i].inode) = old[i];
    free(old);
  }
  struct seen *place = place_of(about->st_dev, about->st_ino);
  if (place->path) return place->path;
  *place = (struct seen){ about->st_dev, about->st_ino, strdup(shown()) };
  seen_count++;
  return NULL;
}

/* ---- one thing ---- */

static int reopen(int fd, int how) {
  char name[16];
  snprintf(name, sizeof name, "%d", fd);
  return openat(fds, name, how | O_CLOEXEC);
}

static void about(uint32_t op, const struct stat *is) {
  record_start(op);
  text(shown());
  number(op == FILE_NODE ? is->st_mode : is->st_mode & 07777), number(is->st_uid), number(is->st_gid);
  number((uint64_t)is->st_mtim.tv_sec), number((uint64_t)is->st_mtim.tv_nsec);
}

static void content(int fd, uint64_t size) {
  for (off_t at = 0; (uint64_t)at < size;) {
    off_t data = lseek(fd, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return;             // a hole up to the end
    if (data < 0) data = at;
    off_t hole = lseek(fd, data, SEEK_HOLE);
    uint64_t end = hole < 0 || (uint64_t)hole > size ? size : (uint64_t)hole;
    for (at = data; (uint64_t)at < end;) {
      record_start(FILE_CONTENT);
      number((uint64_t)at);
      size_t want = end - (uint64_t)at < MOST_CONTENT ? (size_t)(end - (uint64_t)at) : MOST_CONTENT;
      uint8_t *room = room_for_bytes(want);
      ssize_t n = pread(fd, room, want, at);
      if (n < 0) n = 0, failed(errno);
      bytes(room, (size_t)n);
      record_end();
      if (n == 0 || flush_records() < 0) return;        // it has become shorter: the rest reads as zeros
      at += n;
    }
  }
}

/* `directory` and `name`, of what no fd can be had for: links and nodes. */
static void attributes(int fd, int directory, const char *name) {
  static char names[MOST_VALUE], value[MOST_VALUE];
  if (fd < 0 && fchdir(directory) < 0) return;
  ssize_t length = fd >= 0 ? flistxattr(fd, names, sizeof names) : llistxattr(name, names, sizeof names);
  for (char *at = names; length > 0 && at < names + length; at += strlen(at) + 1) {
    ssize_t n = fd >= 0 ? fgetxattr(fd, at, value, sizeof value) : lgetxattr(name, at, value, sizeof value);
    if (n < 0) continue;
    record_start(FILE_XATTR), text(at), bytes(value, (size_t)n), record_end();
  }
}

static void walk(int fd, uint64_t depth);

/* `*held` is closed before its directory is gone into, and -1 then: a tree may be 2,000 levels deep, and each shall hold one fd. */
static void look(int *held, int directory, const char *name, uint64_t depth) {
  static char target[PATH_MAX];
  struct stat is;
  int at = *held;
  if (fstat(at, &is) < 0) { failed(errno); return; }
  bool isDirectory = S_ISDIR(is.st_mode), isFile = S_ISREG(is.st_mode);
  if (!isDirectory && is.st_nlink > 1) {
    const char *first = met_before(&is);
    if (first) {
      record_start(FILE_HARDLINK), text(shown()), text(first), record_end();
      return;
    }
  }
  int fd = isDirectory || (isFile && (flags & (CONTENT | XATTRS))) ? reopen(at, O_RDONLY | O_NONBLOCK | O_NOCTTY) : -1;
  if ((isDirectory || (isFile && (flags & (CONTENT | XATTRS)))) && fd < 0) { failed(errno); return; }
  if (isFile && (flags & CONTENT) && (uint64_t)is.st_size > limit) { failed(EFBIG); close(fd); return; }
  ssize_t n = S_ISLNK(is.st_mode) ? readlinkat(at, "", target, sizeof target - 1) : 0;
  if (n < 0) { failed(errno); return; }
  target[n] = 0;
  about(isDirectory ? FILE_DIRECTORY : isFile ? FILE_FILE : S_ISLNK(is.st_mode) ? FILE_SYMLINK : FILE_NODE, &is);
  if (isFile) number((uint64_t)is.st_size);
  else if (S_ISLNK(is.st_mode)) text(target);
  else if (!isDirectory) number(major(is.st_rdev)), number(minor(is.st_rdev));
  record_end();
  bool first = flags & XATTRS_FIRST;
  if ((flags & XATTRS) && first) attributes(fd, directory, name);
  if (isFile && (flags & CONTENT)) content(fd, (uint64_t)is.st_size);
  if ((flags & XATTRS) && !first) attributes(fd, directory, name);
  if (isDirectory && depth > 0 && (!(flags & ONE_SYSTEM) || is.st_dev == device)) {
    close(at), *held = -1;
    walk(fd, depth);
  }
  if (fd >= 0) close(fd);
}

static void walk(int fd, uint64_t depth) {
  _Alignas(8) char entries[ENTRIES];
  size_t length = strlen(path);
  for (long n; (n = k_getdents(fd, entries, sizeof entries)) != 0;) {
    if (n < 0) { failed(errno); return; }
    for (long i = 0; i < n;) {
      const struct k_entry *entry = (const void *)(entries + i);
      i += entry->size;
      if (!strcmp(entry->name, ".") || !strcmp(entry->name, "..")) continue;
      if (length + strlen(entry->name) + 2 > sizeof path) { failed(ENAMETOOLONG); continue; }
      snprintf(path + length, sizeof path - length, "%s%s", length ? "/" : "", entry->name);
      int at = openat(fd, entry->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
      if (at >= 0) look(&at, fd, entry->name, depth - 1);
      else if (errno != ENOENT) failed(errno);
      if (at >= 0) close(at);
      path[length] = 0;
    }
  }
}

static void answer(int root, const union arg *arg) {
  struct stat is;
  flags = arg[F_WALK_FLAGS].n, limit = arg[F_WALK_LIMIT].n;
  *path = 0;
  int at = k_openat2(root, arg[F_WALK_PATH].t.s, O_PATH | O_CLOEXEC | (flags & FOLLOW ? 0 : O_NOFOLLOW), 0, IN_ROOT | NO_MAGICLINKS);
  if (at < 0 || fstat(at, &is) < 0) { failed(errno); return; }
  device = is.st_dev;
  // Of a link or a node the attributes are left out here: its own name is only known to whoever asked.
  uint64_t all = flags;
  if (!S_ISDIR(is.st_mode) && !S_ISREG(is.st_mode)) flags &= ~(uint64_t)XATTRS;
  look(&at, -1, NULL, arg[F_WALK_DEPTH].n);
  flags = all;
  if (at >= 0) close(at);
  for (size_t i = 0; i < seen_room; i++) free(seen[i].path);
  free(seen);
  seen = NULL, seen_room = seen_count = 0;
}

int open_own_fds(void) { return fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC); }

int read_files(int root) {
  static struct record record;
  struct rlimit most;
  int got;
  // One fd for each directory on the way down.
  if (getrlimit(RLIMIT_NOFILE, &most) == 0) most.rlim_cur = most.rlim_max, setrlimit(RLIMIT_NOFILE, &most);
  while ((got = next_record(&record)) > 0) {
    if (record.op != FILE_WALK) return 1;
    answer(root, record.arg);
    record_start(FILE_END), record_end();
    if (flush_records() < 0) return 1;
  }
  return got < 0;
}
