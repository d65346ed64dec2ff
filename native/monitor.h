/*
 * What the files of the monitor share: monitor.c (the container's side, the loop, the beginning and the end), clients.c (whoever reads
 * and types), status.c (the status file). One monitor per process, so this is its state; nobody else includes it.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include <sys/mman.h>
#include <unistd.h>
#include "executor.h"

/* Gives the pages of a buffer that holds nothing back to the kernel; they come again, as zeros, when they are touched. */
static inline void give_back(void *buffer, size_t length) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)buffer + page - 1) & ~(page - 1), to = ((uintptr_t)buffer + length) & ~(page - 1);
  if (to > from) madvise((void *)from, to - from, MADV_DONTNEED);
}

enum {
  CLIENTS = 16,             /* the front and 15 attached */
  CUT_MS = 5000,
};

struct client {
  int fd;                   /* -1: none */
  bool is_front;
  bool deaf;                /* a send failed; what it sent before may still be read */
  uint8_t closed;           /* bit 0, 1: it does not take stdout, stderr */
  uint32_t sent;            /* of the frame in flight */
  int64_t since;            /* when that frame was first offered, ms */
  uint32_t taken;           /* of its stdin, and not yet told */
  struct frame_head head;
  uint8_t payload[8];
  uint32_t have, left;      /* bytes of head and payload that are here; payload still to come */
};
extern struct client clients[CLIENTS];
#define each_client(one) for (struct client *one = clients; one < clients + CLIENTS; one++)

/* The frame in flight: a chunk of output that all clients must have taken before the next is read. */
struct flight { struct frame_head head; uint8_t bytes[MAX_FRAME]; };
extern struct flight flight;
extern uint32_t flight_size;
static inline bool behind(const struct client *client) { return client->sent < flight_size; }

/* The container as the monitor holds it. An fd is -1 when there is none (any more); with a terminal, in and out[0] are run->terminal. */
extern struct run *run;
extern struct container {
  uint64_t stdio;
  int out[2], in, listener;
  bool hung;                /* nobody has the terminal open just now */
  bool ended;               /* process 1 is gone */
} container;

/* monitor.c */
int64_t now_ms(void);
void close_stream(int n);

/* clients.c */
struct client *admit(int fd);                        /* NULL: there is no room */
void open_control(const char *path);
void accept_all(void);
void hear(struct client *client, int most);          /* reads and obeys at most `most` frames, or parts of them */
bool stuck(const struct client *client);             /* its next bytes are stdin for which there is no room yet */
void push(struct client *client);                    /* as much of the frame in flight as its socket takes */
void tell(struct client *client, uint8_t type, const void *payload, uint32_t length);   /* a small frame; it must not be behind */
void widen(struct client *client);                   /* what is sent from now on fits into the socket, whether the client reads or not */
void deafen(struct client *client);                  /* nothing more is sent to it */
void cut_off(struct client *client);
bool stdin_waits(void);                              /* typed bytes wait until the container takes them */
void flush_stdin(void);
void rest_clients(void);                             /* gives back the buffers; nobody may be behind, nothing may wait */

/* status.c: PATH is written as PATH.new, then renamed. Between begin and end, monitor_capture adds to it. */
void status_at(const char *path);                    /* NULL: no status; path must outlive it */
void begin_status(const char *text);
void end_status(const char *text);                   /* `text` again, for a full disk: over the old text, which has its block already */
void own_identity(long *pid, unsigned long long *start);   /* of this process, as the host's /proc has them */

#endif
