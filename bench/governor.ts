// `governor`: bulk through a real Postfix whose next hop takes 50 ms for each message: governed by an agent's readings,
// and pushed in as fast as it is taken. Its working queue (incoming and active) is counted five times a second, and
// while the governed run is under way the campaign is paused once, to see what that leaves in the relay.

import { readdirSync } from "node:fs";
import path from "node:path";
import { postfixLack, startPostfix, type Postfix } from "../test/rig/postfix.ts";
import { inScope } from "../test/rig/scope.ts";
import type { BenchOptions, BenchReport } from "./bench-result.ts";
import { startDelaySink, type DelaySink } from "./delay-sink.ts";
import { fillQueue } from "./fill.ts";
import { startLaneRig, type LaneRig } from "./lane-rig.ts";
import { quantile, round } from "./quantile.ts";

const FULL = { messages: 20_000, horizonS: 5 };
/** The horizon is shorter, too: a run of a few seconds knows no steady state of five. */
const QUICK = { messages: 2_500, horizonS: 2 };
type Sizes = typeof FULL;
const NEXT_HOP_MS = 50;
/** Deliveries at the same time: with 50 ms each, some 200 a second, which Postfix takes in several times as fast. */
const DELIVERIES = 10;
const LOOK_MS = 200;
const RUN_MS_MAX = 900_000;
/** When a pause is looked at: orders are in force within half a second. */
const PAUSE_MS = 1_000;
const PAUSE_AT_SHARE = 0.6;

export function run({ quick, progress }: BenchOptions): Promise<BenchReport> {
  const lack = postfixLack();
  if (lack !== undefined) throw new Error(`this benchmark needs ${lack}`);
  const sizes = quick ? QUICK : FULL;
  return (async () => {
    progress(`governed: ${sizes.messages} messages, horizon ${sizes.horizonS} s`);
    const governed = await runOnce(sizes, true);
    progress("pushed in ungoverned");
    const ungoverned = await runOnce(sizes, false);
    return report(governed, ungoverned);
  })();
}

interface Run {
  readonly perS: number;
  readonly queue: readonly number[];
  readonly targets: readonly number[];
  readonly leftAfterPause: number;
}

function report(governed: Run, ungoverned: Run): BenchReport {
  const target = quantile(governed.targets, 0.5);
  const queueMax = Math.max(...governed.queue);
  return {
    figures: {
      target: Math.round(target),
      queue_p95: quantile(governed.queue, 0.95),
      queue_max: queueMax,
      max_over_target: round(queueMax / target),
      ungoverned_max_over_target: round(Math.max(...ungoverned.queue) / target),
      governed_per_s: Math.round(governed.perS),
      ungoverned_per_s: Math.round(ungoverned.perS),
      governed_over_ungoverned: round(governed.perS / ungoverned.perS),
      left_in_relay_after_pause: governed.leftAfterPause,
      left_over_target: round(governed.leftAfterPause / target),
    },
    bars: [
      { key: "ungoverned_max_over_target", op: ">=", value: 4 },
      { key: "max_over_target", op: "<=", value: 1.25 },
      { key: "governed_over_ungoverned", op: ">=", value: 0.95 },
      { key: "left_over_target", op: "<=", value: 1 },
    ],
    notes: ["target is the median over the run; the relay is looked at a second after the pause."],
  };
}

function runOnce({ messages, horizonS }: Sizes, isGoverned: boolean): Promise<Run> {
  return inScope(async (scope) => {
    const sink = await startDelaySink(scope, NEXT_HOP_MS);
    const postfix = await startPostfix(scope, {
      relayTo: sink,
      mainCf: { smtp_destination_concurrency_limit: String(DELIVERIES), in_flow_delay: "0s" },
    });
    const gauge = [`horizon: "${horizonS} s"`, `gauge: { type: postfix, config_dir: ${postfix.configDir} }`];
    const rig = await startLaneRig(scope, { relay: postfix, outlet: isGoverned ? gauge : [] });
    await fillQueue(rig.database.pool, "bulk", {
      campaign: "news",
      status: "paused",
      rows: messages,
      destinations: 100,
    });
    if (isGoverned) await rig.startAgent("default");
    await rig.startDispatcher("bulk");
    return await measure(rig, postfix, sink, messages, isGoverned);
  });
}

async function measure(
  rig: LaneRig,
  postfix: Postfix,
  sink: DelaySink,
  messages: number,
  isGoverned: boolean,
): Promise<Run> {
  const queue: number[] = [];
  const targets: number[] = [];
  let leftAfterPause = 0;
  let isPauseDue = isGoverned;
  const startedAt = performance.now();
  await setStatus(rig, "running");
  for (;;) {
    const delivered = await sink.count();
    const passedMs = performance.now() - startedAt;
    if (delivered >= messages) {
      return { perS: (messages * 1000) / passedMs, queue, targets, leftAfterPause };
    }
    if (passedMs > RUN_MS_MAX) throw new Error(`${delivered} of ${messages} were delivered in ${RUN_MS_MAX / 1000} s`);
    queue.push(workingQueue(postfix));
    if (isGoverned) targets.push(...(await targetNow(rig)));
    if (isPauseDue && delivered >= PAUSE_AT_SHARE * messages) {
      isPauseDue = false;
      await setStatus(rig, "paused");
      await sleep(PAUSE_MS);
      leftAfterPause = workingQueue(postfix);
      await setStatus(rig, "running");
    }
    await sleep(LOOK_MS);
  }
}

/** Each file once: what moves from incoming to active meanwhile has the same name. */
function workingQueue({ queueDir }: Postfix): number {
  return new Set(["incoming", "active"].flatMap((name) => readdirSync(path.join(queueDir, name)))).size;
}

async function targetNow({ database }: LaneRig): Promise<readonly number[]> {
  const { rows } = await database.pool.query(
    "SELECT (state #>> '{relay,target}')::float8 AS target FROM postlane.verdict",
  );
  return rows.flatMap(({ target }) => (target === null ? [] : [target as number]));
}

async function setStatus(rig: LaneRig, status: string): Promise<void> {
  await rig.database.pool.query("UPDATE postlane.campaign SET status = $1", [status]);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
