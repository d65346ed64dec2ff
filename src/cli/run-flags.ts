/**
 * The flags of `run` and `explain`: every flag that `docker run` has, each a row.
 *
 * Most become one field of a Request (request.ts). What this engine cannot do yet, or what Linux can no longer do, says
 * so in `refuse`. Read on: flags.ts, the kinds; request.ts.
 */

import { bool, bytes, choice, insidePath, integer, list, map, parsed, seconds, text } from "./flags.ts"
import { device, deviceRule } from "./values/devices.ts"
import { fileName } from "./values/files.ts"
import { blockWeight, cpuList, cpus, signal, ulimit } from "./values/limits.ts"
import { mount, tmpfs, volume } from "./values/mounts.ts"
import { addHost, containerName, detachKeys, environment, hostName, ipAddress, stream } from "./values/names.ts"
import { networkName, published } from "./values/ports.ts"
import { securityOption } from "./values/security.ts"

const MiB = 2 ** 20
const JOIN = "joining another container's namespace is not built yet"
const NETWORK = "this part of networks is not built yet"
const BLOCK_IO = "limits on block devices are not built yet"
const HEALTH = "health checks are not built yet"
const IMAGES = "images are not built yet"
const GONE = "the kernel no longer has this limit"
const REALTIME = "cgroup v2 has no real-time budget"
const WINDOWS = "it means something on Windows only"

/** What a program started by `run` or `exec` has in common. */
export const PROCESS_FLAGS = {
  detach: bool({ short: "d", about: "Run in the background" }),
  "detach-keys": parsed("KEYS", detachKeys)({ about: "Keys that leave the container running (default ctrl-p,ctrl-q)" }),
  env: list({
    short: "e",
    value: "KEY[=VALUE]",
    each: environment,
    about: "Set an environment variable, or pass on one of the caller's",
  }),
  "env-file": list({ value: "FILE", each: fileName, about: "Read environment variables from a file, one a line" }),
  interactive: bool({ short: "i", about: "Keep stdin open" }),
  privileged: bool({ about: "Give all capabilities and devices, and switch protection off" }),
  tty: bool({ short: "t", about: "Give it a terminal" }),
  user: text({ short: "u", value: "USER[:GROUP]", about: "User and group to run as, by name or number" }),
  workdir: insidePath({ short: "w", blank: true, about: "Working directory inside the container" }),
}

