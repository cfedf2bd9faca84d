#!/usr/bin/env node
// The program to link as /usr/sbin/sendmail. It imports nothing but Node.js and a few small files, so that it starts as
// fast as Node.js does.

import { runSendmail } from "./run-sendmail.ts";

const { stdin, stdout, stderr, env } = process;
const say = (line: string): void => void stderr.write(`sendmail: ${line}\n`);
process.exit(await runSendmail(process.argv.slice(2), { stdin, stdout, env, say }));
