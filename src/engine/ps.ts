/**
 * `ps`: containers as rows, the newest first, with Docker's filters and Docker's words for a state.
 *
 *     records ──seeAll──▶ what is true now ──filters──▶ rows
 *
 * Filters of different names must all match; values of one name are alternatives, but for `label`, of which every one must be there.
 *
 * Read on: reconcile.ts. docs.docker.com/reference/cli/docker/container/ls, "Filtering".
 */

import { EngineError } from "../base/errors.ts"
import { humanSpan } from "../base/units.ts"
import type { PublishedPort } from "../model/placement.ts"
import { networkOf as networkOfRequest } from "../model/request.ts"
import type { Container } from "../record/containers.ts"
import { resolveContainer } from "../record/names.ts"
import { millisOf } from "../record/time.ts"
import { checkPs } from "./options.ts"
import { pausedOf } from "./pause.ts"
import { type Seen, seeAll } from "./reconcile.ts"
import type { Broken, PsOptions, Status, Summary } from "./types.ts"
import type { World } from "./world.ts"

/** @throws {EngineError} `INVALID_VALUE` for a filter that makes no sense; `CONTAINER_NOT_FOUND` for its container. */
export async function ps(
  world: World,
  options: PsOptions = {},
): Promise<{ readonly containers: readonly Summary[]; readonly broken: readonly Broken[] }> {
  checkPs(options)
  const { all = false, filters = {}, last = 0 } = options
  const { containers, broken } = await seeAll(world)
  const created = new Map(containers.map(({ record }) => [record.id, record.created]))
  const isPaused = pausedOf(world)
  const tests = Object.entries(filters).map(([name, values]) => {
    const make = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined
    if (!make)
      throw new EngineError(
        "INVALID_VALUE",
        `cannot filter by "${name}": there is no such filter`,
        `there are ${Object.keys(FILTERS).join(", ")}`,
      )
    return make(values, {
      createdOf: (reference) => created.get(resolveContainer(world.store(), reference)) ?? "",
      isPaused,
    })
  })
  // As Docker: who asks for a state means it, and who asks for the newest n means any.
  const stopped = all || last > 0 || "status" in filters
  const now = world.now().getTime()
  const found = containers
    .filter((container) => (stopped || container.state === "running") && tests.every((test) => test(container)))
    .sort((a, b) => (a.record.created < b.record.created ? 1 : a.record.created > b.record.created ? -1 : 0))
  return {
    containers: (last > 0 ? found.slice(0, last) : found).map((container) =>
      summary(container, isPaused(container), now),
    ),
    broken,
  }
}

type Test = (container: Seen) => boolean
/** What a filter may ask: when a container was created, by its name or id; whether one is paused. */
interface Answers {
  readonly createdOf: (reference: string) => string
  readonly isPaused: Test
}
/** From the values of a filter to a test. */
type Filter = (values: readonly string[], answers: Answers) => Test

/** By the image's name or id, or by the directory. */
const isOf = ({ request, image }: Container, value: string): boolean =>
  request.rootfs === value ||
  (image !== undefined && (image.name === value || image.name === `${value}:latest` || isId(image.id, value)))
const isId = (id: string, value: string): boolean =>
  /^(sha256:)?[0-9a-f]{4,64}$/.test(value) && id.slice("sha256:".length).startsWith(value.replace("sha256:", ""))

/** What a container is of, for people. */
export const sourceOf = ({ request, image }: Pick<Container, "request" | "image">): string =>
  image?.name ?? request.rootfs ?? ""

const any =
  (values: readonly string[], matches: (container: Seen, value: string) => boolean): Test =>
  (container) =>
    values.some((value) => matches(container, value))

/** Every state that Docker knows; ours are some of them. */
const STATUSES: readonly Status[] = ["created", "running", "paused", "restarting", "removing", "exited", "dead"]

