/*
 * The executor's own part: it reads a plan, carries out its steps in their order, and takes them back.
 *
 *     host … clone … parent … hand over fds ──▶ child: child … gate … start … execve
 *                                └── waits for the end of the socket; then the shared page says what that end means
 *
 *     EXECUTING   the program runs (or ran: that is its own affair)       FAILED   step k, errno
 *     anything else: the child died in step k
 *
 * The rules. A step that failed is taken back with all before it: the undos run in reverse, and go on past errors. What the child has
 * to say it stores into a page that both see: no filter, limit or full pipe is in the way. The program that runs us can never be opened
 * for writing from a container: it lies on a read-only mount, or is sealed memory.
 *
 * Read on: wire.c, ops.c, monitor.c.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include "files.h"
#include "kernel.h"
#include "ops.h"

extern char **environ;

enum { MOST_FDS = 253, MOST_WARNINGS = 128, FAILED_US = 125 };
enum state { PREPARING, GATED, EXECUTING, FAILED };

struct shared {
  _Atomic uint32_t state;
  struct failure failure;      /* its step is the one that the child is in */
  uint32_t warnings;
  struct { uint32_t step; int32_t error; } warning[MOST_WARNINGS];
  uint8_t done[MAX_STEPS];
};

/* From the parent to the child, with as many fds as slots. */
struct handover { pid_t pid; uint16_t count, last; uint16_t slot[MOST_FDS]; };

static struct plan plan;
static struct run run;
static uint8_t *wire;
static size_t wire_size;
static char **words;           /* argv: where paths of the host are */
static bool inside, is_do;     /* in the child; in the use `do` */

/* ---- one step ---- */

static const char *does(uint32_t step) { return plan.does && step < plan.forward ? plan.does[step] : "take back a step"; }

/* Whoever made us has gone: what is left to talk to is the caller's stderr. */
static bool on_its_own(void) { return inside && run.shared->state == GATED && plan.frame[HEADER_STAY].n == 0; }

void warn_later(struct run *run, uint32_t step, int error) {
  struct shared *shared = run->shared;
  uint64_t report = plan.frame[HEADER_REPORT].n;
  if (inside && !on_its_own()) {
    if (shared->warnings < MOST_WARNINGS) shared->warning[shared->warnings].step = step, shared->warning[shared->warnings++].error = error;
  } else if (is_do) dprintf(1, "warning %u %d\n", step, error);
  else if (plan.frame[HEADER_STAY].n) monitor_warning(step, error);
  else if (report != NONE64 && !inside) dprintf((int)report, "warning %u %d\n", step, error);
  else dprintf(2, "minicontainer: warning: could not %s: %s\n", does(step), strerror(error));
}

/* A slot that this step takes was never filled. The clone goes on without: a container needs its process more than its place. */
static bool lacks_slot(const struct step *step) {
  const char *kinds = OPS[step->op].args;
  if (step->op == OP_CLONE) return false;
  for (int i = 0; kinds[i]; i++) {
    const union arg *arg = &step->arg[i];
    if ((kinds[i] == 'f' || kinds[i] == 'F') && arg->n != NONE64 && run.slot[arg->n] < 0) return true;
    for (uint32_t j = 0; kinds[i] == 'z' && j < arg->y.count; j++) if (run.slot[arg->y.v[j]] < 0) return true;
  }
  return false;
}

/* 0, or the errno with which the plan ends. */
static int carry_out(uint32_t index) {
  const struct step *step = &plan.step[index];
  bool fault = plan.frame[HEADER_FAULT].n == index;
  if (!fault && lacks_slot(step)) return 0;
  int error = fault ? EIO : perform(&run, step);
  if (!error) run.done[index] = 1;
  for (int i = 0; i < step->oks && error; i++) if (step->ok[i] == error) error = 0;
  if (!error || !(step->flags & STEP_MAY_FAIL)) return error;
  warn_later(&run, index, error);
  return 0;
}

