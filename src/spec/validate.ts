/**
 * A request as it comes in: are the fields of the kind they should be?
 *
 * The command line has parsed its words already, but a program in plain JavaScript, or a body of the HTTP API, may hold
 * anything. Ranges and meanings are checked where they are used, where the answer can say why.
 *
 * Read on: model/shape.ts; model/request.ts, the same fields as types.
 */

import { EngineError } from "../base/errors.ts"
import type { ExecRequest, Request } from "../model/request.ts"
import { decimal, flag, list, map, mismatch, record, type Shape, shown, text, whole, word } from "../model/shape.ts"

const number = whole(-Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
const texts = list(text)
const textMap = map(text)

const FIELDS: Readonly<Record<string, Shape>> = {
  rootfs: text,
  image: text,
  args: texts,
  name: text,
  hostname: text,
  domainname: text,
  env: texts,
  labels: textMap,
  mounts: list(
    record(
      {
        kind: word("bind", "tmpfs", "volume"),
        name: text,
        copy: flag,
        subpath: text,
        labels: textMap,
        anonymous: flag,
        source: text,
        target: text,
        readOnly: flag,
        propagation: text,
        recursive: flag,
        createSource: flag,
        sizeBytes: number,
        mode: number,
        options: texts,
      },
      ["kind", "target"],
    ),
  ),
  volumesFrom: texts,
  readOnly: flag,
  workdir: text,
  user: text,
  groupAdd: texts,
  memoryBytes: number,
  memorySwapBytes: number,
  memoryReservationBytes: number,
  cpus: decimal,
  cpuShares: number,
  cpuQuotaUs: number,
  cpuPeriodUs: number,
  cpusetCpus: text,
  cpusetMems: text,
  pidsLimit: number,
  shmBytes: number,
  ulimits: list(record({ name: text, soft: number, hard: number }, ["name", "soft", "hard"])),
  capAdd: texts,
  capDrop: texts,
  noNewPrivileges: flag,
  privileged: flag,
  userns: word("host"),
  pid: word("host"),
  ipc: word("host", "private", "none", "shareable"),
  uts: word("host"),
  cgroupns: word("host", "private"),
  network: text,
  ip: text,
  networkAliases: texts,
  publish: list(
    record(
      {
        protocol: word("tcp", "udp", "sctp"),
        hostAddress: text,
        hostPort: whole(0, 65535),
        containerPort: whole(1, 65535),
      },
      ["protocol", "hostPort", "containerPort"],
    ),
  ),
  devices: list(record({ host: text, container: text, access: text }, ["host", "container", "access"])),
  deviceRules: texts,
  sysctls: textMap,
  init: flag,
  remove: flag,
  stopSignal: text,
  stopTimeoutSeconds: whole(-1, 0x7fffffff),
  log: record({ driver: word("json-file", "none"), maxBytes: number, maxFiles: number }, ["driver"]),
  cgroupParent: text,
  addHosts: list(record({ name: text, address: text }, ["name", "address"])),
  dns: texts,
  dnsSearch: texts,
  dnsOptions: texts,
  tty: flag,
  interactive: flag,
  detached: flag,
  attach: list(word("stdin", "stdout", "stderr")),
  detachKeys: text,
  signalProxy: flag,
  annotations: textMap,
  timeoutSeconds: whole(0, 2 ** 32),
  oomScoreAdj: whole(-1000, 1000),
  blkioWeight: whole(0, 1000),
  oomKillDisable: flag,
}
const REQUEST = record(FIELDS, ["args"])
/** Fields with two kinds: a word, or a record or list. */
const ENTRYPOINT = texts
const POLICY = record({ json: text, path: text }, ["json", "path"])

const EXEC_FIELDS: Readonly<Record<string, Shape>> = {
  args: list(text, 1),
  env: texts,
  workdir: text,
  user: text,
  privileged: flag,
  tty: flag,
  interactive: flag,
  detached: flag,
  detachKeys: text,
}
const EXEC = record(EXEC_FIELDS, ["args"])

/** A name that no field has: a limit that is misspelt would limit nothing, and nobody would know. */
function unknown(fields: object, given: object): string | undefined {
  const name = Object.entries(given).find(([key, value]) => value !== undefined && !Object.hasOwn(fields, key))?.[0]
  return name === undefined ? undefined : `there is no field ${shown(name)}`
}

/** @throws {EngineError} `INVALID_VALUE`, naming the field. */
export function checkRequest(request: Request): void {
  const policy = request?.seccomp
  const entrypoint = request?.entrypoint
  const wrong =
    mismatch(REQUEST, request) ??
    (request.rootfs === undefined && request.image === undefined ? "rootfs is missing, and image too" : undefined) ??
    (request.rootfs !== undefined && request.image !== undefined ? "rootfs and image exclude each other" : undefined) ??
    mismatch(ENTRYPOINT, [entrypoint ?? []].flat(), "entrypoint") ??
    request.mounts?.flatMap((mount, index) =>
      mount.kind === "bind" && mount.source === undefined ? [`mounts[${index}].source is missing`] : [],
    )[0] ??
    (policy === undefined || policy === "unconfined" ? undefined : mismatch(POLICY, policy, "seccomp")) ??
    unknown({ ...FIELDS, seccomp: POLICY, entrypoint: ENTRYPOINT }, request)
  if (wrong) throw new EngineError("INVALID_VALUE", `cannot make a container: ${wrong}`)
}

/** @throws {EngineError} `INVALID_VALUE`, naming the field. */
export function checkExec(request: ExecRequest): void {
  const wrong = mismatch(EXEC, request) ?? unknown(EXEC_FIELDS, request)
  if (wrong) throw new EngineError("INVALID_VALUE", `cannot run another program: ${wrong}`)
}
