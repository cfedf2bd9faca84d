// `postlane explain`: asks the front of this machine, which has the last look at everything in mind and answers also while
// the database or the disk stands still; where no front answers, it looks into the database itself, for 2.5 s at most. Starts nothing, migrates nothing, writes nothing.

import type { Config } from "../../platform/config.ts";
import { systemClock } from "../../platform/clock.ts";
import { silentLog } from "../../platform/log.ts";
import { connectDatabase, createPool, type Database } from "../../postgres/database.ts";
import { readSnapshot } from "../../reports/engine-snapshot.ts";
import type { Surroundings } from "../../reports/explain-limit.ts";
import { answerQuestion, failureOf, READ_MS_MAX, readQuestion } from "../../reports/explain-question.ts";
import type { ExplainedLimit, ExplainReport, Question } from "../../reports/explain.ts";
import { findFront, type FrontFile } from "../http/front-file.ts";
import { CommandFailure, EXIT_DONE, EXIT_FAILED, misused } from "./command-failure.ts";
import { createOutput, type CommonOptions } from "./output.ts";
import { countOf, harmless, printCount, printPerSecond, printSpan, printTime } from "./printing.ts";
import { readConfig } from "./read-config.ts";

export async function runExplain(
  kind: string | undefined,
  name: string | undefined,
  options: CommonOptions,
): Promise<number> {
  const config = readConfig(options);
  const output = createOutput(options);
  const question = questionOf(kind, name, config);
  const front = findFront(config.dataDir);
  const report =
    (front === undefined ? undefined : await askFront(front, question)) ??
    (await lookOurselves(config, question, front === undefined ? LOOK_MS_MAX : LOOK_AFTER_FRONT_MS_MAX));
  if (report === undefined) {
    throw new CommandFailure("message_not_found", `There is no ${name} in this database. Check the id.`);
  }
  output.answer(report);
  for (const line of printReport(report)) output.print(line);
  return report.answers.snapshot_age_s === null ? EXIT_FAILED : EXIT_DONE;
}

function questionOf(kind: string | undefined, name: string | undefined, config: Config): Question {
  const read = readQuestion(kind, name, config);
  if (read.kind === "asked") return read.question;
  throw read.code === "usage" ? misused(read.problem) : new CommandFailure(read.code, read.problem);
}

// ---- the front -------------------------------------------------------------------------------------------------------

/** It answers from memory; what it looks up for one message takes a second at most. */
const FRONT_MS_MAX = 1800;

/** Undefined: it does not answer. */
async function askFront(front: FrontFile, question: Question): Promise<ExplainReport | undefined> {
  const query = question.kind === "engine" ? "" : `?${new URLSearchParams({ ...question }).toString()}`;
  try {
    const response = await fetch(`http://${front.http}/explain${query}`, {
      headers: { connection: "close" },
      signal: AbortSignal.timeout(FRONT_MS_MAX),
    });
    if (response.ok) return (await response.json()) as ExplainReport;
    const { code, detail } = (await response.json()) as FrontRefusal;
    throw new CommandFailure(code, detail);
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    return undefined;
  }
}

interface FrontRefusal {
  readonly code: string;
  readonly detail: string;
}

// ---- without a front -------------------------------------------------------------------------------------------------

const LOOK_MS_MAX = 2500;
/** The whole, with the start of this program, takes less than five seconds. */
const LOOK_AFTER_FRONT_MS_MAX = 1500;

async function lookOurselves(config: Config, question: Question, msMax: number): Promise<ExplainReport | undefined> {
  const nowMs = systemClock.wallMs();
  const around: Surroundings = { nowMs, dispatcherSeenAtMs: {}, alarms: [], databaseAlarms: [], cpuWaiting: null };
  try {
    return await withinTime(look(config, question, around), msMax);
  } catch (error) {
    if (isAnswerOfServer(error)) throw error;
    const databaseSilent = { sinceMs: nowMs, error: `${failureOf(error)}; no front answers either` };
    const known = { snapshot: undefined, around: { ...around, databaseSilent } };
    return await answerQuestion({ pool: undefined, clock: systemClock }, known, question, config);
  }
}

async function look(config: Config, question: Question, around: Surroundings): Promise<ExplainReport | undefined> {
  const { databaseUrl, dataDir } = config;
  const database = await connectDatabase({ databaseUrl, dataDir, log: silentLog, role: `cli ${process.pid}` });
  const { pool, close } = boundedPool(database);
  try {
    const snapshot = await readSnapshot(pool);
    return await answerQuestion({ pool, clock: systemClock }, { snapshot, around }, question, config);
  } finally {
    await close();
    await database.close();
  }
}

