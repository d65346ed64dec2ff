/**
 * All that the pure rooms know of the platform, besides the language itself. tsconfig.json beside this file compiles them
 * against this alone: there is no process, no fetch, no timer, no Buffer, no console, so none can be named.
 */

declare class TextEncoder {
  encode(text?: string): Uint8Array<ArrayBuffer>
}
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean })
  decode(bytes?: ArrayBufferView | ArrayBuffer): string
}

/** Text about paths: no file system behind it. */
declare module "node:path/posix" {
  export function join(...parts: string[]): string
  /** From an absolute path only: from any other it would ask the process where it is. */
  export function resolve(absolute: `/${string}`, ...parts: string[]): string
  export function normalize(path: string): string
  export function dirname(path: string): string
  export function basename(path: string, suffix?: string): string
  export function relative(from: string, to: string): string
  export function isAbsolute(path: string): boolean
}