static void carry_out_all(enum phase phase) {
  for (uint32_t i = 0; i < plan.forward; i++) {
    int error = plan.step[i].phase == phase ? carry_out(i) : 0;
    if (!error) continue;
    warn_later(&run, i, error);
    if (phase == PHASE_END) return;   // what comes next relies on it
  }
}
void started(struct run *run) { (void)run; carry_out_all(PHASE_STARTED); }
void exit_steps(struct run *run) { (void)run; carry_out_all(PHASE_EXIT); }

void unwind(struct run *run, bool failed) {
  for (uint32_t i = plan.forward; i-- > 0;) {
    const struct step *step = &plan.step[i], *undo = step->undo == NONE16 ? NULL : &plan.step[step->undo];
    bool done = run->done[i] || step->op == OP_CLAIM;   // what is claimed was there before the first step
    if (!undo || !done || (!failed && undo->flags & STEP_ON_FAILURE_ONLY) || lacks_slot(undo)) continue;
    int error = perform(run, undo);
    if (error && error != ENOENT && error != ESRCH) warn_later(run, step->undo, error);
  }
  if (!failed) carry_out_all(PHASE_END);
}

/* ---- the child ---- */

_Noreturn static void give_up(uint32_t step, int error) {
  bool alone = on_its_own();
  run.shared->failure = (struct failure){ step, error, run.detail };
  run.shared->state = FAILED;
  if (alone) dprintf(2, "minicontainer: cannot %s: %s\n", does(step), strerror(error));
  k_exit(!alone || plan.step[step].op != OP_EXEC ? FAILED_US : error == ENOENT ? 127 : 126);
}

/* While it carries out its steps of phase outside. False: it has failed. */
static bool wait_for_parent(void) {
  char word;
  int fd;
  unsigned count = 0;
  return send_fds(run.socket, "o", 1, NULL, 0) == 0 && receive_fds(run.socket, &word, 1, &fd, &count) > 0;
}

_Noreturn void child(struct run *given, int socket) {
  struct handover handover = { 0 };
  int streams[] = { given->in, given->out, given->err }, fds[MOST_FDS], error = 0;
  unsigned count;
  inside = true;
  given->socket = socket;
  for (int fd = 0; fd < 3; fd++) if (streams[fd] >= 0 && dup2(streams[fd], fd) < 0) error = errno;
  if (k_close_range(3, K_CLOSE_RANGE_CLOEXEC) < 0) error = errno;
  default_signals();
  if (plan.frame[HEADER_REPORT].n != NONE64) close((int)plan.frame[HEADER_REPORT].n);   // at a gate we may outlive the report by days
  uint32_t i = 0;
  while (i < plan.forward && plan.step[i].phase < PHASE_CHILD) i++;
  do {
    count = MOST_FDS;
    // Nothing comes if the parent has failed, or died.
    if (receive_fds(socket, &handover, sizeof handover, fds, &count) <= 0) k_exit(FAILED_US);
    if (count != handover.count) give_up(i, EMFILE);
    for (unsigned j = 0; j < count; j++) given->slot[handover.slot[j]] = fds[j];
  } while (!handover.last);
  given->pid = handover.pid;
  if (given->joined) given->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

  for (; i < plan.forward && plan.step[i].phase <= PHASE_START && !error; i++) {
    given->shared->failure.step = i;
    if (plan.step[i].phase != PHASE_OUTSIDE) error = carry_out(i);
    else if (plan.step[i - 1].phase != PHASE_OUTSIDE && !wait_for_parent()) k_exit(FAILED_US);
    if (error) give_up(i, error);
  }
  give_up(i ? i - 1 : 0, error ? error : ENOEXEC);   // after an exec there is no step
}

void executing(struct run *run) { if (run->shared) run->shared->state = EXECUTING; }

void gated(struct run *run) {
  if (!run->shared) return;
  run->shared->state = GATED;
  send_fds(run->socket, "g", 1, NULL, 0);
}

