// Takes what came back, judges it, and does what follows: one transaction for each batch, a handful of statements
// whatever its size. The messages are locked first, so that two judges never decide about one of them at the same time;
// what comes before its attempt was settled waits a little, and is never dropped for that.
//
// Assumes that a row is durable before it is here. A batch that fails is repeated row by row, and the row that cannot be
// taken is set aside with the error: one bad row never stops the others.

import { strict as assert } from "node:assert";
import pg, { type ClientBase, type Pool } from "pg";
import { domainOf } from "../mail/address.ts";
import type { LaneId, MessageId } from "../mail/ids.ts";
import type { LaneSettings } from "../mail/lane.ts";
import {
  isReportedAnswer,
  judgeReturn,
  policyRefusalOf,
  refusedInstead,
  signOfReturn,
  type ReturnFact,
  type ReturnJudgement,
} from "../outcome/judge-return.ts";
import type { Log } from "../platform/log.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { listPauses, pauseTarget } from "../queue/pause-store.ts";
import { applyToMessages } from "./apply-returns.ts";
import { NewsOfDestinations } from "./destination-news.ts";
import { tellDestinations, type DestinationNews } from "./destination-store.ts";
import { readStandings, type MessageStanding } from "./message-standing.ts";
import { readReturn, type ReadContext, type ReadReturn } from "./read-return.ts";
import { forget, markJudged, pickDue, postpone, readRaw, type DueReturn } from "./return-store.ts";
import { tellStop, type ReturnedRefusals } from "./returned-refusals.ts";
import { findByQueueId } from "./standing-store.ts";
import { takeUnsubscribes, type UnsubscribeWord } from "./take-unsubscribes.ts";

export interface ReturnContext extends ReadContext {
  readonly pool: Pool;
  readonly laneSettingsOf: (laneId: LaneId) => LaneSettings;
  readonly random: () => number;
  readonly refusals: ReturnedRefusals;
  /** A line for people: bulk stops somewhere. */
  readonly onAlarm: (line: string) => void;
  readonly log: Log;
}

export interface TakenBatch {
  readonly taken: number;
  /** Where the next look may begin. */
  readonly cursorUs: number;
}

/** Rows of one transaction: about 40 ms of work. */
export const BATCH_ROWS_MAX = 500;
/** Mails among them: each may have 256 KB. */
const BATCH_MAILS_MAX = 50;

/** `onPicked` hears which rows it is about, also when it fails. */
export async function takeReturns(
  context: ReturnContext,
  cursorUs: number,
  rowsMax: number = BATCH_ROWS_MAX,
  onPicked: (rows: readonly DueReturn[]) => void = () => {},
): Promise<TakenBatch> {
  const { batch, stops } = await inTransaction(context.pool, async (client) => {
    const rows = firstMails(await pickDue(client, cursorUs, rowsMax));
    onPicked(rows);
    const returns = await readReturns(client, rows, context);
    const standings = await readStandings(client, messagesOf(returns), context.laneSettingsOf);
    await hearPauses(client, returns, standings, context.refusals);
    const unsubscribed = await takeUnsubscribes(client, returns.flatMap(unsubscribeIn), context.unsubscribe);
    const judged = returns.map((one) => ({ ...one, taken: takeReturn(one, standings, unsubscribed, context) }));
    await applyToMessages(client, [...standings.values()]);
    await tellDestinations(client, newsOf(judged, standings));
    await letGo(client, judged);
    const stops = context.refusals.newStops();
    for (const { target, reason } of stops) await pauseTarget(client, target, reason);
    return { batch: { taken: rows.length, cursorUs: rows.at(-1)?.judge_us ?? cursorUs }, stops };
  });
  for (const stop of stops) context.onAlarm(tellStop(stop));
  return batch;
}

/** Takes the first row that is due, alone; one that cannot be taken is set aside with the error. */
export async function takeOneOrSetAside(context: ReturnContext): Promise<void> {
  let picked: DueReturn | undefined;
  try {
    await takeReturns(context, 0, 1, ([row]) => (picked = row));
  } catch (error) {
    if (!isRowsFault(error) || picked === undefined) throw error;
    const { id, source } = picked;
    await inTransaction(context.pool, (client) => markJudged(client, [{ id, judgement: FAILED, isKept: true }]));
    context.log.error("returns.failed", { id, source, error: String(error) });
  }
}

