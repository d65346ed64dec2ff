/*
 * Fill: an empty volume gets what the image has at the place where it goes.
 *
 *     child, before the volume lies there     / ── data ── a, b/c        the image's, seen with the container's ids
 *                                                   │ fill
 *                                             volume ── a, b/c           a detached mount: the same ids again
 *
 * It is done inside, after the pivot and as the container's root: whatever links a hostile image holds, no path leads out, and nobody is
 * given a file that the container could not have made itself. Device nodes and sockets are left out.
 *
 * The rule that holds: a volume with anything in it is left alone. A fill that was cut short has left its mark in it, MARK, which goes
 * last: so the next one begins again. Two at once wait for each other.
 *
 * Read on: paths.c. flock(2), sendfile(2), xattr(7).
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "kernel.h"
#include "ops.h"

#define MARK ".being-filled"
enum { DEEPEST = 200, NAMES = 65536, CHUNK = 1 << 30 };

/* Extended attributes, file capabilities too: as many as may be set from inside. Before the mode, after the owner. */
static void copy_attributes(int from, int to) {
  static char names[NAMES], value[NAMES];
  ssize_t length = flistxattr(from, names, sizeof names);
  for (const char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
    ssize_t size = fgetxattr(from, name, value, sizeof value);
    if (size >= 0) fsetxattr(to, name, value, (size_t)size, 0);
  }
}

static int take_after(int from, int to, const struct stat *about) {
  if (fchown(to, about->st_uid, about->st_gid) < 0 || fchmod(to, about->st_mode & 07777) < 0) return errno;
  copy_attributes(from, to);
  return check(futimens(to, (const struct timespec[]){ about->st_atim, about->st_mtim }));
}

static int copy_file(int from, int to, const char *name, const struct stat *about) {
  int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  int out = in < 0 ? -1 : openat(to, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600), error = out < 0 ? errno : 0;
  for (ssize_t n = 1; !error && n > 0;) if ((n = sendfile(out, in, NULL, CHUNK)) < 0) error = errno;
  if (!error) error = take_after(in, out, about);
  if (out >= 0) close(out);
  if (in >= 0) close(in);
  return error;
}

static int copy_other(int from, int to, const char *name, const struct stat *about) {
  static char target[4096];
  ssize_t length = S_ISLNK(about->st_mode) ? readlinkat(from, name, target, sizeof target - 1) : 0;
  if (length < 0) return errno;
  target[length] = 0;
  int made = S_ISLNK(about->st_mode) ? symlinkat(target, to, name) : mkfifoat(to, name, 0600);
  if (made < 0 && errno != EEXIST) return errno;
  if (fchownat(to, name, about->st_uid, about->st_gid, AT_SYMLINK_NOFOLLOW) < 0) return errno;
  return S_ISLNK(about->st_mode) ? 0 : check(fchmodat(to, name, about->st_mode & 07777, 0));
}

static int copy_tree(int from, int to, int depth) {
  _Alignas(8) char buffer[4096];
  if (depth > DEEPEST) return ELOOP;
  for (long n; (n = k_getdents(from, buffer, sizeof buffer)) != 0;) {
    if (n < 0) return errno;
    for (long i = 0; i < n;) {
      const struct k_entry *entry = (const void *)(buffer + i);
      const char *name = entry->name;
      struct stat about;
      int error = 0;
      i += entry->size;
      if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
      if (fstatat(from, name, &about, AT_SYMLINK_NOFOLLOW) < 0) return errno;
      if (S_ISREG(about.st_mode)) error = copy_file(from, to, name, &about);
      else if (S_ISLNK(about.st_mode) || S_ISFIFO(about.st_mode)) error = copy_other(from, to, name, &about);
      else if (S_ISDIR(about.st_mode)) {
        int in = k_openat2(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, NO_SYMLINKS | NO_XDEV), out = -1;
        if (in < 0 && errno == EXDEV) continue;   // something is mounted there: that is not the image's
        if (in < 0 || (mkdirat(to, name, 0700) < 0 && errno != EEXIST)) error = errno;
        else if ((out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0) error = errno;
        else if ((error = copy_tree(in, out, depth + 1)) == 0) error = take_after(in, out, &about);
        if (in >= 0) close(in);
        if (out >= 0) close(out);
      }
      if (error) return error;
    }
  }
  return 0;
}

/* 1: nothing is in it, or only what a fill has left that was cut short. -1 and errno. */
static int is_to_be_filled(int volume) {
  _Alignas(8) char buffer[4096];
  struct stat about;
  if (fstatat(volume, MARK, &about, AT_SYMLINK_NOFOLLOW) == 0) return 1;
  if (lseek(volume, 0, SEEK_SET) < 0) return -1;
  for (long n; (n = k_getdents(volume, buffer, sizeof buffer)) != 0;) {
    if (n < 0) return -1;
    for (long i = 0; i < n;) {
      const struct k_entry *entry = (const void *)(buffer + i);
      if (strcmp(entry->name, ".") && strcmp(entry->name, "..")) return 0;
      i += entry->size;
    }
  }
  return 1;
}

OP(fill) {
  struct stat about;
  int from = resolve(run, T(A_FILL_PATH), O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
  if (from < 0) return errno;
  int volume = openat(FD(A_FILL_MOUNT), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), answer = volume < 0 ? -1 : is_to_be_filled(volume);
  if (answer > 0 && (flock(volume, LOCK_EX) < 0 || fstat(from, &about) < 0)) answer = -1;
  if (answer > 0) answer = is_to_be_filled(volume);   // whoever had the lock may have filled it
  int mark = answer > 0 ? openat(volume, MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600) : -1, error = 0;
  if (answer < 0 || (answer > 0 && mark < 0)) error = errno;
  if (mark >= 0) {
    close(mark);
    error = copy_tree(from, volume, 0);
    if (!error) error = check(unlinkat(volume, MARK, 0));
    if (!error) error = take_after(from, volume, &about);
  }
  if (volume >= 0) close(volume);
  close(from);
  return error;
}
