/*
 * What the kernel makes of a filter or a device program of ours.
 *
 *   filtered seccomp FILE FLAGS CALL...     loads the filter, makes each call, prints "ok" or the errno of each
 *                                           CALL: [32:]NUMBER[,ARGUMENT]...; 32: through int $0x80, as a 32-bit program would
 *   filtered devices GROUP FILE             loads the program and attaches it to a version 2 cgroup; it stays
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char program[65536];

static size_t load(const char *path)
{
  int fd = open(path, O_RDONLY);
  ssize_t size = read(fd, program, sizeof program);
  if (size <= 0) { perror(path); exit(2); }
  close(fd);
  return (size_t)size;
}

/* The calls in question fail, or do nothing: a refused one says so before it looks at its arguments. */
static long call(const char *word)
{
  uint64_t a[7] = { 0 };
  int narrow = strncmp(word, "32:", 3) == 0;
  char *copy = strdup(word + (narrow ? 3 : 0)), *save, *part = strtok_r(copy, ",", &save);
  for (int i = 0; part && i < 7; i++, part = strtok_r(NULL, ",", &save)) a[i] = strtoull(part, NULL, 0);
#ifdef __x86_64__
  if (narrow) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(a[0]), "b"(a[1]), "c"(a[2]), "d"(a[3]) : "memory", "r8", "r9", "r10", "r11");
    return (int)result < 0 ? -(int)result : 0;
  }
#endif
  long result = syscall((long)a[0], a[1], a[2], a[3], a[4], a[5], a[6]);
  return result == -1 ? errno : 0;
}

int main(int argc, char **argv)
{
  if (argc >= 4 && !strcmp(argv[1], "seccomp")) {
    struct sock_fprog filter = { (unsigned short)(load(argv[2]) / 8), (struct sock_filter *)program };
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, strtoul(argv[3], NULL, 0), &filter)) { perror("seccomp"); return 3; }
    for (int i = 4; i < argc; i++) {
      long error = call(argv[i]);
      printf("%s %s\n", argv[i], error ? strerrorname_np((int)error) : "ok");
    }
    return 0;
  }
  if (argc == 4 && !strcmp(argv[1], "devices")) {
    static char log[65536];
    size_t size = load(argv[3]);
    union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insns = (uintptr_t)program, .insn_cnt = (uint32_t)(size / 8),
                            .license = (uintptr_t)"MIT", .log_buf = (uintptr_t)log, .log_size = sizeof log, .log_level = 1 };
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    if (fd < 0) { fprintf(stderr, "%s\n%s", strerror(errno), log); return 3; }
    union bpf_attr attach = { .target_fd = (uint32_t)open(argv[2], O_RDONLY | O_DIRECTORY), .attach_bpf_fd = (uint32_t)fd,
                              .attach_type = BPF_CGROUP_DEVICE, .attach_flags = BPF_F_ALLOW_MULTI };
    if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof attach)) { perror("attach"); return 4; }
    return 0;
  }
  return 1;
}
