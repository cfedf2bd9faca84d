// `postlane sendmail`: the sendmail command under the name of the command line. The program to link is
// src/doors/sendmail/sendmail.ts, which starts faster; both do the same.

import { flushSpool, type FlushEnd } from "../sendmail/flush-spool.ts";
import { FLUSH_MS_MAX, flushExitCode, flushOwn, linesOf, runSendmail } from "../sendmail/run-sendmail.ts";
import { readSendmailSettings, type SendmailSettings } from "../sendmail/sendmail-settings.ts";
import { createSmtpSubmitter } from "../sendmail/submit-by-smtp.ts";
import { CommandFailure } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { readConfig } from "./read-config.ts";

export interface SendmailCommandOptions extends CommonOptions {
  readonly flush?: true;
}

export async function runSendmailCommand(words: readonly string[], options: SendmailCommandOptions): Promise<number> {
  if (options.flush === true) return await flush(options);
  const { stdin, stdout, env } = process;
  const say = (line: string): void => void process.stderr.write(`postlane sendmail: ${line}\n`);
  return await runSendmail(words, { stdin, stdout, env, say });
}

async function flush(options: SendmailCommandOptions): Promise<number> {
  const read = readSendmailSettings(process.env);
  if (read.kind === "bad") throw new CommandFailure("sendmail_settings", read.problem);
  const output = createOutput(options);
  const end = await flushWhatIsMeant(options, read.settings);
  output.answer({ accepted: end.accepted, waiting: end.waiting, refused: end.refused });
  for (const line of linesOf(end)) output.print(line);
  return flushExitCode(end);
}

/** With a configuration that names a spool: everybody's in it. Else this user's own mail. */
async function flushWhatIsMeant(options: SendmailCommandOptions, settings: SendmailSettings): Promise<FlushEnd> {
  const spool = options.config === undefined ? undefined : readConfig(options).sendmailSpool;
  if (spool === undefined) return await flushOwn(settings);
  const submitter = createSmtpSubmitter(settings.smtp);
  const { messageBytesMax } = settings;
  const end = await flushSpool(spool, submitter, { messageBytesMax, msMax: FLUSH_MS_MAX });
  submitter.close();
  return end;
}