/* The caller's, with whatever secrets it holds; in the memory of this process only, and its /proc/PID/environ. */
static void forget_environment(void) {
  for (char **entry = environ; *entry; entry++) memset(*entry, 0, strlen(*entry));
}

void let_go(struct run *run) {
  forget_environment();
  for (char **word = words; *word; word++) memset(*word, 0, strlen(*word));
  memcpy(*words, "init", 4);   // it was a path
  munmap(run->shared, sizeof *run->shared);
  munmap(wire, wire_size);
  forget(&plan);
}

/* ---- the parent ---- */

/* Everything that the parent got after the clone and the child will take. -1: the child is gone. */
static int hand_over(void) {
  static bool late[MAX_SLOTS];
  static int fds[MOST_FDS];
  struct handover handover = { .pid = run.pid };
  for (uint32_t i = 0; i < plan.forward; i++) {
    const struct step *step = &plan.step[i];
    if (step->phase == PHASE_PARENT && step->gives != NONE16 && run.slot[step->gives] >= 0) late[step->gives] = true;
  }
  for (uint32_t i = 0; i < plan.forward; i++) {
    const struct step *step = &plan.step[i];
    const char *kinds = OPS[step->op].args;
    for (int j = 0; kinds[j] && step->phase >= PHASE_CHILD && step->phase <= PHASE_START; j++) {
      bool one = kinds[j] == 'f' || kinds[j] == 'F';
      uint32_t count = one ? 1 : kinds[j] == 'z' ? step->arg[j].y.count : 0;
      for (uint32_t k = 0; k < count; k++) {
        uint64_t slot = one ? step->arg[j].n : step->arg[j].y.v[k];
        if (slot == NONE64 || !late[slot]) continue;
        late[slot] = false;
        if (handover.count == MOST_FDS) {
          if (send_fds(run.socket, &handover, sizeof handover, fds, handover.count) < 0) return -1;
          handover.count = 0;
        }
        fds[handover.count] = run.slot[slot], handover.slot[handover.count++] = (uint16_t)slot;
      }
    }
  }
  handover.last = 1;
  return send_fds(run.socket, &handover, sizeof handover, fds, handover.count);
}

/* Until execve closes the child's end; without a monitor, also until it waits at its gate. 0, or the errno of a step of ours meanwhile. */
static int await_child(uint32_t *step) {
  for (;;) {
    char word = 0;
    int fd = -1, error = 0;
    unsigned count = 1;
    if (receive_fds(run.socket, &word, 1, &fd, &count) <= 0) return 0;
    if (word == 't' && count) run.terminal = fd;
    if (word == 'g' && plan.frame[HEADER_STAY].n == 0) return 0;
    if (word != 'o') continue;
    for (uint32_t i = 0; i < plan.forward && !error; i++) if (plan.step[i].phase == PHASE_OUTSIDE) error = carry_out(*step = i);
    if (error || send_fds(run.socket, "o", 1, NULL, 0) < 0) return error;
  }
}

static void go_home(void) {
  if (run.home >= 0) setns(run.home, CLONE_NEWNS);
  run.home = -1;
}

static void close_slots(void) {
  for (uint32_t i = 0; i < plan.slots; i++) {
    if (run.slot[i] >= 0) close(run.slot[i]);
    run.slot[i] = -1;
  }
  if (run.socket >= 0) close(run.socket);
  run.socket = -1;
}

