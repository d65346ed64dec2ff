/**
 * What a layer has made until now: so that a name can be resolved without asking any disk.
 *
 *     lib -> usr/lib          entry lib/x       ──▶  usr/lib/x
 *     usr, usr/lib            entry a/b/c       ──▶  a/b/c, with a and a/b implied
 *
 * An archive may make a link and then put something behind it: that lands where it would inside the image, never outside, and the
 * executor gets a path without links. `..` of a link stops at the root, as in a chroot.
 *
 * Read on: layer-ops.ts. path_resolution(7).
 */

export type Made = "file" | "whiteout" | Directory | Link

export class Directory {
  readonly below = new Map<string, Made>()
  constructor(
    /** Nobody has said how it is to be: it is only the parent of something. */
    public implied: boolean,
  ) {}
}
export class Link {
  constructor(readonly target: string) {}
}

/** Where an entry goes. */
export interface Place {
  readonly parent: Directory
  /** "" for the root itself. */
  readonly name: string
  readonly path: string
  /** Parents that are not there yet, outermost first; `covers`: a whiteout was there. They have been added to the tree. */
  readonly implied: readonly { readonly path: string; readonly covers: boolean }[]
}

const MOST_LINKS = 40
const MOST_PATH = 4095

export class LayerTree {
  readonly root = new Directory(true)

  /**
   * Parts of a name as an archive gives it, cleaned: without `.`, with `..` taken back.
   * @returns undefined if it leads out.
   */
  static parts(name: string): string[] | undefined {
    const parts: string[] = []
    for (const part of name.split("/")) {
      if (part === "" || part === ".") continue
      if (part !== "..") parts.push(part)
      else if (parts.pop() === undefined) return undefined
    }
    return parts
  }

  /**
   * Follows links in all parts but the last; adds the parents that are missing.
   * @returns or why it cannot be.
   */
  place(parts: readonly string[], add = true): Place | string {
    const todo = parts.slice(0, -1).reverse()
    const path: string[] = []
    const way: Directory[] = [this.root]
    const implied: { path: string; covers: boolean }[] = []
    let links = 0
    while (todo.length > 0) {
      const part = todo.pop()!
      if (part === "" || part === ".") continue
      if (part === "..") {
        if (path.pop() !== undefined) way.pop()
        continue
      }
      const here = way.at(-1)!
      const there = here.below.get(part)
      if (there === "file") return `${[...path, part].join("/")} is no directory`
      if (there instanceof Link) {
        links += 1
        if (links > MOST_LINKS) return "too many links"
        if (there.target.startsWith("/")) path.length = way.length = 0
        if (way.length === 0) way.push(this.root)
        todo.push(...there.target.split("/").reverse())
        if (todo.length > MOST_PATH) return "too many links"
        continue
      }
      path.push(part)
      if (there instanceof Directory) {
        way.push(there)
        continue
      }
      const made = new Directory(true)
      if (add) here.below.set(part, made)
      implied.push({ path: path.join("/"), covers: there === "whiteout" })
      way.push(made)
    }
    const name = parts.at(-1) ?? ""
    const whole = [...path, name].join("/")
    if (whole.length > MOST_PATH) return "its name is too long"
    return { parent: way.at(-1)!, name, path: whole, implied }
  }
}
