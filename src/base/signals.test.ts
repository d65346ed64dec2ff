import { expect, test } from "bun:test"
import { constants } from "node:os"
import { signalName, signalNumber } from "./signals.ts"

test("every name that this system knows has its number", () => {
  for (const [name, number] of Object.entries(constants.signals))
    expect(`${name} ${signalNumber(name)}`).toBe(`${name} ${number}`)
})
test("a name goes to its number and back", () => {
  for (let number = 1; number <= 64; number++)
    if (number < 32 || number > 33) expect(signalNumber(signalName(number))).toBe(number)
})
const check = (text: string, number: number) =>
  test(`"${text}" is ${number}`, () => expect(signalNumber(text)).toBe(number))
check("15", 15)
check("TERM", 15)
check("sigterm", 15)
check("SIGPOLL", 29)
check("SIGRTMIN", 34)
check("RTMIN+3", 37)
check("SIGRTMAX-1", 63)

for (const text of ["", "0", "65", "99", "-9", "SIG", "TERMINATE", "RTMAX+1", "RTMIN-1", "1.5", "32"])
  test(`"${text}" is refused`, () =>
    expect(() => signalNumber(text)).toThrow(
      `cannot read the signal "${text}": it is neither a name like SIGTERM nor a number from 1 to 64`,
    ))
