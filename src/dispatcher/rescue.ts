// Rescue: what a dead dispatcher had claimed is settled, given back or made unknown (DESIGN: the contract, 3 to 5).
// Where the journal lies, the next process on that data directory does it at once; without the journal it is done only
// `rescue_grace` after the lease's end, and then all that was claimed is unknown. The lease row is locked first, so
// that no settle can be in between.

import { existsSync, readdirSync, statSync } from "node:fs";
import path from "node:path";
import type { ClientBase, Pool } from "pg";
import { appendEvents, appendLateEvents } from "../events/event-store.ts";
import type { LaneId, LeaseId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import { queueIdIn } from "../mail/reply.ts";
import type { Log } from "../platform/log.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { recordStateChanges } from "../queue/balance-store.ts";
import { claimedUnderLease, endLease, listLeases, takeLeaseForRescue, type LeaseRow } from "../queue/lease-store.ts";
import type { ClaimedRow } from "../queue/queue-store.ts";
import { retryIfUnknown, settleIfUnknown } from "../queue/unknown-store.ts";
import { strikeBadAddresses } from "../suppression/bounce-strikes.ts";
import { writeSettlements } from "./database-queue.ts";
import { readJournal, readJournalHead, removeJournal, type JournalAnswer, type JournalEvidence } from "./journal.ts";
import type { Settlement } from "./lane-queue.ts";
import { believedUnder, rescueRow } from "./rescue-decision.ts";

export interface RescueReport {
  readonly leaseId: LeaseId;
  readonly answered: number;
  readonly givenBack: number;
  readonly unknown: number;
  readonly held: number;
}

export interface RescueContext {
  readonly pool: Pool;
  readonly bootId: string;
  /** As journals name it. Absent: every journal is believed. */
  readonly database?: string | undefined;
  readonly laneSettingsOf: (laneId: LaneId) => LaneSettings;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly log: Log;
}

/**
 * Every journal in the folder whose process is gone, but for those of other databases: they are evidence there. One whose lease is still there is rescued by it; one whose lease
 * others have ended meanwhile stays evidence for what they had to call unknown. Then the file goes.
 */
export async function rescueByJournals(
  context: RescueContext,
  journalDir: string,
  isAlive: (head: JournalEvidence["head"]) => boolean,
): Promise<readonly RescueReport[]> {
  const reports: RescueReport[] = [];
  for (const name of existsSync(journalDir) ? readdirSync(journalDir) : []) {
    if (!name.endsWith(".journal")) continue;
    const file = path.join(journalDir, name);
    const head = readJournalHead(file);
    if (head !== undefined && isForeign(head, context.database)) continue;
    if (head === undefined ? isBeingOpened(file, context.nowMs()) : isAlive(head)) continue;
    const evidence = readJournal(file);
    if (evidence !== undefined) {
      const report = await rescueLease(context, evidence.head.leaseId, evidence);
      if (report !== undefined) reports.push(report);
      else await settleLate(context, evidence.answered);
    }
    removeJournal(file);
  }
  return reports;
}

/** The files of journals that are about other databases. */
export function listForeignJournals(journalDir: string, database: string): readonly string[] {
  const names = existsSync(journalDir) ? readdirSync(journalDir).filter((name) => name.endsWith(".journal")) : [];
  return names.filter((name) => {
    const head = readJournalHead(path.join(journalDir, name));
    return head !== undefined && isForeign(head, database);
  });
}

function isForeign({ database }: JournalEvidence["head"], here: string | undefined): boolean {
  return database !== undefined && here !== undefined && database.identity !== here;
}

/** A journal gets its first line a moment after its file. */
const HEADLESS_MS_MAX = 10_000;

function isBeingOpened(file: string, nowMs: number): boolean {
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat !== undefined && nowMs - stat.mtimeMs < HEADLESS_MS_MAX;
}

/** Leases long over whose journal is not here: what was claimed under them is unknown. */
export async function rescueOverdue(
  context: RescueContext,
  overdueAmong: (leases: readonly LeaseRow[]) => readonly LeaseRow[],
): Promise<readonly RescueReport[]> {
  const reports: RescueReport[] = [];
  for (const lease of overdueAmong(await listLeases(context.pool))) {
    const report = await rescueLease(context, lease.id, undefined);
    if (report !== undefined) reports.push(report);
  }
  return reports;
}

async function rescueLease(
  context: RescueContext,
  leaseId: LeaseId,
  evidence: JournalEvidence | undefined,
): Promise<RescueReport | undefined> {
  const believed = believedUnder(context.bootId, evidence);
  const report = await inTransaction(context.pool, async (client) => {
    const lease = await takeLeaseForRescue(client, leaseId);
    if (lease === undefined || isOfAnotherLease(evidence, lease)) return undefined;
    const rows = await claimedUnderLease(client, leaseId);
    const { random } = context;
    // By the database's clock, as all due times: this machine's may be days ahead, and nothing expires by that.
    const group = rows.map((row) =>
      rescueRow(row, believed, { lane: context.laneSettingsOf(row.lane_id), nowMs: lease.now_ms, random }),
    );
    await writeSettlements(client, { laneId: lease.lane_id, leaseId, group, nowMs: 0 });
    await endLease(client, leaseId);
    return reportOf(leaseId, group);
  });
  if (report !== undefined) context.log.warn("lease.rescued", { ...report, has_journal: evidence !== undefined });
  return report;
}

/** In a database that was set back, an id may have been given again. */
function isOfAnotherLease(evidence: JournalEvidence | undefined, lease: LeaseRow): boolean {
  const acquiredUs = evidence?.head.database?.leaseAcquiredUs;
  return acquiredUs !== undefined && acquiredUs !== lease.acquired_us;
}

export interface LateAnswer {
  readonly messageId: number;
  readonly attempt: number;
  readonly answer: JournalAnswer;
  /** Of the template; absent: a journal tells it, which does not know. */
  readonly version?: number | null;
}

/** Outcomes that come after their lease: kept as events, and rows that are still unknown after them are settled. */
export async function settleLate(context: Pick<RescueContext, "pool">, late: readonly LateAnswer[]): Promise<void> {
  if (late.length === 0) return;
  const named = late.map((one) => ({ ...one, messageId: one.messageId as ClaimedRow["message_id"] }));
  await inTransaction(context.pool, async (client) => {
    await settleLateAs(client, named, "sent");
    await settleLateAs(client, named, "bounced");
    await settleLateAs(client, named, "deferred");
  });
}

async function settleLateAs(
  client: ClientBase,
  late: readonly (LateAnswer & { readonly messageId: ClaimedRow["message_id"] })[],
  kind: "sent" | "bounced" | "deferred",
): Promise<void> {
  const meant = late.filter(({ answer }) => answer.kind === kind);
  if (meant.length === 0) return;
  const rows = await (kind === "deferred" ? retryIfUnknown(client, meant) : settleIfUnknown(client, meant));
  const moved = new Map(rows.map((row) => [row.message_id, row.version]));
  const events = meant.map(({ messageId, attempt, answer: { outlet, host, reply }, version }) => {
    const queueId = kind === "sent" ? queueIdIn(reply) : undefined;
    return { messageId, attempt, kind, outlet, host, reply, queueId, version: moved.get(messageId) ?? version };
  });
  const news = events.filter(({ messageId }) => moved.has(messageId));
  await appendEvents(client, news);
  await strikeBadAddresses(client, news);
  await appendLateEvents(
    client,
    events.filter(({ messageId }) => !moved.has(messageId)),
  );
  await recordStateChanges(
    client,
    rows.map((row) => ({
      laneId: row.lane_id,
      campaignId: row.campaign_id,
      acceptedOn: row.accepted_on,
      from: "unknown" as const,
      to: kind,
    })),
  );
}

function reportOf(leaseId: LeaseId, group: readonly Settlement[]): RescueReport {
  const count = (isMeant: (settlement: Settlement) => boolean): number => group.filter(isMeant).length;
  return {
    leaseId,
    answered: count(({ event }) => event !== undefined && event.kind !== "unknown" && event.kind !== "held"),
    givenBack: count(({ event }) => event === undefined),
    unknown: count(({ becomes }) => becomes.state === "unknown"),
    held: count(({ becomes }) => becomes.state === "held"),
  };
}
