// A whole Postlane under steady load, with its witnesses: both lanes into a truth sink, a site that never pauses, ledgers
// outside of the installation. A fault does its harm to it, waits until mail moves again, lets it drain, and has site,
// books and ledger laid beside each other. Everything is gone when the scope ends.
//
// Both lanes hold what is unknown, unless a fault says otherwise: so no second hand-over has an excuse.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { makeInstallation, type Installation, type Launcher, type Supervisor } from "../../bench/installation.ts";
import { watchForPauses } from "../../bench/pause-watch.ts";
import { openLedger, type LedgerReader, type Reception } from "../../bench/sink-ledger.ts";
import { openSiteDatabase, type SiteDatabase } from "../../bench/site-database.ts";
import { startTruthSink, type TruthSink } from "../../bench/truth-sink.ts";
import type { Scope } from "../../test/rig/scope.ts";
import { readBooks, readDepth, readStory, type BookEntry, type QueueDepth } from "./books-store.ts";
import { judgeRun, type RunVerdict, type SiteKnowledge } from "./judge-run.ts";
import { readSiteLedger } from "./site-ledger.ts";
import {
  laneOf,
  MARKS,
  marksOf,
  startSubmissions,
  wallMs,
  type Lane,
  type SubmissionRates,
  type Submissions,
} from "./submissions.ts";

export interface WorldOptions {
  /** Names its folder. */
  readonly name: string;
  readonly say: (line: string) => void;
  /** Where its temporary folder is made, if not with the others; and where its ledgers are. */
  readonly inFolder?: string;
  readonly ledgersIn?: string | undefined;
  readonly rates?: SubmissionRates;
  /** Without `rates`: so much that the whole machine is busy, or little, since others are on it, too. */
  readonly isFull?: boolean;
  /** Of both lanes. */
  readonly unknown?: "hold" | "resend";
  /** YAML behind the lanes and the outlet; what both lanes and the outlet have beside what the world gives them. */
  readonly config?: string;
  readonly laneConfig?: string;
  readonly outletConfig?: string;
  /** An outside server in place of the embedded one; a site may have its own way to it. */
  readonly databaseUrl?: string;
  readonly siteUrl?: string;
  /** Variables of every process of Postlane's. */
  readonly env?: Readonly<Record<string, string>>;
  /** What each of its supervisors is started behind. */
  readonly launcher?: Launcher;
  /** Where mail goes in place of the sink itself: a proxy of the fault's, say. Given the sink's port. */
  readonly relayPort?: (sinkPort: number) => Promise<number>;
}

export interface World {
  readonly options: WorldOptions;
  readonly installation: Installation;
  readonly sink: TruthSink;
  readonly submissions: Submissions;
  readonly receptions: readonly Reception[];
  /** Who submits beside `submissions` writes into it, too. */
  readonly siteLedgerFile: string;
  /** The harness's own look into the books. */
  readonly books: SiteDatabase;
  readonly supervisor: Supervisor;
  /** Starts `postlane up` again, after it was stopped or killed; `more` stays in force for the starts to come. */
  upAgain(more?: Readonly<Record<string, string>>): Promise<void>;
  /** How long the machine was paused so far. */
  pausedMs(): number;
  /** Reads what is new in the sink's ledger. */
  look(): void;
  /** When, on each of the lanes, a message arrived that was submitted after `sinceMs`: the latest of these moments. */
  untilRecovered(sinceMs: number, lanes?: readonly Lane[]): Promise<number>;
  /** Where the message to this recipient is by the books, and its story, in a line. */
  tell(recipient: string): Promise<string>;
  /** Stops the site, waits until nothing can move any more, and lays the witnesses beside each other. */
  judge(excuses?: Excuses): Promise<JudgedWorld>;
  /** In order. Throws when a process of Postlane's does not end well. */
  stop(): Promise<void>;
}

/** What a fault may take by its nature, such as a failover to a replica that lagged; all else is judged as ever. */
export interface Excuses {
  /** Acknowledged, and yet not in the books. */
  readonly mayBeLost: (recipient: string) => boolean;
  /** Handed over, and that it was is not in the books: it may be handed over again. */
  readonly mayComeAgain: (recipient: string) => boolean;
}

export interface JudgedWorld {
  /** As found: they are in no other count of the verdict. */
  readonly excused: { readonly lost: number; readonly duplicates: number };
  readonly verdict: RunVerdict;
  /** What happened to the messages that are complained about. */
  readonly stories: readonly string[];
}

export const LANES: readonly Lane[] = ["transactional", "bulk"];
/**
 * So much that messages are in every stage of the road at any moment, and so little that two cores that somebody else
 * uses too can follow: what a backlog costs is not what is measured here.
 */
