// How returns fare, for reports and metrics: what was made of the notices of the last day, how many returns wait to be
// judged, how many hand-overs nobody confirmed. Reads only, and bounded however much came in.

import type { Queryable } from "../postgres/statement.ts";
import { countJudged, countWaiting } from "./return-store.ts";
import { countUnaccounted } from "./unaccounted-store.ts";

export interface ReturnFigures {
  /** Notices judged in the last day, by what was made of them (docs/reference/returns.md). */
  readonly judged: Readonly<Record<string, number>>;
  /** Returns of any kind that are not judged yet; at most 100,000 are counted. */
  readonly waiting: number;
  /** How long the oldest of them has been due. */
  readonly late_ms: number;
  /** Hand-overs that were never confirmed, by outlet. */
  readonly unaccounted: Readonly<Record<string, number>>;
}

const DAY_MS = 86_400_000;

export async function readReturnFigures(on: Queryable): Promise<ReturnFigures> {
  const judged = await countJudged(on, DAY_MS);
  const { waiting, late_ms } = await countWaiting(on);
  const unaccounted = await countUnaccounted(on);
  return {
    judged: Object.fromEntries(judged.map(({ judgement, n }) => [judgement, n])),
    waiting,
    late_ms: late_ms ?? 0,
    unaccounted: Object.fromEntries(unaccounted.map(({ outlet, n }) => [outlet, n])),
  };
}
