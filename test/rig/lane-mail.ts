// Mail for a lane under test, and the questions that its tests ask of the database: put messages in by the doors that
// the site has, wait for what happens to them, read the story of one. Waiting is by looking at what is waited for, with
// a generous bound; when something happened is read from the events, by the database's clock, and never measured here.

import assert from "node:assert/strict";
import type { Pool } from "pg";
import type { CampaignId, MessageId } from "../../src/mail/ids.ts";
import { foldBalance } from "../../src/queue/balance-store.ts";
import type { Queryable } from "../../src/postgres/statement.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { insertCampaign, makeRecipients } from "./campaign-list.ts";

/** Until something is given up as not happening; on a machine with nothing else to do all of it takes a few seconds. */
export const WAIT_MS_MAX = 30_000;
const LOOK_MS = 10;

/** The first answer that is neither undefined nor false. */
export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  msMax: number = WAIT_MS_MAX,
): Promise<T> {
  const endsAt = performance.now() + msMax;
  for (;;) {
    const answer = await look();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > endsAt) throw new Error(`waited ${msMax} ms in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** For what others promise without a bound. */
export async function soon<T>(what: string, promise: Promise<T>, msMax: number = WAIT_MS_MAX): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${msMax} ms in vain: ${what}`)), msMax);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// ---- mail -----------------------------------------------------------------------------------------------------------

type Email = Readonly<Record<string, unknown>> & { readonly to: string };

const TEXT = { subject: "Your order", text: "Thank you for your order." };

/** One email by the SQL door; its only message. */
export async function enqueue(on: Queryable, email: Email): Promise<MessageId> {
  const { rows } = await on.query("SELECT postlane.enqueue($1) AS id", [JSON.stringify({ ...TEXT, ...email })]);
  const message = await on.query("SELECT id FROM postlane.message WHERE submission_id = $1", [
    Number(rows[0].id.slice("sub_".length)),
  ]);
  return message.rows[0].id as MessageId;
}

export async function enqueueMany(on: Queryable, emails: readonly Email[]): Promise<void> {
  await on.query("SELECT count(*) FROM postlane.enqueue_many($1)", [
    JSON.stringify(emails.map((email) => ({ ...TEXT, ...email }))),
  ]);
}

export interface TestCampaign {
  readonly name: string;
  readonly lane?: string;
  readonly template?: Readonly<Record<string, string>>;
  readonly list?: string;
}

export async function createCampaign(
  pool: Pool,
  { name, lane = "bulk", template, list = "" }: TestCampaign,
): Promise<CampaignId> {
  const body = { from: "News <news@news.example>", subject: "News", text: "Hello {{ first_name }}!", ...template };
  return await insertCampaign(pool, { name, lane, status: "running", template: body, list });
}

/** `rows` recipients, `user<n>@d<n mod destinations>.<name>.example`, which are messages at once. */
export async function fillCampaign(
  pool: Pool,
  id: CampaignId,
  given: { readonly rows: number; readonly destinations: number; readonly domain: string },
): Promise<void> {
  await inTransaction(pool, (client) =>
    makeRecipients(
      client,
      id,
      `SELECT n, 'user' || n || '@d' || n % $2 || '.' || $3, json_build_object('first_name', 'Ann' || n)
       FROM generate_series(1, $1) AS n`,
      [given.rows, given.destinations, given.domain],
    ),
  );
}

/** One more recipient, with this data; the message. */
export async function addRecipient(
  pool: Pool,
  id: CampaignId,
  recipient: string,
  data: Readonly<Record<string, unknown>> = { first_name: "Ann" },
): Promise<MessageId> {
  const given = [recipient, JSON.stringify(data)];
  await inTransaction(pool, (client) => makeRecipients(client, id, "SELECT 1, $1, $2::json", given));
  const { rows } = await pool.query(
    "SELECT id FROM postlane.message WHERE campaign_id = $1 AND lower(recipient) = lower($2)",
    [id, recipient],
  );
  return rows[0].id as MessageId;
}

