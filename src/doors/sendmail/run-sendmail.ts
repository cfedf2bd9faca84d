// The sendmail command: a mail on standard input becomes a submission, or is kept in the spool when Postlane does not take
// it now, or is refused with a code of sysexits.h and a sentence. Exit code 0 means that it is safe: in the database, or on
// this machine's disk. Within ten seconds it is one of these, whatever Postlane does.

import { randomBytes } from "node:crypto";
import { connect } from "node:net";
import { userInfo } from "node:os";
import { flushFolder, whyRefused, type FlushEnd } from "./flush-spool.ts";
import { prepareMail } from "./prepare-mail.ts";
import { readMail } from "./read-mail.ts";
import { parseSendmailOptions, type SendOptions } from "./sendmail-options.ts";
import { readSendmailSettings, type SendmailSettings } from "./sendmail-settings.ts";
import { findOwnFolder, keepInSpool, openOwnFolder, SpoolRefused } from "./spool.ts";
import { createSmtpSubmitter, type SmtpSubmitter } from "./submit-by-smtp.ts";
import type { SubmissionEnd, WholeMail } from "./submit-by-smtp.ts";
import {
  EX_CONFIG,
  EX_DATAERR,
  EX_NOPERM,
  EX_NOUSER,
  EX_OK,
  EX_TEMPFAIL,
  EX_UNAVAILABLE,
  EX_USAGE,
} from "./sysexits.ts";

export interface SendmailSurroundings {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WritableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A line on standard error. */
  readonly say: (line: string) => void;
}

/** Whoever pipes a mail in waits: a web request, often. */
const SUBMIT_MS_MAX = 10_000;
/** What the mail before left behind is handed over on the way, as long as nobody notices. */
const FLUSHED_ON_THE_WAY_MAX = 5;
const FLUSH_ON_THE_WAY_MS_MAX = 300;
/** Of one `--flush`: what is left then, the next one does. */
export const FLUSH_MS_MAX = 10 * 60_000;

export async function runSendmail(args: readonly string[], surroundings: SendmailSurroundings): Promise<number> {
  const options = parseSendmailOptions(args);
  if (options.kind === "misused") return sayAndEnd(surroundings, EX_USAGE, options.problem);
  const read = readSendmailSettings(surroundings.env);
  if (read.kind === "bad") return sayAndEnd(surroundings, EX_CONFIG, read.problem);
  switch (options.kind) {
    case "flush":
      return await flushAndSay(read.settings, surroundings);
    case "speak_smtp":
      return await passSmtpOn(read.settings, surroundings);
    case "send":
      return await send(options.send, read.settings, surroundings);
  }
}

function sayAndEnd({ say }: SendmailSurroundings, exitCode: number, problem: string): number {
  say(problem);
  return exitCode;
}

// ---- one mail --------------------------------------------------------------------------------------------------------

async function send(options: SendOptions, settings: SendmailSettings, around: SendmailSurroundings): Promise<number> {
  const { endsAtDot } = options;
  const read = await readMail(around.stdin, { bytesMax: settings.messageBytesMax, endsAtDot });
  if (read.kind === "refused") return sayAndEnd(around, EX_DATAERR, read.problem);
  const caller = { user: userName(), wallMs: Date.now(), id: randomBytes(16).toString("hex") };
  const prepared = prepareMail(read.octets, options, settings, caller);
  if (prepared.kind === "refused") return sayAndEnd(around, prepared.exitCode, prepared.problem);
  const submitter = createSmtpSubmitter(settings.smtp);
  const end = await submitter.submit(prepared.mail, SUBMIT_MS_MAX);
  const exitCode = await endWith(end, prepared.mail, { submitter, settings, around });
  submitter.close();
  return exitCode;
}

interface AtWork {
  readonly submitter: SmtpSubmitter;
  readonly settings: SendmailSettings;
  readonly around: SendmailSurroundings;
}