const RATES: SubmissionRates = { transactionalPerS: 50, bulkPerS: 600 };
/** Where one of many small runs shares the machine with others. */
const RATES_SMALL: SubmissionRates = { transactionalPerS: 10, bulkPerS: 100 };
/** A lane that is silent for this long does not come back, however busy the machine is: the run is broken off. */
const RECOVERY_MS_MAX = 120_000;
/** Outlets and destinations that failed are left alone for 15 s; then what waits has to move. */
const STUCK_MS = 60_000;
const LOOK_MS = 5;
const DRAIN_LOOK_MS = 50;
const LOOKS_PER_LINE = 100;

export async function bringUpWorld(scope: Scope, options: WorldOptions): Promise<World> {
  const { say, isFull = false, rates = isFull ? RATES : RATES_SMALL } = options;
  const installation = makeInstallation(scope, options.name, options.inFolder, options.launcher);
  const ledgers = mkdtempSync(path.join(options.ledgersIn ?? os.tmpdir(), `postlane-${options.name}-ledgers-`));
  scope.after(() => rmSync(ledgers, { recursive: true, force: true }));
  const sink = await startTruthSink(path.join(ledgers, "sink"), { wanted: MARKS, isSynced: true });
  scope.after(() => sink.stop());
  installation.configure(configFor((await options.relayPort?.(sink.port)) ?? sink.port, options));
  let env: Readonly<Record<string, string>> = {
    ...(options.databaseUrl === undefined ? {} : { DATABASE_URL: options.databaseUrl }),
    ...options.env,
  };
  let supervisor = await installation.up(env);
  const ledger = openLedger(sink.ledgerFile);
  scope.after(() => ledger.close());
  const site = options.siteUrl ?? options.databaseUrl ?? installation.dataDir;
  const books = openSiteDatabase(site);
  scope.after(() => books.close());
  const receptions: Reception[] = [];
  const look = (): void => readLedger(ledger, receptions);
  const ledgerFile = path.join(ledgers, "site");
  const countReceived = (): number => {
    look();
    return receptions.length;
  };
  const submissions = startSubmissions({ site, ledgerFile, rates, countReceived });
  scope.after(() => submissions.stop());
  say(
    `up: both lanes into the sink on port ${sink.port}, ${rates.bulkPerS + rates.transactionalPerS} messages a second`,
  );
  const logFolder = path.join(installation.dataDir, "log");
  let looked = 0;
  const pausedMs = watchForPauses(scope);
  return {
    options,
    installation,
    sink,
    submissions,
    receptions,
    siteLedgerFile: ledgerFile,
    books,
    get supervisor() {
      return supervisor;
    },
    async upAgain(more = {}) {
      env = { ...env, ...more };
      supervisor = await installation.up(env);
    },
    pausedMs,
    look,
    async untilRecovered(sinceMs, lanes = LANES) {
      const arrivals = new Map<Lane, number>();
      for (;;) {
        look();
        for (; looked < receptions.length; looked++) {
          const { recipient, atMs } = receptions[looked]!;
          const isNew = (submissions.begunAtMs(recipient) ?? 0) >= sinceMs;
          if (isNew && !arrivals.has(laneOf(recipient))) arrivals.set(laneOf(recipient), atMs);
        }
        if (lanes.every((lane) => arrivals.has(lane))) return Math.max(...lanes.map((lane) => arrivals.get(lane)!));
        if (wallMs() > sinceMs + RECOVERY_MS_MAX + pausedMs())
          throw new Error(
            `no mail on ${lanes.join(" and ")} for ${RECOVERY_MS_MAX / 1000} s; the log ends:\n${lastWarnings(logFolder)}`,
          );
        await Promise.race([sleep(LOOK_MS), supervisor.unexpectedEnd]);
      }
    },
    async tell(recipient) {
      const call = await books.call((client) => readStory(client, { recipient }));
      return call.kind === "committed" ? call.value : `its story cannot be read: ${call.kind}`;
    },
    async judge(excuses) {
      await submissions.stop();
      await drain(books, say);
      look();
      return await judge({ books, receptions, ledgerFile, logFolder, ...(excuses === undefined ? {} : { excuses }) });
    },
    async stop() {
      const code = await supervisor.stop();
      if (code !== 0) throw new Error(`postlane up ended with ${code}:\n${supervisor.printed()}`);
    },
  };
}

function configFor(
  port: number,
  { unknown = "hold", config = "", laneConfig = "", outletConfig = "" }: WorldOptions,
): string {
  const lane = `outlets: [sink], unknown: ${unknown}, retry: ["1 s"]${laneConfig === "" ? "" : `, ${laneConfig}`}`;
  const outlet = `type: smtp, hosts: ["127.0.0.1:${port}"], tls: "off", helo_name: crash.example`;
  return `
from: "Fault run <fault@sender.example>"
lanes:
  transactional: { ${lane} }
  bulk: { ${lane} }
outlets:
  sink: { ${outlet}${outletConfig === "" ? "" : `, ${outletConfig}`} }
${config}`;
}

