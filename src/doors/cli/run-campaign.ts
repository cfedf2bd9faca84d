// `postlane campaign status|list|pause|resume|cancel`. Pausing, resuming and canceling write one row; canceling then
// counts what waited, which the front would do as well.

import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import { findCampaign, listCampaigns, type CampaignRow, type CampaignStatus } from "../../campaigns/campaign-store.ts";
import { controlCampaign, POSSIBLE, type Order } from "../../campaigns/control-campaign.ts";
import { tellCanary } from "../../campaigns/judge-canary.ts";
import { parseCampaignId, printCampaignId } from "../../mail/ids.ts";
import { STATES } from "../../mail/state.ts";
import { printDuration, printRate } from "../../platform/quantities.ts";
import {
  paceBetween,
  reportCampaigns,
  reportWaves,
  type CampaignReport,
  type CanaryReport,
  type Pace,
  type WaveReport,
} from "../../reports/campaign-report.ts";
import { sweepCanceled } from "../../upkeep/sweep.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf, number, printCount, printPerSecond, printSpan, printTable, printTime, text } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { watch, type Look } from "./watching.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignStatusOptions extends CommonOptions {
  readonly rate: boolean;
  readonly watch?: boolean;
}

const RATE_OVER_MS = 1000;
const SWEEP_LOOK_MS = 200;

export async function runCampaignStatus(name: string, options: CampaignStatusOptions): Promise<number> {
  const output = createOutput(options);
  return await withDatabase(readConfig(options), async (pool) => {
    if (options.watch === true) return await watch(output, watchCampaign(pool, name, options));
    const first = await lookAt(pool, name);
    if (options.rate && isMoving(first)) await sleep(RATE_OVER_MS);
    const { answer, lines } = told(options.rate && isMoving(first) ? await lookAt(pool, name, first) : first);
    output.answer(answer);
    for (const line of lines) output.print(line);
    return EXIT_DONE;
  });
}

interface CampaignLook {
  readonly report: CampaignReport;
  readonly waves: readonly WaveReport[];
  readonly atMs: number;
  /** Since an earlier look; undefined: there was none, or nothing of it is to go out. */
  readonly pace: Pace | undefined;
}

async function lookAt(pool: Pool, name: string, before?: CampaignLook): Promise<CampaignLook> {
  const campaign = await campaignNamed(pool, name);
  const report = await reportOne(pool, campaign);
  const waves = await reportWaves(pool, campaign);
  const atMs = performance.now();
  const isPaced = before !== undefined && isMoving(before);
  const pace = isPaced ? paceBetween(before.report.books, report.books, atMs - before.atMs) : undefined;
  return { report, waves, atMs, pace };
}

function isMoving({ report }: Pick<CampaignLook, "report">): boolean {
  return report.status === "running" && report.books.states.queued > 0;
}

function watchCampaign(pool: Pool, name: string, { rate }: CampaignStatusOptions): () => Promise<Look> {
  let last: CampaignLook | undefined;
  return async () => {
    last = await lookAt(pool, name, rate ? last : undefined);
    const { status, books } = last.report;
    return { ...told(last), isOver: status === "finished" || (status === "canceled" && books.waiting === 0) };
  };
}

function told({ report, waves, pace }: CampaignLook): Look {
  return { answer: { ...report, ...pace, waves }, lines: printReport(report, waves, pace) };
}

async function reportOne(pool: Pool, campaign: CampaignRow): Promise<CampaignReport> {
  const [report] = await reportCampaigns(pool, [campaign]);
  return report!;
}

