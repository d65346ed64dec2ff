import { expect, test } from "bun:test"
import { classic } from "../../../test/bpf.ts"
import { Assembler, argument, decode, disassemble, encode, NUMBER } from "./classic.ts"

test("bytes and instructions are two ways to write the same", () => {
  const program = [
    { code: 0x20, jt: 0, jf: 0, k: 0 },
    { code: 0x15, jt: 255, jf: 1, k: 0xfffffffe },
    { code: 0x06, jt: 0, jf: 0, k: 0x7fff0000 },
  ]
  expect(encode(program).toHex()).toBe("2000000000000000" + "1500ff01feffffff" + "060000000000ff7f")
  expect(decode(encode(program))).toEqual(program)
})

test("a load of what A holds already is left out, on every way that leads there", () => {
  const out = new Assembler()
  const [first, second, third] = [out.label(), out.label(), out.label()]
  out.load(NUMBER)
  out.jump("ge", 10, first, second)
  out.place(second)
  out.load(NUMBER)
  out.jump("eq", 3, out.returning(1), third)
  out.place(first)
  out.loadMasked(argument(0, "low"), 0xff)
  out.jump("set", 1, out.returning(2), third)
  // Here A is the number or the masked argument: nobody knows.
  out.place(third)
  out.load(NUMBER)
  out.jump("gt", 5, out.returning(1), out.returning(2))
  expect(`\n${disassemble(encode(out.instructions()))}`).toBe(`
  0  A = number
  1  if A >= 0xa goto 3 else 2
  2  if A == 0x3 goto 8 else 6
  3  A = arg0
  4  A &= 0xff
  5  if A & 0x1 goto 9 else 6
  6  A = number
  7  if A > 0x5 goto 8 else 9
  8  return 0x1
  9  return 0x2`)
})

test("targets that are too far away are reached, in both directions of every test", () => {
  const out = new Assembler()
  const far = Array.from({ length: 600 }, () => out.label())
  out.load(NUMBER)
  // Each number jumps to its own block behind all the tests, 600 instructions away.
  far.forEach((label, number) => {
    const next = out.label()
    if (number % 2) out.jump("eq", number, label, next)
    else out.jump("gt", number, next, label)
    out.place(next)
  })
  out.jump("eq", 0, out.returning(0), out.returning(0))
  far.forEach((label, number) => {
    out.place(label)
    out.jump("eq", number, out.returning(1000 + number), out.returning(1))
  })
  const run = classic(encode(out.instructions()))
  const odd = Array.from({ length: 300 }, (_, index) => 2 * index + 1)
  expect(run({ number: 0, architecture: 0 })).toBe(1000)
  // Odd numbers pass all tests "above N" before their own, and find it.
  expect(odd.map((number) => run({ number, architecture: 0 }))).toEqual(odd.map((number) => 1000 + number))
  expect(run({ number: 601, architecture: 0 })).toBe(0)
})

test("a label that nobody places is a mistake", () => {
  const out = new Assembler()
  out.jump("eq", 0, out.label(), out.returning(0))
  expect(() => out.instructions()).toThrow("label 0 lies before the jump to it, or nowhere")
})
