/**
 * Another program in a running container: its config.json again, with another process.
 *
 *     from the container    rlimits, seccomp, no_new_privs, capabilities (bounding), environment
 *     asked anew            args, user, working directory, terminal, more environment, --privileged
 *
 * So whatever confines the first program confines the second one too.
 *
 * Read on: process.ts; plan/join.ts, which enters the container.
 */

import { EngineError } from "../base/errors.ts"
import type { Host } from "../model/host.ts"
import type { Config } from "../model/oci.ts"
import type { Placement } from "../model/placement.ts"
import type { ExecRequest } from "../model/request.ts"
import { type Accounts, homeOf, resolveUser } from "./accounts.ts"
import { available, sets } from "./capabilities.ts"
import { environment, workingDirectory } from "./process.ts"
import { checkExec } from "./validate.ts"

/**
 * The config of a program that joins a container: only `process` differs from the container's own.
 * @param accounts the texts of the container's /etc/passwd and /etc/group, as they are now.
 * @throws {EngineError} `INVALID_VALUE`
 */
export function execSpec(
  config: Config,
  placement: Placement,
  accounts: Accounts,
  request: ExecRequest,
  host: Host,
): { readonly config: Config } {
  checkExec(request)
  const { process: first, linux } = config
  if (first === undefined)
    throw new EngineError("WRONG_STATE", `cannot run a program in ${placement.name}: its config.json has no process`)
  if (request.args[0] === "") throw new EngineError("INVALID_VALUE", "cannot run: the command is an empty word")
  const own = linux?.namespaces?.some(({ type }) => type === "user") ?? false
  const account = request.user ? resolveUser(request.user, [], accounts, own) : undefined
  const user = account ? { uid: account.uid, gid: account.gid, additionalGids: account.additionalGids } : first.user

  // HOME follows the user, unless it was chosen: then it is not the home of the container's own user.
  const inherited = first.env ?? []
  const follows = account !== undefined && inherited.includes(`HOME=${homeOf(first.user.uid, accounts)}`)
  const changes = [
    ...(request.tty ? ["TERM=xterm"] : []),
    ...(follows ? [`HOME=${account.home}`] : []),
    ...(request.env ?? []),
  ]

  const bounding = request.privileged ? available(host, own) : (first.capabilities?.bounding ?? [])
  const { terminal: _terminal, consoleSize: _size, ...kept } = first
  return {
    config: {
      ...config,
      process: {
        ...kept,
        ...(request.tty && { terminal: true }),
        user,
        args: request.args,
        env: environment(inherited, changes),
        cwd: request.workdir === undefined ? first.cwd : workingDirectory(request.workdir),
        capabilities: sets(bounding, user.uid),
      },
    },
  }
}
