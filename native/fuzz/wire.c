/*
 * Fuzzing the decoder: any bytes, and every value of a plan that is accepted is looked at, so that a length or an index that lies
 * becomes a report of AddressSanitizer.
 *
 * The seeds are real plans (seeds.ts); from there libFuzzer finds its own way. Two fields, which it would have to guess, are put
 * right: the version, and the total length. Read on: ../wire.c. LLVM documentation, "libFuzzer".
 */
#include <stdlib.h>
#include <string.h>
#include "../executor.h"

static volatile uint64_t seen;

static void look_text(const char *text) { if (text) seen += strlen(text); }

static void look(const char *kinds, const union arg *arg, uint32_t slots) {
  for (; *kinds; kinds++, arg++)
    switch (*kinds) {
      case 'n': case 'N': seen += arg->n; break;
      case 'f': case 'F': if (arg->n != NONE64 && arg->n >= slots) abort(); break;
      case 't': case 'T': look_text(arg->t.s); if (arg->t.s && strlen(arg->t.s) != arg->t.length) abort(); break;
      case 'b': case 'B': for (uint32_t i = 0; i < arg->t.length; i++) seen += (unsigned char)arg->t.s[i]; break;
      case 'x': for (uint32_t i = 0; i < arg->x.count; i++) look_text(arg->x.v[i]); if (arg->x.v[arg->x.count]) abort(); break;
      default: for (uint32_t i = 0; i < arg->y.count; i++) if (*kinds == 'z' ? arg->y.v[i] >= slots : (seen += arg->y.v[i], 0)) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // As mmap gives them: aligned, and with nothing behind.
  uint8_t *bytes = aligned_alloc(8, (size + 7) & ~(size_t)7);
  if (size) memcpy(bytes, data, size);
  if (size >= 12) memcpy(bytes + 4, &(uint32_t){ WIRE_VERSION }, 4), memcpy(bytes + 8, &(uint32_t){ (uint32_t)size }, 4);
  struct plan plan;
  if (!decode(&plan, bytes, size)) {
    look(FRAME_ARGS, plan.frame, plan.slots);
    for (uint32_t i = 0; i < plan.steps; i++) {
      const struct step *step = &plan.step[i];
      look(OPS[step->op].args, step->arg, plan.slots);
      for (int j = 0; j < step->oks; j++) seen += (uint64_t)step->ok[j];
      if (step->gives != NONE16 && step->gives >= plan.slots) abort();
      if (step->undo != NONE16 && (step->undo < plan.forward || step->undo >= plan.steps)) abort();
      if (i < plan.forward) look_text(plan.does[i]);
    }
    forget(&plan);
  }
  free(bytes);
  return 0;
}
