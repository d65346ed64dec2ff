/*
 * Ops about mounts: what is cloned, made, stacked, put somewhere, and how the container's root becomes /.
 *
 *     host's tree   / ── … ── staging ── root      pivot: the child's / is `root` (chroot); the host's tree is out of reach,
 *                                   └ proc sys dev       but still mounted: the kernel lets a new proc be mounted only while one is
 *     root          / ── proc sys dev              leave-old-root: pivot_root, and the host's tree is detached
 *
 * Why not pivot_root(".", ".") at once, as the man page has it? That lays the old root on top of /, and `..` at / then steps onto
 * what lies on top, whatever openat2(2) was told (Linux fs/namei.c, handle_dots): a link to /.. in an image would lead to the host.
 *
 * Mounts are handed around as fds of detached mounts: nobody else sees them, they end with their last fd, and a child with less power
 * can attach what only its parent could make.
 *
 * Read on: paths.c. mount_setattr(2), open_tree(2), move_mount(2), fsopen(2), pivot_root(2); Linux Documentation/filesystems/overlayfs.rst.
 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "kernel.h"
#include "ops.h"

enum { MOST_LOWER = 500, OPTIONS = 4096 };   /* the kernel reads one page of options and cuts the rest off, silently */

OP(private_mounts) {
  int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  if (home < 0) return errno;
  if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_SLAVE, NULL) < 0) {
    int error = errno;
    close(home);
    return error;
  }
  run->home = home;
  return step->gives == NONE16 ? 0 : give(run, step, home);
}

OP(enter_mounts) {
  if (setns(FD(A_ENTER_MOUNTS_NAMESPACE), CLONE_NEWNS) < 0) return errno;
  run->home = -1;
  return 0;
}

static int set_mount(int mount, uint64_t recursive, struct mount_how how) {
  if (!how.set && !how.clear && !how.propagation) return 0;
  return k_mount_setattr(mount, AT_EMPTY_PATH | (recursive ? K_AT_RECURSIVE : 0), &how);
}

OP(clone_mount) {
  const char *source = T(A_CLONE_MOUNT_SOURCE);
  uint64_t recursive = N(A_CLONE_MOUNT_RECURSIVE);
  int from = FD(A_CLONE_MOUNT_FROM), userns = FD(A_CLONE_MOUNT_USERNS), place = from;
  if (*source) place = from >= 0 ? k_openat2(from, source, O_PATH | O_CLOEXEC, 0, IN_ROOT | NO_MAGICLINKS) : resolve(run, source, O_PATH, 0);
  if (place < 0) return *source ? errno : EBADF;
  int mount = k_open_tree(place, "", K_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH | (recursive ? K_AT_RECURSIVE : 0)), error = errno;
  if (place != from) close(place);
  if (mount < 0) return error;
  struct mount_how how = { N(A_CLONE_MOUNT_SET), N(A_CLONE_MOUNT_CLEAR), N(A_CLONE_MOUNT_PROPAGATION), 0 };
  if (userns >= 0) how.set |= K_MOUNT_ATTR_IDMAP, how.userns = (uint64_t)userns;
  if (set_mount(mount, recursive, how) == 0) return give(run, step, mount);
  error = errno;
  close(mount);
  return error;
}

/* Where to mount. /proc, /sys and /dev themselves may not be links: a program that trusts them would look elsewhere. */
static int place_for(const struct run *run, const char *path) {
  static const char *const own[] = { "/proc", "/sys", "/dev" };
  for (unsigned i = 0; run->root >= 0 && i < 3; i++) {
    size_t length = strlen(own[i]);
    if (strncmp(path, own[i], length) != 0 || (path[length] != '/' && path[length])) continue;
    int fd = k_openat2(run->root, own[i], O_PATH | O_CLOEXEC, 0, IN_ROOT | NO_SYMLINKS);
    if (fd < 0) return -1;
    close(fd);
  }
  return resolve(run, path, O_PATH, 0);
}

