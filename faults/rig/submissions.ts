// The site of a fault run: it submits to both lanes without a pause, single transactions to one and batches to the
// other, and its ledger remembers what was acknowledged. Every recipient is written to once, so that a recipient names its
// message. While the database is down it tries again and again, as a site's users would.

import { setTimeout as sleep } from "node:timers/promises";
import { openSiteDatabase, type SiteCall, type SiteDatabase } from "../../bench/site-database.ts";
import { enqueueMany, enqueueOne, type SiteEmail } from "./books-store.ts";
import { openSiteLedger, type SiteNote } from "./site-ledger.ts";

export type Lane = "transactional" | "bulk";

export interface Submissions {
  /** Submissions that were begun, and not refused. */
  readonly begun: number;
  /** How many calls were refused for lack of room, by the code that said so. */
  readonly refused: ReadonlyMap<string, number>;
  /** When the submission to this recipient was begun. */
  begunAtMs(recipient: string): number | undefined;
  /** One more email of the site's, by another door; `send` answers what the site then knows. Resolves with that. */
  submitBy(lane: Lane, send: (email: SiteEmail) => Promise<SiteAnswer>): Promise<SiteAnswer>;
  /** Into the ledger: what a fault submits by a door of its own, each recipient once. */
  note(kind: SiteNote, recipients: readonly string[]): void;
  /** By recipient, when its COMMIT was confirmed. */
  readonly acknowledgedAtMs: ReadonlyMap<string, number>;
  /** One more to this lane, for this time; answers its recipient. */
  schedule(lane: Lane, at: Date): Promise<string>;
  /** Those that were to go at once and were begun before this moment. */
  begunBefore(atMs: number): readonly string[];
  /** Ends after the calls that are under way. */
  stop(): Promise<void>;
}

/** As `SiteCall` has it. */
export type SiteAnswer = SiteCall<unknown>["kind"];

export interface SubmissionRates {
  readonly transactionalPerS: number;
  readonly bulkPerS: number;
}

const BATCHES_PER_S = 20;
const DESTINATIONS = 200;
const AGAIN_MS = 20;
/** With so much under way, batches pause: a machine that cannot follow shall not pile up what has to be drained. */
const UNDER_WAY_MAX = 5000;

/** What the content to a recipient must be received with, as the sink notes it; and what the sink looks for. */
export const marksOf = (recipient: string): string => `begin-${nameOf(recipient)}+end-${nameOf(recipient)}`;
export const MARKS = String.raw`(?:begin|end)-[tb]\d+`;
export const laneOf = (recipient: string): Lane => (recipient.startsWith("b") ? "bulk" : "transactional");

/** Of an address, or of its name already. */
const nameOf = (recipient: string): string => recipient.split("@")[0]!;

/** `site`: a data directory or a URL. `countReceived`: how many messages the sink has. */
export function startSubmissions(given: {
  readonly site: string;
  readonly ledgerFile: string;
  readonly rates: SubmissionRates;
  readonly countReceived: () => number;
}): Submissions {
  const { rates, countReceived } = given;
  const ledger = openSiteLedger(given.ledgerFile);
  const begunAt = new Map<string, number>();
  const refused = new Map<string, number>();
  const acknowledgedAt = new Map<string, number>();
  const scheduled = new Set<string>();
  let isStopped = false;
  let count = 0;

  // A destination of its own goes ahead of a backlog, in a batch the first: so a recovered lane shows that it has.
  const nextEmail = (lane: Lane, isAlone: boolean): SiteEmail => {
    const number = ++count;
    const to = `${lane[0]}${number}@${isAlone ? `alone${number}` : `d${number % DESTINATIONS}`}.crash.example`;
    return { to, subject: `Message ${number}`, text: textOf(to), lane };
  };
  const noteOf = async (emails: readonly SiteEmail[], send: () => Promise<SiteAnswer>): Promise<SiteAnswer> => {
    const recipients = emails.map(({ to }) => to);
    const nowMs = wallMs();
    for (const to of recipients) begunAt.set(to, nowMs);
    ledger.note("sub", recipients);
    const answer = await send();
    ledger.note(NOTE_OF[answer], recipients);
    if (answer === "committed") for (const to of recipients) acknowledgedAt.set(to, wallMs());
    if (NOTE_OF[answer] === "nak") for (const to of recipients) begunAt.delete(to);
    return answer;
  };
  const submit = async (
    database: SiteDatabase,
    emails: readonly SiteEmail[],
    work: Parameters<SiteDatabase["call"]>[0],
  ): Promise<void> => {
    const answer = await noteOf(emails, async () => {
      const call = await database.call(work);
      if (call.kind === "refused") refused.set(call.code, (refused.get(call.code) ?? 0) + 1);
      return call.kind;
    });
    if (answer === "not_sent" || answer === "refused") await sleep(AGAIN_MS);
  };
  const keepSubmitting = async (pauseMs: number, once: (database: SiteDatabase) => Promise<void>): Promise<void> => {
    const database = openSiteDatabase(given.site);
    let dueAt = performance.now();
    while (!isStopped) {
      await once(database);
      dueAt = Math.max(dueAt + pauseMs, performance.now() - pauseMs);
      await sleep(Math.max(0, dueAt - performance.now()));
    }
    await database.close();
  };

  const loops = Promise.all([
    keepSubmitting(1000 / rates.transactionalPerS, async (database) => {
      const email = nextEmail("transactional", true);
      await submit(database, [email], (client) => enqueueOne(client, email));
    }),
    keepSubmitting(1000 / BATCHES_PER_S, async (database) => {
      if (begunAt.size - countReceived() > UNDER_WAY_MAX) return;
      const emails = Array.from({ length: rates.bulkPerS / BATCHES_PER_S }, (_, index) =>
        nextEmail("bulk", index === 0),
      );
      await submit(database, emails, (client) => enqueueMany(client, emails));
    }),
  ]);
  return {
    get begun() {
      return begunAt.size;
    },
    refused,
    note: (kind, recipients) => ledger.note(kind, recipients),
    begunAtMs: (recipient) => begunAt.get(recipient),
    async submitBy(lane, send) {
      const email = nextEmail(lane, true);
      return await noteOf([email], () => send(email));
    },
    acknowledgedAtMs: acknowledgedAt,
    begunBefore: (atMs) =>
      [...begunAt].flatMap(([recipient, ms]) => (ms < atMs && !scheduled.has(recipient) ? [recipient] : [])),
    async schedule(lane, at) {
      const email = { ...nextEmail(lane, true), scheduled_at: at.toISOString() };
      scheduled.add(email.to);
      const database = openSiteDatabase(given.site);
      await submit(database, [email], (client) => enqueueOne(client, email));
      await database.close();
      return email.to;
    },
    async stop() {
      if (isStopped) return await loops.then(() => {});
      isStopped = true;
      await loops;
      ledger.close();
    },
  };
}

const NOTE_OF = {
  committed: "ack",
  ambiguous: "amb",
  not_sent: "nak",
  refused: "nak",
} as const satisfies Record<SiteAnswer, SiteNote>;

/** About a kilobyte, so that a message is more than one packet's worth with its headers. */
export function textOf(recipient: string): string {
  const name = nameOf(recipient);
  const filling = "This message was sent by a fault run, to see whether it arrives once.\n".repeat(14);
  return `begin-${name}\n${filling}end-${name}\n`;
}

/** The clock of the ledger. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
