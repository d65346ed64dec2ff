/*
 * Seal: this program, so that nobody can write to it.
 *
 *     command ──execve──▶ executor on disk ──execveat──▶ the same, on a read-only clone of its mount: /proc/PID/exe cannot be opened for writing
 *                                            or, where there are no mounts to clone, a copy in sealed memory
 *
 * Between clone and exec the container's process 1 is this program, and root inside, without a user namespace of its own, is root of the
 * host: through /proc/1/exe it could overwrite the file that the next container starts with (CVE-2019-5736).
 *
 * Read on: executor.c. open_tree(2), mount_setattr(2), memfd_create(2), fcntl(2) "File Sealing".
 */
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include "kernel.h"
#include "ops.h"

extern char **environ;

/* Can it never be written to through our /proc/PID/exe? */
static bool is_sealed(void) {
  struct statvfs about;
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  int seals = fcntl(fd, F_GET_SEALS);
  bool sealed = (seals >= 0 && (seals & F_SEAL_WRITE)) || (fstatvfs(fd, &about) == 0 && (about.f_flag & ST_RDONLY));
  close(fd);
  return sealed;
}

static int sealed_copy(void) {
  int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), to = memfd_create("minicontainer", MFD_CLOEXEC | MFD_ALLOW_SEALING | K_MFD_EXEC);
  if (to < 0 && errno == EINVAL) to = memfd_create("minicontainer", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  static char buffer[65536];
  ssize_t n = -1;
  while (from >= 0 && to >= 0 && (n = read(from, buffer, sizeof buffer)) > 0) if (write(to, buffer, (size_t)n) != n) return -1;
  if (n < 0 || fchmod(to, 0500) < 0 || fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) return -1;
  close(from);
  return to;
}

/* Runs this program again from a read-only clone of the mount it lies on, or from sealed memory. Returns only if it is sealed. */
int seal(char **argv) {
  prctl(PR_SET_NAME, "minicontainer");
  if (is_sealed()) return 0;
  const char *name = (const char *)getauxval(AT_EXECFN);
  if (name && strncmp(name, "/dev/fd/", 8) == 0) return -1;   // that is how execveat(2) names it: it did not help
  int fd = k_open_tree(AT_FDCWD, "/proc/self/exe", K_OPEN_TREE_CLONE | O_CLOEXEC);
  struct mount_how how = { .set = 1 };                        // MOUNT_ATTR_RDONLY
  if (fd >= 0 && k_mount_setattr(fd, AT_EMPTY_PATH, &how) == 0) syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
  fd = sealed_copy();
  if (fd >= 0) syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
  return -1;
}
