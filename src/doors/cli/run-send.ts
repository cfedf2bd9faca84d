// `postlane send`: one email by the rules of entry that every door has.

import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { text as readText } from "node:stream/consumers";
import { printMessageId, printSubmissionId, type MessageId } from "../../mail/ids.ts";
import type { Config } from "../../platform/config.ts";
import { countDispatchers } from "../../reports/status-report.ts";
import { acceptSubmission } from "../../submission/accept-submission.ts";
import { messagesOf } from "../../submission/submission-store.ts";
import type { Email, EmailAttachment, SubmissionAccepted, SubmissionAnswer } from "../../submission/submission.ts";
import { CommandFailure, EXIT_DONE, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions, type Output } from "./output.ts";
import { countOf } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { withDatabase } from "./with-database.ts";

export interface SendOptions extends CommonOptions {
  readonly to: readonly string[];
  readonly subject: string;
  readonly text?: string;
  readonly html?: string;
  readonly from?: string;
  readonly lane: string;
  readonly cc?: readonly string[];
  readonly bcc?: readonly string[];
  readonly replyTo?: readonly string[];
  readonly header?: readonly string[];
  readonly attach?: readonly string[];
  readonly at?: string;
  readonly expires?: string;
  readonly idempotencyKey?: string;
}

export async function runSend(options: SendOptions): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const email = await readEmail(options);
  await withDatabase(config, async (pool) => {
    const answer = accepted(await acceptSubmission(pool, { kind: "email", email, door: "cli", credential: "cli" }));
    const isServed = (await countDispatchers(pool, options.lane)) > 0;
    tellAccepted(answer, await messagesOf(pool, answer.submissionId), isServed, output);
    if (!isServed) output.note("queued; run `postlane up` to send it");
    noteCapture(config, options.lane, isServed, output);
  });
  return EXIT_DONE;
}

async function readEmail(options: SendOptions): Promise<Email> {
  if (options.text === undefined && options.html === undefined) {
    throw misused("There is nothing to say: give --text, --html, or both.");
  }
  if (options.text === "-" && options.html === "-") {
    throw misused("Only one of --text and --html can be read from standard input.");
  }
  const { to, subject, from, lane, cc, bcc, replyTo, at, expires, idempotencyKey } = options;
  const given = {
    from,
    to,
    cc,
    bcc,
    reply_to: replyTo,
    subject,
    lane,
    scheduled_at: at,
    expires_at: expires,
    text: await fromInput(options.text),
    html: await fromInput(options.html),
    headers: options.header === undefined ? undefined : Object.fromEntries(options.header.map(readHeader)),
    attachments: await readAttachments(options.attach),
    idempotency_key: idempotencyKey,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as unknown as Email;
}

async function fromInput(given: string | undefined): Promise<string | undefined> {
  return given === "-" ? await readText(process.stdin) : given;
}

/** Of one file: what all attachments of an email may have together (`attachments_bytes_max`). */
const FILE_BYTES_MAX = 10 * 1024 * 1024;

async function readAttachments(files: readonly string[] | undefined): Promise<readonly EmailAttachment[] | undefined> {
  if (files === undefined) return undefined;
  const attachments: EmailAttachment[] = [];
  for (const file of files)
    attachments.push({ filename: path.basename(file), content: (await readWhole(file)).toString("base64") });
  return attachments;
}

async function readWhole(file: string): Promise<Buffer> {
  try {
    const found = await stat(file);
    if (!found.isFile()) throw misused(`--attach ${file}: this is no file.`);
    if (found.size > FILE_BYTES_MAX)
      throw misused(
        `--attach ${file}: it has ${found.size} bytes, at most ${FILE_BYTES_MAX} are taken; link to it instead.`,
      );
    return await readFile(file);
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw misused(`--attach ${file}: it cannot be read: ${error instanceof Error ? error.message : String(error)}.`);
  }
}

function readHeader(given: string): readonly [string, string] {
  const [, name, value] = /^([^:\s]+):\s*(.*)$/s.exec(given) ?? [];
  if (name === undefined || value === undefined) {
    throw misused(`--header "${given}" is no header field: expected "Name: value".`);
  }
  return [name, value];
}

function accepted(answer: SubmissionAnswer): SubmissionAccepted {
  if (answer.kind === "accepted") return answer;
  const { code, message, hint } = answer;
  throw new CommandFailure(code, `The email was refused: ${message}. ${hint}`.trim());
}

function tellAccepted(
  { submissionId }: SubmissionAccepted,
  messageIds: readonly MessageId[],
  isServed: boolean,
  output: Output,
): void {
  output.answer({
    submission: printSubmissionId(submissionId),
    messages: messageIds.map(printMessageId),
    is_lane_served: isServed,
  });
  output.print(`${printSubmissionId(submissionId)}: ${countOf(messageIds.length, "message")} accepted`);
  for (const id of messageIds) output.print(`  ${printMessageId(id)}`);
}

/** A fresh install keeps all mail: who sends one and waits for it should know. */
function noteCapture(config: Config, laneName: string, isServed: boolean, output: Output): void {
  const outlets = config.lanes[laneName]?.outlets ?? [];
  if (!isServed || !outlets.every((name) => config.outlets[name]?.type === "capture")) return;
  output.note("nothing leaves this machine: `postlane captured show latest` shows what was sent");
}
