/*
 * What libseccomp makes of a policy, as runc hands it over. From stdin, one word list a line, numbers in C's notation:
 *
 *   default ACTION              the action as SECCOMP_RET_*
 *   arch TOKEN                  SCMP_ARCH_*, as a number; the native one is there already
 *   rule ACTION NAME [INDEX OP A B]...
 *   number TOKEN NAME           prints what NAME is on that ABI, or nothing
 *
 * The filter goes to fd 3 at the end. A name that libseccomp does not know is printed on stdout and passed over.
 */
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
  static char line[4096];
  scmp_filter_ctx filter = NULL;
  while (fgets(line, sizeof line, stdin)) {
    char *save, *verb = strtok_r(line, " \n", &save), *first = strtok_r(NULL, " \n", &save);
    if (!verb || !first) return 2;
    uint32_t number = strtoul(first, NULL, 0);
    if (!strcmp(verb, "default")) {
      filter = seccomp_init(number);
      if (!filter || seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2)) return 3;
    } else if (!strcmp(verb, "arch")) {
      int error = seccomp_arch_add(filter, number);
      if (error && error != -17) return 4;
    } else if (!strcmp(verb, "number")) {
      char *name = strtok_r(NULL, " \n", &save);
      int known = seccomp_syscall_resolve_name_arch(number, name);
      /* Negative: libseccomp's own number for a call that the ABI does not have. With bit 30 below zero: the same on x32. */
      if (known >= 0) printf("%s %d\n", name, known);
    } else {
      char *name = strtok_r(NULL, " \n", &save), *word;
      struct scmp_arg_cmp args[6];
      unsigned count = 0;
      while (count < 6 && (word = strtok_r(NULL, " \n", &save))) {
        args[count].arg = strtoul(word, NULL, 0);
        args[count].op = strtoul(strtok_r(NULL, " \n", &save), NULL, 0);
        args[count].datum_a = strtoull(strtok_r(NULL, " \n", &save), NULL, 0);
        args[count].datum_b = strtoull(strtok_r(NULL, " \n", &save), NULL, 0);
        count++;
      }
      int call = seccomp_syscall_resolve_name(name);
      if (call == __NR_SCMP_ERROR) printf("%s\n", name);
      else {
        int error = seccomp_rule_add_array(filter, number, call, count, args);
        if (error) {
          fprintf(stderr, "%s: %s\n", name, strerror(-error));
          return 5;
        }
      }
    }
  }
  return filter && seccomp_export_bpf(filter, 3) ? 6 : 0;
}
