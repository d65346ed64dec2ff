/** The tour of README.md, played. Read on: tour.ts. */

import { afterAll } from "bun:test"
import { newMachine } from "../machine.ts"
import { playTour } from "./tour.ts"

const machine = newMachine()
afterAll(() => machine[Symbol.dispose]())

playTour("README.md", machine)