static int attach(const struct run *run, int mount, const char *path) {
  int place = place_for(run, path), error = place < 0 ? errno : check(k_move_mount(mount, place));
  if (place >= 0) close(place);
  return error;
}

OP(attach_mount) { return attach(run, FD(A_ATTACH_MOUNT_MOUNT), T(A_ATTACH_MOUNT_TARGET)); }

static int configure(int context, const char *option) {
  static char key[256];
  const char *equals = strchr(option, '=');
  if (!equals) return k_fsconfig(context, K_SET_FLAG, option, NULL);
  if (equals - option >= (int)sizeof key) { errno = EINVAL; return -1; }
  memcpy(key, option, (size_t)(equals - option));
  key[equals - option] = 0;
  return k_fsconfig(context, K_SET_STRING, key, equals + 1);
}

OP(new_mount) {
  int context = k_fsopen(T(A_NEW_MOUNT_TYPE)), answer = 0;
  if (context < 0) return errno;
  if (T(A_NEW_MOUNT_SOURCE)) answer = k_fsconfig(context, K_SET_STRING, "source", T(A_NEW_MOUNT_SOURCE));
  for (char **option = step->arg[A_NEW_MOUNT_OPTIONS].x.v; *option && answer == 0; option++) answer = configure(context, *option);
  if (answer == 0) answer = k_fsconfig(context, K_CMD_CREATE, NULL, NULL);
  int mount = answer == 0 ? k_fsmount(context, N(A_NEW_MOUNT_ATTRIBUTES)) : -1, error = errno;
  close(context);
  if (mount < 0) return error;
  if (T(A_NEW_MOUNT_TARGET)) error = attach(run, mount, T(A_NEW_MOUNT_TARGET));
  else if (step->gives != NONE16) return give(run, step, mount);
  else error = 0;
  close(mount);
  return error;
}

/*
 * Every directory is named by the number of an fd, seen from /proc/self/fd: short enough for five hundred layers, and nothing in a
 * path has to be escaped.
 */
OP(overlay) {
  static char options[OPTIONS];
  static int fds[MOST_LOWER + 2];
  const char *ends[] = { T(A_OVERLAY_UPPER), T(A_OVERLAY_WORK) }, *labels[] = { ",upperdir=", ",workdir=" };
  char **lower = step->arg[A_OVERLAY_LOWER].x.v;
  uint32_t lowers = step->arg[A_OVERLAY_LOWER].x.count, count = 0;
  int layers = FD(A_OVERLAY_LAYERS), error = 0;
  if (lowers > MOST_LOWER) return E2BIG;
  size_t length = (size_t)sprintf(options, "lowerdir=");
  for (uint32_t i = 0; i < lowers + 2 && !error; i++) {
    const char *path = i < lowers ? lower[i] : ends[i - lowers];
    if (!path) continue;
    int fd = i < lowers && layers >= 0 ? k_openat2(layers, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, BENEATH | NO_MAGICLINKS)
                                       : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) { error = errno; break; }
    fds[count++] = fd;
    length += (size_t)snprintf(options + length, sizeof options - length, "%s%d", i == 0 ? "" : i < lowers ? ":" : labels[i - lowers], fd);
    if (length >= sizeof options) error = E2BIG;
  }
  for (char **option = step->arg[A_OVERLAY_OPTIONS].x.v; *option && !error; option++) {
    length += (size_t)snprintf(options + length, sizeof options - length, ",%s", *option);
    if (length >= sizeof options) error = E2BIG;
  }
  if (!error && (chdir("/proc/self/fd") < 0 || mount("overlay", T(A_OVERLAY_TARGET), "overlay", 0, options) < 0)) error = errno;
  if (chdir("/") < 0 && !error) error = errno;
  for (uint32_t i = 0; i < count; i++) close(fds[i]);
  return error ? error : give(run, step, k_open_tree(AT_FDCWD, T(A_OVERLAY_TARGET), K_OPEN_TREE_CLONE | O_CLOEXEC));
}

