/**
 * A real registry, Debian's docker-registry, on loopback, for as long as a test needs it.
 *
 *     using real = await newReal({ users: { ann: "secret" }, tls: true })
 */

import { spawn, spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface Real extends Disposable {
  /** `localhost:PORT`. */
  readonly host: string
  /** Where everything of it lies, for what the test itself needs to keep. */
  readonly base: string
  /** A directory certs.d that knows its authority; only with TLS. */
  readonly certificates: string
}

export async function newReal({
  user,
  tls = false,
}: {
  readonly user?: readonly [string, string]
  readonly tls?: boolean
} = {}): Promise<Real> {
  const base = mkdtempSync(join(tmpdir(), "mcregistry-"))
  const port = await freePort()
  // Not localhost with TLS: any certificate would do there.
  const name = tls ? "registry.test" : "localhost"
  const host = `127.0.0.1:${port}`
  const certificates = join(base, "certs.d")
  if (tls) makeCertificates(base, join(certificates, host), name)
  const auth = user ? `auth:\n  htpasswd:\n    realm: test\n    path: ${base}/users\n` : ""
  if (user) writeFileSync(join(base, "users"), must("htpasswd", "-Bbn", ...user))
  writeFileSync(
    join(base, "config.yml"),
    `version: 0.1
log: { level: error }
storage: { filesystem: { rootdirectory: ${base}/data } }
http:
  addr: 127.0.0.1:${port}
${tls ? `  tls: { certificate: ${base}/server.crt, key: ${base}/server.key }\n` : ""}${auth}`,
  )
  const child = spawn("docker-registry", ["serve", join(base, "config.yml")], { stdio: "ignore" })
  const deadline = performance.now() + 20_000
  while (!(await answers(port))) {
    if (performance.now() > deadline || child.exitCode !== null) throw new Error("docker-registry does not start")
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  return {
    host,
    base,
    certificates,
    [Symbol.dispose]() {
      child.kill("SIGKILL")
      rmSync(base, { recursive: true, force: true })
    },
  }
}

function must(program: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`${program} ${args.join(" ")}: ${stderr}`)
  return stdout
}

function makeCertificates(base: string, trusted: string, name: string): void {
  mkdirSync(trusted, { recursive: true })
  const at = (file: string): string => join(base, file)
  must(
    "openssl",
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=our authority",
    "-keyout",
    at("ca.key"),
    "-out",
    join(trusted, "ca.crt"),
  )
  must(
    "openssl",
    "req",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-subj",
    `/CN=${name}`,
    "-keyout",
    at("server.key"),
    "-out",
    at("server.csr"),
  )
  writeFileSync(at("names"), `subjectAltName=DNS:${name},IP:127.0.0.1\n`)
  must(
    "openssl",
    "x509",
    "-req",
    "-days",
    "2",
    "-in",
    at("server.csr"),
    "-CA",
    join(trusted, "ca.crt"),
    "-CAkey",
    at("ca.key"),
    "-set_serial",
    "1",
    "-extfile",
    at("names"),
    "-out",
    at("server.crt"),
  )
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function answers(port: number): Promise<boolean> {
  const { connect } = await import("node:net")
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resolve(true)
    })
    socket.on("error", () => resolve(false))
  })
}
