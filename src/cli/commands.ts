/**
 * The table of commands: what help lists, and where each page is.
 *
 * A page is loaded when its command is called: starting up is the larger half of `run`, so no command pays for another.
 * Read on: main.ts, which looks commands up here; command.ts.
 */

import type { Command } from "./command.ts"

export interface Row {
  /** The heading in help; absent: not shown. */
  readonly group?: "Run" | "Look" | "End" | "Images" | "Volumes" | "Networks" | "About"
  readonly about: string
  /** Other names, of one or two words. */
  readonly also?: readonly string[]
  readonly page: () => Promise<Command>
}

export const COMMANDS: Readonly<Record<string, Row>> = {
  run: {
    group: "Run",
    about: "Run a program in a new container",
    also: ["container run"],
    page: async () => (await import("./commands/run.ts")).run,
  },
  create: {
    group: "Run",
    about: "Make a container that waits for its start",
    also: ["container create"],
    page: async () => (await import("./commands/create.ts")).create,
  },
  start: {
    group: "Run",
    about: "Start containers that exist",
    also: ["container start"],
    page: async () => (await import("./commands/start.ts")).start,
  },
  restart: {
    group: "Run",
    about: "Stop containers, and start them again",
    also: ["container restart"],
    page: async () => (await import("./commands/restart.ts")).restart,
  },
  attach: {
    group: "Run",
    about: "See what a running container writes, and type what it reads",
    also: ["container attach"],
    page: async () => (await import("./commands/attach.ts")).attach,
  },
  rename: {
    group: "Run",
    about: "Give a container another name",
    also: ["container rename"],
    page: async () => (await import("./commands/rename.ts")).rename,
  },
  exec: {
    group: "Run",
    about: "Run another program in a running container",
    also: ["container exec"],
    page: async () => (await import("./commands/exec.ts")).exec,
  },
  ps: {
    group: "Look",
    about: "List containers",
    also: ["container ls", "container list", "container ps"],
    page: async () => (await import("./commands/ps.ts")).ps,
  },
  logs: {
    group: "Look",
    about: "Print what a container has written",
    also: ["container logs"],
    page: async () => (await import("./commands/logs.ts")).logs,
  },
  inspect: {
    group: "Look",
    about: "Print all that is known of containers, as JSON",
    also: ["container inspect"],
    page: async () => (await import("./commands/inspect.ts")).inspect,
  },
  explain: {
    group: "Look",
    about: "Print every step that run would take, taking none",
    page: async () => (await import("./commands/explain.ts")).explain,
  },
  cp: {
    group: "Look",
    about: "Copy files between a container and this host",
    also: ["container cp"],
    page: async () => (await import("./commands/cp.ts")).cp,
  },
  diff: {
    group: "Look",
    about: "List what a container has changed in its files",
    also: ["container diff"],
    page: async () => (await import("./commands/diff.ts")).diff,
  },
  export: {
    group: "Look",
    about: "Write all files of a container as a tar archive",
    also: ["container export"],
    page: async () => (await import("./commands/export.ts")).exportCommand,
  },
  stop: {
    group: "End",
    about: "End running containers, gently first",
    also: ["container stop"],
    page: async () => (await import("./commands/stop.ts")).stop,
  },
  kill: {
    group: "End",
    about: "Send a signal to running containers",
    also: ["container kill"],
    page: async () => (await import("./commands/kill.ts")).kill,
  },
  wait: {
    group: "End",
    about: "Wait until containers have ended, and print their exit codes",
    also: ["container wait"],
    page: async () => (await import("./commands/wait.ts")).wait,
  },
  pause: {
    group: "End",
    about: "Freeze all processes of running containers",
    also: ["container pause"],
    page: async () => (await import("./commands/pause.ts")).pause,
  },
  unpause: {
    group: "End",
    about: "Let paused containers go on",
    also: ["container unpause"],
    page: async () => (await import("./commands/pause.ts")).unpause,
  },
  rm: {
    group: "End",
    about: "Remove containers",
    also: ["container rm", "container remove"],
    page: async () => (await import("./commands/rm.ts")).rm,
  },
  prune: {
    group: "End",
    about: "Remove what dead containers have left, and more on demand",
    also: ["system prune"],
    page: async () => (await import("./commands/prune.ts")).prune,
  },
  "container prune": {
    group: "End",
    about: "Remove all containers that do not run",
    page: async () => (await import("./commands/prune.ts")).pruneContainers,
  },
  "volume create": {
    group: "Volumes",
    about: "Make a volume",
    page: async () => (await import("./commands/volume.ts")).create,
  },
  "volume ls": {
    group: "Volumes",
    about: "List volumes",
    also: ["volume list"],
    page: async () => (await import("./commands/volume.ts")).ls,
  },
  "volume inspect": {
    group: "Volumes",
    about: "Print all that is known of volumes, as JSON",
    page: async () => (await import("./commands/volume.ts")).inspect,
  },
  "volume rm": {
    group: "Volumes",
    about: "Remove volumes and what is in them",
    also: ["volume remove"],
    page: async () => (await import("./commands/volume.ts")).rm,
  },
  "volume prune": {
    group: "Volumes",
    about: "Remove volumes that no container has",
    page: async () => (await import("./commands/volume.ts")).prune,
  },
  port: {
    group: "Networks",
    about: "Print where the ports of a container are reached",
    also: ["container port"],
    page: async () => (await import("./commands/port.ts")).port,
  },
  "network create": {
    group: "Networks",
    about: "Make a network",
    page: async () => (await import("./commands/network.ts")).create,
  },
  "network ls": {
    group: "Networks",
    about: "List networks",
    also: ["network list"],
    page: async () => (await import("./commands/network.ts")).ls,
  },
  "network inspect": {
    group: "Networks",
    about: "Print all that is known of networks, as JSON",
    page: async () => (await import("./commands/network.ts")).inspect,
  },
  "network rm": {
    group: "Networks",
    about: "Remove networks",
    also: ["network remove"],
    page: async () => (await import("./commands/network.ts")).rm,
  },
  "network prune": {
    group: "Networks",
    about: "Remove networks that no container has an address of",
    page: async () => (await import("./commands/network.ts")).prune,
  },
  save: {
    group: "Images",
    about: "Write images as one archive",
    also: ["image save"],
    page: async () => (await import("./commands/save.ts")).save,
  },
  load: {
    group: "Images",
    about: "Take images out of an archive",
    also: ["image load"],
    page: async () => (await import("./commands/load.ts")).load,
  },
  import: {
    group: "Images",
    about: "Make an image of an archive of files",
    also: ["image import"],
    page: async () => (await import("./commands/import.ts")).importCommand,
  },
  images: {
    group: "Images",
    about: "List images",
    also: ["image ls", "image list"],
    page: async () => (await import("./commands/images.ts")).images,
  },
  rmi: {
    group: "Images",
    about: "Remove images",
    also: ["image rm", "image remove"],
    page: async () => (await import("./commands/rmi.ts")).rmi,
  },
  tag: {
    group: "Images",
    about: "Give an image one more name",
    also: ["image tag"],
    page: async () => (await import("./commands/tag.ts")).tag,
  },
  history: {
    group: "Images",
    about: "Print how an image was made",
    also: ["image history"],
    page: async () => (await import("./commands/history.ts")).history,
  },
  "image inspect": {
    group: "Images",
    about: "Print all that is known of images, as JSON",
    page: async () => (await import("./commands/image-inspect.ts")).imageInspect,
  },
  "image prune": {
    group: "Images",
    about: "Remove images without a name",
    page: async () => (await import("./commands/image-prune.ts")).imagePrune,
  },
  info: {
    group: "About",
    about: "Print what this host offers and how many containers there are",
    also: ["system info"],
    page: async () => (await import("./commands/info.ts")).info,
  },
  doctor: {
    group: "About",
    about: "Print what this host can do, and what crashes have left over",
    page: async () => (await import("./commands/doctor.ts")).doctor,
  },
  completion: {
    group: "About",
    about: "Print a script that completes command lines in a shell",
    page: async () => (await import("./commands/completion.ts")).completion,
  },
  version: {
    group: "About",
    about: "Print the version",
    page: async () => (await import("./commands/version.ts")).version,
  },
  help: {
    group: "About",
    about: "Print help, also of one command",
    page: async () => (await import("./commands/help.ts")).help,
  },
  complete: {
    about: "Print what could stand in place of the last word",
    page: async () => (await import("./commands/complete.ts")).complete,
  },
  report: {
    about: "Say which step of a plan failed",
    page: async () => (await import("./commands/report.ts")).report,
  },
}

/** A command by the words it was called with: its row, and how many words its name took. */
export function find(
  argv: readonly string[],
): { readonly name: string; readonly row: Row; readonly took: number } | undefined {
  const [first = "", second] = argv
  const two = `${first} ${second}`
  for (const [name, row] of Object.entries(COMMANDS)) {
    if (name === two) return { name, row, took: 2 }
    if (name === first) return { name, row, took: 1 }
    if (row.also?.includes(two)) return { name, row, took: 2 }
    if (row.also?.includes(first)) return { name, row, took: 1 }
  }
  return undefined
}