// ---- questions ------------------------------------------------------------------------------------------------------

export interface QueueRow {
  readonly state: string;
  readonly lease_id: number | null;
  readonly attempts: number;
  readonly tries: number;
  readonly rescues: number;
  /** From the database's now on; null: nobody knows when. */
  readonly due_in_ms: number | null;
}

/** Undefined when it waits no longer. */
export async function queueRow(pool: Pool, id: MessageId): Promise<QueueRow | undefined> {
  const { rows } = await pool.query(
    `SELECT state, lease_id, attempts, tries, rescues,
       CASE WHEN due_at < 'infinity' THEN (extract(epoch FROM due_at - clock_timestamp()) * 1000)::float8 END AS due_in_ms
     FROM postlane.queue WHERE message_id = $1`,
    [id],
  );
  return rows[0];
}

export interface StoryEvent {
  readonly kind: string;
  readonly attempt: number;
  readonly reply: string | null;
  readonly at_ms: number;
}

export async function storyOf(pool: Pool, id: MessageId): Promise<readonly StoryEvent[]> {
  const { rows } = await pool.query(
    `SELECT kind, attempt, reply, (extract(epoch FROM at) * 1000)::float8 AS at_ms
     FROM postlane.event WHERE message_id = $1 ORDER BY at`,
    [id],
  );
  return rows;
}

/** Its first event of this kind. */
export async function untilEvent(pool: Pool, id: MessageId, kind: string, msMax?: number): Promise<StoryEvent> {
  return await until(
    `message ${id} is ${kind}`,
    async () => (await storyOf(pool, id)).find((event) => event.kind === kind),
    msMax,
  );
}

export async function untilState(pool: Pool, id: MessageId, state: string, msMax?: number): Promise<QueueRow> {
  return await until(
    `message ${id} is ${state}`,
    async () => {
      const row = await queueRow(pool, id);
      return row?.state === state && row.lease_id === null ? row : undefined;
    },
    msMax,
  );
}

/** Until nothing waits in the queue. */
export async function untilEmpty(pool: Pool, msMax?: number): Promise<void> {
  await until(
    "the queue is empty",
    async () =>
      (await pool.query("SELECT NOT EXISTS (SELECT FROM postlane.queue) AS is_empty")).rows[0].is_empty as boolean,
    msMax,
  );
}

/** Until the lease was renewed once more: by then orders were read several times. */
export async function untilPulse(pool: Pool, leaseId: number): Promise<Readonly<Record<string, unknown>>> {
  const read = async () =>
    (await pool.query("SELECT deadline::text AS deadline, pulse FROM postlane.lease WHERE id = $1", [leaseId])).rows[0];
  const before = await read();
  return await until("the lease is renewed", async () => {
    const now = await read();
    return now.deadline !== before.deadline && now.pulse;
  });
}

export async function databaseMs(on: Queryable): Promise<number> {
  const { rows } = await on.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms");
  return rows[0].ms;
}

/** The books: state → messages. */
export async function booksOf(pool: Pool, campaignId?: CampaignId): Promise<Readonly<Record<string, number>>> {
  const { rows } = await pool.query(
    `SELECT state, sum(n)::integer AS n FROM postlane.balance_sheet WHERE campaign_id = coalesce($1, campaign_id) GROUP BY state`,
    [campaignId ?? null],
  );
  return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
}

// ---- the balance sheet, all the time ----------------------------------------------------------------------------------