function readLedger(ledger: LedgerReader, receptions: Reception[]): void {
  for (const reception of ledger.next()) receptions.push(reception);
}

/** Until nothing can move any more. What does not move for a long time, though it could, the judge will find. */
async function drain(books: SiteDatabase, say: (line: string) => void): Promise<void> {
  let [leastMoving, movedAtMs] = [Infinity, wallMs()];
  for (let looks = 0; ; looks++) {
    const call = await books.call(readDepth);
    if (call.kind === "committed") {
      const { moving, claimed } = call.value;
      if (moving === 0 && claimed === 0) return say(`drained: ${printDepth(call.value)}`);
      if (moving < leastMoving) [leastMoving, movedAtMs] = [moving, wallMs()];
      if (looks % LOOKS_PER_LINE === 0) say(`draining: ${printDepth(call.value)}`);
    }
    if (wallMs() > movedAtMs + STUCK_MS) return say(`NOT drained: nothing has moved for ${STUCK_MS / 1000} s`);
    await sleep(DRAIN_LOOK_MS);
  }
}

function printDepth({ moving, claimed, unknown }: QueueDepth): string {
  return `${moving} can move, ${claimed} claimed, ${unknown} unknown`;
}

async function judge(given: {
  readonly books: SiteDatabase;
  readonly receptions: readonly Reception[];
  readonly ledgerFile: string;
  readonly logFolder: string;
  readonly excuses?: Excuses;
}): Promise<JudgedWorld> {
  const call = await given.books.call(async (client) => {
    const { entries, balance } = await readBooks(client);
    const known = { site: readSiteLedger(given.ledgerFile), receptions: given.receptions };
    const { site, receptions, excused } = excuse(
      known,
      new Map(entries.map((one) => [one.recipient, one])),
      given.excuses,
    );
    const verdict = judgeRun({ site, books: entries, receptions, balance, marksOf });
    const stories: string[] = [];
    for (const id of verdict.accused) stories.push(await readStory(client, { id }));
    return { verdict, stories, excused };
  });
  if (call.kind !== "committed") throw new Error(`the books cannot be read at the end: ${call.kind}`);
  const spilled = spilledIn(given.logFolder);
  if (spilled.length === 0) return call.value;
  const { verdict, stories, excused } = call.value;
  const complaints = [...verdict.complaints, ...spilled.map((line) => `SPILLED: an address is in the log: ${line}`)];
  return { verdict: { ...verdict, complaints, isClean: false }, stories, excused };
}

/** Takes out of what is known what the fault may have taken, and counts it. */
function excuse(
  {
    site,
    receptions,
  }: { readonly site: ReadonlyMap<string, SiteKnowledge>; readonly receptions: readonly Reception[] },
  booked: ReadonlyMap<string, BookEntry>,
  excuses: Excuses = { mayBeLost: () => false, mayComeAgain: () => false },
) {
  const isExcused = (recipient: string): boolean => !booked.has(recipient) && excuses.mayBeLost(recipient);
  const lost = [...site].filter(
    ([recipient, knowledge]) => knowledge === "acknowledged" && isExcused(recipient),
  ).length;
  const times = new Map<string, number>();
  let duplicates = 0;
  const left = receptions.filter(({ recipient }) => {
    if (isExcused(recipient)) return false;
    const before = times.get(recipient) ?? 0;
    times.set(recipient, before + 1);
    const isAgain = before > (booked.get(recipient)?.unknownAttempts ?? 0) && excuses.mayComeAgain(recipient);
    if (isAgain) duplicates++;
    return !isAgain;
  });
  const leftSite = new Map([...site].filter(([recipient]) => !isExcused(recipient)));
  return { site: leftSite, receptions: left, excused: { lost, duplicates } };
}

const WARNINGS_MAX = 20;

/** The last lines of the log that are more than information. */
function lastWarnings(folder: string): string {
  return linesIn(folder)
    .filter((line) => /"level":"(?:warn|error)"/.test(line))
    .slice(-WARNINGS_MAX)
    .join("\n");
}

function linesIn(folder: string): readonly string[] {
  const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  return files.flatMap(({ name }) => readFileSync(path.join(folder, name), "utf8").split("\n"));
}

const SPILLED_LINES_MAX = 3;

/** The first lines of the log that name a recipient: at level info it holds ids and domains, never an address. */
function spilledIn(folder: string): readonly string[] {
  return linesIn(folder)
    .filter((line) => /\b[tb]\d+@/.test(line))
    .slice(0, SPILLED_LINES_MAX);
}
