// `postlane campaign preflight`: what is wrong with a campaign, the gravest first. What was found is kept with the campaign.

import type { Pool } from "pg";
import type { CampaignRow } from "../../campaigns/campaign-store.ts";
import { systemClock } from "../../platform/clock.ts";
import type { Config } from "../../platform/config.ts";
import { preflightCampaign, preflightProblem } from "../../preflight/preflight-campaign.ts";
import type { ExpectedDuration, PreflightFinding, PreflightReport } from "../../preflight/preflight-report.ts";
import { beginPreflight, keepPreflight } from "../../preflight/preflight-store.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED } from "./command-failure.ts";
import { resolverOf } from "./dns-resolver.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf, harmless, number, printCount, printPerSecond, printSpan, printTable, text } from "./printing.ts";
import { createProgress } from "./progress.ts";
import { readConfig } from "./read-config.ts";
import { campaignNamed } from "./run-campaign.ts";
import { withDatabase } from "./with-database.ts";

export interface CampaignPreflightOptions extends CommonOptions {
  readonly sample?: number;
  readonly dns?: boolean;
}

export async function runCampaignPreflight(name: string, options: CampaignPreflightOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const report = await withDatabase(config, async (pool) => {
    const campaign = await campaignNamed(pool, name);
    const problem = preflightProblem(campaign.status);
    if (problem === undefined) return await lookAndKeep(pool, campaign, config, options, output);
    const message = `Campaign "${campaign.name}" is ${campaign.status}: preflight is not possible. ${problem}.`;
    throw new CommandFailure("campaign_refused", message);
  });
  output.answer(report);
  for (const line of printReport(report)) output.print(line);
  return report.must_stop ? EXIT_FAILED : EXIT_DONE;
}

async function lookAndKeep(
  pool: Pool,
  campaign: CampaignRow,
  config: Config,
  { sample, dns }: CampaignPreflightOptions,
  output: Output,
): Promise<PreflightReport> {
  const progress = createProgress("looked at", "recipient", output);
  const ports = {
    pool,
    clock: systemClock,
    settings: config,
    ...(dns === true ? { resolver: resolverOf(config) } : {}),
  };
  await beginPreflight(pool, campaign.id, campaign.version);
  try {
    const report = await preflightCampaign(ports, campaign, {
      sampleRows: sample,
      onProgress: (lookedAt, toLookAt) => progress.update(lookedAt, lookedAt / toLookAt),
    });
    await keepPreflight(pool, campaign.id, { report });
    return report;
  } catch (error) {
    await keepPreflight(pool, campaign.id, { error: error instanceof Error ? error.message : String(error) });
    throw error;
  } finally {
    progress.end();
  }
}

function printReport(report: PreflightReport): readonly string[] {
  return [
    `${report.name} (${report.campaign}), version ${report.version}, lane ${report.lane}: ${scopeOf(report)}`,
    sizeLine(report),
    durationLine(report.duration),
    `rendered ${printCount(report.rendered_per_s)} per second, ${printSpan(report.took_ms)} in all`,
    "",
    ...report.findings.flatMap(printFinding),
    report.must_stop ? "not as it is: what is marked with stop must be mended first" : "nothing must be mended first",
  ];
}

function scopeOf({ scope, recipients, looked_at, is_sample, suppressed }: PreflightReport): string {
  const who = scope === "all" ? "" : " without a message yet (what is made already is not looked at)";
  const sample = is_sample ? `, a sample of ${printCount(looked_at)} looked at; counts are of the sample` : "";
  return `${countOf(recipients, "recipient")}${who}, ${printCount(suppressed)} suppressed${sample}`;
}

function sizeLine({ size }: PreflightReport): string {
  if (size === null) return "no message could be rendered";
  const { mean, p99, max } = size;
  return `a message has ${countOf(mean, "byte")}; 99 of 100 at most ${printCount(p99)}, the largest ${printCount(max)}`;
}

function durationLine({ seconds, messages, rate_per_s, basis, measured_by }: ExpectedDuration): string {
  if (seconds === null || rate_per_s === null) return "how long sending takes is not measured yet";
  const by = {
    finished_campaign: `as ${harmless(measured_by ?? "")} was sent`,
    governor: "at the governor's pace",
    max_rate: "by the outlets' max_rate",
    pace: "by the campaign's pace",
    not_measured: "",
  }[basis];
  return `${countOf(messages, "message")} take about ${printSpan(seconds * 1000)}, ${printPerSecond(rate_per_s)} per second, ${by}`;
}

function printFinding({ code, severity, means, remedy, count, examples }: PreflightFinding): readonly string[] {
  const rows = examples.map(({ line, address, detail }) => [line === null ? "" : String(line), address ?? "", detail]);
  return [
    `${severity.padEnd(4)}  ${code}, ${printCount(count)}: ${means}`,
    `      ${remedy}`,
    ...printTable([number("line"), text("address"), text("detail")], rows).map((line) => `      ${line}`),
    "",
  ];
}
