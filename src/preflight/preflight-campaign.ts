// The preflight of a campaign: who would get it, what is wrong with it, and how long it would take, before one message is
// sent. Renders every message, or above a million recipients an evenly spread sample. Changes nothing, takes no lock and sends
// nothing; its arguments are plain data, a pool and a clock, so it may run in a worker. The DNS is asked only when a resolver
// comes in.

import type { Pool } from "pg";
import type { CampaignRow, CampaignStatus } from "../campaigns/campaign-store.ts";
import { POSSIBLE } from "../campaigns/control-campaign.ts";
import { lastRecipient, readList, type ListRow } from "../campaigns/list-store.ts";
import { printCampaignId } from "../mail/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { DnsResolver } from "../senders/domains/dns-answer.ts";
import { checkSender } from "./check-sender.ts";
import { checkTemplateFacts, type TemplateFacts } from "./check-template-facts.ts";
import { checkUnsubscribe } from "./check-unsubscribe.ts";
import { createFindings, EXAMPLES_MAX, type FindingCollector } from "./collect-findings.ts";
import type { PreflightSettings } from "./copy-settings.ts";
import { expectDuration } from "./expect-duration.ts";
import { openCopies, PREVIEW_TOKEN, type OpenedCopies } from "./open-copies.ts";
import type { FindingExample, PreflightReport, SharingLane } from "./preflight-report.ts";
import { readAhead } from "./read-ahead.ts";
import { firstLeftOut, unmadeStretches, type LeftOutRow, type Stretch } from "./recipient-store.ts";
import { renderMessages, type Rendered } from "./render-messages.ts";

/** Above so many recipients a sample is rendered, of `SAMPLE_ROWS`, unless another one is asked for. */
export const WHOLE_ROWS_MAX = 1_000_000;
export const SAMPLE_ROWS = 100_000;

export interface PreflightPorts {
  readonly pool: Pool;
  readonly clock: Pick<Clock, "monotonicMs" | "wallMs">;
  readonly settings: PreflightSettings;
  /** Absent: the DNS is not asked. */
  readonly resolver?: DnsResolver | undefined;
}

export interface PreflightOptions {
  /** Recipients to look at, spread evenly; by default all of a million. */
  readonly sampleRows?: number | undefined;
  readonly onProgress?: (lookedAt: number, toLookAt: number) => void;
}

/** Why it cannot be done with a campaign in this status, and what can; undefined: it can. */
export function preflightProblem(status: CampaignStatus): string | undefined {
  if (status === "importing")
    return "Its list is being read: wait for the end of the import, or run the same command again if it was stopped";
  return status === "canceled" || status === "finished" ? POSSIBLE[status] : undefined;
}

/** Of a campaign whose status allows it. */
export async function preflightCampaign(
  ports: PreflightPorts,
  campaign: CampaignRow,
  options: PreflightOptions = {},
): Promise<PreflightReport> {
  const problem = preflightProblem(campaign.status);
  if (problem !== undefined) throw new Error(`campaign ${campaign.name} is ${campaign.status}. ${problem}.`);
  const { pool, clock, settings } = ports;
  const begunMs = clock.monotonicMs();
  const findings = createFindings();
  const list = await readList(pool, campaign.list_id);
  const stretches = await stretchesOf(pool, campaign, list);
  const recipients = stretches.reduce((sum, { rows }) => sum + rows, 0);
  if (recipients === 0) findings.add("no_recipients", list.recipients === 0 ? "the list is empty" : "all are made");
  await checkLeftOut(pool, list, findings);
  const shared = sharedWith(campaign, settings);
  for (const { lane, outlets } of shared) findings.add("outlets_shared", `lane ${lane}: ${outlets.join(", ")}`);
  const { rendered, renderMs } = await renderAll(ports, campaign, { list, stretches, recipients, findings }, options);
  const share = rendered.looked_at === 0 ? 1 : 1 - rendered.suppressed / rendered.looked_at;
  const all = findings.all();
  return {
    campaign: printCampaignId(campaign.id),
    name: campaign.name,
    status: campaign.status,
    version: campaign.version,
    lane: campaign.lane,
    scope: campaign.status === "draft" ? "all" : "not_made",
    recipients,
    looked_at: rendered.looked_at,
    is_sample: rendered.looked_at < recipients,
    rendered: rendered.rendered,
    suppressed: rendered.suppressed,
    rejected: list.rejected,
    doubled: list.doubled,
    size: rendered.size,
    duration: await expectDuration(pool, campaign, settings, Math.round(recipients * share)),
    shared_with: shared,
    is_dns_asked: ports.resolver !== undefined,
    findings: all,
    must_stop: all.some(({ severity }) => severity === "stop"),
    rendered_per_s: renderMs <= 0 ? 0 : Math.round((rendered.rendered / renderMs) * 1000),
    took_ms: Math.round(clock.monotonicMs() - begunMs),
  };
}

