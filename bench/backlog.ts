// `backlog`: the hand-over rate must not depend on how much waits. Measured over the same number of messages, from the
// first one at the sink on, with a short and with a very long queue, of which most belongs to a paused campaign.

import { inScope } from "../test/rig/scope.ts";
import { startSmtpSink, type SmtpSink } from "../test/rig/smtp-sink.ts";
import type { BenchOptions, BenchReport } from "./bench-result.ts";
import { fillQueue, type Fill } from "./fill.ts";
import { startLaneRig } from "./lane-rig.ts";

const SMALL: readonly Fill[] = [{ campaign: "small", status: "running", rows: 20_000, destinations: 2_000 }];

const LARGE: readonly Fill[] = [
  { campaign: "paused", status: "paused", rows: 4_000_000, destinations: 200_000, largeDestinations: 50 },
  { campaign: "large", status: "running", rows: 1_000_000, destinations: 200_000, largeDestinations: 50 },
];
const LARGE_QUICK: readonly Fill[] = [
  { campaign: "paused", status: "paused", rows: 400_000, destinations: 20_000, largeDestinations: 50 },
  { campaign: "large", status: "running", rows: 100_000, destinations: 20_000, largeDestinations: 50 },
];
/** Messages that a run is timed over: nearly all of the small backlog, without its uneven end. */
const TIMED = 18_000;
const HAND_OVER_MS_MAX = 300_000;

interface BacklogFigures {
  readonly perS: number;
  readonly rssMbMax: number;
}

export async function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const small: BacklogFigures[] = [];
  const large: BacklogFigures[] = [];
  // Two runs of each, in turns: what else the machine does meanwhile hits both alike.
  for (const round of quick ? [1] : [1, 2]) {
    progress(`round ${round}: 20,000 rows over 2,000 destinations`);
    small.push(await measure(SMALL));
    progress(`round ${round}: ${quick ? "500,000 rows over 20,000" : "5,000,000 rows over 200,000"} destinations`);
    large.push(await measure(quick ? LARGE_QUICK : LARGE));
  }
  if (quick) small.push(await measure(SMALL));
  const smallPerS = mean(small.map((figures) => figures.perS));
  const largePerS = mean(large.map((figures) => figures.perS));
  return {
    figures: {
      small_per_s: Math.round(smallPerS),
      large_per_s: Math.round(largePerS),
      large_over_small: Math.round((largePerS / smallPerS) * 100) / 100,
      rss_mb_max: Math.max(...large.map((figures) => figures.rssMbMax)),
    },
    bars: [
      { key: "large_over_small", op: ">=", value: 0.9 },
      { key: "rss_mb_max", op: "<=", value: 200 },
    ],
    notes: [],
  };
}

function measure(fills: readonly Fill[]): Promise<BacklogFigures> {
  return inScope(async (scope) => {
    const sink = await startSmtpSink(scope);
    const rig = await startLaneRig(scope, { relay: sink });
    for (const fill of fills) await fillQueue(rig.database.pool, "bulk", fill);
    await rig.database.pool.query("VACUUM ANALYZE postlane.queue, postlane.message");
    await rig.database.pool.query("CHECKPOINT");
    const dispatcher = await rig.startDispatcher("bulk");
    const perS = await rateAt(sink);
    return { perS, rssMbMax: dispatcher.rssMbMax() };
  });
}

async function rateAt(sink: SmtpSink): Promise<number> {
  const first = await sink.waitForCount(1, HAND_OVER_MS_MAX);
  const startedAt = performance.now();
  const last = await sink.waitForCount(TIMED, HAND_OVER_MS_MAX);
  return ((last - first) * 1000) / (performance.now() - startedAt);
}

function mean(figures: readonly number[]): number {
  return figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
}
