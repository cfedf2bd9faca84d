#!/usr/bin/env node
// The program to link as /usr/sbin/sendmail. It imports nothing but Node.js and a few small files, so that it starts as
// fast as Node.js does.

import { runSendmail } from "./run-sendmail.ts";
import { EX_TEMPFAIL } from "./sysexits.ts";

const { stdin, stdout, stderr, env } = process;
const say = (line: string): void => void stderr.write(`sendmail: ${line}\n`);
const exitCode = await runSendmail(process.argv.slice(2), { stdin, stdout, env, say }).catch((error: unknown) => {
  // What was not thought of, a broken standard input say: the caller still has its mail.
  say(error instanceof Error ? error.message : String(error));
  return EX_TEMPFAIL;
});
process.exit(exitCode);
