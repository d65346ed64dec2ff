/*
 * The program of the built-in image `hello`: says what the container that it is in looks like, from the inside.
 *
 *     kernel: /proc/self/{status,uid_map,limits,ns,mountinfo,cgroup} ──▶ some twenty lines
 *
 * It knows nothing of this engine, so it says the same in anybody's container, and on a bare host. No stdio: a few KiB.
 *
 * Read on: proc(5), namespaces(7), user_namespaces(7).
 */

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

static char line[4096];
static size_t used;

static void put(const char *text) {
  size_t length = strlen(text);
  if (length > sizeof line - used) length = sizeof line - used;
  memcpy(line + used, text, length);
  used += length;
}
static void number(unsigned long value) {
  char digits[24], *at = digits + sizeof digits - 1;
  *at = 0;
  do *--at = (char)('0' + value % 10); while (value /= 10);
  put(at);
}
static int flush(void) {
  for (size_t at = 0; at < used;) {
    ssize_t n = write(1, line + at, used - at);
    if (n <= 0) return 1;
    at += (size_t)n;
  }
  used = 0;
  return 0;
}
static void row(const char *name) {
  put("  ");
  put(name);
  for (size_t n = strlen(name); n < 14; n++) put(" ");
}
static void end(void) { put("\n"); if (flush()) _exit(1); }

/* A file of /proc, whole or as much as fits; without one, empty. */
static char *slurp(const char *path) {
  static char text[65536];
  size_t length = 0;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  for (ssize_t n; fd >= 0 && length < sizeof text - 1 && (n = read(fd, text + length, sizeof text - 1 - length)) > 0;) length += (size_t)n;
  if (fd >= 0) close(fd);
  text[length] = 0;
  return text;
}
/* The rest of the line that begins with `key`, tabs and spaces as one space. */
static void field(char *text, const char *key) {
  size_t length = strlen(key);
  for (char *at = text; at; at = (at = strchr(at, '\n')) ? at + 1 : 0) {
    if (strncmp(at, key, length)) continue;
    char word[2] = "";
    int gap = 1;
    for (at += length; *at && *at != '\n'; at++) {
      int space = *at == ' ' || *at == '\t';
      if (space && !gap) put(" ");
      if (!space) put((word[0] = *at, word));
      gap = space;
    }
    return;
  }
  put("?");
}
static unsigned lines(const char *text) {
  unsigned n = 0;
  for (; *text; text++) n += *text == '\n';
  return n;
}
static unsigned bits(const char *text, const char *key) {
  const char *at = strstr(text, key);
  unsigned n = 0;
  for (at = at ? at + strlen(key) : ""; *at && *at != '\n'; at++) {
    int digit = *at >= '0' && *at <= '9' ? *at - '0' : *at >= 'a' && *at <= 'f' ? *at - 'a' + 10 : 0;
    for (; digit; digit &= digit - 1) n++;
  }
  return n;
}

static void map(const char *path) {
  char *text = slurp(path);
  size_t length = strlen(text);
  if (length) text[length - 1] = 0;
  for (char *at = text; *at; at++) if (*at == '\n') *at = ',';
  put(text[0] ? "" : "none");
  char word[2] = "";
  int gap = 1;
  for (char *at = text; *at; at++) {
    if (*at != ' ' || !gap) put((word[0] = *at, word));
    gap = *at == ' ';
  }
}

/* IPv4, by ioctl(2): the C library's own ways bring a printf and an allocator along, ten times this program. netdevice(7). */
static void addresses(void) {
  static struct ifreq all[32];
  struct ifconf asked = { .ifc_len = sizeof all, .ifc_req = all };
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ioctl(fd, SIOCGIFCONF, &asked)) return put("?");
  close(fd);
  size_t count = (size_t)asked.ifc_len / sizeof *all;
  for (size_t n = 0; n < count; n++) {
    const unsigned char *address = (const void *)&((const struct sockaddr_in *)&all[n].ifr_addr)->sin_addr;
    put(n ? ", " : "");
    put(all[n].ifr_name);
    for (int part = 0; part < 4; part++) {
      put(part ? "." : " ");
      number(address[part]);
    }
  }
  put(count ? "" : "none");
}

static void namespaces(void) {
  static const char *const kinds[] = { "user", "pid", "mnt", "net", "ipc", "uts", "cgroup" };
  for (size_t n = 0; n < sizeof kinds / sizeof *kinds; n++) {
    char path[32] = "/proc/self/ns/", link[64];
    strcat(path, kinds[n]);
    ssize_t length = readlink(path, link, sizeof link - 1);
    if (length < 0) continue;
    link[length] = 0;
    put(n ? " " : "");
    put(link);
  }
}

/* The first of these files that is there, for a limit that v1 and v2 keep in different places. */
static void limit(const char *name, const char *v2, const char *v1) {
  char *text = slurp(v2);
  if (!*text) text = slurp(v1);
  size_t length = strcspn(text, "\n");
  text[length] = 0;
  row(name);
  /* v1 has no word for "none": it says the largest multiple of a page. */
  put(!length ? "unknown" : length > 18 || !strcmp(text, "max") || !strncmp(text, "max ", 4) || !strcmp(text, "-1") ? "none" : text);
  end();
}

int main(void) {
  struct utsname names;
  if (uname(&names)) return 1;
  put("Hello from a container. This is what it looks like from the inside:\n\n");
  row("hostname"); put(names.nodename); end();
  row("kernel"); put(names.sysname); put(" "); put(names.release); put(" "); put(names.machine); end();
  row("pid"); number((unsigned long)getpid()); put(", parent "); number((unsigned long)getppid()); end();
  row("user"); put("uid "); number(getuid()); put(", gid "); number(getgid()); end();
  row("uid map"); map("/proc/self/uid_map"); end();
  row("gid map"); map("/proc/self/gid_map"); end();
  row("namespaces"); namespaces(); end();
  char *status = slurp("/proc/self/status");
  row("capabilities"); number(bits(status, "CapEff:\t")); put(" effective ("); field(status, "CapEff:"); put("), ");
  number(bits(status, "CapBnd:\t")); put(" at most"); end();
  row("seccomp"); put(strstr(status, "Seccomp:\t2") ? "filter" : strstr(status, "Seccomp:\t0") ? "off" : "strict");
  put(", no_new_privs "); field(status, "NoNewPrivs:"); end();
  limit("memory", "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes");
  limit("processes", "/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max");
  limit("cpu quota", "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
  row("open files"); field(slurp("/proc/self/limits"), "Max open files"); end();
  row("mounts"); number(lines(slurp("/proc/self/mountinfo"))); end();
  row("addresses"); addresses(); end();
  put("\nNext: minicontainer explain hello prints every system call that made this.\n");
  return flush();
}
