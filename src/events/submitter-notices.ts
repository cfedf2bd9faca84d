// Tells submitters by SMTP and sendmail what became of their mail: takes what is owed, writes the notice and submits it as
// mail of ours, in one transaction, so that each goes out exactly once. Who wants none gets none: a null sender (a notice
// about a notice would never end), NOTIFY, a credential that switched it off, a relay that tells it itself. Several may run
// at once.

import { createHash } from "node:crypto";
import type { Pool, ClientBase } from "pg";
import { failureNotice } from "../compose/failure-notice.ts";
import { ComposeRefused } from "../compose/compose-refused.ts";
import { wireDomainOf } from "../compose/mailbox-header.ts";
import { printMessageId } from "../mail/ids.ts";
import type { Clock } from "../platform/clock.ts";
import type { Log } from "../platform/log.ts";
import { inTransaction } from "../postgres/transaction.ts";
import { acceptTogether } from "../submission/accept-submission.ts";
import { REFUSAL_CODES, type KeptMail, type Submission, type SubmissionAnswer } from "../submission/submission.ts";
import { dropOwedNotices, putOffNotice, takeOwedNotices, type OwedNotice } from "./owed-notice-store.ts";

export interface NoticePorts {
  readonly pool: Pool;
  readonly clock: Pick<Clock, "wallMs">;
  readonly log: Log;
  /** The mailbox that our own mail is from: notices come from its domain. */
  readonly from: string;
  /** Outlets with `return_path: keep`: what their relays took and could not deliver, the relays tell MAIL FROM. */
  readonly tellingOutlets: ReadonlySet<string>;
}

/** Of one transaction; each may bring a megabyte back. */
const NOTICES_MAX = 20;
/** The lane is full, or somebody is at the same notice. */
const REFUSED_WAIT_MS = 60_000;
/** What could not be written is tried again, in case it was the database's fault, and never keeps others waiting. */
const FAILED_WAIT_MS = 600_000;

/** Takes all that is due. Answers how many notices were submitted. */
export async function sendOwedNotices(ports: NoticePorts): Promise<number> {
  let sent = 0;
  for (;;) {
    const batch = await takeBatch(ports, NOTICES_MAX).catch(() => undefined);
    const done = batch ?? (await takeOneByOne(ports));
    sent += done.sent;
    if (done.taken < NOTICES_MAX) return sent;
  }
}

interface Batch {
  readonly taken: number;
  readonly sent: number;
}

async function takeBatch(ports: NoticePorts, rowsMax: number): Promise<Batch> {
  return await inTransaction(ports.pool, async (client) => {
    const owed = await takeOwedNotices(client, rowsMax);
    return { taken: owed.length, sent: await submitNotices(client, ports, owed) };
  });
}

/** One of them cannot be written: it is put off, and the others go. */
async function takeOneByOne(ports: NoticePorts): Promise<Batch> {
  let sent = 0;
  let taken = 0;
  for (; taken < NOTICES_MAX; taken++) {
    let at: OwedNotice | undefined;
    try {
      sent += await inTransaction(ports.pool, async (client) => {
        [at] = await takeOwedNotices(client, 1);
        return at === undefined ? 0 : await submitNotices(client, ports, [at]);
      });
      if (at === undefined) break;
    } catch (error) {
      if (at === undefined) throw error;
      const failed = at;
      ports.log.error("notice.failed", { message: printMessageId(failed.message_id), error: reasonOf(error) });
      await inTransaction(ports.pool, (client) => putOffNotice(client, failed, FAILED_WAIT_MS));
    }
  }
  return { taken, sent };
}

async function submitNotices(client: ClientBase, ports: NoticePorts, owed: readonly OwedNotice[]): Promise<number> {
  const wanted = owed.filter(isWanted).filter(({ sent_by: outlet }) => !ports.tellingOutlets.has(outlet ?? ""));
  const written = wanted.flatMap((notice) => submissionOrNone(notice, ports));
  const answers = await acceptTogether(
    client,
    written.map(({ submission }) => submission),
  );
  const waiting = new Set<OwedNotice>();
  for (const [index, answer] of answers.entries()) {
    const { notice } = written[index]!;
    if (answer.kind === "accepted") continue;
    if (isForNow(answer)) {
      waiting.add(notice);
      await putOffNotice(client, notice, REFUSED_WAIT_MS);
    } else logRefused(notice, answer.message, ports);
  }
  await dropOwedNotices(
    client,
    owed.filter((notice) => !waiting.has(notice)),
  );
  return answers.filter(({ kind }) => kind === "accepted").length;
}

