/*
 * Wire: bytes become a plan. src/plan/wire.ts writes them and says how they lie.
 *
 *     bytes    header │ frame │ does │ steps ─────────────────────▶ undos
 *     arena    frame's lists │ struct step … │ does │ the arguments of each step, in order
 *
 * Texts, numbers and programs are used where they lie; the arena holds only what C needs besides: pointers and lengths. Both are in
 * the order of the steps, so that what has run can be let go of as one piece (shrink() in executor.c).
 *
 * The rule: nothing is trusted. Every length is compared with what is left before it is used, every index with what it counts, and a
 * plan that is accepted is one that the rest of the executor can carry out without looking again. fuzz/ tries to break that.
 */
#include <string.h>
#include <sys/mman.h>
#include "executor.h"

#define HEADER_BYTES 32u
#define STEP_BYTES 12u      /* of a step, before its list of `ok` */

struct reader {
  const uint8_t *at, *end;
  uint8_t *arena, *arena_end;
  uint32_t slots;
};

static uint32_t u32(const uint8_t *at) { uint32_t value; memcpy(&value, at, sizeof value); return value; }
static uint64_t u64(const uint8_t *at) { uint64_t value; memcpy(&value, at, sizeof value); return value; }
static size_t padded(size_t size) { return (size + 7) & ~(size_t)7; }
static size_t left(const struct reader *reader) { return (size_t)(reader->end - reader->at); }

/* The arena is as large as any wire of this size can need; so running out of it is a mistake of decode(), and still checked. */
static void *take(struct reader *reader, size_t size) {
  size = padded(size);
  if (size > (size_t)(reader->arena_end - reader->arena)) return NULL;
  void *taken = reader->arena;
  reader->arena += size;
  return taken;
}

static const char *read_text(struct reader *reader, bool optional, const char **text, uint32_t *length) {
  if (left(reader) < 8) return "a text ends too early";
  uint32_t n = u32(reader->at);
  *text = NULL, *length = 0;
  if (n == NONE32) {
    reader->at += 8;
    return optional ? NULL : "a text is absent that may not be";
  }
  if (n >= left(reader) || left(reader) < padded(5 + (size_t)n)) return "a text is longer than the plan";
  *text = (const char *)reader->at + 4, *length = n;
  if (memchr(*text, 0, n) || (*text)[n]) return "a text does not end where it should";
  reader->at += padded(5 + (size_t)n);
  return NULL;
}

static const char *read_list(struct reader *reader, char kind, union arg *to) {
  if (left(reader) < 8) return "a list ends too early";
  uint32_t count = u32(reader->at);
  reader->at += 8;
  if (count > MAX_LIST || count > left(reader) / 8) return "a list is longer than the plan";
  if (kind == 'x') {
    to->x.count = count;
    to->x.v = take(reader, (count + 1) * sizeof *to->x.v);
    if (!to->x.v) return "the lists are too long";
    for (uint32_t i = 0; i < count; i++) {
      uint32_t length;
      const char *wrong = read_text(reader, false, (const char **)&to->x.v[i], &length);
      if (wrong) return wrong;
    }
    to->x.v[count] = NULL;
    return NULL;
  }
  to->y.v = (const uint64_t *)(const void *)reader->at, to->y.count = count;
  for (uint32_t i = 0; kind == 'z' && i < count; i++) if (to->y.v[i] >= reader->slots) return "a slot does not exist";
  reader->at += (size_t)count * 8;
  return NULL;
}

static const char *read_argument(struct reader *reader, char kind, union arg *to) {
  switch (kind) {
    case 'n': case 'N': case 'f': case 'F':
      if (left(reader) < 8) return "a number ends too early";
      to->n = u64(reader->at);
      reader->at += 8;
      if ((kind == 'f' || kind == 'F') && to->n >= reader->slots && !(kind == 'F' && to->n == NONE64)) return "a slot does not exist";
      return NULL;
    case 't': case 'T': return read_text(reader, kind == 'T', &to->t.s, &to->t.length);
    case 'b': case 'B':
      if (left(reader) < 8) return "bytes end too early";
      to->t.length = u32(reader->at);
      reader->at += 8;
      to->t.s = NULL;
      if (to->t.length == NONE32) { to->t.length = 0; return kind == 'B' ? NULL : "bytes are absent that may not be"; }
      if (to->t.length > left(reader) || padded(to->t.length) > left(reader)) return "bytes are longer than the plan";
      to->t.s = (const char *)reader->at;
      reader->at += padded(to->t.length);
      return NULL;
    default: return read_list(reader, kind, to);
  }
}

