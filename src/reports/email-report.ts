// A submission as whoever submitted it sees it: what was accepted, and where each of its messages stands. The state of a
// message is its row in the queue, else the last event that settled it. Reads only.

import type { Pool } from "pg";
import type { MessageId, SubmissionId } from "../mail/ids.ts";
import { isSettled, SETTLED_STATES, STATES, type State } from "../mail/state.ts";
import {
  findOwner,
  findSubmission,
  listSubmissions,
  readEnds,
  readEventsOf,
  readSubmitted,
  type EmailRow,
  type ListedRow,
  type SubmittedEventRow,
  type SubmittedRow,
} from "./email-store.ts";

export interface ReportedEmail<Row extends ListedRow = ListedRow> {
  readonly row: Row;
  /** In the order of its recipients. */
  readonly messages: readonly ReportedMessage[];
}

export interface ReportedMessage {
  readonly id: MessageId;
  readonly submissionId: SubmissionId;
  readonly recipient: string;
  readonly lane: string;
  /** Null: it waits no longer, and its history is older than what is kept. */
  readonly state: State | null;
  readonly dueAt: Date | null;
  readonly expiresAt: Date | null;
  /** Only of a single submission. */
  readonly events: readonly SubmittedEventRow[];
}

/** As many recipients as a mail that came by SMTP may have. */
const MESSAGES_MAX = 1000;
/** Of each submission in a list: enough for all that came by HTTP or SQL, of which none has more than 50. */
const LISTED_MESSAGES_MAX = 100;

export async function reportEmail(pool: Pool, id: SubmissionId): Promise<ReportedEmail<EmailRow> | undefined> {
  const row = await findSubmission(pool, id);
  if (row === undefined) return undefined;
  const messages = await readSubmitted(pool, [id], MESSAGES_MAX);
  const ids = messages.map((message) => message.id);
  const events = grouped(await readEventsOf(pool, ids), (event) => event.message_id);
  return { row, messages: messages.map((message) => shapeMessage(message, events.get(message.id) ?? [])) };
}

/** Where the messages of a submission stand, without what it says. */
export async function reportStanding(
  pool: Pool,
  id: SubmissionId,
): Promise<{ readonly credential: string; readonly messages: readonly ReportedMessage[] } | undefined> {
  const credential = await findOwner(pool, id);
  if (credential === undefined) return undefined;
  return { credential, messages: await withEnds(pool, await readSubmitted(pool, [id], MESSAGES_MAX)) };
}

export interface EmailPage {
  readonly emails: readonly ReportedEmail[];
  readonly hasMore: boolean;
}

/** The newest first, from behind `after` on; of one credential, or of all. */
export async function listEmails(
  pool: Pool,
  question: { readonly credential?: string | undefined; readonly after?: number | undefined; readonly limit: number },
): Promise<EmailPage> {
  const { credential, after = Number.MAX_SAFE_INTEGER, limit } = question;
  const rows = await listSubmissions(pool, { credential, before: after, rowsMax: limit + 1 });
  const page = rows.slice(0, limit);
  const ids = page.map((row) => row.id);
  const messages = await withEnds(pool, await readSubmitted(pool, ids, LISTED_MESSAGES_MAX));
  const bySubmission = grouped(messages, (message) => message.submissionId);
  const emails = page.map((row) => ({ row, messages: bySubmission.get(row.id) ?? [] }));
  return { emails, hasMore: rows.length > limit };
}

async function withEnds(pool: Pool, rows: readonly SubmittedRow[]): Promise<readonly ReportedMessage[]> {
  const settled = rows.filter((row) => row.queue_state === null).map((row) => row.id);
  const ends = await readEnds(pool, settled, SETTLED_STATES);
  return rows.map((row) => ({ ...shapeMessage(row, []), state: row.queue_state ?? ends.get(row.id) ?? null }));
}

function shapeMessage(row: SubmittedRow, events: readonly SubmittedEventRow[]): ReportedMessage {
  return {
    id: row.id,
    submissionId: row.submission_id,
    recipient: row.recipient,
    lane: row.lane,
    state: row.queue_state ?? lastEnd(events),
    dueAt: row.due_at,
    expiresAt: row.expires_at,
    events,
  };
}

function lastEnd(events: readonly SubmittedEventRow[]): State | null {
  const last = events.findLast(({ kind }) => isEnd(kind));
  return last === undefined ? null : (last.kind as State);
}

function isEnd(kind: string): boolean {
  return (STATES as readonly string[]).includes(kind) && isSettled(kind as State);
}

function grouped<Key, Row>(rows: readonly Row[], keyOf: (row: Row) => Key): ReadonlyMap<Key, readonly Row[]> {
  const groups = new Map<Key, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group === undefined) groups.set(keyOf(row), [row]);
    else group.push(row);
  }
  return groups;
}