/** To an address that cannot be one, as `root@localhost`, nothing can be written: that is logged, and all. */
function submissionOrNone(
  notice: WantedNotice,
  ports: NoticePorts,
): readonly { readonly notice: WantedNotice; readonly submission: Submission }[] {
  try {
    return [{ notice, submission: submissionOf(notice, ports) }];
  } catch (error) {
    if (!(error instanceof ComposeRefused)) throw error;
    logRefused(notice, error.message, ports);
    return [];
  }
}

function logRefused({ message_id: id }: OwedNotice, error: string, { log }: NoticePorts): void {
  log.warn("notice.refused", { message: printMessageId(id), error });
}

function isForNow(answer: SubmissionAnswer): boolean {
  return (
    answer.kind === "refused" && (answer.code === REFUSAL_CODES.laneFull || answer.code === REFUSAL_CODES.keyInProgress)
  );
}

// ---- who wants which ------------------------------------------------------------------------------------------------

type WantedNotice = OwedNotice & {
  readonly recipient: string;
  readonly mail: KeptMail;
  readonly original: Buffer;
  readonly accepted_ms: number;
};

/** RFC 3461 §4.1: without NOTIFY, failures are told and nothing else. */
function isWanted(notice: OwedNotice): notice is WantedNotice {
  const { mail, recipient, original, kind, is_stale: isStale } = notice;
  if (
    isStale ||
    mail === null ||
    recipient === null ||
    original === null ||
    mail.sender === "" ||
    mail.is_silent === true
  ) {
    return false;
  }
  const wanted = (notifyOf(mail, recipient) ?? "FAILURE").toUpperCase().split(",");
  return wanted.includes(kind === "bounced" || kind === "expired" ? "FAILURE" : "SUCCESS");
}

/** The recipient may be kept in the case of its first mention. */
function notifyOf({ notify }: KeptMail, recipient: string): string | undefined {
  return valueFor(notify, recipient);
}

function valueFor(values: Readonly<Record<string, string>> | undefined, recipient: string): string | undefined {
  if (values === undefined) return undefined;
  if (Object.hasOwn(values, recipient)) return values[recipient];
  return Object.entries(values).find(([name]) => name.toLowerCase() === recipient.toLowerCase())?.[1];
}

// ---- the notice ------------------------------------------------------------------------------------------------------

function submissionOf(notice: WantedNotice, { from, clock }: NoticePorts): Submission {
  const { mail, recipient, kind, message_id: id } = notice;
  const domain = wireDomainOf(from);
  const key = `notice:${id}:${kind}`;
  const orcpt = valueFor(mail.orcpt, recipient);
  const raw = failureNotice({
    action: ACTIONS[kind],
    isExpired: kind === "expired",
    from: `Mail Delivery System <MAILER-DAEMON@${domain}>`,
    to: mail.sender,
    reportingMta: domain,
    messageId: `notice.${id}.${kind}@${domain}`,
    wallMs: clock.wallMs(),
    arrivedMs: notice.accepted_ms,
    recipient,
    status: statusOf(kind, notice.reply),
    original: notice.original,
    isWhole: notice.is_whole === true,
    ...(notice.host === null ? {} : { host: notice.host }),
    ...(notice.reply === null ? {} : { reply: notice.reply }),
    ...(mail.envid === undefined ? {} : { envid: mail.envid }),
    ...(orcpt === undefined ? {} : { orcpt }),
  });
  const isUtf8 = mail.is_utf8 === true || /[^\0-\x7f]/.test(mail.sender);
  return {
    kind: "mail",
    door: "notice",
    credential: "notice",
    raw,
    envelope: {
      to: [mail.sender],
      lane: "transactional",
      idempotency_key: key,
      // The key is the whole of it: the same notice written a second time has another date.
      fingerprint: createHash("sha256").update(key).digest("hex"),
      mail: { sender: "", ...(isUtf8 ? { is_utf8: true } : {}) },
    },
  };
}

const ACTIONS = { bounced: "failed", expired: "failed", sent: "relayed", delivered: "delivered" } as const;

/**
 * The code of the last reply, when it is of the class that fits, else the most general one. RFC 3463 §2: class 4 with a
 * failure says that a temporary condition lasted too long, and that sending it again may help; §3.5: 4.4.7 is for time
 * that is over, when no code is known of what kept it.
 */
function statusOf(kind: OwedNotice["kind"], reply: string | null): string {
  const code = /(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.])/.exec(reply ?? "")?.[0];
  switch (kind) {
    case "bounced":
      return code?.startsWith("5") === true ? code : "5.0.0";
    case "expired":
      return code?.startsWith("4") === true ? code : "4.4.7";
    case "sent":
    case "delivered":
      return code?.startsWith("2") === true ? code : "2.0.0";
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