const FILTERS: Readonly<Record<string, Filter>> = {
  ancestor: (values) => any(values, ({ record }, value) => isOf(record, value)),
  before: (values, { createdOf }) => {
    const times = values.map(createdOf)
    return ({ record }) => times.some((time) => record.created < time)
  },
  exited: (values) => {
    const codes = values.map((value) => {
      if (/^-?\d+$/.test(value)) return Number(value)
      throw new EngineError("INVALID_VALUE", `cannot filter by exited=${value}: it is not an exit code`)
    })
    return ({ state, status }) => state === "exited" && codes.includes(status?.code ?? -1)
  },
  id: (values) => any(values, ({ record }, value) => record.id.startsWith(value)),
  label: (values) => (container) =>
    values.every((value) => {
      const [key, wanted] = split(value)
      const { labels = {} } = container.record.request
      return Object.hasOwn(labels, key) && (wanted === undefined || labels[key] === wanted)
    }),
  name: (values) => {
    const patterns = values.map(pattern)
    return ({ record }) => patterns.some((test) => test(record.name))
  },
  network: (values) => any(values, ({ record }, value) => networkOf(record) === value),
  since: (values, { createdOf }) => {
    const times = values.map(createdOf)
    return ({ record }) => times.some((time) => record.created > time)
  },
  status: (values, { isPaused }) => {
    for (const value of values)
      if (!STATUSES.includes(value as Status))
        throw new EngineError(
          "INVALID_VALUE",
          `cannot filter by status=${value}: there is no such status`,
          `there are ${STATUSES.join(", ")}`,
        )
    return any(values, (container, value) => (isPaused(container) ? "paused" : container.state) === value)
  },
  volume: (values) =>
    any(values, ({ record }, value) =>
      (record.request.mounts ?? []).some(
        (mount) =>
          mount.target === value ||
          (mount.kind === "bind" && mount.source === value) ||
          (mount.kind === "volume" && mount.name === value),
      ),
    ),
}

function split(pair: string): readonly [key: string, value: string | undefined] {
  const at = pair.indexOf("=")
  return at < 0 ? [pair, undefined] : [pair.slice(0, at), pair.slice(at + 1)]
}

/** A name, a part of one, or a regular expression; Docker's names begin with a slash, so `^/web$` is one, too. */
function pattern(text: string): (name: string) => boolean {
  try {
    const expression = new RegExp(text)
    return (name) => expression.test(name) || expression.test(`/${name}`)
  } catch {
    return (name) => name.includes(text)
  }
}

export const networkOf = ({ request }: Pick<Container, "request">): string => networkOfRequest(request)
/** `0.0.0.0:8080->80/tcp`, as Docker has it. */
const portText = ({ hostAddress = "0.0.0.0", hostPort, containerPort, protocol }: PublishedPort): string =>
  `${hostAddress}:${hostPort}->${containerPort}/${protocol}`
/** What runs in a container: the entry point and its arguments. */
export const argvOf = ({ request }: Pick<Container, "request">): readonly string[] => [
  ...[request.entrypoint || []].flat(),
  ...request.args,
]

function summary({ record, status, state }: Seen, paused: boolean, now: number): Summary {
  const { id, name, created, request } = record
  return {
    id,
    name,
    image: sourceOf(record),
    command: argvOf(record)
      .map((word) => (word.includes(" ") ? `'${word}'` : word))
      .join(" "),
    created,
    status: paused ? "paused" : state,
    statusText: `${statusText({ record, state, ...(status && { status }) }, now)}${paused ? " (Paused)" : ""}`,
    ...(state === "exited" && status?.code !== undefined && { exitCode: status.code }),
    ...(state === "running" && status?.pid && { pid: status.pid.pid }),
    labels: request.labels ?? {},
    mounts: (request.mounts ?? []).flatMap((mount) =>
      mount.kind === "bind" ? [mount.source] : mount.kind === "volume" ? [mount.name ?? ""] : [],
    ),
    networks: [networkOf(record)],
    ports: state === "running" ? (record.placement?.network?.ports ?? []).map(portText) : [],
  }
}

/** `Up 3 minutes`, `Exited (137) 2 hours ago`, `Created`. */
export function statusText({ status, state }: Seen, now: number): string {
  const since = (time: string | undefined): string => humanSpan(now - millisOf(time ?? ""))
  if (state === "running") return `Up ${since(status?.started)}`
  if (state === "exited") return `Exited (${status?.code ?? 0}) ${since(status?.finished)} ago`
  return "Created"
}
