// `postlane unaccounted list|resend`.

import type { Pool } from "pg";
import { printMessageId, type MessageId } from "../../mail/ids.ts";
import type { Config } from "../../platform/config.ts";
import { listLanes } from "../../queue/lane-store.ts";
import { countUnaccounted, listUnaccounted, type UnaccountedRow } from "../../returns/unaccounted-store.ts";
import { resendUnaccounted } from "../../returns/unaccounted.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, number, printCount, printTable, printTime, text } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { readMessageId } from "./run-message.ts";
import { withDatabase } from "./with-database.ts";

export interface UnaccountedListOptions extends CommonOptions {
  readonly outlet?: string;
  readonly limit: number;
}

export interface UnaccountedResendOptions extends CommonOptions {
  readonly outlet?: string;
  readonly yes?: boolean;
}

/** Of one transaction. */
const RESEND_ROWS_MAX = 1000;

export async function runUnaccountedList(options: UnaccountedListOptions): Promise<number> {
  const output = createOutput(options);
  const { outlet, limit } = options;
  const { rows, total } = await withDatabase(readConfig(options), async (pool) => {
    return {
      rows: await listUnaccounted(pool, { outlet, after: 0, rowsMax: limit }),
      total: await totalOf(pool, outlet),
    };
  });
  output.answer({ total, messages: rows.map(shapeRow) });
  if (rows.length === 0) output.print("every hand-over is accounted for, or still has time");
  else for (const line of printTable(COLUMNS, rows.map(printRow))) output.print(line);
  if (rows.length < total) output.print(`${printCount(rows.length)} of ${printCount(total)}; --limit shows more`);
  return EXIT_DONE;
}

async function totalOf(pool: Pool, outlet: string | undefined): Promise<number> {
  const counts = await countUnaccounted(pool);
  return counts.filter((count) => outlet === undefined || count.outlet === outlet).reduce((sum, { n }) => sum + n, 0);
}

function shapeRow({ message_id, sent_at, found_at, ...row }: UnaccountedRow): unknown {
  return { id: printMessageId(message_id), ...row, sent_at: sent_at.toISOString(), found_at: found_at.toISOString() };
}

const COLUMNS = [
  text("message"),
  text("outlet"),
  text("recipient"),
  number("attempt"),
  text("sent"),
  text("given up on"),
];

function printRow(row: UnaccountedRow): readonly string[] {
  return [
    printMessageId(row.message_id),
    row.outlet,
    row.recipient,
    String(row.attempt),
    printTime(row.sent_at.toISOString()),
    printTime(row.found_at.toISOString()),
  ];
}

export async function runUnaccountedResend(
  texts: readonly string[],
  options: UnaccountedResendOptions,
): Promise<number> {
  const ids = texts.map(readMessageId);
  if (options.outlet !== undefined && ids.length > 0) throw misused("Give ids or --outlet, not both.");
  if (options.outlet === undefined && ids.length === 0) {
    throw misused("Give ids of messages, or --outlet. `postlane unaccounted list` shows them.");
  }
  const config = readConfig(options);
  const output = createOutput(options);
  return await withDatabase(config, async (pool) => {
    await refuseUnlessAccepted(pool, ids, options);
    const resent = await resendAll(pool, config, ids, options);
    const left = ids.filter((id) => !resent.includes(id));
    output.answer({ resent: resent.map(printMessageId), left: left.map(printMessageId) });
    output.print(`${countOf(resent.length, "message")} due again now`);
    for (const id of left) output.note(`${printMessageId(id)}: is not unaccounted for (any more)`);
    return left.length === 0 ? EXIT_DONE : EXIT_FAILED;
  });
}

async function refuseUnlessAccepted(
  pool: Pool,
  ids: readonly MessageId[],
  { outlet, yes }: UnaccountedResendOptions,
): Promise<void> {
  if (yes === true) return;
  const count = outlet === undefined ? ids.length : await totalOf(pool, outlet);
  throw new CommandFailure(
    "not_accepted",
    `${countOf(count, "message")} would be sent again, and whoever has it already gets a second copy. ` +
      "Give --yes to accept that.",
  );
}

/** Each one once: what is found unaccounted meanwhile is a new question. */
async function resendAll(
  pool: Pool,
  config: Config,
  ids: readonly MessageId[],
  options: UnaccountedResendOptions,
): Promise<readonly MessageId[]> {
  const names = new Map((await listLanes(pool)).map((row) => [row.id, row.name]));
  const laneSettingsOf: Parameters<typeof resendUnaccounted>[2] = (id) =>
    config.lanes[names.get(id) ?? "bulk"] ?? config.lanes["bulk"]!;
  if (options.outlet === undefined) return await resendUnaccounted(pool, ids, laneSettingsOf);
  const total = await totalOf(pool, options.outlet);
  const progress = createProgress("due again", "message", createOutput(options));
  const resent: MessageId[] = [];
  let after = 0;
  for (;;) {
    const rows = await listUnaccounted(pool, { outlet: options.outlet, after, rowsMax: RESEND_ROWS_MAX });
    if (rows.length === 0) break;
    const slice = rows.map((row) => row.message_id);
    resent.push(...(await resendUnaccounted(pool, slice, laneSettingsOf)));
    after = slice.at(-1)!;
    progress.update(resent.length, resent.length / total);
  }
  progress.end();
  return resent;
}
