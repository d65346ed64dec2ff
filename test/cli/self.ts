/** Prints the argv that starts this very script again, as a command would hand it to the executor. */

import { stdio } from "../../src/cli/io.ts"

const io = stdio()
io.print(JSON.stringify(io.self))
