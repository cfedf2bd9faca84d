// `postlane campaign status|list|pause|resume|cancel`. Pausing, resuming and canceling write one row; canceling then
// counts what waited, which the front would do as well.

import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import { findCampaign, listCampaigns, type CampaignRow, type CampaignStatus } from "../../campaigns/campaign-store.ts";
import { controlCampaign, POSSIBLE, type Order } from "../../campaigns/control-campaign.ts";
import { parseCampaignId, printCampaignId } from "../../mail/ids.ts";
import { STATES } from "../../mail/state.ts";
import { paceBetween, reportCampaigns, type CampaignReport, type Pace } from "../../reports/campaign-report.ts";
import { sweepCanceled } from "../../upkeep/sweep.ts";
import { CommandFailure, EXIT_DONE } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf, number, printCount, printPerSecond, printSpan, printTable, printTime, text } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignStatusOptions extends CommonOptions {
  readonly rate: boolean;
}

const RATE_OVER_MS = 1000;
const SWEEP_LOOK_MS = 200;

export async function runCampaignStatus(name: string, options: CampaignStatusOptions): Promise<number> {
  const output = createOutput(options);
  const { report, pace } = await withDatabase(readConfig(options), async (pool) => {
    const campaign = await campaignNamed(pool, name);
    const first = await reportOne(pool, campaign);
    const isMoving = campaign.status === "running" && first.books.states.queued > 0;
    return options.rate && isMoving ? await measurePace(pool, campaign, first) : { report: first, pace: undefined };
  });
  output.answer({ ...report, ...pace });
  for (const line of printReport(report, pace)) output.print(line);
  return EXIT_DONE;
}

async function measurePace(
  pool: Pool,
  campaign: CampaignRow,
  first: CampaignReport,
): Promise<{ readonly report: CampaignReport; readonly pace: Pace }> {
  const startedAtMs = performance.now();
  await sleep(RATE_OVER_MS);
  const report = await reportOne(pool, campaign);
  return { report, pace: paceBetween(first.books, report.books, performance.now() - startedAtMs) };
}

async function reportOne(pool: Pool, campaign: CampaignRow): Promise<CampaignReport> {
  const [report] = await reportCampaigns(pool, [campaign]);
  return report!;
}

function printReport(report: CampaignReport, pace: Pace | undefined): readonly string[] {
  const { books } = report;
  const states = STATES.filter((state) => books.states[state] !== 0).map((state) => [
    state,
    printCount(books.states[state]),
  ]);
  return [
    `${report.name} (${report.id}), lane ${report.lane}${report.list === null ? "" : `, list ${report.list}`}: ${report.status}`,
    `created ${printTime(report.created_at)}, started ${printTime(report.started_at)}`,
    ...(report.canceled_at === null ? [] : [`canceled ${printTime(report.canceled_at)}`]),
    ...(report.no_unsubscribe === null ? [] : [`nobody can unsubscribe from it: ${report.no_unsubscribe}`]),
    "",
    ...printTable([text("state"), number("messages")], [...states, ["accepted", printCount(books.accepted)]]),
    ...(report.rejected === 0 ? [] : [`${countOf(report.rejected, "row")} of the list rejected`]),
    ...(pace === undefined ? [] : ["", paceLine(pace)]),
  ];
}

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

export async function runCampaignPause(name: string, options: CommonOptions): Promise<number> {
  return await control(name, options, "pause", () => "is paused; in force within a second");
}

export async function runCampaignResume(name: string, options: CommonOptions): Promise<number> {
  return await control(name, options, "resume", (status) =>
    status === "scheduled" ? "waits for its time again" : "is running again",
  );
}

async function control(
  name: string,
  options: CommonOptions,
  order: Order,
  done: (status: CampaignStatus) => string,
): Promise<number> {
  const output = createOutput(options);
  const { campaign, status } = await withDatabase(readConfig(options), (pool) => controlOrRefuse(pool, name, order));
  output.answer({ id: printCampaignId(campaign.id), name: campaign.name, status });
  output.print(`${campaign.name} (${printCampaignId(campaign.id)}) ${done(status)}`);
  return EXIT_DONE;
}

/** It is no failure to ask for what is so already. */
async function controlOrRefuse(
  pool: Pool,
  name: string,
  order: Order,
): Promise<{ readonly campaign: CampaignRow; readonly status: CampaignStatus }> {
  const campaign = await campaignNamed(pool, name);
  const answer = await controlCampaign(pool, campaign.id, order);
  if (answer.kind === "done") return { campaign, status: answer.status };
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
