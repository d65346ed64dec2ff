/**
 * The command without a machine: the real `main`, an Io that keeps what is written, and an engine that keeps what it
 * was asked and answers what the test gave it. What happens to argv on its way to a Request, and to values on their way to a
 * terminal, is all there; only the container is not.
 */

import { ANSWERS } from "../../src/base/errors.ts"
import { BrokenPipe, type Io } from "../../src/cli/io.ts"
import { main } from "../../src/cli/main.ts"
import type { BecomeOptions, Engine, ExecRequest } from "../../src/engine/types.ts"
import type { Request } from "../../src/model/request.ts"

export interface World {
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  /** Which of the files can be read once only. */
  readonly pipes?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly terminal?: boolean
  /** The reader of stdout goes away after so many writes. */
  readonly readsOnly?: number
  readonly engine?: Partial<Engine>
}

export interface Played {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
  /** What the engine was asked, in order: the verb and its arguments. */
  readonly asked: readonly (readonly unknown[])[]
  readonly request: Request | undefined
  readonly options: BecomeOptions | undefined
  readonly exec: ExecRequest | undefined
  /** How the engine was opened. */
  readonly roots: unknown
}

/** Half past ten, on a day that every test knows. */
export const NOW = Date.parse("2026-01-02T10:30:00Z")

export async function play(argv: readonly string[], world: World = {}): Promise<Played> {
  const written: Record<"stdout" | "stderr", Uint8Array[]> = { stdout: [], stderr: [] }
  const write: Io["write"] = (to, bytes) => {
    if (to === "stdout" && written.stdout.length >= (world.readsOnly ?? Number.POSITIVE_INFINITY))
      throw new BrokenPipe()
    written[to].push(typeof bytes === "string" ? Buffer.from(bytes) : bytes)
  }
  const terminal = world.terminal ?? false
  const io: Io = {
    print: (line) => write("stdout", `${line}\n`),
    write,
    terminal: { stdin: terminal, stdout: terminal, stderr: terminal },
    columns: terminal ? 120 : undefined,
    env: world.env ?? {},
    cwd: "/home/me",
    readFile: (path) => {
      const content = world.files?.[path]
      if (content === undefined) throw Object.assign(new Error(`ENOENT: ${path}`), { code: "ENOENT" })
      return typeof content === "string" ? Buffer.from(content) : content
    },
    readLine: () => "",
    isFile: (path) => world.files?.[path] !== undefined && world.pipes?.includes(path) !== true,
    now: () => NOW,
    self: ["/usr/bin/minicontainer"],
  }

  const asked: (readonly unknown[])[] = []
  const verb =
    (name: keyof Engine) =>
    (...args: readonly unknown[]) => {
      asked.push([name, ...args])
      const answer = world.engine?.[name] as ((...args: readonly unknown[]) => unknown) | undefined
      return answer === undefined ? Promise.resolve() : answer(...args)
    }
  const verbs =
    "become run becomeExec exec explain explainContainer ps stop rm logs inspect saveImages loadImages importImage images inspectImage history tag rmi pruneImages info".split(
      " ",
    ) as (keyof Engine)[]
  const engine = Object.fromEntries(verbs.map((name) => [name, verb(name)])) as unknown as Engine

  let roots: unknown
  const status = await main(argv, io, async (given) => {
    roots = given
    return engine
  })
  const become = asked.find(([name]) => name === "become")
  const explain = asked.find(([name]) => name === "explain")
  const becomeExec = asked.find(([name]) => name === "becomeExec")
  return {
    status,
    stdout: Buffer.concat(written.stdout).toString("latin1").includes("\xff")
      ? Buffer.concat(written.stdout).toString("latin1")
      : Buffer.concat(written.stdout).toString(),
    stderr: Buffer.concat(written.stderr).toString(),
    asked,
    request: (become ?? explain)?.[1] as Request | undefined,
    options: become?.[2] as BecomeOptions | undefined,
    exec: becomeExec?.[2] as ExecRequest | undefined,
    roots,
  }
}

/** Words as a shell splits them: quotes hold blanks together. */
export function words(line: string): string[] {
  return [...line.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map(([word]) =>
    word.replace(/"([^"]*)"|'([^']*)'/g, "$1$2"),
  )
}

/** An error's lines without their codes: `cannot run x: gone [CONTAINER_NOT_FOUND]` is `cannot run x: gone`. main.test.ts holds where they stand. */
export const withoutCodes = (stderr: string): string =>
  stderr.replaceAll(new RegExp(` \\[(${Object.keys(ANSWERS).join("|")})\\]$`, "gm"), "")