function printReport(report: CampaignReport, waves: readonly WaveReport[], pace: Pace | undefined): readonly string[] {
  const { books } = report;
  const states = STATES.filter((state) => books.states[state] !== 0).map((state) => [
    state,
    printCount(books.states[state]),
  ]);
  return [
    `${report.name} (${report.id}), lane ${report.lane}${report.list === null ? "" : `, list ${report.list}`}: ${report.status}`,
    `created ${printTime(report.created_at)}, started ${printTime(report.started_at)}`,
    ...(report.canceled_at === null ? [] : [`canceled ${printTime(report.canceled_at)}`]),
    ...(report.version === 1 ? [] : [`version ${report.version} of its template`]),
    ...(report.no_unsubscribe === null ? [] : [`nobody can unsubscribe from it: ${report.no_unsubscribe}`]),
    ...printSteering(report),
    "",
    ...printTable([text("state"), number("messages")], [...states, ["accepted", printCount(books.accepted)]]),
    ...(report.unmade === 0 ? [] : [`${countOf(report.unmade, "recipient")} of these have no message yet`]),
    ...(report.rejected === 0 ? [] : [`${countOf(report.rejected, "row")} of the list rejected`]),
    ...printWaves(waves),
    ...(pace === undefined ? [] : ["", paceLine(pace)]),
  ];
}

/** What holds it back by a person's wish, and what has stopped it. */
function printSteering({ paused_because, pace_per_s, canary }: CampaignReport): readonly string[] {
  return [
    ...(paused_because === null
      ? []
      : [
          `paused by its canary: ${tellCanary(paused_because)}`,
          "look at what failed; `campaign resume` goes on with all",
        ]),
    ...(pace_per_s === null ? [] : [`pace ${printRate(pace_per_s)}`]),
    ...(canary === null || paused_because !== null ? [] : [canaryLine(canary)]),
  ];
}

function canaryLine({ state, rows, wait_s, passes_at }: CanaryReport): string {
  const first = `canary of ${countOf(rows, "recipient")}`;
  switch (state) {
    case "sending":
      return `${first}: being sent; once all were tried, watched for ${printDuration(wait_s * 1000)}`;
    case "watching":
      return `${first}: all tried; the others go at ${printTime(passes_at)} unless too many fail`;
    case "passed":
      return `${first}: passed`;
    case "stopped":
      return `${first}: stopped`;
  }
}

/** Of a campaign that goes to everyone at once there is nothing to tell. */
function printWaves(waves: readonly WaveReport[]): readonly string[] {
  if (waves.every(({ scope }) => scope === "everyone") && waves.length < 2 && waves[0]?.made === waves[0]?.rows)
    return [];
  const columns = [text("due"), text("time zone"), number("recipients"), number("made"), number("withdrawn")];
  const rows = waves
    .slice(0, WAVES_SHOWN_MAX)
    .map(({ due_at, time_zone, scope, rows, made, withdrawn }) => [
      printTime(due_at),
      time_zone ?? (scope === "everyone" ? "all" : "not told"),
      ...[rows, made, withdrawn].map(printCount),
    ]);
  const more = waves.length - rows.length;
  return ["", ...printTable(columns, rows), ...(more <= 0 ? [] : [`and ${countOf(more, "wave")} more: see --json`])];
}

/** Of a terminal's height. */
const WAVES_SHOWN_MAX = 30;

function paceLine({ rate_per_s, eta_s }: Pace): string {
  if (eta_s === null) return "nothing went out in the last second; `postlane status` shows what limits it";
  return `${printPerSecond(rate_per_s)} per second; done in ${printSpan(eta_s * 1000)} at this rate`;
}

export async function runCampaignList(options: CommonOptions & { readonly limit: number }): Promise<number> {
  const output = createOutput(options);
  const campaigns = await withDatabase(readConfig(options), async (pool) =>
    reportCampaigns(pool, await listCampaigns(pool, options.limit)),
  );
  output.answer({ campaigns });
  if (campaigns.length === 0)
    output.print("there is no campaign yet; `postlane campaign send --help` shows how to make one");
  else for (const line of printTable(LIST_COLUMNS, campaigns.map(printListed))) output.print(line);
  return EXIT_DONE;
}

const LIST_COLUMNS = [
  text("campaign"),
  text("name"),
  text("lane"),
  text("status"),
  number("accepted"),
  number("waiting"),
  number("sent"),
  number("bounced"),
  text("created"),
];

