// `postlane unknown list|accept|resend`.

import type { Pool } from "pg";
import { findCampaign } from "../../campaigns/campaign-store.ts";
import { parseCampaignId, printMessageId, type CampaignId, type MessageId } from "../../mail/ids.ts";
import { systemClock } from "../../platform/clock.ts";
import { acceptUnknown, resendUnknown } from "../../queue/control-messages.ts";
import { countUnknown, listUnknown, listUnknownIds, type UnknownListRow } from "../../reports/unknown-list-store.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, DASH, number, printCount, printSpan, printTable, printTime, text } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { readMessageId } from "./run-message.ts";
import { withDatabase } from "./with-database.ts";

export interface UnknownListOptions extends CommonOptions {
  readonly campaign?: string;
  readonly limit: number;
}

export interface UnknownDecisionOptions extends CommonOptions {
  readonly all?: boolean;
  readonly campaign?: string;
}

/** Of one transaction. */
const DECIDE_ROWS_MAX = 1000;

export async function runUnknownList(options: UnknownListOptions): Promise<number> {
  const output = createOutput(options);
  const { rows, total } = await withDatabase(readConfig(options), async (pool) => {
    const campaignId = await campaignIdOf(pool, options.campaign);
    const question = { campaignId, after: 0, rowsMax: options.limit };
    return { rows: await listUnknown(pool, question), total: await countUnknown(pool, campaignId) };
  });
  output.answer({ total, messages: rows.map(shapeRow) });
  if (rows.length === 0) output.print("no message is unknown");
  else for (const line of printTable(COLUMNS, rows.map(printRow))) output.print(line);
  if (rows.length < total) output.print(`${printCount(rows.length)} of ${printCount(total)}; --limit shows more`);
  return EXIT_DONE;
}

function shapeRow({ message_id, due_ms, at, ...row }: UnknownListRow): unknown {
  return {
    id: printMessageId(message_id),
    ...row,
    at: at?.toISOString() ?? null,
    resend_at: due_ms === null ? null : new Date(due_ms).toISOString(),
  };
}

const COLUMNS = [
  text("message"),
  text("lane"),
  text("campaign"),
  text("recipient"),
  number("attempt"),
  text("when"),
  text("what happens"),
  text("what the attempt said"),
];

function printRow(row: UnknownListRow): readonly string[] {
  const waitMs = row.due_ms === null ? null : row.due_ms - systemClock.wallMs();
  const next = waitMs === null ? "waits for you" : `sent again${waitMs > 0 ? ` in ${printSpan(waitMs)}` : " now"}`;
  return [
    printMessageId(row.message_id),
    row.lane,
    row.campaign ?? DASH,
    row.recipient,
    String(row.attempts),
    printTime(row.at?.toISOString() ?? null),
    next,
    [row.host, row.reply].filter(Boolean).join(": ") || DASH,
  ];
}

export async function runUnknownDecision(
  verb: "accept" | "resend",
  texts: readonly string[],
  options: UnknownDecisionOptions,
): Promise<number> {
  const ids = texts.map(readMessageId);
  refuseMixedUp(ids, options);
  const output = createOutput(options);
  const decide = verb === "accept" ? acceptUnknown : resendUnknown;
  return await withDatabase(readConfig(options), async (pool) => {
    const decided = options.all === true ? await decideAll(pool, decide, options) : await decide(pool, ids);
    const left = ids.filter((id) => !decided.includes(id));
    output.answer({ [`${verb}ed`]: decided.map(printMessageId), left: left.map(printMessageId) });
    const outcome = verb === "accept" ? "counted as sent" : "due again now";
    if (options.all === true || decided.length > 0) output.print(`${countOf(decided.length, "message")} ${outcome}`);
    for (const id of left)
      output.note(`${printMessageId(id)}: is not unknown (any more), or is being sent again right now`);
    return left.length === 0 ? EXIT_DONE : EXIT_FAILED;
  });
}

function refuseMixedUp(ids: readonly MessageId[], { all, campaign }: UnknownDecisionOptions): void {
  if (all === true && ids.length > 0) throw misused("Give ids or --all, not both.");
  if (all !== true && campaign !== undefined) throw misused("--campaign belongs to --all: give both.");
  if (all !== true && ids.length === 0)
    throw misused("Give ids of messages, or --all. `postlane unknown list` shows them.");
}

/** Each one once: what becomes unknown again meanwhile is a new question. */
async function decideAll(
  pool: Pool,
  decide: typeof acceptUnknown,
  options: UnknownDecisionOptions,
): Promise<readonly MessageId[]> {
  const campaignId = await campaignIdOf(pool, options.campaign);
  const total = await countUnknown(pool, campaignId);
  const progress = createProgress("decided", "message", createOutput(options));
  const decided: MessageId[] = [];
  let after = 0;
  for (;;) {
    const ids = await listUnknownIds(pool, { campaignId, after, rowsMax: DECIDE_ROWS_MAX });
    if (ids.length === 0) break;
    decided.push(...(await decide(pool, ids)));
    after = ids.at(-1)!;
    progress.update(decided.length, decided.length / total);
  }
  progress.end();
  return decided;
}

async function campaignIdOf(pool: Pool, name: string | undefined): Promise<CampaignId | undefined> {
  if (name === undefined) return undefined;
  const campaign = await findCampaign(pool, name, parseCampaignId(name));
  if (campaign === undefined) {
    throw new CommandFailure(
      "campaign_not_found",
      `There is no campaign "${name}". \`postlane campaign list\` shows them.`,
    );
  }
  return campaign.id;
}