// One statement and so one snapshot: what was accepted, what the books say, and what the queue really holds. Recipients of a
// campaign are accepted with their wave, and wait in it until they have a message.
const BALANCE = `
  WITH books AS (
    SELECT lane_id, campaign_id, accepted_on, state, n FROM postlane.balance_sheet
  ), wave AS (
    SELECT c.lane_id, w.* FROM postlane.campaign_wave AS w JOIN postlane.campaign AS c ON c.id = w.campaign_id
  ), waiting AS (
    SELECT lane_id, campaign_id, accepted_on, state, sum(n) AS n FROM (
      SELECT lane_id, campaign_id, accepted_on, state, count(*) AS n FROM postlane.queue GROUP BY 1, 2, 3, 4
      UNION ALL
      SELECT lane_id, campaign_id, accepted_on, state, rows - made - withdrawn FROM wave WHERE made + withdrawn < rows
    ) AS entry GROUP BY 1, 2, 3, 4
  ), messages AS (
    SELECT lane_id, campaign_id, count(*) AS n FROM postlane.message GROUP BY 1, 2
  ), waves AS (
    SELECT lane_id, campaign_id, sum(rows) AS rows, sum(made) AS made FROM wave GROUP BY 1, 2
  ), accepted AS (
    SELECT lane_id, campaign_id, coalesce(waves.rows, messages.n) AS n
    FROM messages FULL JOIN waves USING (lane_id, campaign_id)
  ), booked AS (
    SELECT lane_id, campaign_id, sum(n) AS n FROM books GROUP BY 1, 2
  )
  SELECT 'made ' || waves::text || ', messages ' || coalesce(messages.n, 0) AS problem
  FROM waves LEFT JOIN messages USING (lane_id, campaign_id) WHERE waves.made <> coalesce(messages.n, 0)
  UNION ALL
  SELECT 'below zero: ' || books::text AS problem FROM books WHERE n < 0
  UNION ALL
  SELECT 'accepted ' || coalesce(accepted::text, 'nothing') || ', in the books ' || coalesce(booked::text, 'nothing')
  FROM accepted FULL JOIN booked USING (lane_id, campaign_id) WHERE accepted.n IS DISTINCT FROM booked.n
  UNION ALL
  SELECT 'waiting ' || coalesce(waiting::text, 'nothing') || ', in the books ' || coalesce(books::text, 'nothing')
  FROM waiting FULL JOIN books USING (lane_id, campaign_id, accepted_on, state)
  WHERE waiting.n IS DISTINCT FROM books.n
    AND coalesce(books.state, waiting.state) IN ('scheduled', 'queued', 'deferred', 'held', 'unknown')`;
/** Between two looks. */
const BALANCE_MS = 100;

/** As if all messages had been accepted so much earlier, which may be another day of the books. */
export async function acceptEarlier(pool: Pool, interval: string): Promise<void> {
  await pool.query("UPDATE postlane.message SET accepted_at = accepted_at - $1::interval", [interval]);
  for (const table of ["balance", "balance_delta", "queue"]) {
    await pool.query(`UPDATE postlane.${table} SET accepted_on =
      (SELECT (min(accepted_at) AT TIME ZONE 'UTC')::date FROM postlane.message)`);
  }
}

export interface BooksWatch {
  /** Looks once more, and fails if they did not add up at any look. */
  stop(): Promise<void>;
}

/** Looks at the books again and again. */
export function watchBooks(pool: Pool): BooksWatch {
  return watchProblems(pool, "the books", async () => (await pool.query(BALANCE)).rows.map(({ problem }) => problem));
}

/** Looks again and again for what does not add up, and folds the books now and then as upkeep does. */
export function watchProblems(pool: Pool, what: string, problemsNow: () => Promise<readonly string[]>): BooksWatch {
  const problems: string[] = [];
  let looks = 0;
  let isStopped = false;
  const look = async (): Promise<void> => {
    problems.push(...(await problemsNow()).map((problem) => `look ${looks}: ${problem}`));
    if (++looks % 3 === 0) await foldBalance(pool);
  };
  const watching = (async () => {
    while (!isStopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, BALANCE_MS));
    }
  })().catch((error: unknown) => problems.push(String(error)));
  return {
    async stop() {
      isStopped = true;
      await watching;
      await look();
      assert.deepEqual(problems, [], `${what} did not add up in ${looks} looks`);
    },
  };
}