function printListed({ id, name, lane, status, books, created_at }: CampaignReport): readonly string[] {
  const { accepted, waiting, states } = books;
  const counts = [accepted, waiting, states.sent + states.delivered, states.bounced].map(printCount);
  return [id, name, lane, status, ...counts, printTime(created_at)];
}

/** Until no dispatcher hands over any more of it, and what was on the wire is in the books. */
const PAUSE_MS = 1000;

export async function runCampaignPause(name: string, options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const report = await withDatabase(readConfig(options), async (pool) => {
    const { campaign, wasSo } = await controlOrRefuse(pool, name, "pause");
    if (!wasSo) await sleep(PAUSE_MS);
    return await reportOne(pool, await campaignNamed(pool, campaign.name));
  });
  output.answer(report);
  const { sent, delivered } = report.books.states;
  output.print(
    `${report.name} (${report.id}) is paused: ${countOf(sent + delivered, "message")} handed over by now, ${printCount(report.books.waiting)} waiting`,
  );
  return EXIT_DONE;
}

export async function runCampaignResume(name: string, options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const { campaign, status } = await withDatabase(readConfig(options), (pool) => controlOrRefuse(pool, name, "resume"));
  output.answer({ id: printCampaignId(campaign.id), name: campaign.name, status });
  const done = status === "scheduled" ? "waits for its time again" : "is running again";
  output.print(`${campaign.name} (${printCampaignId(campaign.id)}) ${done}`);
  return EXIT_DONE;
}

/** It is no failure to ask for what is so already. */
async function controlOrRefuse(
  pool: Pool,
  name: string,
  order: Order,
): Promise<{ readonly campaign: CampaignRow; readonly status: CampaignStatus; readonly wasSo: boolean }> {
  const campaign = await campaignNamed(pool, name);
  const answer = await controlCampaign(pool, campaign.id, order);
  if (answer.kind === "done") return { campaign, status: answer.status, wasSo: answer.wasSo };
  throw refusedAs(campaign.name, answer.status, order);
}

/** What cannot be done with it as it stands, and what can. */
export function refusedAs(name: string, status: CampaignStatus, order: string): CommandFailure {
  return new CommandFailure(
    "campaign_refused",
    `Campaign "${name}" is ${status === "draft" ? "a draft" : status}: ${order} is not possible. ${POSSIBLE[status]}.`,
  );
}

export async function runCampaignCancel(name: string, options: CommonOptions): Promise<number> {
  const output = createOutput(options);
  const report = await withDatabase(readConfig(options), async (pool) => {
    const { campaign } = await controlOrRefuse(pool, name, "cancel");
    await sweepWithProgress(pool, campaign, output);
    return await reportOne(pool, await campaignNamed(pool, name));
  });
  output.answer(report);
  const { accepted, waiting, states } = report.books;
  output.print(
    `${report.name} (${report.id}) is canceled: ${printCount(states.canceled)} of ${countOf(accepted, "message")} withdrawn`,
  );
  if (waiting > 0)
    output.note(`${countOf(waiting, "message")} being handed over, or still to be counted by \`postlane up\``);
  return EXIT_DONE;
}

async function sweepWithProgress(pool: Pool, campaign: CampaignRow, output: Output): Promise<void> {
  const progress = createProgress("withdrawn", "message", output);
  const total = (await reportOne(pool, campaign)).books.waiting;
  const state = { isDone: false };
  const sweep = sweepCanceled(pool).finally(() => (state.isDone = true));
  while (!state.isDone) {
    await Promise.race([sweep, sleep(SWEEP_LOOK_MS)]);
    const swept = total - (await reportOne(pool, campaign)).books.waiting;
    progress.update(swept, swept / total);
  }
  await sweep;
  progress.end();
}

export async function campaignNamed(pool: Pool, name: string): Promise<CampaignRow> {
  const campaign = await findCampaign(pool, name, parseCampaignId(name));
  if (campaign !== undefined) return campaign;
  throw new CommandFailure(
    "campaign_not_found",
    `There is no campaign "${name}". \`postlane campaign list\` shows them.`,
  );
}
