/*
 * The executor: carries out a plan. It knows no policy.
 *
 *   wire.c      bytes -> struct plan; trusts nothing
 *   ops*.c      one op -> one kernel operation: perform(); paths.c: names inside a root that may be hostile
 *   executor.c  main, the uses, the phases, undo in reverse: start(), unwind()
 *   join.c      the clone, and the intermediate process that enters namespaces before it
 *   log.c       the container's output as lines of a file, rotated
 *   monitor.c   what stays behind as the container's parent: stdio, log, attach socket, status, exit steps
 *   apply.c     a stream of file operations, carried out below one directory; read.c: its mirror; files.c: their records
 *   front.c     the caller's side: terminal, signals, exit code; speaks the attach protocol
 *
 * Processes of `run` with `stay: monitor`; the arrows are what each one makes:
 *
 *   command = front --fork, setsid, CLONE_NEWPID if outer--> monitor --clone3--> child = the container's process 1
 *      |  socketpair, attach protocol  |                        | shared page + socket (gate, fds)  |
 *
 * With `stay: none` the command itself does the monitor's part up to exec, and ends.
 */
#ifndef EXECUTOR_H
#define EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "ops.gen.h"

#define NONE16 0xffffu
#define NONE32 0xffffffffu
#define NONE64 UINT64_MAX

/* Limits of a wire; beyond them it is refused. */
#define MAX_WIRE (8u << 20)
#define MAX_STEPS 8192
#define MAX_SLOTS 1024
#define MAX_LIST 65536

/* One decoded argument. Strings point into the wire and end in NUL; s is NULL when absent. */
union arg {
  uint64_t n;                                          /* n, N, and f, F: a slot index; NONE64 when absent */
  struct { const char *s; uint32_t length; } t;        /* t, T, b, B */
  struct { char **v; uint32_t count; } x;              /* x: v ends in NULL */
  struct { const uint64_t *v; uint32_t count; } y;     /* y, and z: slot indices */
};

struct step {
  uint8_t op, phase, flags, oks;
  uint16_t gives, undo;
  const int32_t *ok;
  union arg *arg;
};
enum { STEP_MAY_FAIL = 1, STEP_ON_FAILURE_ONLY = 2 };

struct plan {
  union arg frame[MOST_ARGS];
  struct step *step;          /* forward steps, then undos */
  uint32_t steps, forward, slots;
  char **does;                /* of every forward step */
  void *memory;               /* the arena: one mapping. The wire is the caller's. */
  size_t memory_size;
};

/* wire.c. NULL, or a static sentence that says what is wrong with the bytes. `plan` points into `bytes`, which must outlive it. */
const char *decode(struct plan *plan, const uint8_t *bytes, size_t size);
void forget(struct plan *plan);

/* What is known about the failure of a step. `step` is its index in the plan; detail is op-specific, else 0:
 * exec: ENOEXEC: e_machine of the file, 0xffff: no ELF file. EACCES: 1: a directory. ENOENT: 2: the file is there, its interpreter is not.
 * hook: ECANCELED: its exit status, 128+n for a signal. Any step, EOWNERDEAD: the signal that killed the child in it (9: out of memory). */
struct failure { uint32_t step; int32_t error; uint32_t detail; };

/* A plan being carried out. One per process; the child inherits a copy. */
struct run {
  struct plan *plan;
  int slot[MAX_SLOTS];        /* fd, or -1: not given */
  uint8_t *done;              /* per forward step: 1 if it really did something */
  int root, old_root;         /* the container's root once we are in it, and what to leave then; -1: paths are the host's */
  int home;                   /* the mount namespace to go back to; -1: we are there */
  int moved;                  /* op move-processes was carried out ahead: 1 + its errno; 0: not yet */
  bool joined;                /* the child entered namespaces in which others run */
  /* The child, once cloned. */
  pid_t vpid, pid;            /* as this process numbers it; as the host's /proc does */
  uint64_t start;             /* clock ticks since boot */
  int pidfd;
  int socket;                 /* between parent and child until exec */
  uint32_t detail;            /* of the step that has just failed; see struct failure */
  /* Stdio of the child: set by the monitor before start(); -1: inherited. */
  int in, out, err;
  /* The master side of the container's terminal, sent by the child; -1: none. */
  int terminal;
  unsigned rows, columns;
  struct shared *shared;      /* MAP_SHARED page in which the child reports; works without any system call */
};

