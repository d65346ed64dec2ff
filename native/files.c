/*
 * Files: the records that go between TypeScript and apply.c and read.c.
 *
 *     u32 length, u32 op │ number: u64 │ text: u32 length, bytes, NUL, padding to 8 │ bytes: u32 length, u32 0, bytes, padding to 8
 *
 * The rule is that of wire.c: nothing is trusted; a record that is accepted has all its arguments inside it.
 *
 * Read on: apply.c, read.c; src/plan/unpack.ts.
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <errno.h>
#include "files.h"

_Alignas(8) static uint8_t in[2 * MOST_RECORD], out[2 * MOST_RECORD];
static size_t in_from, in_to, out_at, out_start;
static bool deaf;

static uint32_t u32(const uint8_t *at) { uint32_t value; memcpy(&value, at, sizeof value); return value; }
static size_t padded(size_t size) { return (size + 7) & ~(size_t)7; }

/* Bun's pipes do not wait. */
static bool again(int fd, short events) {
  if (errno == EAGAIN) poll(&(struct pollfd){ .fd = fd, .events = events }, 1, -1);
  return errno == EAGAIN || errno == EINTR;
}

static bool split(struct record *record, const uint8_t *at, const uint8_t *end) {
  if (record->op > LAST_FILE_OP || !FILE_ARGS[record->op]) return false;
  union arg *arg = record->arg;
  for (const char *kind = FILE_ARGS[record->op]; *kind; kind++, arg++) {
    size_t left = (size_t)(end - at), head = *kind == 't' ? 4 : 8;
    if (left < 8) return false;
    if (*kind == 'n') { memcpy(&arg->n, at, 8); at += 8; continue; }
    uint32_t length = u32(at);
    size_t whole = padded(head + (size_t)length + (*kind == 't'));
    if (whole > left) return false;
    arg->t.s = (const char *)at + head, arg->t.length = length;
    if (*kind == 't' && (memchr(arg->t.s, 0, length) || arg->t.s[length])) return false;
    at += whole;
  }
  return at == end;
}

int next_record(struct record *record) {
  for (;;) {
    size_t have = in_to - in_from;
    uint32_t size = have >= 8 ? u32(in + in_from) : 8;
    if (size < 8 || size > MOST_RECORD || size % 8) return -1;
    if (have >= 8 && have >= size) {
      const uint8_t *at = in + in_from;
      record->op = u32(at + 4);
      in_from += size;
      return split(record, at + 8, at + size) ? 1 : -1;
    }
    if (in_from + MOST_RECORD > sizeof in - MOST_CONTENT) {
      memmove(in, in + in_from, have);
      in_from = 0, in_to = have;
    }
    ssize_t n = read(0, in + in_to, sizeof in - in_to);
    if (n == 0) return have ? -1 : 0;
    if (n < 0 && !again(0, POLLIN)) return -1;
    if (n > 0) in_to += (size_t)n;
  }
}

/* ---- the answers ---- */

int flush_records(void) {
  for (size_t from = 0; from < out_at && !deaf;) {
    ssize_t n = write(1, out + from, out_at - from);
    if (n >= 0) from += (size_t)n;
    else if (!again(1, POLLOUT)) deaf = true;
  }
  out_at = 0;
  return deaf ? -1 : 0;
}

void record_start(uint32_t op) {
  if (out_at >= MOST_CONTENT) flush_records();
  out_start = out_at;
  memcpy(out + out_at + 4, &op, 4);
  out_at += 8;
}
void number(uint64_t value) { memcpy(out + out_at, &value, 8), out_at += 8; }
static void put(size_t head, const void *from, size_t length, size_t whole) {
  memcpy(out + out_at, &(uint64_t){ length }, head);
  if (from != out + out_at + head) memcpy(out + out_at + head, from, length);
  memset(out + out_at + head + length, 0, whole - head - length);
  out_at += whole;
}
void text(const char *text) { size_t length = strlen(text); put(4, text, length, padded(5 + length)); }
void bytes(const void *bytes, size_t length) { put(8, bytes, length, padded(8 + length)); }
uint8_t *room_for_bytes(size_t most) { return out_at + 8 + most + 8 <= sizeof out ? out + out_at + 8 : NULL; }
void record_end(void) { memcpy(out + out_start, &(uint32_t){ (uint32_t)(out_at - out_start) }, 4); }