int start(struct run *given, struct failure *failure) {
  (void)given;
  uint32_t i = 0;
  int error = 0, how = 0;
  run.shared = mmap(NULL, sizeof *run.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (run.shared == MAP_FAILED) return *failure = (struct failure){ 0, errno, 0 }, -1;
  run.done = run.shared->done;
  for (; i < plan.forward && plan.step[i].phase <= PHASE_PARENT && !error; i++) {
    // A child that is killed before its own first step dies in the one that made it.
    if (plan.step[i].op == OP_CLONE) run.shared->failure.step = i;
    error = carry_out(i);
  }
  *failure = (struct failure){ i ? i - 1 : 0, error, run.detail };
  bool cloned = run.vpid > 0;
  if (!error && cloned) {
    if (hand_over() == 0) error = await_child(&i);
    uint32_t state = run.shared->state;
    if (error) *failure = (struct failure){ i, error, run.detail };
    else if ((error = state == EXECUTING || state == GATED ? 0 : state == FAILED ? run.shared->failure.error : EOWNERDEAD)) *failure = run.shared->failure, failure->error = error;
  } else if (!error) failure->error = error = ESRCH;   // a plan without a clone
  if (error && cloned) {
    kill(run.vpid, SIGKILL);   // nobody else can have its number before we have waited for it
    while (waitpid(run.vpid, &how, 0) < 0 && errno == EINTR) continue;
    // Behind --init the one who died was its child, whose signal it passes on as 128 + n.
    if (error == EOWNERDEAD) failure->detail = WIFSIGNALED(how) ? (uint32_t)WTERMSIG(how) : WEXITSTATUS(how) > 128 ? (uint32_t)WEXITSTATUS(how) - 128 : 0;
  }
  for (uint32_t w = 0; w < run.shared->warnings && w < MOST_WARNINGS; w++) warn_later(&run, run.shared->warning[w].step, run.shared->warning[w].error);
  go_home();
  close_slots();
  if (!error) return 0;
  if (run.terminal >= 0) close(run.terminal);
  run.terminal = -1;
  unwind(&run, true);
  return -1;
}

/* Whole pages between two places of a mapping. */
static void unmap_between(const void *from, const void *to) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)from + page - 1) & ~(page - 1), end = (uintptr_t)to & ~(page - 1);
  if (end > first) munmap((void *)first, end - first);
}

/* The exit steps and the undos lie at the end of the wire and of the arena, the frame at the beginning: what is between has run. */
void shrink(struct run *given) {
  static uint8_t kept[MAX_STEPS];
  memcpy(kept, given->done, plan.forward);
  munmap(given->shared, sizeof *given->shared);
  given->done = kept, given->shared = NULL;
  uint32_t k = 0, frame_bytes;
  while (k < plan.steps && plan.step[k].phase < PHASE_EXIT) k++;
  memcpy(&frame_bytes, wire + 24, sizeof frame_bytes);
  bool none = k == plan.steps;
  unmap_between(wire + 32 + frame_bytes, none ? wire + wire_size : (const uint8_t *)plan.step[k].ok - 12);
  unmap_between(plan.does, none ? (char *)plan.memory + plan.memory_size : (void *)plan.step[k].arg);
  plan.does = NULL;
}

/* ---- the plan, from its file ---- */

/*
 * The whole of a file or of stdin, into memory of our own: netlink messages are patched there. With `more`, something follows it, and
 * is left for others to read. NULL, or what is wrong.
 */
static const char *read_plan(int fd, bool more) {
  static const char *const unread = "it cannot be read";
  if (fd < 0) return unread;
  uint8_t *bytes = mmap(NULL, MAX_WIRE + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (bytes == MAP_FAILED) return "there is not enough memory for it";
  size_t size = 0, end = more ? 32 : MAX_WIRE + 1;
  for (ssize_t n; size < end && (n = read(fd, bytes + size, end - size)) != 0; size += (size_t)n) {
    if (n < 0 && errno == EAGAIN) poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, -1);   // Bun's pipes do not wait
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) n = 0;
    if (n < 0) return unread;
    uint32_t whole;
    if (more && size + (size_t)n == 32) memcpy(&whole, bytes + 8, sizeof whole), end = whole < MAX_WIRE ? whole : MAX_WIRE;
  }
  size_t used = (size + 4095) & ~(size_t)4095;
  munmap(bytes + used, MAX_WIRE + 4096 - used);
  wire = bytes, wire_size = size;
  const char *wrong = decode(&plan, wire, size);
  if (wrong) return wrong;
  static uint8_t done[MAX_STEPS];
  run = (struct run){ .plan = &plan, .done = done, .root = -1, .old_root = -1, .home = -1, .pidfd = -1, .socket = -1, .in = -1, .out = -1, .err = -1, .terminal = -1 };
  for (int i = 0; i < MAX_SLOTS; i++) run.slot[i] = -1;
  return NULL;
}