/** The judgement of a row whose taking failed; it stays to be looked at. */
const FAILED = "failed";

/**
 * Of a value that the database does not take (SQLSTATE classes 22, 23, 54), or of a mistake in here that this row has
 * found; not of a server that is gone, or of two sessions that met.
 */
export function isRowsFault(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return /^(?:22|23|54)/.test(error.code ?? "");
  return error instanceof assert.AssertionError || error instanceof TypeError || error instanceof RangeError;
}

interface OneReturn {
  readonly row: DueReturn;
  readonly read: ReadReturn;
  /** Absent: it names nothing that is known. */
  readonly messageId?: MessageId | undefined;
  readonly fact?: ReturnFact | undefined;
}

type JudgedReturn = OneReturn & { readonly taken: Taken };
type Standings = ReadonlyMap<MessageId, MessageStanding>;

type Taken = { readonly kind: "wait" } | { readonly kind: "done"; readonly word: string; readonly isOurs: boolean };

// ---- reading --------------------------------------------------------------------------------------------------------

function firstMails(rows: readonly DueReturn[]): readonly DueReturn[] {
  const beyond = rows.filter((row) => row.has_raw)[BATCH_MAILS_MAX];
  return beyond === undefined ? rows : rows.slice(0, rows.indexOf(beyond));
}

/** In the order in which they were written: a log tells of deferrals before the delivery. */
async function readReturns(
  client: ClientBase,
  rows: readonly DueReturn[],
  context: ReturnContext,
): Promise<readonly OneReturn[]> {
  const raws = await readRaw(
    client,
    rows.filter((row) => row.has_raw).map((row) => row.id),
  );
  const read = rows
    .toSorted((one, other) => one.id - other.id)
    .map((row) => ({ row, read: readReturn(row, raws.get(row.id), context) }));
  const names = read.flatMap((one) => (one.read.kind === "by_queue_id" ? [one.read] : []));
  const found = new Map((await findByQueueId(client, names)).map((name) => [`${name.outlet} ${name.queue_id}`, name]));
  return read.map((one): OneReturn => {
    switch (one.read.kind) {
      case "idle":
      case "unsubscribe":
        return one;
      case "named": {
        const { messageId, attempt } = one.read.name;
        return { ...one, messageId, fact: { ...one.read.said, attempt } };
      }
      case "by_queue_id": {
        const name = found.get(`${one.read.outlet} ${one.read.queueId}`);
        if (name === undefined) return one;
        return { ...one, messageId: name.message_id, fact: { ...one.read.said, attempt: name.attempt } };
      }
    }
  });
}

function unsubscribeIn({ row, read }: OneReturn) {
  return read.kind === "unsubscribe" ? [{ returnId: row.id, messageId: read.messageId }] : [];
}

function messagesOf(returns: readonly OneReturn[]): readonly MessageId[] {
  return [...new Set(returns.flatMap(({ messageId }) => messageId ?? []))];
}

// ---- judging --------------------------------------------------------------------------------------------------------

/** One return, judged against its message as the earlier ones of the batch have left it. */
function takeReturn(
  { row, read, messageId, fact }: OneReturn,
  standings: Standings,
  unsubscribed: ReadonlyMap<number, UnsubscribeWord>,
  context: ReturnContext,
): Taken {
  if (read.kind === "unsubscribe") return { kind: "done", word: unsubscribed.get(row.id)!, isOurs: false };
  if (read.kind === "idle") return { kind: "done", word: read.word, isOurs: false };
  // Its line may be here before the reply was settled.
  if (fact === undefined) return waitOrGiveUp(row, false);
  const standing = messageId === undefined ? undefined : standings.get(messageId);
  if (standing === undefined) return { kind: "done", word: "nobodys", isOurs: false };
  const lane = context.laneSettingsOf(standing.message.lane_id);
  const { expiresAtMs } = standing;
  const judgement = judgeReturn(fact, standing.now, { lane, nowMs: row.now_ms, expiresAtMs, random: context.random });
  if (judgement.kind === "wait") return waitOrGiveUp(row, standing.now.isClaimed);
  const refused =
    lane.priority === "bulk" ? judgeRefusal(row, fact, judgement, standing, context.refusals) : "as_it_is";
  const taken = refused === "as_it_is" ? judgement : refusedInstead(judgement, standing.now, refused);
  standing.take(fact, taken);
  return { kind: "done", word: taken.word, isOurs: true };
}

