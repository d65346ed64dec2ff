/**
 * Credentials: what people told `login` once, wherever an engine has kept it.
 *
 *     REGISTRY_AUTH_FILE alone, or: XDG_RUNTIME_DIR/containers/auth.json, XDG_CONFIG_HOME/containers/auth.json,
 *     DOCKER_CONFIG/config.json: the first file that has an entry counts
 *
 *     { "auths": { "quay.io/team": { "auth": base64("user:password") } },     the longest key that the repository begins with
 *       "credHelpers": { "gcr.io": "gcloud" }, "credsStore": "pass" }         a program, docker-credential-NAME, that knows
 *
 * Read on: auth.ts, what is done with them. containers-auth.json(5); docker-login(1).
 */

import { readFileSync, statSync } from "node:fs"
import { EngineError } from "../base/errors.ts"
import { readJson } from "../model/image-guards.ts"
import { HUB } from "../model/reference.ts"
import { map, mismatch, record, text } from "../model/shape.ts"
import type { Environment } from "./proxy.ts"

export type Credentials =
  | { readonly kind: "password"; readonly user: string; readonly password: string }
  /** OAuth2's refresh token, which stands for a user. */
  | { readonly kind: "token"; readonly token: string }

/** Docker Hub's key, since the days when it was an index. */
const HUB_KEY = "https://index.docker.io/v1/"
const MOST_FILE = 4 * 1024 * 1024
const HELPER_MS = 30_000
/** The user name under which a helper keeps a token. */
const TOKEN_USER = "<token>"

export interface AuthFile {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly identitytoken?: string }>>
  readonly credHelpers?: Readonly<Record<string, string>>
  readonly credsStore?: string
}
const FILE = record({
  auths: map(record({ auth: text, identitytoken: text })),
  credHelpers: map(text),
  credsStore: text,
})

/** Where credentials may be, first the one that counts most. */
export function authFiles(env: Environment): readonly string[] {
  if (env.REGISTRY_AUTH_FILE) return [env.REGISTRY_AUTH_FILE]
  const home = env.HOME
  const config = env.XDG_CONFIG_HOME || (home && `${home}/.config`)
  const docker = dockerConfig(env)
  return [
    ...(env.XDG_RUNTIME_DIR ? [`${env.XDG_RUNTIME_DIR}/containers/auth.json`] : []),
    ...(config ? [`${config}/containers/auth.json`] : []),
    ...(docker ? [docker] : []),
  ]
}
/** Where `login` writes: Docker's file, unless REGISTRY_AUTH_FILE names another. */
export const loginFile = (env: Environment): string | undefined => env.REGISTRY_AUTH_FILE || dockerConfig(env)

const dockerConfig = ({ DOCKER_CONFIG, HOME }: Environment): string | undefined =>
  DOCKER_CONFIG ? `${DOCKER_CONFIG}/config.json` : HOME ? `${HOME}/.docker/config.json` : undefined

/** The file's key for a host: what Docker writes. */
export const keyOf = (host: string): string => (host === HUB ? HUB_KEY : host)

/**
 * A file's document; undefined if there is none.
 * @throws {EngineError} `INVALID_VALUE` if it is no such file: credentials that are silently not used look like a registry's fault.
 */
export function readAuthFile(path: string): AuthFile | undefined {
  const no = (cause: string): EngineError =>
    new EngineError(
      "INVALID_VALUE",
      `cannot read the credentials in ${path}: ${cause}`,
      "mend it, or log in anew without it",
    )
  let bytes: Uint8Array
  try {
    if (statSync(path).size > MOST_FILE) throw no(`it is larger than ${MOST_FILE} bytes`)
    bytes = readFileSync(path)
  } catch (error) {
    if (error instanceof EngineError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === "ENOENT" || code === "ENOTDIR") return undefined
    throw no(code ?? String(error))
  }
  if (bytes.length === 0) return {}
  const document = readJson(bytes, path, MOST_FILE)
  const wrong = mismatch(FILE, document)
  if (wrong) throw no(wrong)
  return document as AuthFile
}

