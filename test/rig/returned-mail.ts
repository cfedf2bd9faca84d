// What comes back, made for tests: messages that were handed over (by SQL, as a dispatcher's settle leaves them), the
// relay's lines about them, its notices, strangers' notices; and one judge to take them.

import { createHmac } from "node:crypto";
import type { Pool } from "pg";
import type { MessageId } from "../../src/mail/ids.ts";
import type { LaneSettings } from "../../src/mail/lane.ts";
import { returnPathOf } from "../../src/mail/return-token.ts";
import type { Mac } from "../../src/mail/token-octets.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createMac } from "../../src/platform/mac.ts";
import { readReturnTokenKey } from "../../src/postgres/secret-store.ts";
import { readUnsubscribeMacs } from "../../src/processes/unsubscribe-here.ts";
import { inTransaction } from "../../src/postgres/transaction.ts";
import { recordStateChanges } from "../../src/queue/balance-store.ts";
import { keepFromAgent, keepReturn, type AgentReturn } from "../../src/returns/return-store.ts";
import { createReturnedRefusals } from "../../src/returns/returned-refusals.ts";
import { takeReturns, type ReturnContext } from "../../src/returns/take-returns.ts";
import { enqueue } from "./lane-mail.ts";

export const RETURNS_DOMAIN = "returns.news.example";
export const OUTLET = "relay";
export const RELAY_NAME = "relay.news.example";
export const DAY_MS = 86_400_000;

/** Of both lanes: the first retry after 15 minutes, the next after an hour. */
export const LANE: LaneSettings = {
  name: "transactional",
  priority: "transactional",
  outlets: [OUTLET],
  ttlMs: 3 * DAY_MS,
  unknownPolicy: "hold",
  unknownGraceMs: 60_000,
  dispatchers: 1,
  retry: { kind: "list", delaysMs: [15 * 60_000, 60 * 60_000] },
  claimAheadMax: 100,
};

export async function judgeOf(pool: Pool, given: Partial<ReturnContext> = {}): Promise<ReturnContext> {
  return {
    pool,
    mac: createMac(await readReturnTokenKey(pool)),
    unsubscribe: await readUnsubscribeMacs(pool),
    returnsDomain: RETURNS_DOMAIN,
    verpOutlets: new Set([OUTLET]),
    laneSettingsOf: () => LANE,
    random: () => 0.5,
    refusals: createReturnedRefusals(() => 0.05),
    onAlarm: () => {},
    log: silentLog,
    ...given,
  };
}

export interface SentMail {
  readonly id: MessageId;
  readonly attempt: number;
  readonly to: string;
  readonly queueId: string;
  readonly returnPath: string;
}

let made = 0;

/** An accepted message, not handed over yet. */
export async function waitingMail(context: ReturnContext, to = `ann${++made}@example.com`): Promise<SentMail> {
  const id = await enqueue(context.pool, { to });
  return mailOf(context, { id, attempt: 1, to });
}

/** Handed to the relay in its first attempt, which took it under a queue id of its own. */
export async function sentMail(context: ReturnContext, to?: string): Promise<SentMail> {
  const mail = await waitingMail(context, to);
  await settleAs(context.pool, mail, "sent");
  return mail;
}

/** The final dot was written and nothing came. */
export async function unknownMail(context: ReturnContext): Promise<SentMail> {
  const mail = await waitingMail(context);
  await settleAs(context.pool, mail, "unknown");
  return mail;
}

/** The same message, one attempt later. */
export function nextAttempt(context: ReturnContext, { id, attempt, to }: SentMail): SentMail {
  return mailOf(context, { id, attempt: attempt + 1, to });
}

function mailOf({ mac }: { readonly mac: Mac }, mail: Pick<SentMail, "id" | "attempt" | "to">): SentMail {
  const queueId = `4Q${createHmac("sha256", "queue").update(`${mail.id} ${mail.attempt}`).digest("hex").slice(0, 12)}`;
  return {
    ...mail,
    queueId,
    returnPath: returnPathOf({ messageId: mail.id, attempt: mail.attempt }, RETURNS_DOMAIN, mac),
  };
}

/** As a dispatcher settles: row, event and books. */
export async function settleAs(pool: Pool, mail: SentMail, state: "sent" | "unknown"): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const { rows } = await client.query("SELECT * FROM postlane.queue WHERE message_id = $1", [mail.id]);
    if (state === "sent") await client.query("DELETE FROM postlane.queue WHERE message_id = $1", [mail.id]);
    else {
      await client.query(
        "UPDATE postlane.queue SET state = 'unknown', attempts = $2, due_at = 'infinity', lease_id = NULL WHERE message_id = $1",
        [mail.id, mail.attempt],
      );
    }
    await client.query(
      "INSERT INTO postlane.event (message_id, attempt, kind, outlet, queue_id, version) VALUES ($1, $2, $3, $4, $5, $6)",
      [mail.id, mail.attempt, state, OUTLET, state === "sent" ? mail.queueId : null, rows[0].version],
    );
    const { lane_id: laneId, campaign_id: campaignId, state: from } = rows[0];
    const { rows: days } = await client.query("SELECT $1::date::text AS day", [rows[0].accepted_on]);
    await recordStateChanges(client, [{ laneId, campaignId, acceptedOn: days[0].day, from, to: state }]);
    await client.query("COMMIT");
  } finally {
    client.release();
  }
}

