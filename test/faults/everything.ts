/**
 * A request that uses every room that a request can reach.
 */

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Request } from "../../src/model/request.ts"
import type { Machine } from "../machine.ts"

/** Everything that a request can say, at once; what it makes is looked at by the program, which ends with 0 if all is there. */
export function everything(machine: Machine): Request {
  const volume = machine.directory("volume")
  writeFileSync(join(volume, "file"), "")
  return {
    rootfs: machine.rootfs,
    args: [
      "sh",
      "-c",
      `[ "$(id -u) $(id -G)" = "1000 1000 2000" ] && [ -t 0 ] && [ "$(pwd)" = /made ] && [ "$(hostname)" = box ] &&
      [ -f /one/file ] && ! touch /v/x 2>/dev/null && touch /t/x && [ -c /dev/a/b ] && [ -c /opt/null ] && [ -w /opt/null ] &&
      ! touch /x 2>/dev/null && [ "$(ulimit -c)" = 0 ] && [ "$(cat /proc/self/oom_score_adj)" = 500 ] && [ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] &&
      [ "$LAST" = word ] && grep -q "^user:" /etc/passwd && grep -q "10.1.2.3.*friend" /etc/hosts`,
    ],
    env: ["LAST=word"],
    name: "faulty",
    labels: { kind: "test" },
    remove: true,
    init: true,
    readOnly: true,
    tty: true,
    user: "user",
    groupAdd: ["extra"],
    workdir: "/made",
    hostname: "box",
    domainname: "example.org",
    addHosts: [{ name: "friend", address: "10.1.2.3" }],
    dns: ["10.1.2.4"],
    memoryBytes: 64 << 20,
    memoryReservationBytes: 32 << 20,
    cpus: 0.5,
    cpuShares: 100,
    pidsLimit: 50,
    cpusetCpus: "0",
    cpusetMems: "0",
    shmBytes: 1 << 20,
    mounts: [
      { kind: "bind", source: volume, target: "/v", readOnly: true },
      { kind: "bind", source: join(volume, "file"), target: "/one/file", propagation: "rslave" },
      { kind: "volume", target: "/etc" },
      { kind: "tmpfs", target: "/t", sizeBytes: 1 << 20, mode: 0o1777 },
    ],
    devices: [
      { host: "/dev/null", container: "/dev/a/b", access: "rwm" },
      { host: "/dev/null", container: "/opt/null", access: "rw" },
    ],
    deviceRules: ["c 10:200 rwm"],
    sysctls: { "net.ipv4.ip_forward": "1" },
    ulimits: [{ name: "core", soft: 0, hard: 0 }],
    oomScoreAdj: 500,
    capAdd: ["NET_ADMIN"],
    capDrop: ["MKNOD"],
  }
}