static int refuse(const char *what, const char *why) {
  dprintf(2, "minicontainer: cannot %s: %s\n", what, why);
  return FAILED_US;
}

/* ---- the uses ---- */

/* Without a monitor: what front.c does for one that stays. */
static int run_alone(void) {
  struct failure failure;
  uint64_t report = plan.frame[HEADER_REPORT].n;
  if (start(&run, &failure) == 0) {
    if (report != NONE64) dprintf((int)report, "started %d\n", (int)run.pid);
    started(&run);
    return 0;
  }
  return front_failed(&plan, &failure);
}

static int open_monitors(const char *path) {
  const char *slash = path ? strrchr(path, '/') : NULL;
  char parent[4096];
  if (!slash || (size_t)(slash - path) >= sizeof parent) return -1;
  memcpy(parent, path, (size_t)(slash - path));
  parent[slash - path] = 0;
  mkdir(parent, 0755), mkdir(path, 0755);
  return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The monitor becomes process 1 of a pid namespace, and has no number for anybody outside: so whom it would move, we move. */
static void move_ahead(void) {
  for (uint32_t i = 0; i < plan.forward; i++)
    if (plan.step[i].op == OP_MOVE_PROCESSES && plan.frame[HEADER_FAULT].n != i) run.moved = 1 + perform(&run, &plan.step[i]);
}

static int use_run(int argc, char **argv) {
  if (seal(argv) < 0) return refuse("run a plan", "this program can be sealed neither by a read-only mount nor in memory");
  // What the runtimes of JavaScript leave behind: SIGXFSZ ignored, signals blocked. RLIMIT_NOFILE, which they raise, is set by the plan.
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGXFSZ, SIG_DFL);
  const char *path = argv[argc - 1], *wrong = read_plan(open(path, O_RDONLY | O_CLOEXEC), false);
  if (!strcmp(argv[1], "join")) unlink(path);   // a container's own plan stays as long as it does: by that its monitor is known
  if (wrong) return refuse("read the plan", wrong);
  if (plan.frame[HEADER_STAY].n == 0) return run_alone();
  move_ahead();

  int ends[2], monitors = open_monitors(plan.frame[HEADER_MONITORS].t.s);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) return refuse("make the monitor", strerror(errno));
  struct clone_how how = { .flags = plan.frame[HEADER_OUTER].n ? CLONE_NEWPID : 0, .exit_signal = SIGCHLD }, placed = how;
  placed.flags |= K_CLONE_INTO_CGROUP, placed.cgroup = (uint64_t)monitors;
  pid_t pid = monitors >= 0 ? k_clone(&placed) : -1;
  if (pid < 0) pid = k_clone(&how);
  if (pid < 0) return refuse("make the monitor", strerror(errno));
  if (pid == 0) {
    forget_environment();
    monitor(&run, ends[1]);
  }
  close(ends[1]);
  if (monitors >= 0) close(monitors);
  return front(&plan, ends[0], pid);
}

/* The steps of a plan without a clone; 0: all went well. */
static int do_all(bool more) {
  const char *wrong = read_plan(0, more);
  if (wrong) return refuse("read the plan", wrong);
  is_do = true;
  for (uint32_t i = 0; i < plan.forward; i++) {
    int error = plan.step[i].op == OP_CLONE ? EINVAL : carry_out(i);
    if (!error) continue;
    uint32_t detail = run.detail;
    go_home();
    unwind(&run, true);
    dprintf(1, "failed %u %d %u %s\n", i, error, detail, does(i));
    return 1;
  }
  if (freed) dprintf(1, "freed %llu\n", freed);
  return 0;
}

static int use_do(__attribute__((unused)) int argc, __attribute__((unused)) char **argv) { return do_all(false); }

