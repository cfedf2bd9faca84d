// `postlane init`: four questions, a commented configuration, one test mail, and what comes next. Every question is also a
// flag. Writes nothing before every answer is there and the database of one's own has been reached.

import { existsSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import type { Pool } from "pg";
import { findPostfix } from "../../mailers/postfix/find-postfix.ts";
import { defaultFrom, type Config } from "../../platform/config.ts";
import { createLog } from "../../platform/log.ts";
import { checkServer } from "../../postgres/check-server.ts";
import { openDatabase } from "../../postgres/database.ts";
import type { MessageStory } from "../../reports/message-story.ts";
import { makeKey } from "../../senders/make-key.ts";
import { firstConfigText, outletOf, type WayIn } from "../../setup/first-config.ts";
import { writeConfig, writePassword, type FileWritten } from "../../setup/write-config.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED, explainFailure } from "./command-failure.ts";
import { hearGreeting } from "./hear-greeting.ts";
import { initAnswers, PASSWORD_FILE, type InitAnswers, type InitOptions } from "./init-answers.ts";
import { readKeyRights } from "./key-rights.ts";
import { createOutput, type Output } from "./output.ts";
import { harmless } from "./printing.ts";
import { readConfig } from "./read-config.ts";
import { sendTestMail } from "./test-mail.ts";
import { withDatabase } from "./with-database.ts";

const CONFIG_FILE = "postlane.yaml";
const DATA_DIR = "./postlane-data";

export async function runInit(options: InitOptions): Promise<number> {
  const output = createOutput(options);
  const file = path.resolve(options.config ?? CONFIG_FILE);
  if (options.force !== true) refuseToReplace(file);
  const answers = await initAnswers(options, await surroundingsOf(options));
  if (answers.databaseUrl !== undefined) await reachDatabase(answers.databaseUrl);
  await writeFiles(file, answers, options);
  const config = readConfig({ config: file });
  const test = answers.testTo === undefined ? undefined : await tryTestMail(config, answers.testTo);
  const key = answers.waysIn.includes("http") ? await withDatabase(config, firstKey) : undefined;
  tell(output, { file, answers, config, key, test });
  return test === undefined || test.isOut ? EXIT_DONE : EXIT_FAILED;
}

function refuseToReplace(file: string): void {
  if (existsSync(file)) throw existsAlready(file);
}

function existsAlready(file: string): CommandFailure {
  return new CommandFailure(
    "exists",
    `${file} is there already and stays as it is. Give --config with another file, or --force to replace it.`,
  );
}

async function surroundingsOf({ yes, json }: InitOptions) {
  const mayAsk = yes !== true && json !== true && process.stdin.isTTY && process.stdout.isTTY;
  return {
    // The library is loaded only for somebody who is asked.
    ...(mayAsk ? { questions: (await import("./init-questions.ts")).terminalQuestions } : {}),
    postfix: await findPostfix(hearGreeting),
    databaseUrl: process.env["DATABASE_URL"] || undefined,
    defaultFrom: defaultFrom(hostname()),
  };
}

/** It answers, is 15 or later, and loses nothing that it has confirmed. */
async function reachDatabase(databaseUrl: string): Promise<void> {
  const log = createLog("silent", { process: "cli" });
  try {
    const database = await openDatabase({ databaseUrl, dataDir: ".", log, role: "init", connectionsMax: 1 });
    try {
      const client = await database.pool.connect();
      await checkServer(client).finally(() => client.release());
    } finally {
      await database.close();
    }
  } catch (error) {
    const { code, message } = explainFailure(error);
    throw new CommandFailure(code, `The database does not do, and nothing was written: ${message}`);
  }
}

// ---- writing

const PUBLIC_MODE = 0o644;
const SECRET_MODE = 0o600;

async function writeFiles(file: string, answers: InitAnswers, { dataDir, force }: InitOptions): Promise<void> {
  const { wayOut, password, from, databaseUrl, waysIn } = answers;
  const mayReplace = force === true;
  if (password !== undefined) {
    const at = path.join(path.dirname(file), PASSWORD_FILE);
    refuseIfThere(await writePassword({ path: at, content: `${password}\n`, mode: SECRET_MODE }, mayReplace));
  }
  const content = firstConfigText({
    wayOut,
    from,
    waysIn,
    dataDir: dataDir ?? DATA_DIR,
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
  });
  const mode = hasPassword(databaseUrl) ? SECRET_MODE : PUBLIC_MODE;
  refuseIfThere(await writeConfig({ path: file, content, mode }, mayReplace));
}

function refuseIfThere(written: FileWritten): void {
  if (written.kind === "exists") throw existsAlready(written.path);
}

function hasPassword(databaseUrl: string | undefined): boolean {
  if (databaseUrl === undefined) return false;
  return !URL.canParse(databaseUrl) || new URL(databaseUrl).password !== "" || databaseUrl.includes("password=");
}

// ---- the first key and the test mail

async function firstKey(pool: Pool): Promise<string> {
  const rights = readKeyRights({ name: "first", scope: "send", notices: true, dedup: true }, []);
  return (await makeKey(pool, rights)).token;
}

interface TestTold {
  readonly isOut: boolean;
  readonly state: string;
  /** What the server said, or what went wrong. */
  readonly said: string;
}

/** The configuration is written by then: what fails now is told, and does not undo it. */
async function tryTestMail(config: Config, to: string): Promise<TestTold> {
  try {
    return judgeTest(await sendTestMail(config, to));
  } catch (error) {
    return { isOut: false, state: "failed", said: explainFailure(error).message };
  }
}

function judgeTest({ id, state, is_captured: isCaptured, events }: MessageStory): TestTold {
  const said = events.findLast(({ reply }) => reply !== null)?.reply ?? "no answer yet";
  if (isCaptured)
    return { isOut: true, state: "captured", said: "kept on this machine: postlane captured show latest" };
  const isOut = state === "sent" || state === "delivered";
  return { isOut, state: state ?? "settled", said: `${said} (${id})` };
}

// ---- saying it

interface InitTold {
  readonly file: string;
  readonly answers: InitAnswers;
  readonly config: Config;
  readonly key: string | undefined;
  readonly test: TestTold | undefined;
}

function tell(output: Output, told: InitTold): void {
  const { file, answers, config, key, test } = told;
  output.answer({
    file,
    outlet: outletOf(answers.wayOut),
    data_dir: config.dataDir,
    database: answers.databaseUrl === undefined ? "embedded" : "own",
    ways_in: answers.waysIn,
    key: key ?? null,
    test: test === undefined ? null : { to: answers.testTo, state: test.state, is_out: test.isOut, said: test.said },
  });
  for (const line of [...doneLines(told), "", ...nextLines(told)]) output.print(harmless(line));
}

function doneLines({ file, answers, config, test }: InitTold): readonly string[] {
  const { wayOut, testTo } = answers;
  return [
    `written:   ${file}`,
    ...("passwordFile" in wayOut && answers.password !== undefined
      ? [`password:  ${path.resolve(path.dirname(file), wayOut.passwordFile)}, which only you can read`]
      : []),
    `database:  ${answers.databaseUrl === undefined ? `embedded, in ${config.dataDir}` : "your own, reached"}`,
    `mail goes: ${wayOut.kind === "capture" ? "nowhere, it is kept on this machine" : `to ${wayOut.host}`}`,
    ...(test === undefined ? [] : [`test mail: to ${testTo}: ${test.state}, ${test.said}`]),
    ...(test === undefined || test.isOut ? [] : [adviceOn(test)]),
  ];
}

function adviceOn({ state }: TestTold): string {
  const what = state === "deferred" ? "`postlane up` tries again" : "correct the file";
  return `           It did not go out: ${what}, or run init again with --force.`;
}

function nextLines({ file, answers, config, key }: InitTold): readonly string[] {
  const named = path.basename(file) === CONFIG_FILE && path.dirname(file) === process.cwd() ? "" : ` --config ${file}`;
  return [
    "What comes next:",
    `  postlane up${named}`,
    ...answers.waysIn.flatMap((way) => WAYS[way](config, key, answers)),
    `  as a service: sudo postlane service install`,
  ];
}

const WAYS: Readonly<
  Record<WayIn, (config: Config, key: string | undefined, answers: InitAnswers) => readonly string[]>
> = {
  http: ({ listen }, key) => [
    `  HTTP: POST http://${placeOf(listen.http)}/emails, with the header`,
    `    Authorization: Bearer ${key}`,
    "    This key is shown this once; more: postlane key create --name NAME",
  ],
  smtp: ({ smtp }) => [
    `  SMTP: ${placeOf(smtp.listeners.find(({ kind, lane }) => kind === "smtp" && lane === undefined)?.listen)}, without TLS, user and password`,
  ],
  sendmail: () => ["  sendmail: link postlane-sendmail as /usr/sbin/sendmail (docs/guides/sendmail.md)"],
  sql: (_, __, { databaseUrl }) =>
    databaseUrl === undefined
      ? ["  SQL: the embedded database is Postlane's alone; for SQL give --database with one of your own"]
      : ["  SQL: GRANT postlane_client TO your_site; then SELECT postlane.enqueue('{…}') in its transactions"],
};

function placeOf(listen: { readonly host: string; readonly port: number } | undefined): string {
  if (listen === undefined) return "(off)";
  return `${listen.host.includes(":") ? `[${listen.host}]` : listen.host}:${listen.port}`;
}
