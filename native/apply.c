/*
 * Apply: a stream of file operations, carried out below one directory.
 *
 *     a/b/c ──▶ openat2(root, "a/b", BENEATH | NO_SYMLINKS | NO_MAGICLINKS) ──▶ fd ──▶ openat(fd, "c", O_CREAT | O_EXCL | O_NOFOLLOW)
 *
 * The stream comes from an image or a container, and is hostile. No path of more than one part reaches the kernel but by openat2,
 * which follows nothing; the last part is one name in a directory that is held open. So nothing outside can be named, whatever links
 * are made in whatever order, and whoever renames things meanwhile. Besides, the directory is our root.
 *
 * A directory's mode and time are set when all is done: what is made in it would change them, and a set-group-id bit would be handed on.
 *
 * Read on: files.c, read.c; src/plan/unpack.ts. openat2(2), utimensat(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "files.h"
#include "kernel.h"
#include "ops.h"

enum { CONFINED = BENEATH | NO_SYMLINKS | NO_MAGICLINKS };

static int target, parent = -1, file = -1;
static char parent_path[PATH_MAX], last[NAME_MAX + 2];
static bool known;                       /* parent is the directory parent_path */
static struct timespec file_times[2];
static uint64_t file_size, file_end;

/* What is to be set in the end, of directories. */
static struct later { struct later *next; struct timespec time; mode_t mode; char path[]; } *first, **newest = &first;

static int forget_parent(int error) {
  if (parent >= 0 && parent != target) close(parent);
  parent = -1, known = false;
  return error;
}

/* The directory that holds `path`, open, and the last part of it in `last`; "." is the target. 0, or an errno. */
static int enter(const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  size_t length = slash ? (size_t)(slash - path) : 0;
  if (strlen(name) > NAME_MAX || length >= sizeof parent_path) return ENAMETOOLONG;
  if (!*name || !strcmp(name, "..") || (slash && (!length || !strcmp(name, ".")))) return EINVAL;
  strcpy(last, name);
  if (known && !strncmp(parent_path, path, length) && !parent_path[length]) return 0;
  forget_parent(0);
  memcpy(parent_path, path, length);
  parent_path[length] = 0;
  parent = length ? k_openat2(target, parent_path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, CONFINED) : target;
  known = parent >= 0;
  return known ? 0 : errno;
}

/* Whatever has this name goes. It may be the directory that is held open, or one above it. */
static int clear_way(void) {
  forget_parent(0);
  int at = *parent_path ? k_openat2(target, parent_path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, CONFINED) : target, error = 0;
  if (at < 0) return errno;
  if (unlinkat(at, last, 0) < 0 && errno != ENOENT) error = errno == EISDIR ? check(remove_tree(at, last)) : errno;
  parent = at, known = true;
  return error;
}

static int finish(void) {
  if (file < 0) return 0;
  int error = file_end < file_size ? check(ftruncate(file, (off_t)file_size)) : 0;
  if (!error) error = check(futimens(file, file_times));
  close(file);
  file = -1;
  return error;
}

static void times_of(struct timespec times[2], const union arg *arg) {
  times[0].tv_nsec = UTIME_OMIT, times[0].tv_sec = 0;
  times[1].tv_sec = (time_t)arg[F_FILE_SECONDS].n, times[1].tv_nsec = (long)arg[F_FILE_NANOSECONDS].n;
}

static int set_later(const char *path, const union arg *arg) {
  struct later *later = malloc(sizeof *later + strlen(path) + 1);
  if (!later) return ENOMEM;
  struct timespec times[2];
  times_of(times, arg);
  *later = (struct later){ .time = times[1], .mode = (mode_t)arg[F_DIRECTORY_MODE].n & 07777 };
  strcpy(later->path, path);
  *newest = later, newest = &later->next;
  return 0;
}

/* What has been replaced since by something else is no directory, and left alone. */
static int set_directories(void) {
  for (struct later *at = first; at; at = at->next) {
    int fd = k_openat2(target, at->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, CONFINED);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)) continue;
    struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, at->time };
    int error = fd < 0 || fchmod(fd, at->mode) < 0 || futimens(fd, times) < 0 ? errno : 0;
    if (fd >= 0) close(fd);
    if (error) return error;
  }
  return 0;
}

