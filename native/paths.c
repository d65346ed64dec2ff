/*
 * Paths: names, resolved where they may do no harm.
 *
 *     host        as they are: whoever makes the plan vouches for them
 *     container   /var/run/x ── run → /run ──▶ /run/x of the container's root. A link, `..` and /proc's magic links never lead out.
 *
 * What an image holds is hostile: /etc may be a link to ../../../etc, or to nowhere. From the moment in which the child has its root,
 * every name is resolved by openat2(2) with RESOLVE_IN_ROOT below an fd of that root, and what is found is used by its fd.
 *
 * The rule: no name is looked at twice. What has been opened is what is used.
 *
 * Read on: ops_mount.c, where that root comes from. openat2(2), path_resolution(7), mount_namespaces(7).
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "kernel.h"
#include "ops.h"

enum { MOST_LINKS = 40, DEEPEST = 40 };

int resolve(const struct run *run, const char *path, uint64_t flags, unsigned mode) {
  bool inside = run->root >= 0;
  return k_openat2(inside ? run->root : AT_FDCWD, path, flags | O_CLOEXEC, mode, inside ? IN_ROOT | NO_MAGICLINKS : 0);
}

int parent_of(const struct run *run, const char *path, const char **name) {
  static char parent[PATH_MAX];
  size_t length = strlen(path);
  while (length > 1 && path[length - 1] == '/') length--;
  if (length == 0 || length >= sizeof parent) { errno = length ? ENAMETOOLONG : ENOENT; return -1; }
  memcpy(parent, path, length);
  parent[length] = 0;
  char *slash = strrchr(parent, '/');
  *name = slash ? slash + 1 : parent;
  if (!slash || slash == parent) return resolve(run, slash ? "/" : ".", O_PATH | O_DIRECTORY, 0);
  *slash = 0;
  return resolve(run, parent, O_PATH | O_DIRECTORY, 0);
}

int make_at(int at, const char *name, mode_t mode, dev_t device, uint64_t uid, uint64_t gid) {
  mode_t mask = umask(0);
  int made = S_ISDIR(mode) ? mkdirat(at, name, mode & 07777) : mknodat(at, name, mode, device);
  umask(mask);
  if (made < 0 || (uid == NONE64 && gid == NONE64)) return made;
  if (fchownat(at, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) == 0) return 0;
  int error = errno;
  unlinkat(at, name, S_ISDIR(mode) ? AT_REMOVEDIR : 0);
  errno = error;
  return -1;
}

/*
 * One walk along `at`, making what is missing. 0: all is there. -1. 1: a part was a link to nowhere (inside, that is: images have
 * /var/run → /run without a /run): `at` is now what it stands for, to be walked again.
 */
static int walk(const struct run *run, char *at, mode_t mode, uint64_t uid, uint64_t gid) {
  static char link[PATH_MAX], joined[PATH_MAX];
  int directory = resolve(run, *at == '/' ? "/" : ".", O_PATH | O_DIRECTORY, 0), answer = directory < 0 ? -1 : 0;
  for (char *part = at + strspn(at, "/"); answer == 0 && *part;) {
    char *end = part + strcspn(part, "/"), *rest = end + strspn(end, "/"), was = *end;
    *end = 0;
    int next = resolve(run, at, O_PATH, 0);
    if (next < 0 && errno == ENOENT) {
      if (make_at(directory, part, *rest ? S_IFDIR | 0755 : mode, 0, uid, gid) == 0)
        next = k_openat2(directory, part, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0, NO_MAGICLINKS);
      else if (errno == EEXIST) {
        ssize_t n = readlinkat(directory, part, link, sizeof link);
        int length = n < 0 ? -1 : snprintf(joined, sizeof joined, "%.*s%.*s/%s", *link == '/' ? 0 : (int)(part - at), at, (int)n, link, rest);
        if (length >= (int)sizeof joined) errno = ENAMETOOLONG;
        else if (length >= 0) answer = 1;
      }
    }
    *end = was;
    if (answer == 0 && next < 0) answer = -1;
    if (answer == 0) close(directory), directory = next, part = rest;
  }
  int error = errno;
  if (directory >= 0) close(directory);
  if (answer == 1) strcpy(at, joined);
  errno = error;
  return answer;
}

int make_path(const struct run *run, const char *path, mode_t mode, uint64_t uid, uint64_t gid) {
  static char at[PATH_MAX];
  int there = resolve(run, path, O_PATH, 0);
  if (there >= 0) return close(there);
  if (errno != ENOENT) return -1;
  if (strlen(path) >= sizeof at) { errno = ENAMETOOLONG; return -1; }
  strcpy(at, path);
  for (int links = 0; links < MOST_LINKS; links++) {
    int answer = walk(run, at, mode, uid, gid);
    if (answer <= 0) return answer;
  }
  errno = ELOOP;
  return -1;
}

/* ---- removing a tree ---- */

static unsigned long removed, moved;
unsigned long long freed;

/*
 * One pass over a directory and those below it, each by its fd. What lies too deep is moved to the top, for the next pass: so there is
 * an end to stack and fds, but no tree is too deep, and `..` is never used. 0, or the errno of what could not be removed.
 */
static int sweep(int directory, int top, int depth) {
  _Alignas(8) char buffer[8192];
  int error = lseek(directory, 0, SEEK_SET) < 0 ? errno : 0;
  for (long n; (n = k_getdents(directory, buffer, sizeof buffer)) != 0;) {
    if (n < 0) return errno;
    for (long i = 0; i < n;) {
      const struct k_entry *entry = (const void *)(buffer + i);
      const char *name = entry->name;
      i += entry->size;
      if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
      struct stat about;
      bool last = fstatat(directory, name, &about, AT_SYMLINK_NOFOLLOW) == 0 && (about.st_nlink == 1 || S_ISDIR(about.st_mode));
      if (unlinkat(directory, name, 0) == 0) { removed++, freed += last ? (unsigned long long)about.st_blocks * 512 : 0; continue; }
      if (errno == EISDIR && unlinkat(directory, name, AT_REMOVEDIR) == 0) { removed++; continue; }
      if (errno == ENOENT) continue;
      if (errno != ENOTEMPTY) { error = errno; continue; }   // EBUSY: something is mounted there, and is left alone
      int answer = -1;
      if (depth == DEEPEST) {
        char to[24];
        do snprintf(to, sizeof to, "%lu.moved", moved++);
        while ((answer = renameat(directory, name, top, to)) < 0 && (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR));
        if (answer == 0) { removed++; continue; }
      } else {
        int inside = k_openat2(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, NO_XDEV | NO_SYMLINKS);
        int below = inside < 0 ? errno : sweep(inside, top, depth + 1);
        if (inside >= 0) close(inside);
        if (unlinkat(directory, name, AT_REMOVEDIR) == 0) { removed++; continue; }
        if (below) errno = below;
      }
      error = errno;
    }
  }
  return error;
}

int remove_tree(int parent, const char *name) {
  if (!strcmp(name, ".") || !strcmp(name, "..")) { errno = EINVAL; return -1; }
  int top = k_openat2(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0, NO_XDEV | NO_SYMLINKS);
  if (top < 0) return errno == ENOENT ? 0 : -1;
  for (;;) {
    unsigned long before = removed;
    int error = sweep(top, top, 0);
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) break;
    if (removed != before) continue;
    if (error) errno = error;
    close(top);
    return -1;
  }
  return close(top);
}