export const RUN_FLAGS = {
  ...PROCESS_FLAGS,
  rootfs: parsed("DIR", fileName)({ about: "Directory that is the container's root; it is never written" }),
  name: parsed("NAME", containerName)({ blank: true, about: "Name of the container (default: one is made up)" }),
  rm: bool({ about: "Remove the container when it ends" }),

  // What it runs.
  annotation: map({ about: "Add an annotation to the OCI config" }),
  attach: list({ short: "a", value: "STREAM", each: stream, about: "Attach only to stdin, stdout or stderr" }),
  cidfile: text({ value: "FILE", about: "Write the container's id to a file, which must not exist" }),
  entrypoint: text({ value: "PROGRAM", about: "Program that gets COMMAND as its arguments" }),
  "group-add": list({ value: "GROUP", about: "Add a supplementary group" }),
  init: bool({ about: "Run a small process 1 that passes signals on and reaps children" }),
  label: map({ short: "l", value: "KEY[=VALUE]", bare: "", about: "Set a label on the container" }),
  "label-file": list({ value: "FILE", each: fileName, about: "Read labels from a file, one a line" }),
  "log-driver": choice({
    of: ["json-file", "none"],
    others: {
      local: "only files of our own format are written",
      journald: "only files are written",
      syslog: "only files are written",
    },
    about: "Where output is kept: our own files, or nowhere",
  }),
  "log-opt": map({ about: "max-size and max-file of the log" }),
  "sig-proxy": bool({ otherwise: true, about: "Pass signals on to the container" }),
  "stop-signal": parsed("SIGNAL", signal)({ blank: true, about: "Signal that asks it to end (default TERM)" }),
  "stop-timeout": seconds({ min: -1, about: "How long stop waits before KILL (default 10; -1: for ever)" }),

  timeout: seconds({ min: 0, about: "Kill it when it has run so long (default 0: never)" }),

  // What it sees.
  device: list({ value: "HOST[:PATH[:ACCESS]]", each: device, about: "Give it a device of the host" }),
  mount: list({
    value: "KEY=VALUE,...",
    each: mount,
    about: "Mount: type=bind,src=HOST,dst=PATH[,readonly], type=volume,src=NAME,dst=PATH or type=tmpfs,dst=PATH",
  }),
  "read-only": bool({ about: "Make its root file system read-only" }),
  "shm-size": bytes({ min: 4096, about: "Size of /dev/shm (default 64m)" }),
  tmpfs: list({ value: "PATH[:OPTIONS]", each: tmpfs, about: "Mount memory: /run:size=64m,mode=1777" }),
  volume: list({
    short: "v",
    value: "[SOURCE:]PATH[:ro]",
    each: volume,
    about:
      "Mount a file or directory of the host, which must exist, or a volume, by its name; without SOURCE, one of its own",
  }),
  "volumes-from": list({ value: "CONTAINER[:ro]", about: "Mount what another container has mounted" }),

  // How much it gets.
  "blkio-weight": parsed(
    "NUMBER",
    blockWeight,
  )({ about: "Weight of its disk time against others, 10 to 1000; 0: as others" }),
  "cgroup-parent": text({ value: "PATH", about: "Cgroup below which the container's is made" }),
  "cpu-period": integer({
    min: 0,
    max: 1_000_000,
    value: "MICROSECONDS",
    about: "Length of a CPU period (default 100000)",
  }),
  "cpu-quota": integer({ min: -1, value: "MICROSECONDS", about: "CPU time in each period" }),
  "cpu-shares": integer({
    short: "c",
    min: 0,
    max: 262_144,
    about: "Weight against other containers when CPUs are short (default 1024)",
  }),
  cpus: parsed("DECIMAL", cpus)({ about: "CPU time it may use, in CPUs: 1.5" }),
  "cpuset-cpus": parsed("LIST", cpuList)({ blank: true, about: "CPUs it may run on: 0-3,7" }),
  "cpuset-mems": parsed("LIST", cpuList)({ blank: true, about: "Memory nodes it may use: 0-1" }),
  memory: bytes({ short: "m", min: 6 * MiB, about: "Memory it may use: 512m, 1.5g" }),
  "memory-reservation": bytes({ about: "Memory that is left to it when memory is short" }),
  "memory-swap": bytes({ unlimited: true, about: "Memory and swap together; -1: no limit on swap" }),
  "oom-kill-disable": bool({ about: "Let it wait instead of killing when memory is out (cgroup v1 only)" }),
  "oom-score-adj": integer({ min: -1000, max: 1000, about: "How readily the kernel kills it when memory is out" }),
  "pids-limit": integer({ min: -1, about: "Number of processes it may have; 0 or -1: no limit" }),
  ulimit: list({ value: "NAME=SOFT[:HARD]", each: ulimit, about: "Limit of each process: nofile=1024:2048" }),

  // What it may do.
  "cap-add": list({ value: "CAPABILITY", about: "Add a capability, or ALL" }),
  "cap-drop": list({ value: "CAPABILITY", about: "Drop a capability, or ALL" }),
  "device-cgroup-rule": list({ value: "RULE", each: deviceRule, about: "Allow devices by number: 'c 189:* rmw'" }),
  "security-opt": list({ value: "OPTION", each: securityOption, about: "seccomp=FILE|unconfined, no-new-privileges" }),
  sysctl: map({ about: "Set a kernel parameter of its own namespaces" }),

  // What it shares with the host.
  cgroupns: choice({ of: ["host", "private"], about: "Whose cgroup tree it sees (default private)" }),
  ipc: choice({
    of: ["none", "private", "shareable", "host"],
    others: { "container:": JOIN },
    about: "Whose shared memory and queues it uses (default private)",
  }),
  pid: choice({ of: ["host"], others: { "container:": JOIN }, about: "See the host's processes" }),
  userns: choice({ of: ["host"], about: "Use the host's user ids as they are: no user namespace" }),
  uts: choice({ of: ["host"], about: "Use the host's host name" }),

  // How it is reached.
  "add-host": list({ value: "NAME:ADDRESS", each: addHost, about: "Add a line to its /etc/hosts" }),
  dns: list({ value: "ADDRESS", each: ipAddress, about: "Set a name server" }),
  "dns-option": list({ value: "OPTION", also: ["dns-opt"], about: "Set an option of resolv.conf" }),
  "dns-search": list({ value: "DOMAIN", about: "Set a search domain" }),
  domainname: parsed("NAME", hostName)({ about: "NIS domain name" }),
  hostname: parsed("NAME", hostName)({ short: "h", about: "Host name (default: the short id)" }),
  network: parsed(
    "NETWORK",
    networkName,
  )({
    blank: true,
    also: ["net"],
    about: "bridge: an address, and the way out; none: only lo; host: the host's (default none, with -p bridge)",
  }),
  ip: parsed("ADDRESS", ipAddress)({ blank: true, about: "Its IPv4 address, of its network's" }),
  "network-alias": list({
    value: "NAME",
    also: ["net-alias"],
    each: hostName,
    about: "Another name by which containers of its network find it",
  }),
  publish: list({
    short: "p",
    value: "[ADDRESS:][PORT]:PORT[/PROTOCOL]",
    each: published,
    about: "Publish a port of the container on the host: 8080:80, 127.0.0.1:53:53/udp, 8000-8009:8000-8009",
  }),

  // No-ops that scripts pass.
  "disable-content-trust": bool({
    otherwise: true,
    about: "Accepted: without images there are no signatures to check",
  }),
  "no-healthcheck": bool({ about: "Accepted: there are no health checks" }),
  quiet: bool({ short: "q", about: "Accepted: nothing is pulled, so nothing is said about it" }),

  // What Docker has and this engine has not.
  "blkio-weight-device": text({ refuse: BLOCK_IO, about: "Block I/O weight of a device" }),
  "cpu-count": text({ refuse: WINDOWS, about: "CPU count" }),
  "cpu-percent": text({ refuse: WINDOWS, about: "CPU percent" }),
  "cpu-rt-period": text({ refuse: REALTIME, harmless: ["0"], about: "Real-time period" }),
  "cpu-rt-runtime": text({ refuse: REALTIME, harmless: ["0"], about: "Real-time budget" }),
  "device-read-bps": text({ refuse: BLOCK_IO, about: "Limit reading from a device" }),
  "device-read-iops": text({ refuse: BLOCK_IO, about: "Limit reads from a device" }),
  "device-write-bps": text({ refuse: BLOCK_IO, about: "Limit writing to a device" }),
  "device-write-iops": text({ refuse: BLOCK_IO, about: "Limit writes to a device" }),
  expose: text({ refuse: NETWORK, about: "Document a port" }),
  gpus: text({ refuse: "GPUs need a vendor's hook, which is not built yet", about: "GPUs to give it" }),
  "health-cmd": text({ refuse: HEALTH, about: "Command that checks health" }),
  "health-interval": text({ refuse: HEALTH, about: "Time between checks" }),
  "health-retries": text({ refuse: HEALTH, harmless: ["0"], about: "Failures before it counts as unhealthy" }),
  "health-start-interval": text({ refuse: HEALTH, about: "Time between checks at the start" }),
  "health-start-period": text({ refuse: HEALTH, about: "Time to become healthy" }),
  "health-timeout": text({ refuse: HEALTH, about: "Time for one check" }),
  "io-maxbandwidth": text({ refuse: WINDOWS, about: "I/O bandwidth" }),
  "io-maxiops": text({ refuse: WINDOWS, about: "I/O operations" }),
  ip6: text({ refuse: NETWORK, about: "IPv6 address" }),
  isolation: text({ refuse: WINDOWS, harmless: ["", "default"], about: "Isolation technology" }),
  "kernel-memory": text({ refuse: GONE, about: "Kernel memory" }),
  link: text({ refuse: NETWORK, about: "Link to another container" }),
  "link-local-ip": text({ refuse: NETWORK, about: "Link-local address" }),
  "mac-address": text({ refuse: NETWORK, about: "MAC address" }),
  "memory-swappiness": text({ refuse: "cgroup v2 has no such setting", harmless: ["-1"], about: "Swappiness" }),
  platform: text({ refuse: IMAGES, about: "Platform of the image" }),
  "publish-all": bool({ short: "P", refuse: NETWORK, harmless: ["false"], about: "Publish all exposed ports" }),
  pull: text({ refuse: IMAGES, harmless: ["missing", "never"], about: "Pull the image first" }),
  restart: text({ refuse: "restart policies are not built yet", harmless: ["no", ""], about: "Restart policy" }),
  runtime: text({ refuse: "there is one executor, and it is built in", about: "OCI runtime" }),
  "storage-opt": text({ refuse: "limits on the size of changes are not built yet", about: "Storage option" }),
  "use-api-socket": bool({
    refuse: "there is no API socket: no daemon listens",
    harmless: ["false"],
    about: "Give it the API socket",
  }),
  "volume-driver": text({ refuse: "there is one driver, local", harmless: ["local", ""], about: "Volume driver" }),
}