static int make_one(const struct record *record) {
  const union arg *arg = record->arg;
  mode_t mode = (mode_t)arg[F_NODE_MODE].n;
  switch (record->op) {
    case FILE_DIRECTORY: return mkdirat(parent, last, 0700);
    case FILE_SYMLINK: return symlinkat(arg[F_SYMLINK_TARGET].t.s, parent, last);
    case FILE_NODE: return mknodat(parent, last, mode, makedev((unsigned)arg[F_NODE_MAJOR].n, (unsigned)arg[F_NODE_MINOR].n));
    default: return file = openat(parent, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  }
}

/* In the way is: a directory for a directory, which stays; anything else goes. Some tries, for somebody else may be making things there. */
static int make(const struct record *record) {
  bool directory = record->op == FILE_DIRECTORY;
  struct stat there;
  if (directory && !strcmp(last, ".")) return 0;
  for (int tries = 0; tries < 10; tries++) {
    if (make_one(record) >= 0) return 0;
    if (errno != EEXIST) return errno;
    if (directory && fstatat(parent, last, &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(there.st_mode)) return 0;
    int error = clear_way();
    if (error) return error;
  }
  return EEXIST;
}

static int own(const struct record *record) {
  const union arg *arg = record->arg;
  uid_t uid = (uid_t)arg[F_FILE_UID].n;
  gid_t gid = (gid_t)arg[F_FILE_GID].n;
  mode_t mode = (mode_t)arg[F_FILE_MODE].n & 07777;
  struct timespec times[2];
  times_of(times, arg);
  if (record->op == FILE_FILE) {
    file_times[0] = times[0], file_times[1] = times[1];
    file_size = arg[F_FILE_SIZE].n, file_end = 0;
    return fchown(file, uid, gid) < 0 || fchmod(file, mode) < 0 ? errno : 0;
  }
  if (fchownat(parent, last, uid, gid, AT_SYMLINK_NOFOLLOW) < 0) return errno;
  if (record->op == FILE_DIRECTORY) return set_later(arg[F_DIRECTORY_PATH].t.s, arg);
  // Not of a link: chmod would follow it. Of a node that somebody has just replaced by one, it would change what we may see, not more.
  if (record->op == FILE_NODE && fchmodat(parent, last, mode, 0) < 0) return errno;
  return check(utimensat(parent, last, times, AT_SYMLINK_NOFOLLOW));
}

static int link_to(const char *from, const char *path) {
  int error = enter(from);
  if (error) return error;
  int source = openat(parent, last, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (source < 0) return errno;
  error = enter(path);
  for (int tries = 0; !error && tries < 10; tries++) {
    if (linkat(source, "", parent, last, AT_EMPTY_PATH) == 0) break;
    error = errno != EEXIST ? errno : clear_way();
  }
  close(source);
  return error;
}

static int set_attribute(const union arg *arg) {
  const char *name = arg[F_XATTR_NAME].t.s, *value = arg[F_XATTR_VALUE].t.s;
  uint32_t length = arg[F_XATTR_VALUE].t.length;
  if (file >= 0) return check(fsetxattr(file, name, value, length, 0));
  // No call takes a directory and a name: so the directory becomes the working directory, and the name is one part.
  if (!known) return EINVAL;
  if (parent == target && !strcmp(last, ".")) return fchdir(target) < 0 ? errno : check(lsetxattr(".", name, value, length, 0));
  int at = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int error = at < 0 || fchdir(at) < 0 || lsetxattr(last, name, value, length, 0) < 0 ? errno : 0;
  if (at >= 0) close(at);
  return error;
}

/* Whoever asks means what is inside: links of it lead nowhere else. */
static int go_into(const char *path) {
  int fd = k_openat2(target, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, IN_ROOT | NO_MAGICLINKS);
  if (fd < 0) return errno;
  forget_parent(0);
  target = fd;
  return 0;
}

static int write_content(const union arg *arg) {
  uint64_t offset = arg[F_CONTENT_OFFSET].n, length = arg[F_CONTENT_BYTES].t.length;
  if (file < 0) return EBADF;
  if (offset > file_size || length > file_size - offset) return EFBIG;
  for (const char *at = arg[F_CONTENT_BYTES].t.s; length;) {
    ssize_t n = pwrite(file, at, length, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    at += n, offset += (uint64_t)n, length -= (uint64_t)n;
  }
  if (offset > file_end) file_end = offset;
  return 0;
}

static int perform_file(const struct record *record) {
  const char *path = record->arg[0].t.s;
  int error = 0;
  switch (record->op) {
    case FILE_CONTENT: return write_content(record->arg);
    case FILE_XATTR: return set_attribute(record->arg);
  }
  error = finish();
  if (error || record->op == FILE_END) return error ? error : set_directories();
  if (record->op == FILE_HARDLINK) return link_to(record->arg[F_HARDLINK_TARGET].t.s, path);
  if (record->op == FILE_ENTER) return go_into(path);
  error = enter(path);
  if (error) return error == ENOENT && record->op == FILE_REMOVE ? 0 : error;
  if (record->op == FILE_AT) return 0;
  if (record->op == FILE_ENSURE) return mkdirat(parent, last, 0755) < 0 && errno != EEXIST ? errno : 0;
  if (!strcmp(last, ".") && record->op != FILE_DIRECTORY) return EINVAL;
  if (record->op == FILE_REMOVE) return clear_way();
  if (record->op > FILE_NODE) return EINVAL;
  error = make(record);
  return error ? error : own(record);
}

int apply(int root) {
  static struct record record;
  static char path[PATH_MAX] = ".";
  unsigned long index = 0;
  int got, error = 0;
  // Our root is the target: a second wall behind the first. The working directory is in it too.
  if (fchdir(root) < 0 || chroot(".") < 0) { dprintf(1, "refused 0 %d .\n", errno); return 1; }
  target = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  umask(0);
  while ((got = next_record(&record)) > 0) {
    if (record.op != FILE_CONTENT && record.op != FILE_XATTR && *FILE_ARGS[record.op] == 't') snprintf(path, sizeof path, "%s", record.arg[0].t.s);
    error = perform_file(&record);
    if (error) break;
    if (record.op == FILE_END) return dprintf(1, "done %lu\n", index) < 0;
    index++;
  }
  if (!error) error = got < 0 ? EBADMSG : ENODATA;
  dprintf(1, "refused %lu %d %s\n", index, error, path);
  return 1;
}
