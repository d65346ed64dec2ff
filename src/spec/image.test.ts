import { expect, test } from "bun:test"
import type { RunConfig } from "../model/image.ts"
import type { Request } from "../model/request.ts"
import { withImage } from "./image.ts"

const IMAGE: RunConfig = { Entrypoint: ["/entry", "-x"], Cmd: ["serve"] }
/** What would be run: the entry point's words, a bar, and the others. */
const run = (request: Partial<Request>, image: RunConfig = IMAGE): string => {
  const { entrypoint = [], args } = withImage({ image: "i", args: [], ...request }, image)
  return `${[entrypoint].flat().join(" ")} | ${args.join(" ")}`
}
const check = (says: string, request: Partial<Request>, expected: string, image?: RunConfig) =>
  test(says, () => expect(run(request, image)).toBe(expected))

check("nothing is said: the image's", {}, "/entry -x | serve")
check("a command replaces Cmd alone", { args: ["ls", "-l"] }, "/entry -x | ls -l")
check("an entry point clears Cmd", { entrypoint: "/bin/sh" }, "/bin/sh | ")
check("an entry point and a command replace both", { entrypoint: "/bin/sh", args: ["-c", "id"] }, "/bin/sh | -c id")
check("an empty entry point clears the image's", { entrypoint: [], args: ["id"] }, " | id")
check("Cmd alone", {}, " | sh", { Cmd: ["sh"] })

test("an image without a command needs one", () =>
  expect(() => run({}, {})).toThrow("cannot run image i: it names no command, and neither do you"))
test("an empty entry point without a command is none", () =>
  expect(() => run({ entrypoint: [] })).toThrow("names no command"))

test("what the caller says wins, and variables and labels are joined", () => {
  const image: RunConfig = {
    Cmd: ["sh"],
    Env: ["A=1", "B=2"],
    User: "web",
    WorkingDir: "srv",
    Labels: { a: "1", b: "2" },
    StopSignal: "SIGQUIT",
  }
  expect(withImage({ image: "i", args: [] }, image)).toEqual({
    image: "i",
    args: ["sh"],
    env: ["A=1", "B=2"],
    user: "web",
    workdir: "/srv",
    labels: { a: "1", b: "2" },
    stopSignal: "SIGQUIT",
  })
  const asked = { env: ["B=3"], user: "0", workdir: "/", labels: { b: "3" }, stopSignal: "TERM" }
  expect(withImage({ image: "i", args: ["id"], ...asked }, image)).toEqual({
    image: "i",
    args: ["id"],
    env: ["A=1", "B=2", "B=3"],
    user: "0",
    workdir: "/",
    labels: { a: "1", b: "3" },
    stopSignal: "TERM",
  })
})

test("a path of Volumes becomes a volume of the container's own, unless something is mounted there", () => {
  const image: RunConfig = { Cmd: ["sh"], Volumes: { "/data": {}, "/srv/": {} } }
  expect(withImage({ image: "i", args: [], mounts: [{ kind: "tmpfs", target: "/srv" }] }, image).mounts).toEqual([
    { kind: "tmpfs", target: "/srv" },
    { kind: "volume", target: "/data" },
  ])
})
