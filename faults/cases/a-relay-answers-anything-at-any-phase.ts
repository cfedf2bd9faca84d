// A relay that answers anything at any phase: each cell of the relay matrix (docs/reference/relay-matrix.md)
// against the real client and the real judge.

import type { Fault } from "../fault.ts";
import { dialoguesOf, runCell, type Dialogue } from "../rig/relay-cell.ts";
import { allCells, type Cell } from "../rig/relay-matrix.ts";
import { createTally, type Tally } from "../rig/tally.ts";

const CELLS = allCells();
/** Each has a relay of its own, and all share one event loop. */
const AT_ONCE = 32;

export const fault: Fault = {
  promises: ["apart", "unknown"],
  what: "A relay that answers, at each phase, with any code, too late, twice, in pieces, with junk, or not at all",
  unit: "cells",
  small: CELLS.length,
  full: CELLS.length,
  async run({ runs, say }) {
    const tally = createTally();
    const waiting = CELLS.slice(0, runs);
    const work = async (): Promise<void> => {
      for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) await tryCell(cell, tally);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    say("every cell was tried");
    return tally.outcome();
  },
};

async function tryCell(cell: Cell, tally: Tally): Promise<void> {
  for (const dialogue of dialoguesOf(cell)) {
    for (const sentence of await complaintsOf(cell, dialogue))
      tally.complain(`${cell.phase}, ${cell.behaviour} (${dialogue}): ${sentence}`);
  }
  tally.ran();
}

async function complaintsOf(cell: Cell, dialogue: Dialogue): Promise<readonly string[]> {
  try {
    const { result, connection, complaints } = await runCell(cell, dialogue);
    return [
      ...(result === cell.result ? [] : [`the message is ${result}, and should be ${cell.result}`]),
      ...(connection === cell.connection ? [] : [`the connection ${connection}, and it should be: ${cell.connection}`]),
      ...complaints,
    ];
  } catch (error) {
    return [(error as Error).message];
  }
}
