/**
 * Shapes: what a value that came from outside must look like, written as rows.
 *
 *     record({ uid: uint32, gid: uint32, umask: uint32 }, ["uid", "gid"])
 *
 * A shape is a value, and one walker holds any value against any shape. It follows the shape, not the value: what a shape
 * does not name is neither looked at nor removed, so a hostile value decides neither depth nor work.
 *
 * Read on: guards.ts, the shape of a config.json.
 */

export type Shape =
  | { readonly kind: "text"; readonly form?: RegExp; readonly says?: string }
  | { readonly kind: "word"; readonly among: readonly string[] }
  | {
      readonly kind: "number"
      readonly least: number
      readonly most: number
      readonly whole: boolean
      readonly says: string
    }
  | { readonly kind: "flag" }
  | { readonly kind: "list"; readonly of: Shape; readonly least: number }
  /** Any keys, one shape of value. */
  | { readonly kind: "map"; readonly of: Shape }
  | { readonly kind: "record"; readonly fields: Readonly<Record<string, Shape>>; readonly required: readonly string[] }

export const text: Shape = { kind: "text" }
/** @param says completes "is not …". */
export const form = (form: RegExp, says: string): Shape => ({ kind: "text", form, says })
export const word = (...among: readonly string[]): Shape => ({ kind: "word", among })
export const flag: Shape = { kind: "flag" }
export const list = (of: Shape, least = 0): Shape => ({ kind: "list", of, least })
export const map = (of: Shape): Shape => ({ kind: "map", of })
export const record = (fields: Readonly<Record<string, Shape>>, required: readonly string[] = []): Shape => ({
  kind: "record",
  fields,
  required,
})
/** @param says the range as people read it; a double cannot spell the largest ones. */
export const whole = (least: number, most: number, says = `${least} to ${most}`): Shape => ({
  kind: "number",
  least,
  most,
  whole: true,
  says,
})
export const decimal: Shape = {
  kind: "number",
  least: -Number.MAX_VALUE,
  most: Number.MAX_VALUE,
  whole: false,
  says: "",
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The value in a sentence, short: texts from outside may be long or hold anything. */
export const shown = (value: string): string => JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}...` : value)

/**
 * Holds a value against a shape.
 * @param path where the value stands, for the answer: `process.user`. Empty at the top.
 * @returns the first thing that is wrong, as a clause that begins with the field's path: `process.user.uid is not a whole
 *   number from 0 to 4294967295`; undefined if nothing is.
 */
export function mismatch(shape: Shape, value: unknown, path = ""): string | undefined {
  const subject = path === "" ? "the document" : path
  switch (shape.kind) {
    case "text":
      if (typeof value !== "string") return `${subject} is not a text`
      // No argument of a system call can hold one: the kernel would see the text cut short.
      if (value.includes("\0")) return `${subject} holds a NUL byte`
      if (shape.form && !shape.form.test(value)) return `${subject} is ${shown(value)}, not ${shape.says}`
      return
    case "word":
      if (typeof value !== "string") return `${subject} is not a text`
      return shape.among.includes(value)
        ? undefined
        : `${subject} is ${shown(value)}, none of ${shape.among.join(", ")}`
    case "number": {
      const fits =
        typeof value === "number" &&
        value >= shape.least &&
        value <= shape.most &&
        (!shape.whole || Number.isInteger(value))
      if (fits) return
      return `${subject} is not a ${shape.whole ? "whole " : ""}number${shape.says ? ` from ${shape.says}` : ""}`
    }
    case "flag":
      return typeof value === "boolean" ? undefined : `${subject} is neither true nor false`
    case "list": {
      if (!Array.isArray(value)) return `${subject} is not a list`
      if (value.length < shape.least) return `${subject} is empty`
      for (const [index, item] of value.entries()) {
        const wrong = mismatch(shape.of, item, `${path}[${index}]`)
        if (wrong) return wrong
      }
      return
    }
    case "map": {
      if (!isRecord(value)) return `${subject} is not an object`
      for (const [key, item] of Object.entries(value)) {
        const at = /^\w+$/.test(key) ? `${path}.${key}` : `${path}[${shown(key)}]`
        const wrong = key.includes("\0") ? `${at} holds a NUL byte` : mismatch(shape.of, item, at)
        if (wrong) return wrong
      }
      return
    }
    case "record": {
      if (!isRecord(value)) return `${subject} is not an object`
      const at = (name: string): string => (path === "" ? name : `${path}.${name}`)
      for (const name of shape.required)
        if (!Object.hasOwn(value, name) || value[name] === undefined) return `${at(name)} is missing`
      for (const [name, field] of Object.entries(shape.fields)) {
        if (!Object.hasOwn(value, name) || value[name] === undefined) continue
        const wrong = mismatch(field, value[name], at(name))
        if (wrong) return wrong
      }
      return
    }
  }
}