/* ops.c: one step. 0, or an errno. The child's ops allocate nothing. */
int perform(struct run *run, const struct step *step);

/* executor.c */
int  start(struct run *run, struct failure *failure);       /* host .. exec. 0: the program runs. Else the step failed and all is undone. */
void started(struct run *run);                              /* phase started */
void shrink(struct run *run);                               /* after started(): lets go of every slot, page and fd that exit_steps() and unwind() do not need; plan->frame stays readable, but may move */
void exit_steps(struct run *run);                           /* phase exit; the monitor writes its last status right after it */
void unwind(struct run *run, bool failed);                  /* the undos in reverse, end (unless failed) */
void warn_later(struct run *run, uint32_t step, int error); /* a step that may fail has failed */

/* What the monitor adds to its status file for op `capture`: called by perform in phase exit. Nothing where there is no monitor. */
void monitor_capture(const char *name, const char *text, size_t length);
/* Passes a warning on to the front. Called by executor.c in the monitor's process, for its own steps and for the child's. */
void monitor_warning(uint32_t step, int error);

/*
 * monitor.c: never returns. `front` is the monitor's end of the socketpair; every other fd from 3 up is closed.
 * All signals are blocked from here on: the child's exec must empty the mask.
 */
_Noreturn void monitor(struct run *run, int front);

/* front.c: the exit status. `socket` is the front's end. `child`: the monitor, waited for after its last frame; 0: not our child. */
int front(struct plan *plan, int socket, pid_t child);
/* The same end without a monitor: says that a step has failed, or becomes what the frame names for that. The exit status. */
int front_failed(struct plan *plan, const struct failure *failure);

/*
 * log.c: CRI lines. One log per process; `path` must outlive it. log_write never fails: what could not be written is counted.
 * `max`: bytes per file, 0 or NONE64: no limit. `files`: how many there are at most, the newest included.
 */
void log_open(const char *path, uint64_t max, uint64_t files);
void log_write(bool from_stderr, const uint8_t *bytes, size_t length);
void log_rest(void);        /* gives its buffer back until the next write */
uint64_t log_close(void);   /* how many bytes were lost */

/*
 * The attach protocol: frames over a stream socket, both ways, on the socketpair and on the control socket:
 *   u8 type, 3 bytes 0, u32 length (little-endian, at most 65536), then the payload.
 */
enum frame_type {
  /* to the front */
  FRAME_STDOUT = 1,      /* bytes */
  FRAME_STDERR = 2,      /* bytes */
  FRAME_STARTED = 3,     /* i32 pid on the host */
  FRAME_EXITED = 4,      /* i32 code: 0..255, 128+n for a signal. The last frame. */
  FRAME_FAILED = 5,      /* struct failure. The last frame. */
  FRAME_WARNING = 6,     /* struct failure */
  FRAME_MESSAGE = 7,     /* text for a person, without a newline */
  FRAME_TAKEN = 8,       /* u32: so many more bytes of this client's stdin have reached the container */
  /* to the monitor */
  FRAME_STDIN = 16,      /* bytes */
  FRAME_STDIN_END = 17,  /* nothing */
  FRAME_RESIZE = 18,     /* u16 rows, u16 columns */
  FRAME_SIGNAL = 19,     /* i32 signal */
  FRAME_DETACH = 20,     /* nothing: the front leaves on purpose */
  FRAME_CLOSED = 21,     /* u8 1 or 2: the front's stdout or stderr is gone */
};
struct frame_head { uint8_t type, zero[3]; uint32_t length; };
#define MAX_FRAME 65536u
/* A client sends at most this many bytes of stdin that have not been taken yet: so a signal never waits behind them. */
#define STDIN_WINDOW 32768u

#endif
