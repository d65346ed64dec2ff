/**
 * The front door of the engine: here the real clock, files and processes come in, as one argument (world.ts), and go to the verbs.
 *
 * A verb's file is loaded when it is first called: a command pays for what it does, not for what it could do.
 *
 * Read on: types.ts, what each verb promises; world.ts.
 */

import type { Engine, OpenOptions } from "./types.ts"
import { makeWorld } from "./world.ts"

export function open(options: OpenOptions): Engine {
  const world = makeWorld(options)
  return {
    become: async (...given) => (await import("./run.ts")).become(world, ...given),
    run: async (...given) => (await import("./run.ts")).run(world, ...given),
    create: async (...given) => (await import("./create.ts")).create(world, ...given),
    start: async (...given) => (await import("./start.ts")).start(world, ...given),
    becomeStart: async (...given) => (await import("./start.ts")).becomeStart(world, ...given),
    becomeAttach: async (...given) => (await import("./attach.ts")).becomeAttach(world, ...given),
    restart: async (...given) => (await import("./restart.ts")).restart(world, ...given),
    kill: async (...given) => (await import("./kill.ts")).kill(world, ...given),
    wait: async (...given) => (await import("./wait.ts")).wait(world, ...given),
    rename: async (...given) => (await import("./rename.ts")).rename(world, ...given),
    becomeExec: async (...given) => (await import("./exec.ts")).becomeExec(world, ...given),
    exec: async (...given) => (await import("./exec.ts")).exec(world, ...given),
    explain: async (...given) => (await import("./explain.ts")).explain(world, ...given),
    explainContainer: async (...given) => (await import("./explain.ts")).explainContainer(world, ...given),
    ps: async (...given) => (await import("./ps.ts")).ps(world, ...given),
    stop: async (...given) => (await import("./stop.ts")).stop(world, ...given),
    rm: async (...given) => (await import("./rm.ts")).rm(world, ...given),
    async *exportFiles(...given) {
      yield* (await import("./export.ts")).exportFiles(world, ...given)
    },
    diff: async (...given) => (await import("./diff.ts")).diff(world, ...given),
    copy: async (...given) => (await import("./cp.ts")).copy(world, ...given),
    async *copyOut(...given) {
      yield* (await import("./cp.ts")).copyOut(world, ...given)
    },
    copyIn: async (...given) => (await import("./cp.ts")).copyIn(world, ...given),
    pause: async (...given) => (await import("./pause.ts")).pause(world, ...given),
    unpause: async (...given) => (await import("./pause.ts")).unpause(world, ...given),
    async *logs(...given) {
      yield* (await import("./logs.ts")).logs(world, ...given)
    },
    inspect: async (...given) => (await import("./inspect.ts")).inspect(world, ...given),
    createVolume: async (...given) => (await import("./volumes.ts")).createVolume(world, ...given),
    volumes: async (...given) => (await import("./volumes.ts")).volumes(world, ...given),
    inspectVolume: async (...given) => (await import("./volumes.ts")).inspectVolume(world, ...given),
    removeVolume: async (...given) => (await import("./volumes.ts")).removeVolume(world, ...given),
    pruneVolumes: async (...given) => (await import("./volumes.ts")).pruneVolumes(world, ...given),
    createNetwork: async (...given) => (await import("./networks.ts")).createNetwork(world, ...given),
    networks: async () => (await import("./networks.ts")).networks(world),
    inspectNetwork: async (...given) => (await import("./networks.ts")).inspectNetwork(world, ...given),
    removeNetwork: async (...given) => (await import("./networks.ts")).removeNetwork(world, ...given),
    pruneNetworks: async () => (await import("./networks.ts")).pruneNetworks(world),
    prune: async (...given) => (await import("./prune.ts")).prune(world, ...given),
    doctor: async (...given) => (await import("./doctor.ts")).doctor(world, ...given),
    async *saveImages(images) {
      yield* (await import("./save.ts")).save(world, images)
    },
    loadImages: async (archive) => (await import("./load.ts")).load(world, archive),
    importImage: async (...given) => (await import("./import.ts")).importImage(world, ...given),
    images: async () => (await import("./images.ts")).images(world),
    inspectImage: async (image) => (await import("./inspect-image.ts")).inspectImage(world, image),
    history: async (image) => (await import("./inspect-image.ts")).history(world, image),
    tag: async (...given) => (await import("./tag.ts")).tag(world, ...given),
    rmi: async (...given) => (await import("./rmi.ts")).rmi(world, ...given),
    pruneImages: async (...given) => (await import("./rmi.ts")).pruneImages(world, ...given),
    info: async () => (await import("./info.ts")).info(world),
  }
}
