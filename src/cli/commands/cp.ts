/** `minicontainer cp`: files between a container and this host; `-` is a tar archive on stdin or stdout. */

import { createReadStream } from "node:fs"
import { EngineError } from "../../base/errors.ts"
import type { Place } from "../../engine/types.ts"
import { command } from "../command.ts"
import { bool } from "../flags.ts"

export const cp = command({
  name: "cp",
  usage: "CONTAINER:PATH PATH|- | PATH|- CONTAINER:PATH",
  about: "Copy files between a container and this host",
  details: "A directory is copied with all in it; DIR/. is only what is in it. - is a tar archive on stdin or stdout.",
  examples: ["web:/etc/nginx ./nginx", "-a ./site/. web:/srv", "web:/var/log - | tar -t"],
  options: {
    archive: bool({
      short: "a",
      about: "Keep owners; without it files are root's in the container, and yours outside",
    }),
    "follow-link": bool({ short: "L", about: "Copy what a link leads to, if the source is one" }),
    quiet: bool({ short: "q", about: "Accepted: nothing is printed" }),
  },
  words: [2, 2],
  run: async ({ engine, io, words: [source, target], options: { archive, "follow-link": followLink } }) => {
    const [from, to] = [placeOf(source!, io.cwd), placeOf(target!, io.cwd)]
    if (to === "-") {
      if (from === "-" || from.container === undefined) throw usage()
      if (io.terminal.stdout)
        throw new EngineError("USAGE", "cannot write an archive to a terminal", "use a pipe, or a redirection")
      for await (const bytes of engine.copyOut({ container: from.container, path: from.path }, { followLink }))
        io.write("stdout", bytes)
    } else if (from === "-") {
      if (to.container === undefined) throw usage()
      const archiveIn = createReadStream("", { fd: 0, autoClose: false, highWaterMark: 1 << 18 })
      await engine.copyIn(archiveIn, { container: to.container, path: to.path }, { archive })
    } else {
      if ((from.container === undefined) === (to.container === undefined)) throw usage()
      await engine.copy(from, to, { archive, followLink })
    }
  },
})

const usage = (): EngineError =>
  new EngineError("USAGE", "cannot run cp: one side must be CONTAINER:PATH, the other a path of this host, or -")

/** What begins with a slash or a dot is a path of this host, as in Docker, whatever it holds; else a colon makes it a container's. */
function placeOf(word: string, cwd: string): Place | "-" {
  if (word === "-") return word
  const colon = word.indexOf(":")
  if (colon > 0 && !/^[./]/.test(word)) return { container: word.slice(0, colon), path: word.slice(colon + 1) || "/" }
  // Not resolved: what stands at its end means something.
  return { path: word.startsWith("/") ? word : `${cwd}/${word}` }
}