/** Counts the answer, if it is one that our relay reports. */
function judgeRefusal(
  row: DueReturn,
  fact: ReturnFact,
  judgement: Extract<ReturnJudgement, { kind: "judged" }>,
  { message: { lane_id: laneId, recipient } }: MessageStanding,
  refusals: ReturnedRefusals,
): ReturnType<ReturnedRefusals["judge"]> {
  const { outlet, attempt } = fact;
  if (outlet === undefined || !isReportedAnswer(fact, judgement)) return "as_it_is";
  const refusal = policyRefusalOf(fact, recipient);
  return refusals.judge({ laneId, outlet, destination: domainOf(recipient), refusal, attempt, nowMs: row.now_ms });
}

/** Only where it matters: refusals are rare. */
async function hearPauses(
  client: ClientBase,
  returns: readonly OneReturn[],
  standings: Standings,
  refusals: ReturnedRefusals,
): Promise<void> {
  const isAny = returns.some(({ fact, messageId }) => {
    const standing = messageId === undefined ? undefined : standings.get(messageId);
    return (
      fact !== undefined && standing !== undefined && policyRefusalOf(fact, standing.message.recipient) !== undefined
    );
  });
  if (isAny) refusals.heard(await listPauses(client));
}

/** A hand-over may wait ten minutes for its reply, and a claim of a dead dispatcher for its rescue. */
const WAIT_MS_MAX = 15 * 60_000;

function waitOrGiveUp(row: DueReturn, isBeingHandedOver: boolean): Taken {
  if (row.age_ms < WAIT_MS_MAX || isBeingHandedOver) return { kind: "wait" };
  return { kind: "done", word: "nobodys", isOurs: false };
}

// ---- what follows ---------------------------------------------------------------------------------------------------

function newsOf(judged: readonly JudgedReturn[], standings: Standings): readonly DestinationNews[] {
  const news = new NewsOfDestinations();
  for (const { row, fact, messageId, taken } of judged) {
    if (taken.kind === "wait" || !taken.isOurs || fact === undefined || messageId === undefined) continue;
    const { recipient } = standings.get(messageId)!.message;
    const sign = signOfReturn(fact, recipient);
    if (sign !== undefined) news.add(domainOf(recipient), sign, ageOf(row, fact));
  }
  return news.all();
}

function ageOf(row: DueReturn, fact: ReturnFact): number {
  if (fact.source === "notice") return row.age_ms + NOTICE_AGE_MS;
  if (fact.source === "log" && fact.atMs !== undefined) return Math.max(row.age_ms, row.now_ms - fact.atMs);
  return row.age_ms;
}

/** A relay writes its notice when its time is over; its last try was one of its pauses before (Postfix: 5 minutes). */
const NOTICE_AGE_MS = 5 * 60_000;

async function letGo(client: ClientBase, judged: readonly JudgedReturn[]): Promise<void> {
  const done = judged.filter(({ taken }) => taken.kind === "done");
  const isNotice = ({ row }: JudgedReturn): boolean => row.source === "maildir" || row.source === "door";
  await forget(
    client,
    done.filter((one) => !isNotice(one)).map(({ row }) => row.id),
  );
  await markJudged(
    client,
    done.filter(isNotice).flatMap(({ row, taken }) => {
      return taken.kind === "done" ? { id: row.id, judgement: taken.word, isKept: taken.isOurs } : [];
    }),
  );
  await postpone(
    client,
    judged.filter(({ taken }) => taken.kind === "wait").map(({ row }) => ({ id: row.id, delayMs: pauseFor(row) })),
  );
}

/** Each pause as long as all before it: what was early by a moment is judged a moment later, and strangers cost little. */
function pauseFor({ age_ms }: DueReturn): number {
  return Math.min(Math.max(age_ms, PAUSE_MS_MIN), PAUSE_MS_MAX);
}

const PAUSE_MS_MIN = 250;
const PAUSE_MS_MAX = 2 * 60_000;
