/**
 * `minicontainer export`: all files of a container as a tar archive.
 *
 * With `-o` the archive appears under its name when it is whole, and not before.
 */

import { closeSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs"
import { resolve } from "node:path/posix"
import { EngineError } from "../../base/errors.ts"
import { command } from "../command.ts"
import { text } from "../flags.ts"

export const exportCommand = command({
  name: "export",
  usage: "CONTAINER",
  about: "Write all files of a container as a tar archive",
  details: "What is mounted in it, volumes too, is not part of it.",
  examples: ["-o web.tar web", "web | gzip >web.tar.gz"],
  options: {
    output: text({ short: "o", value: "FILE", about: "Write to a file instead of stdout" }),
  },
  words: [1, 1],
  run: async ({ engine, io, words: [container], options: { output } }) => {
    if (output === undefined) {
      if (io.terminal.stdout)
        throw new EngineError("USAGE", "cannot write an archive to a terminal", "use -o, or a redirection")
      for await (const bytes of engine.exportFiles(container!)) io.write("stdout", bytes)
      return
    }
    const path = resolve(io.cwd as `/${string}`, output)
    const fresh = `${path}.${process.pid}`
    let fd: number | undefined
    try {
      fd = openSync(fresh, "wx", 0o600)
      for await (const bytes of engine.exportFiles(container!))
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at)
      closeSync(fd)
      renameSync(fresh, path)
    } catch (error) {
      if (fd !== undefined) unlinkSync(fresh)
      if (error instanceof EngineError) throw error
      const { code } = error as NodeJS.ErrnoException
      throw new EngineError("OUTPUT_FAILED", `cannot write ${output}: ${code}`, undefined, { cause: error })
    }
  },
})
