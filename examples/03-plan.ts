/**
 * A container is a plan: ask for it, and look at it as a value. Nothing on this machine changes.
 *
 *     node examples/03-plan.ts [ROOTFS]
 *
 * prints:
 *     it changes its root: pivot
 *     the last thing: exec
 *     every step says why: true
 */

import { open } from "minicontainer"

const engine = await open()
const { plan } = await engine.explain({ rootfs: process.argv[2] ?? "/", args: ["sh"] })
const inside = plan.steps.filter(({ phase }) => phase === "child" || phase === "start")
const say = (line: string) => process.stdout.write(`${line}\n`)
say(`it changes its root: ${inside.find(({ op }) => op === "pivot")?.op}`)
say(`the last thing: ${inside.at(-1)?.op}`)
say(`every step says why: ${plan.steps.every(({ why }) => why.length > 0)}`)
