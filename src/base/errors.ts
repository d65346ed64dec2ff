/**
 * Every way the engine says no: one class, one table of codes.
 *
 * A message is `cannot <verb> <thing>: <cause>`, lower case and without a full stop, so that it can be nested; a hint
 * is what to do about it. Read on: docs/errors.md, made from this table.
 */

/** Each code is API. `exit`: the command's status, with Docker's meaning. `http`: the API's. */
export const ANSWERS = {
  // What was asked makes no sense.
  USAGE: { exit: 125, http: 400, about: "the command line is not understood" },
  INVALID_VALUE: { exit: 125, http: 400, about: "a value has the wrong form or lies outside its range" },
  INVALID_CONFIG: { exit: 125, http: 400, about: "a config.json does not follow the OCI runtime specification" },
  UNSUPPORTED: { exit: 125, http: 501, about: "the specification allows it; this engine or this host cannot do it" },
  INVALID_REFERENCE: { exit: 125, http: 400, about: "the name of an image has the wrong form" },
  INVALID_IMAGE: { exit: 1, http: 400, about: "a manifest, a configuration or a layer of an image is not what it must be" },
  // What a registry answered, or did not.
  IMAGE_NOT_FOUND: { exit: 1, http: 404, about: "no image has this name, here or in the registry" },
  REGISTRY_DENIED: { exit: 1, http: 403, about: "the registry wants other credentials, or none will do" },
  REGISTRY_UNREACHABLE: { exit: 1, http: 502, about: "the registry cannot be reached, or broke off" },
  REGISTRY_FAILED: { exit: 1, http: 502, about: "the registry answered what it must not, or too much, or too slowly" },
  DIGEST_MISMATCH: { exit: 1, http: 502, about: "what came is not what its digest or size says" },
  // What was named is not there, or in the way.
  IMAGE_IN_USE: { exit: 1, http: 409, about: "a container uses the image, or it has other names" },
  CONTAINER_NOT_FOUND: { exit: 1, http: 404, about: "no container has this name or id" },
  VOLUME_NOT_FOUND: { exit: 1, http: 404, about: "no volume has this name" },
  VOLUME_IN_USE: { exit: 1, http: 409, about: "a container has the volume, whether it runs or not" },
  AMBIGUOUS_ID: { exit: 1, http: 409, about: "several containers' ids begin with these digits" },
  NETWORK_NOT_FOUND: { exit: 1, http: 404, about: "no network has this name" },
  NETWORK_IN_USE: { exit: 1, http: 409, about: "a container has an address of the network" },
  PORT_NOT_PUBLISHED: { exit: 1, http: 404, about: "the container has not published this port" },
  PORT_TAKEN: { exit: 125, http: 409, about: "somebody has this port of the host already" },
  NAME_TAKEN: { exit: 125, http: 409, about: "another container has this name" },
  WRONG_STATE: { exit: 1, http: 409, about: "the container is not in a state that allows this" },
  ROOTFS_UNUSABLE: { exit: 125, http: 400, about: "the root file system is missing, no directory, or empty" },
  SOURCE_UNUSABLE: { exit: 125, http: 400, about: "the source of a mount or device is missing or not what it should be" },
  FILE_NOT_FOUND: { exit: 1, http: 404, about: "a file or directory to copy, or to copy into, is not there" },
  COPY_FAILED: { exit: 1, http: 400, about: "files cannot be copied there, or an archive of them is damaged or hostile" },
  // What this machine lacks.
  NOT_ROOT: { exit: 125, http: 500, about: "the engine needs root" },
  HOST_LACKS: { exit: 125, http: 500, about: "this kernel or host lacks what the container needs" },
  STATE_UNUSABLE: { exit: 125, http: 500, about: "the state root cannot be read or written" },
  RECORD_BROKEN: { exit: 1, http: 500, about: "a container's record cannot be read" },
  // What an image holds.
  LAYER_REFUSED: { exit: 125, http: 400, about: "a layer of an image is damaged, hostile, or larger than the limits" },
  // What the kernel refused.
  STEP_FAILED: { exit: 125, http: 500, about: "a step of the plan failed; everything before it was undone" },
  EXECUTOR_FAILED: { exit: 125, http: 500, about: "the executor could not be started or broke off" },
  COMMAND_NOT_FOUND: { exit: 127, http: 400, about: "the program to run is not in the container" },
  COMMAND_NOT_EXECUTABLE: { exit: 126, http: 400, about: "the program to run cannot be executed" },
  OUTPUT_FAILED: { exit: 125, http: 500, about: "what was to be printed could not be written" },
  TIMED_OUT: { exit: 1, http: 500, about: "what was waited for did not happen in time" },
  SEVERAL: { exit: 1, http: 500, about: "several things failed; each is told" },
} as const
export type ErrorCode = keyof typeof ANSWERS

export class EngineError extends Error {
  override readonly name = "EngineError"
  constructor(
    readonly code: ErrorCode,
    /** `cannot <verb> <thing>: <cause>`: lower case, no full stop, so that it can be nested. */
    message: string,
    /** What to do about it, in one line. Absent when there is nothing to do. */
    readonly hint?: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
  get answer(): (typeof ANSWERS)[ErrorCode] {
    return ANSWERS[this.code]
  }
}
