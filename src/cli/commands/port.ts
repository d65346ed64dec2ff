/** `minicontainer port`: where a container's ports are reached. */

import { EngineError } from "../../base/errors.ts"
import { command } from "../command.ts"

type Bindings = Readonly<Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[]>>

export const port = command({
  name: "port",
  usage: "CONTAINER [PORT[/PROTOCOL]]",
  about: "Print where the ports of a container are reached",
  examples: ["web", "web 80/tcp"],
  options: {},
  words: [1, 2],
  run: async ({ engine, io, words: [name = "", asked] }) => {
    const { NetworkSettings } = await engine.inspect(name)
    const { Ports } = NetworkSettings as { readonly Ports: Bindings }
    const wanted = asked === undefined || asked.includes("/") ? asked : `${asked}/tcp`
    if (wanted === undefined) {
      for (const [inside, bindings] of Object.entries(Ports))
        for (const { HostIp, HostPort } of bindings) io.print(`${inside} -> ${HostIp}:${HostPort}`)
      return
    }
    const bindings = Ports[wanted]
    if (!bindings)
      throw new EngineError(
        "PORT_NOT_PUBLISHED",
        `cannot say where ${wanted} of container ${name} is reached: it is not published`,
        "run -p publishes a port",
      )
    for (const { HostIp, HostPort } of bindings) io.print(`${HostIp}:${HostPort}`)
  },
})
