import { expect, test } from "bun:test"
import type { RunConfig } from "../model/image.ts"
import { withChanges } from "./image-changes.ts"

const check = (lines: readonly string[], expected: RunConfig, before: RunConfig = {}) =>
  test(lines.join(" · "), () => expect(withChanges(before, lines)).toEqual(expected))

check(['CMD ["sh", "-c", "id"]'], { Cmd: ["sh", "-c", "id"] })
check(["cmd id -u"], { Cmd: ["/bin/sh", "-c", "id -u"] })
check(['ENTRYPOINT ["/e"]'], { Entrypoint: ["/e"] }, { Cmd: ["old"] })
check(['ENTRYPOINT ["/e"]', 'CMD ["new"]'], { Entrypoint: ["/e"], Cmd: ["new"] }, { Cmd: ["old"] })
check(['ENV A=1 B="two words" C=x\\ y'], { Env: ["Z=0", "A=1", "B=two words", "C=x y"] }, { Env: ["A=0", "Z=0"] })
check(["ENV A one two"], { Env: ["A=one two"] })
check(["LABEL a=1"], { Labels: { a: "1" } })
check(["EXPOSE 80 53/udp"], { ExposedPorts: { "80/tcp": {}, "53/udp": {} } })
check(['VOLUME ["/a b"]', "VOLUME /c /d"], { Volumes: { "/a b": {}, "/c": {}, "/d": {} } })
check(["USER web", "WORKDIR /srv", "STOPSIGNAL QUIT"], { User: "web", WorkingDir: "/srv", StopSignal: "QUIT" })
for (const line of ["RUN id", "CMD", "", 'ENV A="1', "ENV A=1 B", "__proto__ x"])
  test(`${line || "nothing"} is refused`, () =>
    expect(() => withChanges({}, [line])).toThrow("cannot change an image by"))
