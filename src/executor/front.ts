/**
 * Front: the executor as one more client of a container that runs, over its control socket.
 *
 *     front SOCKET STDIO KEYS ◀──▶ monitor        the end: the container's exit code
 *
 * `attach` becomes one; who only wants to hear how a container ends spawns one that takes no stream.
 *
 * Read on: become.ts; native/front.c, native/clients.c.
 */

/** The argv after `executor`. @param keys the bytes that detach. */
export const frontWords = (socket: string, stdio: number, keys: readonly number[]): readonly string[] => [
  "front",
  socket,
  String(stdio),
  keys.map((key) => key.toString(16).padStart(2, "0")).join(""),
]

/**
 * Waits for the last word of a container.
 * @returns its exit code; undefined if there was nobody to listen to.
 */
export function listen(executor: string, socket: string): Promise<number | undefined> {
  const { promise, resolve } = Promise.withResolvers<number | undefined>()
  const child = process
    .getBuiltinModule("node:child_process")
    .spawn(executor, frontWords(socket, 0, []), { stdio: ["ignore", "ignore", "pipe"] })
  let said = ""
  child.stderr.setEncoding("utf8")
  child.stderr.on("data", (chunk: string) => {
    said = (said + chunk).slice(0, 4096)
  })
  child.on("error", () => resolve(undefined))
  // It says something only if it could not attach, or lost the monitor.
  child.on("close", (status) => resolve(status === null || said !== "" ? undefined : status))
  return promise
}