OP(set_mount) {
  int place = resolve(run, T(A_SET_MOUNT_TARGET), O_PATH, 0);
  if (place < 0) return errno;
  struct mount_how how = { N(A_SET_MOUNT_SET), N(A_SET_MOUNT_CLEAR), N(A_SET_MOUNT_PROPAGATION), 0 };
  int error = check(set_mount(place, N(A_SET_MOUNT_RECURSIVE), how));
  close(place);
  return error;
}

OP(mount_point) {
  mode_t kind = N(A_MOUNT_POINT_KIND) == 1 ? S_IFREG : S_IFDIR;
  return check(make_path(run, T(A_MOUNT_POINT_PATH), kind | (N(A_MOUNT_POINT_MODE) & 07777), NONE64, NONE64));
}

OP(mask) {
  struct stat about;
  int place = resolve(run, T(A_MASK_PATH), O_PATH, 0);
  if (place < 0) return errno;
  int error = check(fstat(place, &about)), from = S_ISDIR(about.st_mode) ? FD(A_MASK_EMPTY) : FD(A_MASK_NULL);
  int mount = error ? -1 : k_open_tree(from, "", K_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
  // Before Linux 6.15 a detached mount cannot be cloned. So the first path gets the mount itself; from there it can be.
  if (!error && mount < 0) error = errno == EINVAL ? check(k_move_mount(from, place)) : errno;
  else if (!error) error = check(k_move_mount(mount, place));
  if (mount >= 0) close(mount);
  close(place);
  return error;
}

OP(pivot) {
  int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), root = -1;
  if (old >= 0 && chdir(T(A_PIVOT_TARGET)) == 0 && chroot(".") == 0) root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) {
    int error = errno;
    if (old >= 0) close(old);
    return error;
  }
  run->root = root, run->old_root = old;
  return 0;
}

OP(leave_old_root) {
  // Out again, for three calls that look at no name; pivot_root(2) wants to be called from the root that it replaces.
  if (fchdir(run->old_root) < 0 || chroot(".") < 0 || fchdir(run->root) < 0) return errno;
  if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0) return errno;
  close(run->old_root);
  run->old_root = -1;
  return 0;
}

OP(chroot) {
  if (chroot(T(A_CHROOT_PATH)) < 0 || chdir("/") < 0) return errno;
  run->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  return check(run->root);
}

OP(unmount) { return check(umount2(T(A_UNMOUNT_TARGET), MNT_DETACH | UMOUNT_NOFOLLOW)); }

OP(make_node) {
  int at = FD(A_MAKE_NODE_AT);
  dev_t device = makedev((unsigned)N(A_MAKE_NODE_MAJOR), (unsigned)N(A_MAKE_NODE_MINOR));
  return check(make_at(at, T(A_MAKE_NODE_NAME), (mode_t)N(A_MAKE_NODE_MODE), device, N(A_MAKE_NODE_UID), N(A_MAKE_NODE_GID)));
}

OP(make_dir) {
  int at = FD(A_MAKE_DIR_AT);
  const char *name = T(A_MAKE_DIR_NAME);
  if (strcmp(name, ".") != 0 && make_at(at, name, S_IFDIR | 0755, 0, NONE64, NONE64) < 0) return errno;
  if (fchownat(at, name, (uid_t)N(A_MAKE_DIR_UID), (gid_t)N(A_MAKE_DIR_GID), AT_SYMLINK_NOFOLLOW) < 0) return errno;
  return check(fchmodat(at, name, N(A_MAKE_DIR_MODE) & 07777, 0));   // mkdir(2) takes no set-group-id, and "." is there already
}

OP(make_link) { return check(symlinkat(T(A_MAKE_LINK_TARGET), FD(A_MAKE_LINK_AT), T(A_MAKE_LINK_NAME))); }
