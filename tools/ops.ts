/**
 * Makes native/ops.gen.h from src/plan/step.ts, and native/files.gen.h from src/plan/unpack.ts: the same rows, seen from C.
 */

import { HEADER, type Kind, OPS, PHASES, STDIO, WIRE_VERSION } from "../src/plan/step.ts"
import { FILE_OPS, MOST_CONTENT, MOST_RECORD } from "../src/plan/unpack.ts"

/** One letter per argument; an upper-case letter is one that may be absent. */
const LETTER: Record<Kind, string> = {
  number: "n", "number?": "N", text: "t", "text?": "T", bytes: "b", "bytes?": "B", fd: "f", "fd?": "F", texts: "x", numbers: "y", fds: "z",
}
const upper = (name: string): string => name.replaceAll("-", "_").replaceAll(/([a-z])([A-Z])/g, "$1_$2").toUpperCase()
const letters = (row: Readonly<Record<string, Kind>>): string => Object.values(row).map((kind) => LETTER[kind]).join("")

export function header(): string {
  const ops = Object.entries(OPS)
  const last = Math.max(...ops.map(([, row]) => row.code))
  const widest = Math.max(...ops.map(([, row]) => Object.keys(row.args).length), Object.keys(HEADER).length)
  return `/* Made by tools/ops.ts from src/plan/step.ts. Do not edit. */
#ifndef OPS_GEN_H
#define OPS_GEN_H

#define WIRE_VERSION ${WIRE_VERSION}
#define LAST_OP ${last}
#define MOST_ARGS ${widest}

enum phase { ${PHASES.map((phase) => `PHASE_${upper(phase)}`).join(", ")}, PHASE_UNDO };

enum stdio_bits { ${Object.entries(STDIO).map(([name, bit]) => `STDIO_${upper(name)} = ${bit}`).join(", ")} };

enum op {
${ops.map(([name, row]) => `  OP_${upper(name)} = ${row.code}, /* ${row.about.replaceAll("*/", "* /")} */`).join("\n")}
};

/* The arguments of each op, one letter each: n number, t text, b bytes, f fd, x texts, y numbers, z fds; upper case: may be absent. */
static const struct { const char *name, *args; } OPS[LAST_OP + 1] = {
${ops.map(([name, row]) => `  [OP_${upper(name)}] = { "${name}", "${letters(row.args)}" },`).join("\n")}
};
#define FRAME_ARGS "${letters(HEADER)}"

/* Where an argument stands: step->arg[A_MKDIR_PATH]. */
enum argument {
${ops.flatMap(([name, row]) => Object.keys(row.args).map((arg, index) => `  A_${upper(name)}_${upper(arg)} = ${index},`)).join("\n")}
${Object.keys(HEADER).map((name, index) => `  HEADER_${upper(name)} = ${index},`).join("\n")}
};

#endif
`
}

/** The second table: what `apply` carries out and `read` answers. */
export function filesHeader(): string {
  const ops = Object.entries(FILE_OPS)
  return `/* Made by tools/ops.ts from src/plan/unpack.ts. Do not edit. */
#ifndef FILES_GEN_H
#define FILES_GEN_H

#define MOST_RECORD ${MOST_RECORD}
#define MOST_CONTENT ${MOST_CONTENT}
#define LAST_FILE_OP ${Math.max(...ops.map(([, row]) => row.code))}
#define MOST_FILE_ARGS ${Math.max(...ops.map(([, row]) => Object.keys(row.args).length))}

enum file_op {
${ops.map(([name, row]) => `  FILE_${upper(name)} = ${row.code}, /* ${row.about} */`).join("\n")}
};

/* The arguments of each op, one letter each: n number, t text, b bytes. */
static const char *const FILE_ARGS[LAST_FILE_OP + 1] = {
${ops.map(([name, row]) => `  [FILE_${upper(name)}] = "${letters(row.args)}",`).join("\n")}
};

/* Where an argument stands. */
enum file_argument {
${ops.flatMap(([name, row]) => Object.keys(row.args).map((arg, index) => `  F_${upper(name)}_${upper(arg)} = ${index},`)).join("\n")}
};

#endif
`
}