static const char *read_step(struct reader *reader, struct plan *plan, uint32_t index, uint8_t *phase) {
  bool undo = index >= plan->forward;
  struct step *step = &plan->step[index];
  const uint8_t *head = reader->at, *end = reader->end;
  if (left(reader) < 16) return "a step ends too early";
  uint32_t bytes = u32(head);
  if (bytes < 16 || bytes % 8 || bytes > left(reader)) return "a step is longer than the plan";
  step->op = head[4], step->phase = head[5], step->flags = head[6], step->oks = head[7];
  memcpy(&step->gives, head + 8, 2), memcpy(&step->undo, head + 10, 2);
  if (step->op > LAST_OP || !OPS[step->op].args) return "a step is of an unknown kind";
  if (undo ? step->phase != PHASE_UNDO : step->phase >= PHASE_UNDO || step->phase < *phase) return "a step is in the wrong phase";
  if ((step->op == OP_CLONE) != (step->phase == PHASE_CLONE)) return "the clone is in the wrong phase";
  if (step->op == OP_CLONE && *phase == PHASE_CLONE) return "there are two clones";
  if (step->flags & ~(STEP_MAY_FAIL | STEP_ON_FAILURE_ONLY)) return "a step has an unknown flag";
  if (step->gives != NONE16 && step->gives >= plan->slots) return "a slot does not exist";
  if (step->undo != NONE16 && (undo || step->undo < plan->forward || step->undo >= plan->steps)) return "an undo does not exist";
  if (padded(STEP_BYTES + 4u * step->oks) > bytes) return "a step is shorter than its list";
  if (!undo) *phase = step->phase;
  step->ok = (const int32_t *)(const void *)(head + STEP_BYTES);

  const char *kinds = OPS[step->op].args, *wrong = NULL;
  reader->at = head + padded(STEP_BYTES + 4u * step->oks), reader->end = head + bytes;
  step->arg = take(reader, strlen(kinds) * sizeof *step->arg);
  if (!step->arg) return "the steps are too long";
  for (size_t i = 0; kinds[i] && !wrong; i++) wrong = read_argument(reader, kinds[i], &step->arg[i]);
  if (!wrong && reader->at != reader->end) wrong = "a step is longer than its arguments";
  reader->end = end;
  return wrong;
}

static const char *read_plan(struct reader *reader, struct plan *plan, const uint8_t *bytes, uint32_t frame_bytes) {
  const char *wrong = NULL;
  if (frame_bytes % 8 || frame_bytes > left(reader)) return "the frame is longer than the plan";
  reader->end = reader->at + frame_bytes;
  for (size_t i = 0; FRAME_ARGS[i] && !wrong; i++) wrong = read_argument(reader, FRAME_ARGS[i], &plan->frame[i]);
  if (wrong) return wrong;
  if (reader->at != reader->end) return "the frame is longer than its arguments";
  if (plan->frame[HEADER_STAY].n > 2 || plan->frame[HEADER_OUTER].n > 1) return "the frame asks for what does not exist";

  reader->end = bytes + u32(bytes + 8);
  plan->step = take(reader, plan->steps * sizeof *plan->step);
  union arg does;
  wrong = plan->step ? read_argument(reader, 'x', &does) : "there are too many steps";
  if (wrong) return wrong;
  if (does.x.count != plan->forward) return "not every step says what it does";
  plan->does = does.x.v;
  uint8_t phase = PHASE_HOST;
  for (uint32_t i = 0; i < plan->steps && !wrong; i++) wrong = read_step(reader, plan, i, &phase);
  return wrong ? wrong : reader->at != reader->end ? "there is something after the last step" : NULL;
}

const char *decode(struct plan *plan, const uint8_t *bytes, size_t size) {
  *plan = (struct plan){ 0 };
  if (size < HEADER_BYTES || memcmp(bytes, "MCPL", 4) != 0) return "these bytes are not a plan";
  if (u32(bytes + 4) != WIRE_VERSION) return "the plan is of another version";
  if (size > MAX_WIRE || size % 8 || u32(bytes + 8) != size) return "the plan is cut short, or too long";
  plan->steps = u32(bytes + 12), plan->forward = u32(bytes + 16), plan->slots = u32(bytes + 20);
  if (plan->steps > MAX_STEPS || plan->forward > plan->steps || plan->slots > MAX_SLOTS) return "there are too many steps or slots";
  // Most per byte has a list of texts: 8 bytes of it become 16 of union arg and 8 of the NULL at its end.
  plan->memory_size = 3 * size + plan->steps * sizeof *plan->step + 4096;
  plan->memory = mmap(NULL, plan->memory_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (plan->memory == MAP_FAILED) { *plan = (struct plan){ 0 }; return "there is not enough memory for it"; }

  struct reader reader = { .at = bytes + HEADER_BYTES, .end = bytes + size, .arena = plan->memory, .slots = plan->slots };
  reader.arena_end = reader.arena + plan->memory_size;
  const char *wrong = read_plan(&reader, plan, bytes, u32(bytes + 24));
  if (wrong) forget(plan);
  return wrong;
}

void forget(struct plan *plan) {
  if (plan->memory) munmap(plan->memory, plan->memory_size);
  *plan = (struct plan){ 0 };
}