/** A draft's: all of its list. Else those of whom no message is made yet. */
async function stretchesOf(
  pool: Pool,
  { id, status, list_id }: CampaignRow,
  { recipients }: ListRow,
): Promise<readonly Stretch[]> {
  if (status !== "draft") return await unmadeStretches(pool, id);
  const uptoN = await lastRecipient(pool, list_id);
  return [{ scope: "everyone", time_zone: null, after_n: 0, upto_n: uptoN, rows: recipients }];
}

async function checkLeftOut(pool: Pool, list: ListRow, findings: FindingCollector): Promise<void> {
  const kinds = [
    { kind: "rejected", code: "rows_rejected", count: list.rejected },
    { kind: "double", code: "rows_doubled", count: list.doubled },
  ] as const;
  for (const { kind, code, count } of kinds) {
    if (count === 0) continue;
    const rows = await firstLeftOut(pool, list.id, kind, EXAMPLES_MAX);
    findings.addCounted(code, count, rows.map(leftOutExample));
  }
}

function leftOutExample({ line, raw, reason }: LeftOutRow): FindingExample {
  return { line, address: null, detail: `${raw}: ${reason}` };
}

/** Other lanes that hand over by an outlet of this campaign's. */
function sharedWith({ lane }: CampaignRow, { lanes }: PreflightSettings): readonly SharingLane[] {
  const own = new Set(lanes[lane]?.outlets ?? []);
  return Object.values(lanes)
    .filter((other) => other.name !== lane && other.outlets.some((outlet) => own.has(outlet)))
    .map(({ name, priority, outlets }) => ({
      lane: name,
      priority,
      outlets: outlets.filter((outlet) => own.has(outlet)),
    }));
}

const NOTHING: Rendered = { looked_at: 0, rendered: 0, suppressed: 0, size: null, isEnded: false };

interface Surroundings {
  readonly list: ListRow;
  readonly stretches: readonly Stretch[];
  readonly recipients: number;
  readonly findings: FindingCollector;
}

async function renderAll(
  ports: PreflightPorts,
  campaign: CampaignRow,
  { list, stretches, recipients, findings }: Surroundings,
  { sampleRows, onProgress }: PreflightOptions,
): Promise<{ readonly rendered: Rendered; readonly renderMs: number }> {
  const { pool, clock, settings, resolver } = ports;
  const copies = await openCopies(pool, campaign, settings, PREVIEW_TOKEN);
  if (copies instanceof Error) {
    findings.add("template_broken", copies.message);
    return { rendered: NOTHING, renderMs: 0 };
  }
  const facts = checkFixed(campaign, copies, list, settings, findings);
  await checkSender({ pool, settings, resolver }, copies.mail.sender, campaign.lane, findings);
  const wanted = sampleRows ?? (recipients > WHOLE_ROWS_MAX ? SAMPLE_ROWS : recipients);
  const share = recipients === 0 ? 1 : Math.min(1, wanted / recipients);
  const chunks = readAhead({ pool, campaign, stretches, share, isBulk: copies.isBulk });
  const begunMs = clock.monotonicMs();
  const toLookAt = Math.min(wanted, recipients);
  const rendered = await renderMessages(chunks, { copies, facts, findings, clock }, (lookedAt) =>
    onProgress?.(lookedAt, toLookAt),
  );
  return { rendered, renderMs: clock.monotonicMs() - begunMs };
}

function checkFixed(
  campaign: CampaignRow,
  copies: OpenedCopies,
  list: ListRow,
  settings: PreflightSettings,
  findings: FindingCollector,
): TemplateFacts {
  checkUnsubscribe(campaign, copies, settings, findings);
  const columns = list.columns.map(({ name }) => name);
  const hasUnsubscribeUrl = copies.list?.url !== undefined;
  return checkTemplateFacts(copies.source, copies.mail, { columns, hasUnsubscribeUrl }, findings);
}