/** A key without scheme, path of old and slash: `https://quay.io/v1/` is `quay.io`. */
const plain = (key: string): string => key.replace(/^https?:\/\//, "").replace(/\/(v[12]\/?)?$/, "")

/** What a repository may be known by, the longest first: `quay.io/a/b`, `quay.io/a`, `quay.io`. */
function keysOf(host: string, repository: string): readonly string[] {
  const parts = repository === "" ? [] : repository.split("/")
  const paths = parts.map((_, at) => `${host}/${parts.slice(0, parts.length - at).join("/")}`)
  return [...paths, host, ...(host === HUB ? ["index.docker.io"] : [])]
}

/** @throws {EngineError} `INVALID_VALUE` for a file that cannot be read, `REGISTRY_DENIED` for a helper that fails. */
export async function findCredentials(
  host: string,
  repository: string,
  env: Environment,
): Promise<Credentials | undefined> {
  for (const path of authFiles(env)) {
    const file = readAuthFile(path)
    if (!file) continue
    const found = await inFile(file, host, repository, env, path)
    if (found) return found
  }
  return undefined
}

async function inFile(
  { auths = {}, credHelpers = {}, credsStore }: AuthFile,
  host: string,
  repository: string,
  env: Environment,
  path: string,
): Promise<Credentials | undefined> {
  const keys = keysOf(host, repository)
  for (const key of keys) {
    const helper = Object.hasOwn(credHelpers, key) ? credHelpers[key] : undefined
    const told = helper && (await askHelper(helper, key, env))
    if (told) return told
    const entry = Object.entries(auths).find(([name]) => plain(name) === key)?.[1]
    const kept = entry && decoded(entry, path)
    if (kept) return kept
  }
  return credsStore ? askHelper(credsStore, keyOf(host), env) : undefined
}

function decoded({ auth, identitytoken }: { readonly auth?: string; readonly identitytoken?: string }, path: string) {
  if (identitytoken) return { kind: "token", token: identitytoken } as const
  // Docker leaves an empty entry behind where a helper has what belongs in it.
  if (!auth) return undefined
  const pair = Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "")
  const colon = pair.indexOf(":")
  if (colon < 1)
    throw new EngineError(
      "INVALID_VALUE",
      `cannot read the credentials in ${path}: an auth is not base64 of user:password`,
    )
  return { kind: "password", user: pair.slice(0, colon), password: pair.slice(colon + 1) } as const
}

const ANSWER = record({ Username: text, Secret: text }, ["Username", "Secret"])

/** `docker-credential-NAME get`: the server's name in, a document out. A helper that knows nothing says so, and that is no error. */
async function askHelper(name: string, server: string, env: Environment): Promise<Credentials | undefined> {
  const said = await runHelper(name, "get", server, env)
  if (said === undefined) return undefined
  const document = readJson(Buffer.from(said), `what docker-credential-${name} says`, MOST_FILE)
  const wrong = mismatch(ANSWER, document)
  if (wrong) throw helperFailed(name, wrong)
  const { Username, Secret } = document as { readonly Username: string; readonly Secret: string }
  if (Secret === "") return undefined
  return Username === TOKEN_USER
    ? { kind: "token", token: Secret }
    : { kind: "password", user: Username, password: Secret }
}

const helperFailed = (name: string, cause: string): EngineError =>
  new EngineError(
    "REGISTRY_DENIED",
    `cannot ask docker-credential-${name}: ${cause}`,
    "see credHelpers and credsStore of the file that names it",
  )

/**
 * @returns what it printed; undefined if it knows nothing of the server.
 * @throws {EngineError} `REGISTRY_DENIED`
 */
export async function runHelper(
  name: string,
  verb: "get" | "store" | "erase",
  input: string,
  env: Environment,
): Promise<string | undefined> {
  if (!/^[\w][\w.-]*$/.test(name)) throw helperFailed(name, "its name has characters that no program's has")
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>()
  const { spawn } = process.getBuiltinModule("node:child_process")
  const child = spawn(`docker-credential-${name}`, [verb], { env: { ...env }, stdio: ["pipe", "pipe", "pipe"] })
  let said = ""
  let why = ""
  const timer = setTimeout(() => {
    child.kill("SIGKILL")
    reject(helperFailed(name, `it did not answer within ${HELPER_MS / 1000} s`))
  }, HELPER_MS)
  child.stdout.on("data", (piece) => {
    said += piece
    if (said.length > MOST_FILE) child.kill("SIGKILL")
  })
  child.stderr.on("data", (piece) => {
    if (why.length < 1000) why += piece
  })
  child.stdin.on("error", () => {})
  child.on("error", (error) => reject(helperFailed(name, (error as NodeJS.ErrnoException).code ?? error.message)))
  child.on("close", (status) => {
    if (status === 0) resolve(said)
    // The words of the protocol; helpers print them on stdout.
    else if (/credentials not found/.test(`${said}${why}`)) resolve(undefined)
    else reject(helperFailed(name, (why || said).trim().split("\n", 1)[0] || `it ended with ${status}`))
  })
  child.stdin.end(input)
  return promise.finally(() => clearTimeout(timer))
}