async function endWith(end: SubmissionEnd, mail: WholeMail, { submitter, settings, around }: AtWork): Promise<number> {
  switch (end.kind) {
    case "accepted":
      await flushOnTheWay(settings, submitter);
      return EX_OK;
    case "refused":
      return sayAndEnd(around, exitCodeOf(end.reply.text), `refused: ${whyRefused(end)}`);
    case "put_off":
      return keep(mail, end.why, settings, around);
  }
}

/** By the enhanced status code (RFC 3463), behind the code of the reply. */
function exitCodeOf(reply: string): number {
  const status = /^\d{3} (5\.\d{1,3}\.\d{1,3})\b/.exec(reply)?.[1] ?? "";
  if (status.startsWith("5.1.")) return EX_NOUSER;
  if (status.startsWith("5.6.") || status === "5.3.4") return EX_DATAERR;
  return status.startsWith("5.7.") ? EX_NOPERM : EX_UNAVAILABLE;
}

function keep(mail: WholeMail, why: string, settings: SendmailSettings, around: SendmailSurroundings): number {
  try {
    keepInSpool(openOwnFolder(settings.spool), mail, settings);
    return EX_OK;
  } catch (error) {
    if (!(error instanceof SpoolRefused)) throw error;
    return sayAndEnd(
      around,
      EX_TEMPFAIL,
      `Postlane does not take it (${why}), and it cannot be kept: ${error.message}`,
    );
  }
}

async function flushOnTheWay(settings: SendmailSettings, submitter: SmtpSubmitter): Promise<void> {
  const folder = findOwnFolder(settings.spool);
  if (folder === undefined) return;
  const { messageBytesMax } = settings;
  const limits = { messageBytesMax, mailsMax: FLUSHED_ON_THE_WAY_MAX, msMax: FLUSH_ON_THE_WAY_MS_MAX };
  // The mail that was called for is safe already; what goes wrong here, the next one tries again.
  await flushFolder(folder, submitter, limits).catch(() => {});
}

/** A user without a name is one of a container. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return `user-${process.getuid?.() ?? 0}`;
  }
}

// ---- the spool -------------------------------------------------------------------------------------------------------

/** Everything of this user that waits. */
export async function flushOwn(settings: SendmailSettings): Promise<FlushEnd> {
  const folder = findOwnFolder(settings.spool);
  if (folder === undefined) return { accepted: 0, waiting: 0, refused: [] };
  const submitter = createSmtpSubmitter(settings.smtp);
  const { messageBytesMax } = settings;
  const end = await flushFolder(folder, submitter, { messageBytesMax, msMax: FLUSH_MS_MAX });
  submitter.close();
  return end;
}

async function flushAndSay(settings: SendmailSettings, around: SendmailSurroundings): Promise<number> {
  const end = await flushOwn(settings);
  for (const line of linesOf(end)) around.say(line);
  return flushExitCode(end);
}

export function linesOf({ accepted, waiting, refused, waitsBecause }: FlushEnd): readonly string[] {
  return [
    `${accepted} taken, ${waiting} still waiting${waitsBecause === undefined ? "" : `: ${waitsBecause}`}`,
    ...refused.map(({ file, why }) => `refused, and set aside in its folder: ${file}: ${why}`),
  ];
}

export function flushExitCode({ waiting, refused }: FlushEnd): number {
  if (refused.length > 0) return EX_UNAVAILABLE;
  return waiting > 0 ? EX_TEMPFAIL : EX_OK;
}

// ---- -bs -------------------------------------------------------------------------------------------------------------

/** The caller speaks SMTP with the door itself, and hears from it what became of its mail: nothing is kept here. */
async function passSmtpOn({ smtp }: SendmailSettings, { stdin, stdout }: SendmailSurroundings): Promise<number> {
  const socket = connect(smtp);
  return await new Promise((resolve) => {
    socket.once("connect", () => {
      stdin.pipe(socket);
      socket.pipe(stdout, { end: false });
    });
    socket.once("error", (error) => {
      stdout.write(`421 4.3.2 Postlane cannot be reached (${error.message})\r\n`, () => resolve(EX_TEMPFAIL));
    });
    socket.once("close", (hadError) => hadError || resolve(EX_OK));
  });
}
