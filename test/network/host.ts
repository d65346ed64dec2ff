/** A machine for tests of the whole command whose host is a network namespace of the test's own. */

import { readdirSync } from "node:fs"
import { join } from "node:path"
import { newMachine } from "../machine.ts"
import { newPlace } from "./place.ts"

/** In the network of a place, with the cgroups of this machine (`ip netns exec` would hide them). */
export function newHost() {
  const place = newPlace()
  const machine = newMachine(["nsenter", `--net=/run/netns/${place.host}`, "--"])
  return {
    place,
    machine,
    run: (...args: string[]) => machine.run("run", "--rm", "--network", "bridge", "--rootfs", machine.rootfs, ...args),
    leases: () => readdirSync(join(machine.root, "networks/bridge/leases")),
    [Symbol.dispose]() {
      machine[Symbol.dispose]()
      place[Symbol.dispose]()
    },
  }
}
