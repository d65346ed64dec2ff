import { expect, test } from "bun:test"
import { binarySize, decimalSize, humanSpan, parseBytes, parseCpus, parseSpan } from "./units.ts"

/** Each row: what is written, what it means; undefined: not understood. */
const rows = <A, B>(name: string, of: (given: A) => B, cases: readonly (readonly [A, NoInfer<B>])[]) => {
  for (const [given, expected] of cases)
    test(`${name}: ${given} is ${expected}`, () => expect(of(given)).toBe(expected))
}

rows<string, number | undefined>("memory", parseBytes, [
  ["0", 0],
  ["512", 512],
  ["512b", 512],
  ["64k", 65536],
  ["512m", 536870912],
  ["512M", 536870912],
  ["512mb", 536870912],
  ["512MiB", 536870912],
  ["1.5g", 1610612736],
  ["5 m", 5242880],
  ["1T", 1099511627776],
  ["", undefined],
  ["banana", undefined],
  ["-1", undefined],
  ["m", undefined],
  ["1.", undefined],
  ["1e3", undefined],
  ["5  m", undefined],
  ["12mm", undefined],
  ["9999999p", undefined],
])
rows("log size", (text: string) => parseBytes(text, 1000), [["10m", 10_000_000]])

rows("binary size", binarySize, [
  [0, "0B"],
  [512, "512B"],
  [1536, "1.5KiB"],
  [536870912, "512MiB"],
  [1610612736, "1.5GiB"],
  [8227540992, "7.662GiB"],
  [1023 * 1024, "1023KiB"],
])
rows("decimal size", decimalSize, [
  [0, "0B"],
  [999, "999B"],
  [187_300, "187kB"],
  [7_340_000, "7.34MB"],
  [1_500_000_000, "1.5GB"],
])

rows<string, number | undefined>("span", parseSpan, [
  ["0", 0],
  ["10s", 10_000],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  ["300ms", 300],
  ["-5m", -300_000],
  ["10", undefined],
  ["", undefined],
  ["s", undefined],
  ["1d", undefined],
  ["5m banana", undefined],
])

const SECOND = 1000
const HOUR = 3600 * SECOND
rows("human span", humanSpan, [
  [-5, "Less than a second"],
  [999, "Less than a second"],
  [1 * SECOND, "1 second"],
  [59 * SECOND, "59 seconds"],
  [60 * SECOND, "About a minute"],
  [119 * SECOND, "About a minute"],
  [120 * SECOND, "2 minutes"],
  [59 * 60 * SECOND, "59 minutes"],
  [HOUR, "About an hour"],
  [1.6 * HOUR, "2 hours"],
  [47 * HOUR, "47 hours"],
  [48 * HOUR, "2 days"],
  [13 * 24 * HOUR, "13 days"],
  [14 * 24 * HOUR, "2 weeks"],
  [60 * 24 * HOUR, "2 months"],
  [730 * 24 * HOUR, "2 years"],
])

rows<string, number | undefined>("cpus", parseCpus, [
  ["1.5", 1.5],
  [".5", 0.5],
  ["2", 2],
  ["0", 0],
  ["-1", undefined],
  ["1e3", undefined],
  ["0.0000000001", undefined],
  ["two", undefined],
  [".", undefined],
])