function boundedPool({ clientConfig }: Database): ReturnType<typeof createPool> {
  const limits = { query_timeout: READ_MS_MAX, connectionTimeoutMillis: READ_MS_MAX };
  return createPool({ ...clientConfig, ...limits }, silentLog, { connectionsMax: 2, closeMsMax: 100 });
}

async function withinTime<T>(work: Promise<T>, msMax: number): Promise<T> {
  let timer: { cancel(): void } | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = systemClock.after(msMax, () => reject(new Error("timeout")));
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer?.cancel();
  }
}

/** A schema that is too old, rights that are missing: the server answered, and its answer is the one to tell. */
function isAnswerOfServer(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return typeof code === "string" && /^(?:42|28|3D)/.test(code);
}

// ---- for people ------------------------------------------------------------------------------------------------------

function printReport(report: ExplainReport): readonly string[] {
  const { limits } = report;
  const opening = [...printAnswers(report), ...report.nothing_leaves.map(printCapture)];
  const told = new Set(["database_silent", "captured"]);
  const isToldAbove = ({ code }: ExplainedLimit): boolean => told.has(code);
  const numbered = limits
    .filter((limit) => !isToldAbove(limit))
    .flatMap((limit, index) => printLimit(limit, index + 1));
  return [...opening, ...(opening.length > 0 && numbered.length > 0 ? [""] : []), ...numbered, ...printEnd(report)];
}

function printAnswers({ answers, limits }: ExplainReport): readonly string[] {
  const silent = limits.find(({ code }) => code === "database_silent");
  const age = answers.snapshot_age_s;
  const old = age === null ? "nothing else is known" : `what follows is ${printSpan(age * 1000)} old`;
  return [
    ...(silent === undefined ? [] : [`${silent.sentence}; ${old}`]),
    ...(answers.commits === null
      ? []
      : [`the database's disk does not answer since ${printTime(answers.commits.since)}`]),
    ...answers.dispatchers.map(
      ({ lane, since }) =>
        `no dispatcher has been seen in lane ${lane}${since === null ? "" : ` since ${printTime(since)}`}`,
    ),
  ];
}

function printCapture(outlet: string): string {
  return `nothing leaves this machine: outlet ${outlet} keeps the mail`;
}

function printLimit(limit: ExplainedLimit, index: number): readonly string[] {
  const { code, sentence, remedy } = limit;
  const cost = printCosts(limit);
  return [
    `${index}. ${subjectOf(limit)}${harmless(sentence)}  [${code}]`,
    ...(cost === "" ? [] : [`   ${cost}`]),
    ...(remedy === "nothing" ? [] : [`   → ${remedy}`]),
  ];
}

function subjectOf({ lanes, outlet, sentence }: ExplainedLimit): string {
  const parts = [lanes.join(", "), outlet === null || sentence.includes(outlet) ? "" : `outlet ${outlet}`];
  const subject = parts.filter(Boolean).join(", ");
  return subject === "" ? "" : `${harmless(subject)}: `;
}

function printCosts({ costs: { waiting, allowed_per_s, wanted_per_s } }: ExplainedLimit): string {
  const rate =
    allowed_per_s === null
      ? ""
      : `${printPerSecond(allowed_per_s)}/s go out${wanted_per_s === null ? "" : ` of ${printPerSecond(wanted_per_s)}/s that could`}`;
  const backlog = waiting === null ? "" : `${countOf(waiting, "message")} ${waiting === 1 ? "waits" : "wait"}`;
  return [rate, backlog].filter(Boolean).join("; ");
}

function printEnd({ waiting, per_s, empty_in_s, queue_sources, limits }: ExplainReport): readonly string[] {
  const gauges = queue_sources.map(
    ({ outlet, source, problems }) =>
      `the queue of outlet ${outlet} is counted by ${source}${problems.length === 0 ? "" : ` (${harmless(problems.join("; "))})`}`,
  );
  if (waiting === null || per_s === null || limits[0]?.code === "nothing_limits") return gauges;
  const end = empty_in_s === null || empty_in_s === 0 ? "" : `; at this rate done in ${printSpan(empty_in_s * 1000)}`;
  return ["", `${printCount(waiting)} to send, ${printPerSecond(per_s)}/s go out${end}`, ...gauges];
}