/* The last step gives the directory; what follows the plan on stdin is for apply.c or read.c. */
static int use_files(__attribute__((unused)) int argc, char **argv) {
  open_own_fds();
  int wrong = do_all(true);
  if (wrong) return wrong;
  uint16_t slot = plan.forward ? plan.step[plan.forward - 1].gives : NONE16;
  if (slot == NONE16 || run.slot[slot] < 0) return refuse("use a directory", "the plan gives none");
  return (*argv[1] == 'a' ? apply : read_files)(run.slot[slot]);
}

void captured(const char *name, const char *text, size_t length) {
  if (!is_do) { monitor_capture(name, text, length); return; }
  dprintf(1, "capture %s %zu\n%.*s\n", name, length, (int)length, text);
}

static int use_lock(__attribute__((unused)) int argc, char **argv) {
  char byte;
  int fd = open(argv[2], O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
  if (fd < 0 || flock(fd, LOCK_EX) < 0) return refuse("lock", strerror(errno));
  if (write(1, "locked\n", 7) != 7) return 1;
  while (read(0, &byte, 1) > 0) continue;
  return 0;
}

static int use_front(int argc, char **argv) {
  static char keys[64];
  const char *hex = argc > 4 ? argv[4] : "";
  unsigned count = 0, byte;
  for (; count < sizeof keys && sscanf(hex + 2 * count, "%2x", &byte) == 1; count++) keys[count] = (char)byte;
  plan.frame[HEADER_STDIO].n = strtoull(argv[3], NULL, 10);
  plan.frame[HEADER_DETACH_KEYS].t.s = keys, plan.frame[HEADER_DETACH_KEYS].t.length = count;
  plan.frame[HEADER_REPORT].n = plan.frame[HEADER_FAULT].n = NONE64;
  union arg path = { .t = { argv[2], (uint32_t)strlen(argv[2]) } };
  struct step connect = { .op = OP_CONNECT, .gives = 0, .undo = NONE16, .arg = &path };
  run = (struct run){ .plan = &plan, .root = -1 };
  run.slot[0] = -1;
  int error = perform(&run, &connect);
  return error ? refuse("attach", strerror(error)) : front(&plan, run.slot[0], 0);
}

static int use_version(__attribute__((unused)) int argc, __attribute__((unused)) char **argv) {
  return dprintf(1, "%d\n", WIRE_VERSION) < 0;
}

static const struct { const char *name, *arguments; int least, most; int (*use)(int, char **); } USES[] = {
  { "run", "PATH", 3, 3, use_run },
  { "join", "PATH", 3, 3, use_run },
  { "do", "< PLAN", 2, 2, use_do },
  { "apply", "< PLAN OPS", 2, 2, use_files },
  { "read", "< PLAN OPS", 2, 2, use_files },
  { "lock", "PATH", 3, 3, use_lock },
  { "front", "SOCKET STDIO [KEYS]", 4, 5, use_front },
  { "version", "", 2, 2, use_version },
};

int main(int argc, char **argv) {
  words = argv;
  for (int fd; (fd = open("/dev/null", O_RDWR)) >= 0;) if (fd > 2) { close(fd); break; }   // 0, 1 and 2 are always something
  signal(SIGPIPE, SIG_IGN);   // ours alone: an undo does not end because nobody reads the report; programs get the default back
  signal(SIGCHLD, SIG_DFL);
  for (size_t i = 0; argc > 1 && i < sizeof USES / sizeof *USES; i++)
    if (!strcmp(argv[1], USES[i].name) && argc >= USES[i].least && argc <= USES[i].most) return USES[i].use(argc, argv);
  for (size_t i = 0; i < sizeof USES / sizeof *USES; i++) dprintf(2, "%s %s %s\n", i ? "      " : "usage:", USES[i].name, USES[i].arguments);
  return FAILED_US;
}

#ifdef __SANITIZE_ADDRESS__
/* Leaks are no mistake in a program that ends by execve, and looking for them takes ptrace. */
const char *__asan_default_options(void) { return "detect_leaks=0"; }
#endif
