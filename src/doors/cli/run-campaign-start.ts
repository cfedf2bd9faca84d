// `postlane campaign start`, and the options of it that `campaign send` has, too.

import { printCampaignId } from "../../mail/ids.ts";
import { startCampaign, type StartRefusal, type StartWish } from "../../campaigns/start-campaign.ts";
import { readStartWish, type StartProblem } from "../../campaigns/start-wish.ts";
import type { CampaignStatus } from "../../campaigns/campaign-store.ts";
import { systemClock } from "../../platform/clock.ts";
import { printDuration, printRate } from "../../platform/quantities.ts";
import { reportStart, type StartReport } from "../../reports/start-report.ts";
import { countDispatchers } from "../../reports/status-report.ts";
import { CommandFailure, EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, printTime } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { campaignNamed, refusedAs } from "./run-campaign.ts";
import { withDatabase } from "./with-database.ts";

export interface StartOptions {
  readonly at?: string;
  readonly local?: string;
  readonly timeZone?: string;
  readonly pace?: string;
  readonly canary?: string;
  readonly canaryWait?: string;
  readonly canaryLimit?: string;
}

export async function runCampaignStart(name: string, options: StartOptions & CommonOptions): Promise<number> {
  const wish = wishOf(options);
  const output = createOutput(options);
  return await withDatabase(readConfig(options), async (pool) => {
    const campaign = await campaignNamed(pool, name);
    const answer = await startCampaign(pool, campaign.id, wish);
    if (answer.kind === "refused") throw startRefused(campaign.name, answer.why, answer.status);
    const report = reportStart(campaign, answer);
    output.answer(report);
    output.print(`${campaign.name} (${report.id}) is started: ${countOf(report.accepted, "recipient")} accepted`);
    for (const line of printStart(report, wish)) output.print(line);
    output.print(`see \`postlane campaign status ${printCampaignId(campaign.id)}\``);
    if ((await countDispatchers(pool, campaign.lane)) === 0) output.note("queued; run `postlane up` to send it");
    return EXIT_DONE;
  });
}

/** All that is wrong with it at once. */
export function wishOf(options: StartOptions): StartWish {
  const { at, local: localTime, timeZone, pace, canary: share, canaryWait: wait, canaryLimit: limit } = options;
  const hasCanary = share !== undefined || wait !== undefined || limit !== undefined;
  const canary = hasCanary ? { share, wait, limit } : undefined;
  const read = readStartWish({ at, localTime, timeZone, pace, canary }, systemClock);
  if (read.kind === "wish") return read.wish;
  throw misused(read.problems.map(({ field, problem }) => `${OPTION_OF[field]}: ${problem}.`).join("\n  "));
}

const OPTION_OF: Readonly<Record<StartProblem["field"], string>> = {
  at: "--at",
  local_time: "--local",
  time_zone: "--time-zone",
  pace: "--pace",
  "canary.share": "--canary",
  "canary.wait": "--canary-wait",
  "canary.limit": "--canary-limit",
};

function startRefused(name: string, why: StartRefusal, status: CampaignStatus): CommandFailure {
  if (why === "status") return refusedAs(name, status, "start");
  return new CommandFailure("campaign_refused", `Campaign "${name}" was not started: ${WHY_NOT[why]}.`);
}

export const WHY_NOT: Readonly<Record<Exclude<StartRefusal, "status">, string>> = {
  empty: "nobody is on its list; import recipients into it first",
  importing: "its list is being imported; start it when that is over",
  over: "that local time is over for everyone on its list; give a later one, or none to start at once",
};

/** When it goes and how, a line each; nothing for one that goes at once and as it can. */
export function printStart(report: StartReport, { when, pacePerS, canary }: StartWish): readonly string[] {
  const { waves, first_at, last_at, at_once, canary_rows } = report;
  const span =
    first_at === last_at ? `at ${printTime(first_at)}` : `from ${printTime(first_at)} to ${printTime(last_at)}`;
  return [
    ...(when.kind === "now" || waves === 0 ? [] : [`  in ${countOf(waves, "wave")}, ${span}`]),
    ...(at_once.zones === 0
      ? []
      : [
          `  at once in ${countOf(at_once.zones, "time zone")}, where that time is over: ${countOf(at_once.recipients, "recipient")}`,
        ]),
    ...(pacePerS === undefined ? [] : [`  at a pace of ${printRate(pacePerS)}`]),
    ...(canary === undefined ? [] : [canary_rows === null ? NO_CANARY : canaryLine(canary_rows, canary)]),
  ];
}

const NO_CANARY = "  without a canary: it would be all of them, or it is of the first start";

function canaryLine(rows: number, { waitMs, limit }: NonNullable<StartWish["canary"]>): string {
  const canary = `  behind a canary of ${countOf(rows, "recipient")}, watched for ${printDuration(waitMs)}`;
  return `${canary}; it stops all when more than ${printPercent(limit)} of them fail`;
}

function printPercent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
