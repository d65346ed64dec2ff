/* Made by tools/ops.ts from src/plan/unpack.ts. Do not edit. */
#ifndef FILES_GEN_H
#define FILES_GEN_H

#define MOST_RECORD 1048576
#define MOST_CONTENT 262144
#define LAST_FILE_OP 14
#define MOST_FILE_ARGS 8

enum file_op {
  FILE_DIRECTORY = 1, /* mkdirat(2); the path "." is the target itself */
  FILE_FILE = 2, /* openat(2) O_CREAT O_EXCL; stays open for the content that follows; `size` bytes long at the end */
  FILE_CONTENT = 3, /* pwrite(2); what is left out is a hole */
  FILE_SYMLINK = 4, /* symlinkat(2) */
  FILE_HARDLINK = 5, /* linkat(2) of a file that is there */
  FILE_NODE = 6, /* mknodat(2): a device, a FIFO or a socket */
  FILE_XATTR = 7, /* lsetxattr(2) of what was made last, after its content */
  FILE_REMOVE = 8, /* unlinkat(2), with all below a directory; nothing there is no failure */
  FILE_END = 9, /* nothing follows */
  FILE_WALK = 10, /* asks `read`: answers what `path` is (links on the way and, with flag 1, at its end are followed inside the root), then what is below it, down to `depth`; flags 2: content, 4: xattrs, 8: stay on its file system, 16: xattrs before content, as an archive has them; a file over `limit` is EFBIG. `end` follows */
  FILE_AT = 12, /* what the xattrs that follow belong to, if it was not made last */
  FILE_ENTER = 13, /* openat2(2): a directory inside the target, links followed inside it, is the target from here on */
  FILE_ENSURE = 14, /* mkdirat(2) of a directory 0755, root's; one that is there, or anything else, is left as it is */
  FILE_FAILED = 11, /* `read` could not read this; it goes on */
};

/* The arguments of each op, one letter each: n number, t text, b bytes. */
static const char *const FILE_ARGS[LAST_FILE_OP + 1] = {
  [FILE_DIRECTORY] = "tnnnnn",
  [FILE_FILE] = "tnnnnnn",
  [FILE_CONTENT] = "nb",
  [FILE_SYMLINK] = "tnnnnnt",
  [FILE_HARDLINK] = "tt",
  [FILE_NODE] = "tnnnnnnn",
  [FILE_XATTR] = "tb",
  [FILE_REMOVE] = "t",
  [FILE_END] = "",
  [FILE_WALK] = "tnnn",
  [FILE_AT] = "t",
  [FILE_ENTER] = "t",
  [FILE_ENSURE] = "t",
  [FILE_FAILED] = "tn",
};

/* Where an argument stands. */
enum file_argument {
  F_DIRECTORY_PATH = 0,
  F_DIRECTORY_MODE = 1,
  F_DIRECTORY_UID = 2,
  F_DIRECTORY_GID = 3,
  F_DIRECTORY_SECONDS = 4,
  F_DIRECTORY_NANOSECONDS = 5,
  F_FILE_PATH = 0,
  F_FILE_MODE = 1,
  F_FILE_UID = 2,
  F_FILE_GID = 3,
  F_FILE_SECONDS = 4,
  F_FILE_NANOSECONDS = 5,
  F_FILE_SIZE = 6,
  F_CONTENT_OFFSET = 0,
  F_CONTENT_BYTES = 1,
  F_SYMLINK_PATH = 0,
  F_SYMLINK_MODE = 1,
  F_SYMLINK_UID = 2,
  F_SYMLINK_GID = 3,
  F_SYMLINK_SECONDS = 4,
  F_SYMLINK_NANOSECONDS = 5,
  F_SYMLINK_TARGET = 6,
  F_HARDLINK_PATH = 0,
  F_HARDLINK_TARGET = 1,
  F_NODE_PATH = 0,
  F_NODE_MODE = 1,
  F_NODE_UID = 2,
  F_NODE_GID = 3,
  F_NODE_SECONDS = 4,
  F_NODE_NANOSECONDS = 5,
  F_NODE_MAJOR = 6,
  F_NODE_MINOR = 7,
  F_XATTR_NAME = 0,
  F_XATTR_VALUE = 1,
  F_REMOVE_PATH = 0,
  F_WALK_PATH = 0,
  F_WALK_FLAGS = 1,
  F_WALK_DEPTH = 2,
  F_WALK_LIMIT = 3,
  F_AT_PATH = 0,
  F_ENTER_PATH = 0,
  F_ENSURE_PATH = 0,
  F_FAILED_PATH = 0,
  F_FAILED_ERRNO = 1,
};

#endif
