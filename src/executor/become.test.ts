import { expect, test } from "bun:test"
import { execFileSync, spawnSync } from "node:child_process"
import { become } from "./become.ts"

const here = JSON.stringify(new URL("./become.ts", import.meta.url).pathname)
const script = (call: string) => ["-e", `import { become } from ${here}\n${call}`]

test("the process is replaced: same pid, and the program's exit status", () => {
  const command = `echo $$; exit 7`
  const { pid, stdout, status } = spawnSync(
    process.execPath,
    script(`become("/bin/sh", ["-c", ${JSON.stringify(command)}])`),
    { encoding: "utf8" },
  )
  expect({ stdout, status }).toEqual({ stdout: `${pid}\n`, status: 7 })
})
test("a signal ends it as any program", () => {
  expect(spawnSync(process.execPath, script(`become("/bin/sh", ["-c", "kill -TERM $$"])`)).signal).toBe("SIGTERM")
})
test("only the standard streams are handed over", () => {
  const fds = execFileSync(process.execPath, script(`become("/bin/ls", ["/proc/self/fd"])`), { encoding: "utf8" })
  // 3 is the directory that ls has open.
  expect(fds).toBe("0\n1\n2\n3\n")
})
test("what cannot be executed is an error, not the end of the process", () => {
  expect(() => become("/etc/passwd", [])).toThrow("cannot become the executor /etc/passwd: EACCES")
})
