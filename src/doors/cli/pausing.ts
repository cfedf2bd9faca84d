// What `postlane outlet pause|resume` and `postlane destination pause|resume` have in common: one row, and what is said
// of it. Resuming also says how many messages a rule has held meanwhile, since those go on only when somebody says so.

import type { Pool } from "pg";
import type { LaneId } from "../../mail/ids.ts";
import { tellReason } from "../../mail/reasons.ts";
import { listLanes } from "../../queue/lane-store.ts";
import { EVERY_LANE, listPauses, pauseTarget, resumeTarget, type PauseRow } from "../../queue/pause-store.ts";
import { readReason } from "../../reports/explain-pulse.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { countHeldByRule } from "./held-by-rule.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { harmless, printCount, printTime } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export interface PauseOptions extends CommonOptions {
  readonly lane?: string;
}

interface Named {
  readonly kind: PauseRow["kind"];
  readonly name: string;
}

export async function pauseNamed({ kind, name }: Named, options: PauseOptions): Promise<number> {
  const output = createOutput(options);
  const before = await withDatabase(readConfig(options), async (pool) => {
    const laneId = await laneIdOf(pool, options.lane);
    if (await pauseTarget(pool, { kind, name, laneId })) return undefined;
    return (await listPauses(pool)).find((row) => row.kind === kind && row.name === name && row.lane_id === laneId);
  });
  output.answer({ [kind]: name, lane: options.lane ?? null, is_paused: true, was_paused: before !== undefined });
  if (before === undefined) output.print(`${titleOf({ kind, name }, options)} is paused; in force within a second`);
  else output.print(`${titleOf({ kind, name }, options)} is paused already: ${whoPaused(before)}`);
  return EXIT_DONE;
}

export async function resumeNamed({ kind, name }: Named, options: PauseOptions): Promise<number> {
  const output = createOutput(options);
  const { rows, held, isMore } = await withDatabase(readConfig(options), async (pool) => {
    const laneId = await laneIdOf(pool, options.lane);
    const resumed = await resumeTarget(pool, { kind, name, laneId });
    if (resumed.length === 0) await refuseIfOtherwisePaused(pool, { kind, name }, options);
    const question = { ...(laneId === EVERY_LANE ? {} : { laneId }), [kind]: name };
    return { rows: resumed, ...(await countHeldByRule(pool, question)) };
  });
  output.answer({ [kind]: name, lane: options.lane ?? null, is_paused: false, was_paused: rows.length > 0, held });
  const title = titleOf({ kind, name }, options);
  output.print(rows.length === 0 ? `${title} was not paused` : `${title} is resumed; in force within a second`);
  if (held > 0) output.print(heldLine({ kind, name }, options, `${isMore ? "at least " : ""}${printCount(held)}`));
  return EXIT_DONE;
}

function heldLine({ kind, name }: Named, { lane }: PauseOptions, count: string): string {
  const release = `postlane message release --${kind} ${name}${lane === undefined ? "" : ` --lane ${lane}`}`;
  return `${count} messages that were refused by policy are held: \`${release}\` lets them go`;
}

async function refuseIfOtherwisePaused(pool: Pool, { kind, name }: Named, { lane }: PauseOptions): Promise<void> {
  const rows = (await listPauses(pool)).filter((row) => row.kind === kind && row.name === name);
  if (lane === undefined || !rows.some((row) => row.lane_id === EVERY_LANE)) return;
  throw new CommandFailure(
    "paused_for_every_lane",
    `The ${kind} ${name} is paused for every lane, and cannot be resumed for ${lane} alone. Resume it without --lane.`,
  );
}

export async function laneIdOf(pool: Pool, lane: string | undefined): Promise<LaneId> {
  if (lane === undefined) return EVERY_LANE;
  const lanes = await listLanes(pool);
  const found = lanes.find(({ name }) => name === lane);
  if (found !== undefined) return found.id;
  const names = lanes.map(({ name }) => name).join(", ");
  throw new CommandFailure("lane_unknown", `There is no lane "${lane}". Lanes: ${names}.`);
}

function titleOf({ kind, name }: Named, { lane }: PauseOptions): string {
  return `${kind} ${name}${lane === undefined ? "" : ` in lane ${lane}`}`;
}

function whoPaused({ paused_at, reason }: PauseRow): string {
  const since = `since ${printTime(paused_at.toISOString())}`;
  const read = readReason(reason);
  if (reason === null) return `by a person, ${since}`;
  return `by a rule, ${since}${read === undefined ? "" : `: ${harmless(tellReason(read))}`}`;
}
