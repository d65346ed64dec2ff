/*
 * What apply.c and read.c share: records of file operations, on stdin and stdout. src/plan/unpack.ts says how they lie.
 *
 *     stdin ──▶ next_record() ──▶ apply()          read_files() ──▶ record_start() number() text() bytes() record_end() ──▶ stdout
 *
 * Read on: apply.c, read.c.
 */
#ifndef FILES_H
#define FILES_H

#include <sys/stat.h>
#include "executor.h"
#include "files.gen.h"

struct record { uint32_t op; union arg arg[MOST_FILE_ARGS]; };

/* files.c. 1: a record, valid until the next call. 0: the end of stdin. -1: what is there is no record, or stdin cannot be read. */
int next_record(struct record *record);
void record_start(uint32_t op);
void number(uint64_t value);
void text(const char *text);
void bytes(const void *bytes, size_t length);
uint8_t *room_for_bytes(size_t most);        /* where bytes may be put before bytes() is called with the same address */
void record_end(void);
int flush_records(void);                     /* 0, or -1: nobody reads */

/* The two uses: the exit status. `root`: a directory. */
int apply(int root);
int read_files(int root);
int open_own_fds(void);                      /* read.c: before any step has changed what /proc is */

#endif
