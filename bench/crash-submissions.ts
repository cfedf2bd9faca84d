// The site of a crash run: it submits to both lanes without a pause, single transactions to one and batches to the
// other, and remembers what was acknowledged. Every recipient is written to once, so that a recipient names its
// message. While the database is down it tries again and again, as a site's users would.

import { setTimeout as sleep } from "node:timers/promises";
import type { SiteKnowledge } from "./crash-check.ts";
import { enqueueMany, enqueueOne, type SiteEmail } from "./crash-store.ts";
import { openSiteDatabase, type SiteDatabase } from "./site-database.ts";

export type Lane = "transactional" | "bulk";

export interface Submissions {
  readonly site: ReadonlyMap<string, SiteKnowledge>;
  /** When the submission to this recipient was begun. */
  begunAtMs(recipient: string): number | undefined;
  laneOf(recipient: string): Lane;
  /** Ends after the calls that are under way. */
  stop(): Promise<void>;
}

export interface SubmissionRates {
  readonly transactionalPerS: number;
  readonly bulkPerS: number;
}

const BATCHES_PER_S = 20;
const DESTINATIONS = 200;
const AGAIN_MS = 20;
/** With so much under way, batches pause: a machine that cannot follow shall not pile up what has to be drained. */
const UNDER_WAY_MAX = 5000;
/** About a kilobyte, so that a message is more than one packet's worth with its headers. */
const TEXT = "This message was sent by a crash run, to see whether it arrives once.\n".repeat(14);

/** `countReceived`: how many messages the sink has. */
export function startSubmissions(dataDir: string, rates: SubmissionRates, countReceived: () => number): Submissions {
  const site = new Map<string, SiteKnowledge>();
  const begunAt = new Map<string, number>();
  let isStopped = false;
  let count = 0;

  // A destination of its own goes ahead of a backlog, in a batch the first: so a recovered lane shows that it has.
  const nextEmail = (lane: Lane, isAlone: boolean): SiteEmail => {
    const number = ++count;
    const to = `${lane[0]}${number}@${isAlone ? `alone${number}` : `d${number % DESTINATIONS}`}.crash.example`;
    return { to, subject: `Message ${number}`, text: TEXT, lane };
  };
  const submit = async (
    database: SiteDatabase,
    emails: readonly SiteEmail[],
    work: Parameters<SiteDatabase["call"]>[0],
  ): Promise<void> => {
    const nowMs = wallMs();
    for (const { to } of emails) begunAt.set(to, nowMs);
    const call = await database.call(work);
    switch (call.kind) {
      case "committed":
        for (const { to } of emails) site.set(to, "acknowledged");
        return;
      case "ambiguous":
        for (const { to } of emails) site.set(to, "ambiguous");
        return;
      case "not_sent":
        for (const { to } of emails) begunAt.delete(to);
        await sleep(AGAIN_MS);
    }
  };
  const keepSubmitting = async (pauseMs: number, once: (database: SiteDatabase) => Promise<void>): Promise<void> => {
    const database = openSiteDatabase(dataDir);
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
      if (site.size - countReceived() > UNDER_WAY_MAX) return;
      const emails = Array.from({ length: rates.bulkPerS / BATCHES_PER_S }, (_, index) =>
        nextEmail("bulk", index === 0),
      );
      await submit(database, emails, (client) => enqueueMany(client, emails));
    }),
  ]);
  return {
    site,
    begunAtMs: (recipient) => begunAt.get(recipient),
    laneOf: (recipient) => (recipient.startsWith("b") ? "bulk" : "transactional"),
    async stop() {
      isStopped = true;
      await loops;
    },
  };
}

/** The clock of the ledger. */
export function wallMs(): number {
  return performance.timeOrigin + performance.now();
}