// ---- what comes back ------------------------------------------------------------------------------------------------

export type LineParts = Partial<Record<"status" | "dsn" | "reply" | "relay" | "means" | "recipient" | "at", string>> & {
  /** Null: the line names none. */
  readonly returnPath?: string | null;
};

/** A line of the relay's log, as its agent writes it. */
export async function logLine(pool: Pool, mail: SentMail, parts: LineParts = {}): Promise<void> {
  const { returnPath = mail.returnPath, ...given } = parts;
  const body = {
    queue_id: mail.queueId,
    ...(returnPath === null ? {} : { return_path: returnPath }),
    recipient: mail.to,
    status: "sent",
    dsn: "2.0.0",
    relay: "mx.example.com[192.0.2.1]:25",
    reply: "250 2.0.0 Ok",
    at: new Date().toISOString(),
    means: "delivered",
    ...given,
  };
  await bring(pool, { outlet: OUTLET, source: "log", body });
}

export async function evidence(pool: Pool, mail: SentMail, verdict: "accepted" | "not_accepted"): Promise<void> {
  const body = { message_id: mail.id, attempt: mail.attempt, verdict, grounds: "qmgr has it", queue_id: mail.queueId };
  await bring(pool, { outlet: OUTLET, source: "evidence", body });
}

export interface NoticeParts {
  readonly action?: string;
  readonly status?: string;
  readonly diagnostic?: string;
  readonly reportingMta?: string;
  /** Null: it names none. */
  readonly queueId?: string | null;
  readonly finalRecipient?: string;
  readonly remoteMta?: string;
}

export function noticeFor(mail: SentMail, parts: NoticeParts = {}): string {
  const { action = "failed", status = "4.4.1", reportingMta = RELAY_NAME, queueId = mail.queueId } = parts;
  const lines = [
    `From: MAILER-DAEMON@${RELAY_NAME}`,
    `To: ${mail.returnPath}`,
    "Subject: Undelivered Mail Returned to Sender",
    "Auto-Submitted: auto-replied",
    'Content-Type: multipart/report; report-type=delivery-status; boundary="part"',
    "",
    "--part",
    "Content-Type: text/plain",
    "",
    "I'm sorry to have to inform you that your message could not be delivered.",
    "",
    "--part",
    "Content-Type: message/delivery-status",
    "",
    `Reporting-MTA: dns; ${reportingMta}`,
    ...(queueId === null ? [] : [`X-Postfix-Queue-ID: ${queueId}`]),
    "",
    `Final-Recipient: rfc822; ${parts.finalRecipient ?? mail.to}`,
    `Action: ${action}`,
    `Status: ${status}`,
    ...(parts.remoteMta === undefined ? [] : [`Remote-MTA: dns; ${parts.remoteMta}`]),
    `Diagnostic-Code: X-Postfix; ${parts.diagnostic ?? "connect to mx.example.com: Connection timed out"}`,
    "",
    "--part--",
    "",
  ];
  return lines.join("\r\n");
}

let files = 0;

/** In the relay's own Maildir, as its agent brings it. */
export async function byMaildir(pool: Pool, mail: SentMail, raw: string, reportingMta = RELAY_NAME): Promise<void> {
  const body = { reporting_mta: reportingMta, recipient: mail.returnPath };
  await bring(pool, { outlet: OUTLET, source: "maildir", sourceKey: `file${++files}`, raw: Buffer.from(raw), body });
}

async function bring(pool: Pool, brought: AgentReturn): Promise<void> {
  await inTransaction(pool, (client) => keepFromAgent(client, [brought]));
}

export async function byDoor(pool: Pool, recipient: string, raw: string, sender = ""): Promise<void> {
  await keepReturn(pool, { raw: Buffer.from(raw), sender, recipients: [recipient], client: "127.0.0.1" });
}

/** Takes all that is due. */
export async function takeAll(context: ReturnContext): Promise<void> {
  while ((await takeReturns(context, 0)).taken > 0);
}

/** What was made of the notices, the oldest first; null: not judged yet. */
export async function judgementsOf(pool: Pool): Promise<readonly (string | null)[]> {
  const { rows } = await pool.query("SELECT judgement FROM postlane.return ORDER BY id");
  return rows.map((row) => row.judgement as string | null);
}
